package chatd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

const (
	amendWithin = 10 * time.Minute // after it was said a message can be changed or taken back
	maxEdits    = 20               // of one message: each of them writes all before it anew
)

// The kinds of events that change what was said before. Of is the message that is meant.
const (
	kindEdit   = "edit"   // Text is what the message says now
	kindDelete = "delete" // it says nothing any more
)

// amends is posted to a room: somebody changes what his side has said, or takes it back.
type amends struct {
	c    *client
	side string
	kind string
	cid  string
	of   int64
	text string
}

// saidFrame tells the owner's desks what their list shows of a conversation in which something was changed or taken back.
type saidFrame struct {
	T      string `json:"t"`
	Conv   string `json:"conv"`
	Text   string `json:"text"`
	Unread int    `json:"unread"`
	N      int64  `json:"n"` // the newest event that is counted in this
}

// newAmends is what a client asks for with "edit" or "delete".
func newAmends(c *client, side string, f frameIn) (amends, error) {
	a := amends{c: c, side: side, kind: f.T, cid: f.CID, of: f.N}
	if !goodCID(f.CID) || f.N == 0 {
		return amends{}, faultFrame
	}
	if f.T == kindEdit {
		if a.text = f.Text; !goodText(f.Text) {
			return amends{}, faultText
		}
	}
	return a, nil
}

// amend changes what the visitor has said. He has said nothing before he was there.
func (v *visit) amend(ctx context.Context, f frameIn) error {
	a, err := newAmends(v.c, visitor, f)
	if err != nil {
		return err
	}
	if v.room == nil {
		v.c.put(refusal(a.cid, "", faultRefused))
		return nil
	}
	if v.room.pace[visitor].Wait(ctx) != nil || !v.room.post(ctx, a) {
		return errLeft
	}
	return nil
}

// amend changes what the owner has said in one of his conversations.
func (d *desk) amend(ctx context.Context, r *room, f frameIn) error {
	a, err := newAmends(d.c, owner, f)
	if err != nil {
		return err
	}
	if r.pace[owner].Wait(ctx) != nil || !r.post(ctx, a) {
		return errLeft
	}
	return nil
}

// refusal is said of one message; the connection stays.
func refusal(cid, conv string, why *fault) errorFrame {
	return errorFrame{T: "error", Code: why.code, Text: why.text, Conv: conv, CID: cid}
}

// amend commits a change, so that nobody who comes later can see what was there before, then tells everybody.
func (r *room) amend(a amends) error {
	e := &event{Kind: a.kind, From: a.side, CID: a.cid, At: time.Now(), Of: a.of, Text: a.text}
	e.Name, e.Login = r.guestName(a.side)
	rec := r.now.rec
	err := r.srv.store.amend(r.srv.ctx, &rec, e)
	var refused *fault
	switch {
	case errors.As(err, &refused):
		a.c.put(refusal(a.cid, r.id, refused))
		return nil
	case errors.Is(err, errKnown):
		a.c.put(ackFrame{T: "ack", Conv: r.id, CID: a.cid, N: e.N})
		return nil
	case err != nil:
		if !errors.Is(err, errMoved) {
			a.c.leave(bye("trouble", troubleTime))
		}
		return err
	}
	r.now.rec = rec
	if err := r.tail.amend(r.id, e, rec.name); err != nil {
		return err
	}
	if e.Kind == kindDelete && e.Of == r.now.spoken {
		r.now.spoken-- // what he has taken back calls nobody
	}
	a.c.put(ackFrame{T: "ack", Conv: r.id, CID: a.cid, N: e.N})
	talk, err := r.srv.store.one(r.srv.ctx, r.login, r.id)
	if err != nil {
		return err
	}
	r.tail.tell(saidFrame{T: "said", Conv: r.id, Text: talk.Text, Unread: talk.Unread, N: talk.Last}, owner)
	return nil
}

// amend rewrites the events of a message in memory, with all that was changed in it before, and publishes the change. Writers may be sending the
// events that were there, so those stay as they are.
func (t *tail) amend(conv string, e *event, name string) error {
	if err := e.encode(conv, name); err != nil {
		return err
	}
	t.mu.Lock()
	for i, old := range t.events {
		if old.N != e.Of && old.Of != e.Of {
			continue
		}
		again := *old
		if again.Text = e.Text; e.Kind == kindDelete {
			again.File = nil
		}
		if err := again.encode(conv, name); err != nil {
			t.mu.Unlock()
			return err
		}
		t.bytes += len(again.wire) - len(old.wire)
		t.events[i] = &again
	}
	t.mu.Unlock()
	t.publish([]*event{e})
	return nil
}

