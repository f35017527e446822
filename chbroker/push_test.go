package chbroker

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// pocket is a browser of the owner's that can be woken though no desk is open.
type pocket struct {
	mu   sync.Mutex
	has  bool
	told []string
	call string
	ttl  time.Duration
}

func (p *pocket) Has(string) bool { return p.has }

func (p *pocket) Ring(_ string, a call.Alert, ttl time.Duration) { p.hear("ring "+a.Conv, a, ttl) }
func (p *pocket) Missed(_ string, a call.Alert)                  { p.hear("missed "+a.Conv, a, 0) }
func (p *pocket) Over(_ string, a call.Alert)                    { p.hear("over "+a.Conv, a, 0) }

func (p *pocket) hear(what string, a call.Alert, ttl time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told, p.call, p.ttl = append(p.told, what), a.Call, ttl
}

func (p *pocket) hears(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.told, want) {
		t.Errorf("the pocket was told %q, want %q", p.told, want)
	}
	p.told = nil
}

// withPocket is a story in which alice has no desk open, and a browser in her pocket.
func withPocket(t *testing.T, f func(t *testing.T, h *house, p *pocket)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pocket{has: true}
		f(t, openHouse(t, func(o *Options) { o.Push = p }), p)
	})
}

func TestAClosedDeskIsWokenAndAnswers(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Ringing)
		p.hears(t, "ring c1")
		if p.ttl <= 0 || p.ttl > time.Minute {
			t.Errorf("the ring is of use for %v", p.ttl)
		}
		h.Rung(alice, "pocket", p.call)
		after(15 * time.Second) // it has been shown, so it goes on
		h.hears("c1")
		phone := h.desk(alice, "phone", true) // he opens the desk by the notification
		phone.shows("ring c1")
		if !phone.answers() {
			t.Error("the answer comes too late")
		}
		h.hears("c1", call.Answered)
		after(time.Hour)
		h.left()
		p.hears(t, "over c1") // what other browsers show of it goes
	})
}

func TestAPushThatNobodyHasShownIsNoRing(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		p.hears(t, "ring c1")
		h.hears("c1", call.Opened, call.Ringing)
		after(11 * time.Second)
		h.hears("c1", call.Unknown)
		h.left(1)
		p.hears(t, "missed c1")
	})
}

func TestAllThatIsOpenAndClosedRingsAtOnce(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		study.shows("visit c1", "ring c1")
		p.hears(t, "ring c1")
		study.answers()
		after(time.Hour)
		p.hears(t, "over c1")
		h.comes("c2", h.link(alice, "Wall"), time.Minute)
		h.Decline(alice, "study", study.lastCall())
		h.comes("c3", h.link(alice, "Door"), time.Minute)
		h.goes("c3") // after a moment: that was no visitor
		p.hears(t, "ring c2", "over c2", "ring c3", "over c3")
	})
}

func TestWithoutABrowserToWakeNothingRings(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		p.has = false
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Unknown)
		h.left(1)
		p.hears(t)
	})
}
