package chbroker

import (
	"fmt"
	"testing"
	"time"

	"chmail/internal/call"
)

// fill has so many readers at alice's door that there is no room for another.
func (h *house) fill() {
	for i := range maxVisits / maxOfLink {
		l := h.link(alice, "Roof")
		for k := range maxOfLink {
			h.comes(fmt.Sprintf("inside %d %d", i, k), l, time.Minute)
		}
	}
}

// crowdNotices returns how many calls the notices of a login's crowd stand for, one after the other. Those inside have one each.
func (h *house) crowdNotices() (calls []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.words {
		if w.Calls > 1 {
			calls = append(calls, w.Calls)
		}
	}
	h.words = nil
	return calls
}

// However many come while word cannot be left, they are told of within bounds, and told how it stands once it has been left.
func TestACrowdThatGrowsWhileWordFails(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.postOffice(false)
		h.fill()
		l := h.link(alice, "Door")
		const outside = 2*maxCrowd + 10
		for i := range outside {
			h.comes(fmt.Sprint("outside ", i), l, time.Minute)
			if i%20 == 0 {
				after(3 * time.Second) // word is tried and fails
			}
		}
		after(time.Minute)
		h.hears("outside 0")
		h.postOffice(true)
		after(10 * time.Minute)
		if got := h.crowdNotices(); len(got) != 1 || got[0] != maxCrowd {
			t.Errorf("notices of %v calls were left, want one of %d", got, maxCrowd)
		}
		for i := range outside {
			h.hears(fmt.Sprint("outside ", i), call.Unknown)
		}
	})
}

func TestWhoKnowsHowItStandsIsNotToldAgain(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.fill()
		l := h.link(alice, "Door")
		h.comes("first", l, time.Minute)
		after(time.Second)
		h.hears("first", call.Unknown)
		for _, conv := range []string{"second", "third"} {
			h.comes(conv, l, time.Minute)
			h.hears(conv, call.Unknown) // true: word of the crowd was left a moment ago
		}
		h.crowdNotices()
		after(16 * time.Minute)
		if got := h.crowdNotices(); len(got) != 1 || got[0] != 2 {
			t.Errorf("notices of %v calls were left, want one of 2", got)
		}
		for _, conv := range []string{"first", "second", "third"} {
			h.hears(conv)
		}
	})
}

func TestWhoHasComeInMeanwhileHearsOfHisOwnCall(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.postOffice(false)
		d := h.desk(alice, "study", true)
		h.fill()
		l := h.link(alice, "Door")
		h.comes("patient", l, time.Minute)
		h.comes("other", l, time.Minute)
		after(time.Second)
		d.answers()
		h.Gone("inside 0 0")
		after(16 * time.Second)
		h.comes("patient", l, time.Minute) // there is room now, and another one is ringing
		h.hears("patient", call.Opened)
		h.postOffice(true)
		after(15 * time.Second) // word is tried again
		h.hears("other", call.Noticed)
		h.hears("patient") // nothing of the crowd's
	})
}

// A terminal says something at once, and may be gone before a page would have rung.
func TestWhoSpokeAndLeftIsNoneOfTheCrowd(t *testing.T) {
	for name, restart := range map[string]bool{"in one run": false, "with a restart": true} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, h *house) {
				l := h.link(alice, "Roof")
				says := func(conv string) {
					h.Visit(call.Visit{Conv: conv, Link: l, Opened: time.Now(), Spoke: true})
					after(time.Second)
					h.Gone(conv)
					after(time.Minute)
				}
				says("c1")
				h.left(1)
				if restart {
					h.restart()
				}
				says("c1")
				h.left() // at most one notice of a conversation in 15 minutes
				h.postOffice(false)
				says("c2")
				says("c3")
				h.postOffice(true)
				if restart {
					h.restart()
				}
				after(time.Hour)
				h.left(1, 1, 1) // each conversation has its own
			})
		})
	}
}

func TestTheCrowdOutlivesTheProgram(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.postOffice(false)
		h.fill()
		l := h.link(alice, "Door")
		for i := range 3 {
			h.comes(fmt.Sprint("outside ", i), l, time.Minute)
		}
		after(time.Second)
		h.restart()
		h.postOffice(true)
		after(10 * time.Minute)
		if got := h.crowdNotices(); len(got) != 1 || got[0] != 3 {
			t.Errorf("notices of %v calls were left, want one of 3", got)
		}
	})
}
