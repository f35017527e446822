package chatd

import (
	"context"
	"time"

	"chmail/internal/call"
)

// longestRest is for how long an owner may ask at most not to be disturbed; until he says otherwise is without limit.
const longestRest = 7 * 24 * time.Hour

// restFrame tells the owner's desks whether he may be disturbed, and how long that lasts: clocks differ.
type restFrame struct {
	T      string `json:"t"`
	On     bool   `json:"on"`
	LeftMS int64  `json:"left_ms,omitempty"` // 0: until it is switched off
	// Quiet says that it is his quiet hours, in which nothing rings either; in TurnsMS such hours begin or end, 0: never. A desk asks again then.
	Quiet   bool  `json:"quiet,omitempty"`
	TurnsMS int64 `json:"turns_ms,omitempty"`
}

// rest switches "do not disturb" for the login of the desk: for so many seconds, 0 until it is switched off.
func (d *desk) rest(ctx context.Context, f frameIn) error {
	rest := call.Rest{On: f.On}
	if f.N > int64(longestRest/time.Second) {
		return faultFrame
	}
	if f.On && f.N > 0 {
		rest.Until = time.Now().Add(time.Duration(f.N) * time.Second)
	}
	if err := d.srv.o.Broker.Rest(ctx, d.login, rest, d.since); err != nil {
		return err
	}
	d.srv.rooms.tellRest(d.login, nil)
	return nil
}

// Turned says that what a login wishes for is another now: his desks are told whether he may be disturbed, and calls go by it.
func (s *Server) Turned(login string) {
	s.o.Broker.Turned(login)
	s.rooms.tellRest(login, nil)
}

// tellRest tells one desk of a login, or all of them, whether he may be disturbed. What is told last is what holds.
func (rs *rooms) tellRest(login string, one *client) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rest := rs.srv.o.Broker.Resting(login)
	f := restFrame{T: "rest", On: rest.On, Quiet: rest.Quiet}
	if !rest.Turns.IsZero() {
		f.TurnsMS = max(time.Until(rest.Turns).Milliseconds(), 1)
	}
	if !rest.Until.IsZero() {
		f.LeftMS = max(time.Until(rest.Until).Milliseconds(), 1)
	}
	if one != nil {
		one.put(f)
		return
	}
	for c := range rs.desks[login] {
		c.put(f)
	}
}
