package chbroker

import (
	"errors"
	"maps"
	"slices"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// forgetEvent: a login's account is gone, and with it everything that the board has of it. Whoever gets the address later finds nothing.
type forgetEvent struct {
	login string
	at    time.Time
}

func (e forgetEvent) on(bd *board) {
	maps.DeleteFunc(bd.gone, func(_ string, at time.Time) bool { return e.at.Sub(at) > day })
	bd.gone[e.login] = e.at
	// Only what is older goes: by now somebody else may have the address.
	old := func(r *record) bool { return r.link.Login == e.login && !r.since().After(e.at) }
	for conv, w := range bd.words {
		w.due = slices.DeleteFunc(w.due, old)
		w.under = slices.DeleteFunc(w.under, old)
		if w.owner == e.login && len(w.due)+len(w.under) == 0 {
			w.alarm.stop()
			delete(bd.words, conv)
		}
	}
	o := bd.owners[e.login]
	if o == nil {
		return
	}
	o.missed = slices.DeleteFunc(o.missed, old)
	going := slices.DeleteFunc(slices.Clone(o.visits), func(c *visit) bool { return !old(c.rec) })
	for _, c := range going {
		c.phase = declined // so that none rings while another one goes
		c.rec.word = noWord
	}
	for _, c := range going {
		o.alert(c.alert(call.AlertSilence))
		c.take()
		bd.log(c, "goes with its owner's account")
	}
	o.tidy()
}

// removed tells whether the account that a link belongs to has been removed of late.
func (bd *board) removed(l call.Link, at time.Time) bool {
	gone, ok := bd.gone[l.Login]
	return ok && !record{link: l, began: at}.since().After(gone)
}

// removed tells, within a transaction, whether a login's account has been removed since.
func removed(tx *sqldb.Tx, login string, since time.Time) (bool, error) {
	n := 0
	err := tx.QueryRow(`SELECT count(*) FROM chbroker_removed WHERE login = ? AND at >= ?`, login, since).Scan(&n)
	return n > 0, err
}

// final tells whether word can never be left, for instance because its owner is gone.
func final(err error) bool {
	var r *message.Refusal
	return errors.As(err, &r) && r.Code >= 500
}

// drop ends what cannot be left.
func (w *word) drop(recs []*record, err error) {
	for _, r := range recs {
		r.word = wordRefused
		w.bd.saves.put(*r)
		w.bd.b.log.Warn("call will not be left word of", "call", r.id, "conv", r.conv, "login", r.link.Login, "err", err)
	}
	w.tries, w.retry = 0, time.Time{}
	w.push()
}
