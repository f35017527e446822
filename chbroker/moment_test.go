package chbroker

import (
	"fmt"
	"testing"
	"time"

	"chmail/internal/call"
)

// moments has an owner say that he comes in a moment, at a desk and about what it was told of last.
func (d *desk) moments(want bool) {
	d.h.t.Helper()
	if got := d.h.Moment(d.login, d.device, d.lastCall()); got != want {
		d.h.t.Errorf("in a moment: %v, want %v", got, want)
	}
}

func TestTheOwnerComesInAMoment(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		study, phone := h.desk(alice, "study", true), h.desk(alice, "phone", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		study.shows("visit c1", "ring c1")
		phone.shows("visit c1", "ring c1")
		if h.Moment(bob, "d", phone.lastCall()) {
			t.Error("bob speaks for alice")
		}
		after(20 * time.Second)
		phone.moments(true)
		study.shows("visit c1") // the sound is over, and he is still there
		phone.shows("visit c1")
		h.hears("c1", call.Opened, call.Ringing, call.Moment)
		h.Input(alice, "study") // she knows already
		h.mailLogin(alice)
		tablet := h.desk(alice, "tablet", true)
		tablet.shows("visit c1")
		after(h.times.Moment - time.Second)
		study.shows()
		h.hears("c1")
		after(time.Second)
		study.shows("ring c1")
		tablet.shows("ring c1")
		h.hears("c1", call.Ringing)
		study.moments(true) // once more
		h.hears("c1", call.Moment)
		after(h.times.Moment / 2)
		study.moments(true) // and the time begins anew
		after(h.times.Moment - time.Second)
		h.hears("c1")
		if !study.answers() {
			t.Error("who comes in time cannot answer")
		}
		h.hears("c1", call.Answered)
		study.moments(false) // it is too late for that
		after(time.Hour)
		h.hears("c1")
		h.left()
	})
}

func TestWhoDoesNotComeIsRungForAsIfItHadJustBegun(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		after(h.times.Ring + h.times.Pause + time.Second) // it rings for the second time
		d.moments(true)
		after(h.times.Moment)
		h.hears("c1", call.Opened, call.Ringing, call.Retrying, call.Ringing, call.Moment, call.Ringing)
		after(3*h.times.Ring + 2*h.times.Pause)
		h.hears("c1", call.Retrying, call.Ringing, call.Retrying, call.Ringing, call.Noticed)
		h.left(1)
	})
}

func TestWhoeverElseCallsRingsInTheMeantime(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.comes("c2", h.link(alice, "Cellar"), time.Minute)
		d.shows("visit c1", "ring c1", "visit c2")
		if !h.Moment(alice, "study", h.callOf("c1")) {
			t.Fatal("not in a moment")
		}
		d.shows("visit c1", "ring c2")
		d.detach()
		h.desk(alice, "phone", true).shows("visit c1", "ring c2")
	})
}

func TestAReaderWhoLeavesInThatMomentIsMissedAndNoWordIsLeft(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		d.moments(true)
		d.forget()
		after(30 * time.Second)
		h.Gone("c1")
		after(h.times.Grace / 2)
		h.comes("c1", h.link(alice, "Roof"), time.Minute) // only a reload
		d.shows("visit c1")
		h.goes("c1")
		d.shows("silence c1", "missed c1")
		after(time.Hour)
		h.left()
		d.shows()
		h.hears("c1", call.Opened, call.Ringing, call.Moment)
	})
}

func TestAReaderWhoReloadsWhileTheMomentEndsIsRungForWhenHeIsBack(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		d.moments(true)
		d.forget()
		after(h.times.Moment - time.Second)
		h.Gone("c1")
		after(5 * time.Second)
		d.shows()
		h.comes("c1", l, time.Minute)
		d.shows("visit c1", "ring c1")
	})
}

func TestWithNobodyLeftToRingWordIsLeftWhenTheMomentIsOver(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		d.moments(true)
		d.detach()
		after(h.times.Moment - time.Second)
		h.left()
		after(time.Second)
		h.left(1)
	})
}

func TestNoWordIsLeftOfACallToWhichTheOwnerComes(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.postOffice(false) // it would be left at once otherwise
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		after(time.Second)
		d := h.desk(alice, "study", true)
		d.moments(true)
		h.postOffice(true)
		after(h.times.Moment - time.Second)
		h.left()
		d.answers()
		after(time.Hour)
		h.left()
	})
}

func TestAMomentIsForgottenWithTheProgramAndTheCallIsNot(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		after(time.Second)
		d := h.desk(alice, "study", true)
		d.moments(true)
		after(time.Second)
		h.restart()
		d = h.desk(alice, "study", true)
		d.forget()
		h.comes("c1", l, time.Minute)
		d.shows("visit c1", "ring c1")
	})
}

func TestACallThatMayNotRingDoesNotAfterTheMomentEither(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		for _, conv := range []string{"c1", "c2", "c3"} {
			h.comes(conv, l, time.Minute)
			after(20 * time.Second)
			h.goes(conv)
		}
		d.forget()
		h.comes("c4", l, time.Minute)
		d.shows("visit c4")
		d.moments(true)
		d.shows("visit c4")
		after(h.times.Moment + time.Minute)
		d.shows() // it has been shown all the time
		h.hears("c4", call.Opened, call.Noticed, call.Moment, call.Noticed)
	})
}

// "In a moment" may be said of somebody who is only shown: when it rings then, it is a call like any, and counts.
func TestAMomentIsNoWayAroundTheLimits(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		d, l := h.desk(alice, "study", true), h.link(alice, "Roof")
		for i, rings := range []bool{true, true, true, false} {
			conv := fmt.Sprint("c", i)
			h.Visit(call.Visit{Conv: conv, Link: l, Opened: time.Now()}) // a young page
			d.shows("visit " + conv)
			d.moments(true)
			after(h.times.Moment + time.Second)
			if want := []string{"visit " + conv, "ring " + conv}; rings {
				d.shows(want...)
			} else {
				d.shows(want[:1]...)
			}
			h.goes(conv)
			d.forget()
		}
	})
}
