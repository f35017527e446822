package chbroker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// rests are the logins that do not want to be disturbed, from memory: whoever asks does not wait.
type rests struct {
	turn   sync.Mutex // whoever changes SQL and then memory; so both end up alike
	mu     sync.Mutex
	logins map[string]call.Rest
	ends   map[string]*time.Timer // until those that end by themselves do
}

func newRests() *rests {
	return &rests{logins: make(map[string]call.Rest), ends: make(map[string]*time.Timer)}
}

// of is a login's rest at a moment; the zero Rest when it has none, or it is over.
func (r *rests) of(login string, now time.Time) call.Rest {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := r.logins[login]
	if !rest.Until.IsZero() && !now.Before(rest.Until) {
		return call.Rest{}
	}
	return rest
}

// put takes in a login's rest, in place of the one it had; over is called when it ends by itself.
func (r *rests) put(login string, rest call.Rest, over func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.ends[login]; t != nil {
		t.Stop()
		delete(r.ends, login)
	}
	if delete(r.logins, login); rest.On {
		r.logins[login] = rest
	}
	if rest.On && !rest.Until.IsZero() {
		r.ends[login] = time.AfterFunc(time.Until(rest.Until), over)
	}
}

// stop ends the waiting for rests to end.
func (r *rests) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.ends {
		t.Stop()
	}
	clear(r.ends)
}

// Rest has nothing ring for a login, or, with the zero Rest, has its calls ring again: of those whose readers wait, the next rings at once. It outlives the
// program. since is when whoever asks signed in, or sat down: a login whose account has been removed since keeps nothing.
func (b *Broker) Rest(ctx context.Context, login string, rest call.Rest, since time.Time) error {
	r := b.board.rests
	r.turn.Lock()
	defer r.turn.Unlock()
	gone := false
	err := b.o.DB.Update(ctx, func(tx *sqldb.Tx) (err error) {
		if gone, err = removed(tx, login, since); err != nil || gone {
			return err
		}
		if rest.On {
			_, err = tx.Exec(`INSERT INTO chbroker_rest (login, until) VALUES (?, ?) ON CONFLICT (login) DO UPDATE SET until = excluded.until`, login, milli(rest.Until))
		} else {
			_, err = tx.Exec(`DELETE FROM chbroker_rest WHERE login = ?`, login)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping whether %s may be disturbed: %w", login, err)
	}
	if gone {
		return nil
	}
	b.rest(login, rest)
	b.log.Info("rest", "login", login, "on", rest.On, "until", rest.Until)
	b.board.post(restEvent{login})
	return nil
}

// rest takes in what SQL has. When it ends by itself, whoever waits is rung for.
func (b *Broker) rest(login string, rest call.Rest) {
	b.board.rests.put(login, rest, func() { b.board.post(restEvent{login}) })
}

// forgetRest: the login's account has been removed.
func (b *Broker) forgetRest(login string) {
	b.board.rests.turn.Lock()
	defer b.board.rests.turn.Unlock()
	b.rest(login, call.Rest{})
}

// Resting is whether a login may be disturbed now: by his own asking, and by his quiet hours.
func (b *Broker) Resting(login string) call.Rest {
	now := time.Now()
	rest := b.board.rests.of(login, now)
	rest.Quiet, rest.Turns = b.o.Wishes.Quiet(login, now), b.o.Wishes.Turns(login, now)
	return rest
}

// loadRests takes up what was asked for before the program started.
func (b *Broker) loadRests(ctx context.Context) error {
	kept := make(map[string]call.Rest)
	err := b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		clear(kept)
		rows, err := tx.Query(`SELECT login, until FROM chbroker_rest WHERE until = 0 OR until > ?`, time.Now())
		if err != nil {
			return err
		}
		for rows.Next() {
			var login string
			var until int64
			if err := rows.Scan(&login, &until); err != nil {
				return err
			}
			kept[login] = call.Rest{On: true, Until: fromMilli(until)}
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("reading who does not want to be disturbed: %w", err)
	}
	for login, rest := range kept {
		b.rest(login, rest)
	}
	return nil
}

// Turned says that what a login wishes for is another now: settings of his account were changed, or his quiet hours begin or end. Whoever still waits because nothing
// might ring is rung for, where nothing forbids it any more, and nobody is asked any more for what is not wanted of him.
func (b *Broker) Turned(login string) { b.board.post(turnEvent{login}) }

// turnEvent: see Turned.
type turnEvent struct{ login string }

func (e turnEvent) on(bd *board) {
	o := bd.owners[e.login]
	if o == nil {
		return
	}
	for _, c := range slices.Clone(o.visits) {
		if c.rec.link.Terms == "" {
			c.turned()
		}
		if c.again.hushed && len(o.devices) > 0 && o.quiet() == "" { // whoever was given up for another reason waits for a sign, as before
			c.again.hushed = false
			c.wake(signAttach)
		}
	}
}

// restEvent: a login does not want to be disturbed any more, or begins not to.
type restEvent struct{ login string }

// on gives up the call that sounds, or has those ring whose readers still wait.
func (e restEvent) on(bd *board) {
	o := bd.owners[e.login]
	switch {
	case o == nil:
	case bd.rests.of(e.login, time.Now()).On:
		if c := o.rings; c != nil {
			c.giveUp("not to be disturbed")
		}
	case len(o.devices) > 0: // without one, only a sign of the owner promises that somebody answers
		o.wake(signAttach)
	}
}
