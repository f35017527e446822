package chbroker

import (
	"errors"
	"maps"
	"slices"
	"time"

	"chmail/internal/message"
)

// forgetEvent: a login's account is gone, and with it everything that the board has of it. Whoever gets the address later finds nothing.
type forgetEvent struct{ login string }

func (e forgetEvent) on(bd *board) {
	for _, c := range slices.Collect(maps.Values(bd.calls)) {
		if c.rec.link.Login == e.login {
			c.rec.missed, c.rec.word = notMissed, noWord
			c.take()
		}
	}
	for conv, w := range bd.words {
		if w.login() == e.login {
			w.alarm.stop()
			delete(bd.words, conv)
		}
	}
	if o := bd.owners[e.login]; o != nil {
		o.missed = nil
		o.tidy()
	}
}

// login is whose word it is; "" when none is due and none is being left.
func (w *word) login() string {
	for _, r := range slices.Concat(w.due, w.under) {
		return r.link.Login
	}
	return ""
}

// forget keeps the calls of a login that began by now out of SQL from the transaction on that removes its account.
func (s *saver) forget(login string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed[login] = now
}

// kept are those of the calls whose login has not been removed since they began.
func (s *saver) kept(batch map[string]record) []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []record
	for _, r := range batch {
		if at, removed := s.removed[r.link.Login]; !removed || r.began.After(at) {
			kept = append(kept, r)
		}
	}
	return kept
}

// final tells whether word can never be left: its owner is gone.
func final(err error) bool {
	var r *message.Refusal
	return errors.As(err, &r) && r.Code >= 500
}

// drop ends what cannot be left.
func (w *word) drop(recs []*record, err error) {
	for _, r := range recs {
		r.word = noWord
		w.bd.saves.put(*r)
	}
	w.tries, w.retry = 0, time.Time{}
	w.bd.b.log.Warn("word will not be left", "conv", w.conv, "calls", len(recs), "err", err)
	w.push()
}
