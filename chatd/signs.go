package chatd

import (
	"context"
	"time"
)

// The small signs of a talk: that somebody is writing, and how far what was said has come on the other side. To write is told and forgotten; what a side
// has got lives as long as the room does; what it has seen is in the conversation's row.

const (
	typingEvery = 2 * time.Second // a side is told no more often that the other one is writing
	reaching    = " reaching"     // a side's pace of signs, which are written down
	reachBurst  = 20              // signs of having got or seen something that a side may give at once,
	reachEach   = 500 * time.Millisecond
)

// typingFrame tells one side that somebody on the other is writing.
type typingFrame struct {
	T    string `json:"t"`
	Conv string `json:"conv"`
	From string `json:"from"`
}

// reachFrame tells one side how far the other has come with what was said.
type reachFrame struct {
	T    string `json:"t"`
	Conv string `json:"conv"`
	Got  int64  `json:"got"`  // number of the newest event that has come to a page of that side
	Seen int64  `json:"seen"` // and of the newest that a person there has had in view
}

// A reach is how far a side has come.
type reach struct{ got, seen int64 }

// reached is posted to a room: a page of a side has got all events up to n, or a person has seen them there.
type reached struct {
	side string
	n    int64
	seen bool
}

// other is the side across.
func other(side string) string {
	if side == owner {
		return visitor
	}
	return owner
}

// sign does what a client on a side asks for with "typing", "got" or "seen".
func (r *room) sign(ctx context.Context, side string, f frameIn) error {
	if f.T == "typing" {
		if !r.tail.ended.Load() {
			r.tail.typing(r.id, side, time.Now())
		}
		return nil
	}
	if r.pace[side+reaching].Wait(ctx) != nil || !r.post(ctx, reached{side, f.N, f.T == "seen"}) {
		return errLeft
	}
	return nil
}

// sign is the room's, for a visitor. Before there is a person there is nobody who writes, and before there is a conversation nothing to see.
func (v *visit) sign(ctx context.Context, f frameIn) error {
	if v.room == nil || f.T == "typing" && !v.wants {
		return nil
	}
	return v.room.sign(ctx, visitor, f)
}

// typing tells the other side that somebody writes, not too often. It is no reason to hang up on anybody who is slow: he does without.
func (t *tail) typing(conv, side string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.typed[side]) < typingEvery {
		return
	}
	t.typed[side] = now
	for c, on := range t.clients {
		if on == other(side) && len(c.queue) < cap(c.queue)/2 {
			c.put(typingFrame{T: "typing", Conv: conv, From: side})
		}
	}
}

// reaches notes how far a side has come, never less than before, and tells the other.
func (t *tail) reaches(conv, side string, now reach) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.reach[side]
	now.seen = max(now.seen, old.seen)
	now.got = max(now.got, old.got, now.seen)
	if now == old {
		return
	}
	t.reach[side] = now
	for c, on := range t.clients {
		if on == other(side) {
			c.put(reachFrame{T: "reach", Conv: conv, Got: now.got, Seen: now.seen})
		}
	}
}

// showReach tells a client that comes in on a side how far the other has come, if it has.
func (t *tail) showReach(conv, side string, c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.reach[other(side)]; now != (reach{}) {
		c.put(reachFrame{T: "reach", Conv: conv, Got: now.got, Seen: now.seen})
	}
}

// reached notes what a side has got, and keeps what it has seen.
func (r *room) reached(m reached) error {
	rec := &r.now.rec
	n := min(m.n, rec.last)
	if m.seen {
		seen := rec.seen
		if m.side == visitor {
			seen = rec.shown
		}
		if n <= seen {
			return nil
		}
		_, err := r.commit(func(rec *record) {
			if m.side == visitor {
				rec.shown = n
			} else {
				rec.seen = n
			}
		})
		if err != nil {
			return err
		}
		if m.side == owner {
			r.tail.tell(seenFrame{T: "seen", Conv: r.id, N: n}, owner)
		}
		r.tail.reaches(r.id, m.side, reach{n, n})
		return nil
	}
	r.tail.reaches(r.id, m.side, reach{got: n})
	return nil
}
