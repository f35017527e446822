package chatd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// A reader without scripts has no socket: he posts a form, and looks at what was said. Between the two he counts as being there, as a client
// like any other that keeps nothing of what it is sent.

const (
	formStay   = time.Minute      // after his last message or look whoever posts a form counts as there
	formWithin = 10 * time.Second // a message must have been taken
	formLog    = 100              // events that one look shows
	maxForms   = 4096             // who are there by a form at once
)

// A Note is a message that a visitor sends with a page's form.
type Note struct {
	Token   string // the link's
	Visitor string // the visitor cookie's value
	Name    string // as he calls himself; "" leaves it as it was
	CID     string // the page's own id for the message; with the same it is said once, however often it is posted
	Text    string
	Peer    netip.Addr
}

// A Sight is what a visitor sees of his conversation behind a link.
type Sight struct {
	Name      string     // his own, as he gave it
	State     call.State // of the call; "" when there is none
	Here      bool       // he counts as being there
	Elsewhere bool       // he is there on another device, or in another window
	Said      []Said     // the newest first
}

// Said is something that happened in a conversation: "say", "join", "leave", "name", "ended", "file", or a change of another.
type Said struct {
	Kind string
	Mine bool   // the visitor's, not the owner's
	Who  int64  // a guest's number; 0: not a guest's
	Name string // and how he is called
	Text string
	File *File // of a file, whose name is Text; nil once it was taken back
	At   time.Time
}

// Refusal names why Post, Redeem or a file's sending took nothing, as it concerns who asked: "link", "text", "full", "ended", "code" or "busy"; "" for a failure of ours. What was too late
// for an answer ("busy") may have been taken after all: it is to be sent again with its id.
func Refusal(err error) string {
	var f *fault
	switch {
	case errors.As(err, &f):
		return f.code
	case errors.Is(err, errBusy), errors.Is(err, errLeft), errors.Is(err, context.DeadlineExceeded):
		return "busy"
	}
	return ""
}

// Post says something for a visitor, calls the owner, and has the visitor there for a minute. It returns when the message is safe. Whoever calls it
// has made sure that a person has typed it.
func (s *Server) Post(ctx context.Context, link call.Link, n Note) error {
	ctx, cancel := context.WithTimeout(ctx, formWithin)
	defer cancel()
	key := doorKey{link.ID, browserVisitor(n.Visitor)}
	switch known, err := s.store.hasSaid(ctx, link, key.visitor, n.CID); {
	case err != nil:
		return err
	case known: // the same form once more: it calls nobody
		return nil
	case !goodText(n.Text):
		return faultText
	}
	seat, err := s.seats.take(key)
	if err != nil {
		return err
	}
	defer seat.mu.Unlock()
	if seat.v == nil {
		if err := s.sit(ctx, seat, link, n); err != nil {
			s.seats.clear(seat)
			return err
		}
	}
	seat.till = time.Now().Add(formStay)
	seat.stay.Reset(formStay)
	return seat.say(ctx, n)
}

// Look shows a visitor his conversation behind a link. If he is there by a form, and waits, he stays for another minute.
func (s *Server) Look(ctx context.Context, link call.Link, visitor string, waits bool) (Sight, error) {
	v := browserVisitor(visitor)
	here := s.seats.stay(doorKey{link.ID, v}, waits)
	id, err := s.store.find(ctx, link, v)
	if err != nil || id == "" {
		return Sight{}, err
	}
	sight, err := s.store.sight(ctx, id)
	if err != nil {
		return Sight{}, err
	}
	sight.Here, sight.State = here, call.State(s.presentState(id, string(sight.State)))
	sight.Elsewhere = !here && s.rooms.visitorHere(id)
	return sight, nil
}

// Quit has a visitor who was there by a form leave.
func (s *Server) Quit(link call.Link, visitor string) {
	s.seats.quit(doorKey{link.ID, browserVisitor(visitor)})
}

// A seat is where somebody without a connection is there: a visit that lasts from post to post.
type seat struct {
	key   doorKey
	stay  *time.Timer
	voice *seatVoice
	quits atomic.Bool // he has pressed "Leave"

	mu   sync.Mutex // one message after the other
	v    *visit     // nil until he sits
	till time.Time  // he counts as there so long
	gone bool       // it is nobody's any more
}

type seats struct {
	mu sync.Mutex
	in map[doorKey]*seat
}

func newSeats() *seats { return &seats{in: make(map[doorKey]*seat)} }

// take returns a visitor's seat, an empty one where he had none, locked.
func (ss *seats) take(key doorKey) (*seat, error) {
	for {
		ss.mu.Lock()
		t := ss.in[key]
		if t == nil {
			if len(ss.in) >= maxForms {
				ss.mu.Unlock()
				return nil, errBusy
			}
			t = &seat{key: key, stay: time.NewTimer(formStay), voice: &seatVoice{answers: make(chan any, 8)}}
			ss.in[key] = t
		}
		ss.mu.Unlock()
		if t.mu.Lock(); !t.gone {
			return t, nil
		}
		t.mu.Unlock()
	}
}

// clear takes a seat, which is locked, away.
func (ss *seats) clear(t *seat) {
	t.gone = true
	t.stay.Stop()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.in, t.key)
}

// stay tells whether a visitor has a seat; if he waits, he keeps it for longer.
func (ss *seats) stay(key doorKey, waits bool) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	t := ss.in[key]
	if t != nil && waits {
		t.stay.Reset(formStay)
	}
	return t != nil
}

func (ss *seats) quit(key doorKey) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if t := ss.in[key]; t != nil {
		t.quits.Store(true)
		t.stay.Reset(0)
	}
}

