package chbroker

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// atNight is a story in which alice has quiet hours while night is set.
func atNight(t *testing.T, f func(t *testing.T, h *house, p *pocket, night *atomic.Bool)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var night atomic.Bool
		p := &pocket{has: true}
		f(t, openHouse(t, func(o *Options) {
			o.Push, o.Wishes = p, wanted{quiet: func(login string) bool { return login == alice && night.Load() }}
		}), p, &night)
	})
}

// wanted is what owners wish for in a story; nil: nothing.
type wanted struct {
	quiet func(login string) bool
	terms map[string]call.Terms
}

func (w wanted) Quiet(login string, _ time.Time) bool { return w.quiet != nil && w.quiet(login) }
func (w wanted) Turns(login string, now time.Time) (t time.Time) {
	if w.quiet != nil {
		t = now.Add(time.Hour)
	}
	return t
}
func (w wanted) Terms(login string) call.Terms { return w.terms[login] }

func TestNothingRingsInQuietHours(t *testing.T) {
	atNight(t, func(t *testing.T, h *house, p *pocket, night *atomic.Bool) {
		night.Store(true)
		study, other := h.desk(alice, "study", true), h.desk(bob, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		study.shows("visit c1") // silently
		h.hears("c1", call.Opened, call.Noticed)
		h.left(1)
		h.Input(alice, "study") // no sign of hers makes it ring
		h.desk(alice, "phone", true).shows("visit c1")
		h.mailLogin(alice)
		after(10 * time.Minute)
		h.hears("c1")
		study.shows()
		p.hears(t)
		h.comes("c2", h.link(bob, "Cellar"), time.Minute) // it is her night, not his
		other.shows("visit c2", "ring c2")
		p.hears(t, "ring c2")

		h.goes("c1")
		study.shows("silence c1", "silently missed c1")
		night.Store(false)
		h.comes("c3", h.link(alice, "Door"), time.Minute)
		study.shows("visit c3", "ring c3")
		h.hears("c3", call.Opened, call.Ringing)
		p.hears(t, "ring c3")
	})
}

func TestACallThatIsAnsweredInQuietHoursIsAnswered(t *testing.T) {
	atNight(t, func(t *testing.T, h *house, _ *pocket, night *atomic.Bool) {
		night.Store(true)
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Noticed)
		if !study.answers() {
			t.Error("she could not answer")
		}
		h.hears("c1", call.Answered)
	})
}

func TestTheNightFallsBetweenTwoRings(t *testing.T) {
	atNight(t, func(t *testing.T, h *house, p *pocket, night *atomic.Bool) {
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		study.shows("visit c1", "ring c1")
		after(h.times.Ring + time.Second)
		h.hears("c1", call.Opened, call.Ringing, call.Retrying)
		night.Store(true)
		study.forget()
		after(h.times.Pause)
		study.shows()
		h.hears("c1", call.Noticed)
		h.left(1)
		p.hears(t, "ring c1", "over c1") // what the browsers show of it goes
	})
}

func TestTheMorningRingsAtAnOpenDeskWithoutASign(t *testing.T) {
	atNight(t, func(t *testing.T, h *house, _ *pocket, night *atomic.Bool) {
		night.Store(true)
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Noticed)
		study.forget()
		h.Turned(alice) // the hours were changed, and it is still night
		after(time.Hour)
		study.shows()
		night.Store(false)
		h.Turned(alice)
		after(time.Second)
		study.shows("ring c1")
	})
}

func TestATurnThatTurnsNothingRingsNobody(t *testing.T) {
	atNight(t, func(t *testing.T, h *house, _ *pocket, night *atomic.Bool) {
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		after(10 * time.Minute) // three rings that nobody answers
		h.hears("c1", call.Opened, call.Ringing, call.Retrying, call.Ringing, call.Retrying, call.Ringing, call.Noticed)
		study.forget()
		h.Turned(alice)
		after(time.Minute)
		h.hears("c1")
		study.shows()
	})
}

func TestTheMorningRingsForWhoeverStillWaits(t *testing.T) {
	atNight(t, func(t *testing.T, h *house, _ *pocket, night *atomic.Bool) {
		night.Store(true)
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Noticed)
		study.forget()
		after(time.Hour)
		night.Store(false)
		h.Input(alice, "study")
		h.hears("c1", call.Back, call.Ringing)
		study.shows("ring c1")
	})
}

func TestWhatWasMissedByDayIsToldAtNightWithoutSound(t *testing.T) {
	atNight(t, func(t *testing.T, h *house, p *pocket, night *atomic.Bool) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		p.hears(t, "ring c1")
		after(h.times.Verify + time.Second)
		h.goes("c1")
		night.Store(true)
		h.desk(alice, "study", true).shows("silently missed c1")
	})
}