// errKnown says that a change was made before, under the same id.
var errKnown = errors.New("the change is known")

// amend commits a change of a message: as the next event, and in the message and in all changes of it, whose texts become e's. A message that is not there,
// another side's, taken back, too old or changed too often is faultRefused. r is brought up to date.
func (s *store) amend(ctx context.Context, r *record, e *event) error {
	var next record
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		next = *r
		if err := owned(tx, r); err != nil {
			return err
		}
		err := tx.QueryRow(`SELECT n FROM chatd_event WHERE conv = ? AND side = ? AND cid = ?`, r.key, e.From, e.CID).Scan(&e.N)
		if err == nil {
			return errKnown
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := mayAmend(tx, r, e); err != nil {
			return err
		}
		if e.Kind == kindDelete {
			if err := s.unshelve(tx, `conv = ? AND n = ?`, r.key, e.Of); err != nil {
				return err
			}
		}
		return rewrite(tx, &next, e)
	})
	if sqldb.IsUnique(err) { // that number is taken: somebody else has written on
		err = errMoved
	}
	if err != nil {
		return fmt.Errorf("changing what was said: %w", err)
	}
	*r = next
	return nil
}

// mayAmend tells whether a message is there to be changed by e's side.
func mayAmend(tx *sqldb.Tx, r *record, e *event) error {
	taken := kindFile // a file can be taken back, but not be made another
	if e.Kind == kindEdit {
		taken = kindSay
	}
	var at time.Time
	err := tx.QueryRow(`SELECT at FROM chatd_event WHERE conv = ? AND n = ? AND kind IN ('say', ?) AND side = ? AND text <> ''`, r.key, e.Of, taken, e.From).Scan(&at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return faultRefused
	case err != nil:
		return err
	case e.At.Sub(at) > amendWithin:
		return faultRefused
	case e.Kind == kindDelete:
		return nil
	case r.state == call.Ended: // to change it would be to say something
		return faultEnded
	}
	var edits int
	if err := tx.QueryRow(`SELECT count(*) FROM chatd_event WHERE conv = ? AND of = ?`, r.key, e.Of).Scan(&edits); err != nil {
		return err
	}
	if edits >= maxEdits {
		return faultRefused
	}
	return nil
}

// rewrite makes a change. There is always room to take something back.
func rewrite(tx *sqldb.Tx, r *record, e *event) error {
	const meant = `conv = ?1 AND n IN (SELECT ?2 UNION ALL SELECT n FROM chatd_event WHERE conv = ?1 AND of = ?2)` // an OR would read the whole conversation
	var count, size int64
	if err := tx.QueryRow(`SELECT count(*), sum(length(CAST(text AS BLOB))) FROM chatd_event WHERE `+meant, r.key, e.Of).Scan(&count, &size); err != nil {
		return err
	}
	r.size += (count+1)*int64(len(e.Text)) - size
	if e.Kind == kindEdit && (r.last >= maxEvents || r.size > maxSize) {
		return faultFull
	}
	if _, err := tx.Exec(`UPDATE chatd_event SET text = ?3 WHERE `+meant, r.key, e.Of, e.Text); err != nil {
		return err
	}
	r.last++
	e.N = r.last
	if _, err := tx.Exec(`INSERT INTO chatd_event (conv, n, kind, side, cid, at, text, of) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, r.key, e.N, e.Kind, e.From, e.CID, e.At, e.Text, e.Of); err != nil {
		return err
	}
	var said string
	err := tx.QueryRow(`SELECT text FROM chatd_event WHERE conv = ? AND kind IN ('say', 'file') AND text <> '' ORDER BY n DESC LIMIT 1`, r.key).Scan(&said)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	r.said = beginning(said, saidLength)
	_, err = tx.Exec(`UPDATE chatd_conversation SET said = ?, last = ?, size = ? WHERE key = ?`, r.said, r.last, r.size, r.key)
	return err
}
