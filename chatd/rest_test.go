package chatd

import (
	"testing"
	"time"
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
