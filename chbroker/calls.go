package chbroker

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// wordState says whether word of a call is due.
type wordState int

const (
	noWord wordState = iota
	wordDue
	wordIsLeft
	wordRefused // it can never be left
)

// missedState says whether the owner knows that he missed a call.
type missedState int

const (
	notMissed missedState = iota
	unseen
	seen
)

const missedKept = 30 * day // older missed calls are not shown any more

// record is a call as SQL has it.
type record struct {
	id, conv string
	link     call.Link
	who      string
	opened   time.Time // the reader's page
	began    time.Time
	ready    time.Time // when it was first due to ring; zero when it was not
	state    call.State
	over     bool
	told     bool // a device has alerted
	word     wordState
	left     time.Time
	missed   missedState
	crowd    bool // its reader found the door full
	limited  bool // it does not sound, being one of too many; not in SQL
}

func newCallID() string {
	var raw [12]byte
	rand.Read(raw[:]) // never fails (it ends the program instead)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// saver brings calls into SQL, off everybody's way. Only the latest of each waits, so it is bounded by the calls there are.
type saver struct {
	b    *Broker
	wake chan struct{}

	mu      sync.Mutex
	pending map[string]record
	awaited map[string]struct{} // calls of which the board wants to know when they are saved first
}

const saveRetry = 2 * time.Second

func newSaver(b *Broker) *saver {
	return &saver{b: b, wake: make(chan struct{}, 1), pending: make(map[string]record), awaited: make(map[string]struct{})}
}

func (s *saver) put(r record) {
	s.mu.Lock()
	s.pending[r.id] = r
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it has been woken already
	}
}

func (s *saver) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for {
			err := s.write(ctx)
			if err == nil || ctx.Err() != nil {
				break
			}
			s.b.log.Warn("calls are not saved yet", "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(saveRetry):
			}
		}
	}
}

// write brings all that waits into SQL.
func (s *saver) write(ctx context.Context) error {
	s.mu.Lock()
	batch := s.pending
	s.pending = make(map[string]record)
	s.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := s.b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		for _, r := range batch {
			if err := r.save(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.saved(batch)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range batch {
		if _, newer := s.pending[id]; !newer {
			s.pending[id] = r
		}
	}
	return fmt.Errorf("saving %d calls: %w", len(batch), err)
}

// await has the board told when a call has first been saved.
func (s *saver) await(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaited[id] = struct{}{}
}

func (s *saver) forgetAwaited(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.awaited, id)
}

func (s *saver) saved(batch map[string]record) {
	var first []string
	s.mu.Lock()
	for id := range batch {
		if _, ok := s.awaited[id]; ok {
			delete(s.awaited, id)
			first = append(first, id)
		}
	}
	s.mu.Unlock()
	if len(first) > 0 {
		s.b.board.post(savedEvent{first})
	}
}

// savedEvent: these calls outlive the program from now on.
type savedEvent struct{ calls []string }

func (e savedEvent) on(bd *board) {
	for _, id := range e.calls {
		if c := bd.calls[id]; c != nil {
			c.release()
		}
	}
}

// since is from when on the call's login must have had its account. A link that is gone says nothing.
func (r record) since() time.Time {
	if c := r.link.Created; !c.IsZero() && c.Before(r.began) {
		return c
	}
	return r.began
}

// save writes the call, unless its login's account has been removed since.
func (r record) save(tx *sqldb.Tx) error {
	_, err := tx.Exec(`INSERT INTO chbroker_call (id, conv, login, link, who, opened, began, ready, state, over, told, word, "left", missed, crowd)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM chbroker_removed WHERE login = ? AND at >= ?)
		ON CONFLICT (id) DO UPDATE SET who = excluded.who, ready = excluded.ready, state = excluded.state, over = excluded.over,
		told = excluded.told, word = excluded.word, "left" = excluded."left", missed = excluded.missed`,
		r.id, r.conv, r.link.Login, r.link.ID, r.who, r.opened, r.began, milli(r.ready), string(r.state), r.over, r.told, int(r.word), milli(r.left), int(r.missed), r.crowd,
		r.link.Login, r.since())
	return err
}

// milli is a time as SQL has it, 0 for none.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n)
}

// loadCalls reads the calls that still matter: open ones, those of which word is due or was left a short while ago, and missed ones that
// the owner has not been shown. The oldest first.
func (b *Broker) loadCalls(ctx context.Context) ([]*record, error) {
	var all []*record
	now := time.Now()
	err := b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT id, conv, login, link, who, opened, began, ready, state, over, told, word, "left", missed, crowd FROM chbroker_call
			WHERE began > ? AND (over = 0 OR word = ? OR missed = ? OR "left" > ?) ORDER BY began, id`,
			now.Add(-missedKept), int(wordDue), int(unseen), now.Add(-b.times.Merge))
		if err != nil {
			return err
		}
		for rows.Next() {
			r := &record{}
			var ready, left int64
			if err := rows.Scan(&r.id, &r.conv, &r.link.Login, &r.link.ID, &r.who, &r.opened, &r.began, &ready, &r.state, &r.over, &r.told,
				&r.word, &left, &r.missed, &r.crowd); err != nil {
				return err
			}
			r.ready, r.left = fromMilli(ready), fromMilli(left)
			all = append(all, r)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for _, r := range all {
			if err := b.loadLink(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// loadLink completes a call's link; one that has been removed meanwhile leaves its number and its owner.
func (b *Broker) loadLink(tx *sqldb.Tx, r *record) error {
	l, err := scanLink(tx.QueryRow(linkColumns+`WHERE id = ?`, r.link.ID))
	switch {
	case err == nil && l.Login == r.link.Login: // whatever else bears its number is not this call's
		l.Host = b.o.Host
		r.link = l
	case err == nil, errors.Is(err, sql.ErrNoRows):
	default:
		return fmt.Errorf("link %d: %w", r.link.ID, err)
	}
	return nil
}

// resume puts what the last process left onto the board, before the board runs. Its readers are taken for gone: each has a while to come back.
func (bd *board) resume(kept []*record) {
	about := make(map[*record]*word, len(kept))
	for _, r := range kept {
		w := bd.word(r)
		if r.crowd {
			w = bd.wordOf(r, crowdOf(r.link.Login))
			w.crowd = true
		}
		about[r] = w
		if r.left.After(w.left) {
			w.left = r.left
		}
	}
	for _, r := range kept {
		if r.missed == unseen {
			bd.owner(r.link.Login).miss(r)
		}
		switch {
		case r.over:
		case r.state == call.Answered || r.state == call.Declined || r.state == call.Left || bd.convs[r.conv] != nil:
			r.over = true
			bd.saves.put(*r)
		default:
			bd.resumeCall(r)
		}
		if r.word == wordDue {
			about[r].due = append(about[r].due, r)
		}
	}
	for _, w := range bd.words {
		w.push()
	}
}

func (bd *board) resumeCall(r *record) {
	c := bd.add(r)
	now := time.Now()
	c.gone, c.phase, c.due = now, queued, now
	if verified := r.ready.Add(bd.b.times.Verify); verified.After(now) {
		c.gone = verified // it was not the reader who left: his visit counts
	}
	switch r.state {
	case call.Away, call.Unknown, call.Noticed:
		c.phase = settled
	case call.Opened, call.Silent, call.Unproved:
		if r.ready.IsZero() {
			c.phase = young
		}
		c.suspect = r.state == call.Silent // why is forgotten, that is not
	}
	bd.log(c, "is taken up")
	c.grace.set(bd, 2*bd.b.times.Grace, func(n int) event { return graceEvent{r.id, n} })
}
