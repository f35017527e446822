package chbroker

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// strict tells a story in a house with the limits that hold where nothing else is said.
func strict(t *testing.T, f func(t *testing.T, h *house)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, openHouse(t, func(o *Options) { o.Limits = Limits{} })) })
}

// comesFrom has a reader who has been on his page for a while come from an address.
func (h *house) comesFrom(conv string, l call.Link, peer string) {
	h.Visit(call.Visit{Conv: conv, Link: l, Peer: netip.MustParseAddr(peer), Opened: time.Now().Add(-time.Minute)})
	synctest.Wait() // or who comes next could be the first to ring
}

// goes has a reader leave for good.
func (h *house) goes(conv string) {
	h.Gone(conv)
	after(2 * h.times.Grace)
	synctest.Wait()
}

func TestALinkRingsThreeTimesInTenMinutes(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		l, other := h.link(alice, "Roof"), h.link(alice, "Cellar")
		d := h.desk(alice, "study", true)
		began := time.Now()
		for i := range 3 {
			conv := fmt.Sprint("c", i)
			h.comes(conv, l, time.Minute)
			d.shows("visit "+conv, "ring "+conv)
			after(20 * time.Second)
			h.goes(conv)
			h.hears(conv, call.Opened, call.Ringing)
			d.forget()
		}
		h.left()
		h.comes("c3", l, time.Minute)
		d.shows("visit c3") // silently
		h.hears("c3", call.Opened, call.Noticed)
		h.left(1)
		h.Input(alice, "study")
		h.desk(alice, "phone", true).shows("visit c3") // what was missed has been shown
		h.mailLogin(alice)
		after(5 * time.Minute)
		h.hears("c3") // no sign of the owner makes it ring
		d.shows()
		h.comes("o", other, time.Minute) // another mail's link is not concerned
		d.shows("visit o", "ring o")
		h.goes("c3")
		d.shows("silence c3", "silently missed c3", "visit o")
		after(time.Until(began.Add(10*time.Minute + time.Second)))
		h.goes("o")
		d.forget()
		h.comes("c4", l, time.Minute)
		d.shows("visit c4", "ring c4")
	})
}

func TestOneCallMayRingAgainAndAgain(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		h.hears("c1", call.Opened, call.Unknown)
		for range 6 {
			after(40 * time.Second)
			d := h.desk(alice, "study", true)
			h.hears("c1", call.Back, call.Ringing)
			h.Gone("c1") // a reload
			h.comes("c1", l, time.Minute)
			after(91 * time.Second)
			d.detach()
			after(time.Minute)
			synctest.Wait()
			h.mu.Lock()
			delete(h.told, "c1")
			h.mu.Unlock()
		}
		d := h.desk(alice, "study", true)
		d.forget()
		for _, conv := range []string{"c2", "c3"} { // two more are allowed: all of that was one
			h.comes(conv, l, time.Minute)
		}
		h.Decline(alice, "study", d.lastCall())
		if h.board.limits.links.spent(l.ID, time.Now()) {
			t.Error("a call's own rings are counted as calls")
		}
	})
}

func TestANetworkRingsTenTimesAnHourWhomeverItCalls(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		for i := range 10 {
			login := fmt.Sprintf("p%d@example.com", i)
			d := h.desk(login, "study", true)
			conv := fmt.Sprint("c", i)
			h.comesFrom(conv, h.link(login, "Roof"), fmt.Sprintf("2001:db8:1:2::%d", i+1))
			d.shows("visit "+conv, "ring "+conv)
		}
		d := h.desk(alice, "study", true)
		h.comesFrom("many", h.link(alice, "Roof"), "2001:db8:1:2:ffff::1")
		d.shows("visit many")
		h.hears("many", call.Opened, call.Noticed)
		h.comesFrom("other", h.link(alice, "Roof"), "2001:db8:1:3::1")
		d.shows("visit other", "ring other")
		h.goes("other")
		d.forget()
		after(time.Hour)
		h.comesFrom("later", h.link(alice, "Roof"), "2001:db8:1:2:ffff::1")
		d.shows("visit later", "ring later")
	})
}

func TestScannersDoNotUseUpALink(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		d := h.desk(alice, "study", true)
		for i := range 20 {
			conv := fmt.Sprint("s", i)
			h.comes(conv, l, 0) // the page is new, and gone in a second
			after(time.Second)
			h.goes(conv)
		}
		d.forget()
		h.comes("c1", l, time.Minute)
		d.shows("visit c1", "ring c1")
		h.left()
	})
}

func TestTooManyCallsAreNoMailBombEither(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		d := h.desk(alice, "study", true)
		for i := range 43 {
			h.comes(fmt.Sprint("c", i), l, time.Minute)
			synctest.Wait()
		}
		h.left(1) // the first that was too many
		d.forget()
		after(16 * time.Minute)
		h.Input(alice, "study")
		h.left(1, 1, 1, 39) // the three that rang, and the others in one
		h.hears("c42", call.Opened, call.Noticed)
		if _, ok := h.Answer(alice, "study", h.board.convs["c42"].rec.id); !ok {
			t.Error("who is shown silently cannot be answered")
		}
		h.hears("c42", call.Answered)
	})
}

func TestWhoIsAnsweredIsNotInTheNextNotice(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		h.desk(alice, "study", true)
		for i := range 6 {
			h.comes(fmt.Sprint("c", i), l, time.Minute)
			synctest.Wait()
		}
		h.left(1)
		h.Join(alice, "study", "c4")
		after(16 * time.Minute)
		h.left(1, 1, 1, 1) // c0 to c2, and c5
	})
}

func TestWhatLimitsRememberIsBounded(t *testing.T) {
	t.Parallel()
	q := newQuota[int](3, 10*time.Minute)
	now := time.Now()
	for i := range 10 * maxCounted {
		q.count(i, now)
		if len(q.young)+len(q.old) > 2*maxCounted {
			t.Fatalf("after %d, %d are remembered", i, len(q.young)+len(q.old))
		}
	}
	for range 3 {
		q.count(-1, now)
	}
	for i := range maxCounted / 2 {
		q.count(i, now)
	}
	if !q.spent(-1, now.Add(9*time.Minute)) || q.spent(-1, now.Add(10*time.Minute)) || q.spent(-2, now) {
		t.Error("what others do changes what counts")
	}
	q.count(0, now.Add(time.Hour))
	q.count(0, now.Add(2*time.Hour))
	if len(q.young)+len(q.old) > 2 {
		t.Error("what does not count any more is remembered")
	}
}
