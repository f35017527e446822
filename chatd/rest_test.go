package chatd

import (
	"testing"
	"time"

	"chmail/internal/call"
)

func TestAllDesksOfALoginKnowThatHeIsNotToBeDisturbed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	study, foreign := h.desk(alice), h.desk(carol)
	for _, p := range []*page{study, foreign} {
		if f := p.expect("rest"); f["on"] != false {
			t.Errorf("at first: %v", f)
		}
	}
	phone := h.desk(alice)
	phone.expect("rest")
	phone.send(frame{"t": "rest", "on": true, "n": 3600})
	anHour := func(p *page) {
		t.Helper()
		left, _ := p.expect("rest")["left_ms"].(float64)
		if d := time.Duration(left) * time.Millisecond; d > time.Hour || d < time.Hour-time.Minute {
			t.Errorf("an hour is %s", d)
		}
	}
	anHour(study)
	anHour(phone)
	anHour(h.desk(alice)) // which comes later
	study.send(frame{"t": "rest", "on": true})
	if f := phone.expect("rest"); f["on"] != true || f["left_ms"] != nil {
		t.Errorf("until she says otherwise: %v", f)
	}
	study.send(frame{"t": "rest"})
	if f := phone.expect("rest"); f["on"] != false {
		t.Errorf("at the end: %v", f)
	}
	foreign.send(frame{"t": "rest", "on": true})
	if f := foreign.expect("rest"); f["on"] != true || h.broker.Resting(alice).On {
		t.Errorf("Carol's rest is not hers alone: %v", f)
	}
	study.send(frame{"t": "rest", "on": true, "n": int(longestRest/time.Second) + 1})
	study.refused("frame")
	reader := h.reader(offer, "Bob", 0, 0)
	reader.expect("joined")
	reader.send(frame{"t": "rest", "on": true})
	reader.refused("refused")
}

func TestADeskIsToldOfQuietHours(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.broker.Rest(t.Context(), alice, call.Rest{Quiet: true, Turns: time.Now().Add(time.Hour)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	desk := h.desk(alice)
	left := func(f frame) time.Duration {
		ms, _ := f["turns_ms"].(float64)
		return time.Duration(ms) * time.Millisecond
	}
	if f := desk.expect("rest"); f["on"] != false || f["quiet"] != true || left(f) > time.Hour || left(f) < time.Hour-time.Minute {
		t.Errorf("told %v", f)
	}
	if err := h.broker.Rest(t.Context(), alice, call.Rest{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	desk.send(frame{"t": "resting"})
	if f := desk.expect("rest"); f["quiet"] != nil || f["turns_ms"] != nil {
		t.Errorf("afterwards: %v", f)
	}
	h.broker.until(t, "a turn", func() bool { return len(h.broker.turned) == 1 }) // whoever waits may ring now
	if err := h.broker.Rest(t.Context(), alice, call.Rest{Quiet: true}, time.Now()); err != nil {
		t.Fatal(err)
	}
	h.srv.Turned(alice) // an administrator has set them
	if f := desk.expect("rest"); f["quiet"] != true {
		t.Errorf("at once: %v", f)
	}
	h.broker.until(t, "another turn", func() bool { return len(h.broker.turned) == 2 && h.broker.turned[1] == alice })
}