// sit lets a visitor in on a seat, which is locked, until he has neither posted nor looked for a minute, or is hung up on.
func (s *Server) sit(ctx context.Context, t *seat, link call.Link, n Note) error {
	leave, ok := s.limits.enter(n.Peer)
	if !ok {
		return errBusy
	}
	writing, hang := context.WithCancel(s.ctx)
	c := newClient(t.voice, hang)
	done, ok := s.admit(writing, c)
	v := &visit{
		srv: s, c: c, peer: n.Peer, link: link, visitor: t.key.visitor, token: n.Token, name: cleanName(n.Name),
		opened: s.pages.when(t.key, time.Now()),
	}
	end := func() {
		v.exit()
		leave()
		done()
	}
	if !ok {
		end()
		return errBusy
	}
	if err := v.enter(ctx, nil); err != nil {
		end()
		return err
	}
	t.v = v
	go func() {
		for over := false; !over; {
			select {
			case <-t.stay.C:
			case <-c.ended:
				over = true
			}
			t.mu.Lock()
			if left := time.Until(t.till); left > 0 && !over && !t.quits.Load() { // he has said something just as his time was over
				t.stay.Reset(left)
			} else {
				over = true
				s.seats.clear(t)
			}
			t.mu.Unlock()
		}
		if t.quits.Load() && v.room != nil {
			v.room.post(s.ctx, left{c: c, said: true})
		}
		end()
	}()
	return nil
}

// say says something from a seat, which is locked, and waits until it is acknowledged.
func (t *seat) say(ctx context.Context, n Note) error {
	if err := t.v.rename(ctx, n.Name); err != nil {
		return err
	}
	if err := t.v.say(ctx, n.CID, n.Text); err != nil {
		return err
	}
	for {
		select {
		case a := <-t.voice.answers:
			if done, err := answers(a, n.CID); done {
				return err
			}
		case <-t.v.c.ended:
			for len(t.voice.answers) > 0 {
				if done, err := answers(<-t.voice.answers, n.CID); done {
					return err
				}
			}
			return t.voice.why()
		case <-ctx.Done():
			return errBusy
		}
	}
}

// answers tells what a frame says of a message, if it is about that one.
func answers(f any, cid string) (done bool, err error) {
	switch f := f.(type) {
	case ackFrame:
		return f.CID == cid, nil
	case errorFrame:
		return f.CID == cid, &fault{f.Code, f.Text}
	}
	return false, nil
}

// A seatVoice keeps what concerns the message that is being said; everything else is looked up when the visitor looks.
type seatVoice struct {
	answers chan any
	last    any // set before the client's end
}

func (v *seatVoice) send(_ context.Context, f any) error {
	switch f.(type) {
	case ackFrame, errorFrame:
		for {
			select {
			case v.answers <- f:
				return nil
			default:
			}
			select {
			case <-v.answers: // nobody waits for it any more
			default:
			}
		}
	}
	return nil
}

func (v *seatVoice) flush(context.Context) error { return nil }

func (v *seatVoice) ping(context.Context) error { return nil }

func (v *seatVoice) close(last any) { v.last = last }

// why is for what reason the client, which has ended, was hung up on.
func (v *seatVoice) why() error {
	if f, ok := v.last.(errorFrame); ok {
		return &fault{f.Code, f.Text}
	}
	return errBusy
}

// hasSaid tells whether a visitor's message is safe already.
func (s *store) hasSaid(ctx context.Context, link call.Link, v visitorID, cid string) (known bool, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chatd_event WHERE conv = (SELECT key FROM chatd_conversation WHERE id = (`+finding+`))
			AND side = ?4 AND cid = ?5)`, link.Login, link.ID, v[:], visitor, cid).Scan(&known)
	})
	if err != nil {
		return false, fmt.Errorf("looking for a message: %w", err)
	}
	return known, nil
}

// sight reads the newest events of a conversation, and how it stands.
func (s *store) sight(ctx context.Context, id string) (Sight, error) {
	var sight Sight
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		sight = Sight{}
		var key int64
		err := tx.QueryRow(`SELECT key, name, state FROM chatd_conversation WHERE id = ?`, id).Scan(&key, &sight.Name, &sight.State)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // removed since
		}
		if err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT e.kind, e.side, e.at, e.text, coalesce(f.id, ''), coalesce(f.type, ''), coalesce(f.size, 0), coalesce(f.width, 0), coalesce(f.height, 0), coalesce(g.name, '')
			FROM chatd_event e LEFT JOIN chatd_file f ON e.kind = 'file' AND f.conv = e.conv AND f.n = e.n
			LEFT JOIN chatd_guest g ON e.side GLOB 'guest.*' AND g.conv = e.conv AND g.n = CAST(substr(e.side, 7) AS INTEGER) WHERE e.conv = ? ORDER BY e.n DESC LIMIT ?`, key, formLog)
		if err != nil {
			return err
		}
		for rows.Next() {
			var e Said
			var side string
			var f File
			if err := rows.Scan(&e.Kind, &side, &e.At, &e.Text, &f.ID, &f.Type, &f.Size, &f.Width, &f.Height, &e.Name); err != nil {
				return err
			}
			if f.ID != "" {
				e.File = &f
			}
			e.Mine = side == visitor
			_, e.Who = publicSide(side)
			sight.Said = append(sight.Said, e)
		}
		return rows.Err()
	})
	if err != nil {
		return Sight{}, fmt.Errorf("reading a conversation: %w", err)
	}
	return sight, nil
}
