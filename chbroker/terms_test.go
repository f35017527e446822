package chbroker

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// wishing is a story in which alice wants to be rung for on these terms.
func wishing(t *testing.T, terms call.Terms, f func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.Wishes = wanted{terms: map[string]call.Terms{alice: terms}} })
		defer h.shut()
		f(t, h)
	})
}

// says has a reader say something, or, when he has proved an address, come with it.
func (h *house) says(conv string, l call.Link, proved bool) {
	v := call.Visit{Conv: conv, Link: l, Opened: time.Now().Add(-time.Minute), Spoke: true}
	if proved {
		v.Proved = "bob@x.test"
	}
	h.Visit(v)
	synctest.Wait()
}

func TestOnlyWhoHasProvedAnAddressRings(t *testing.T) {
	wishing(t, call.Proved, func(t *testing.T, h *house) {
		d, l := h.desk(alice, "study", true), h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		d.shows("visit c1")
		h.says("c1", l, false) // words are not what she wants to see
		h.hears("c1", call.Opened, call.Unproved)
		after(2 * day)
		h.left() // nor is word left of him
		d.shows()
		h.restart()
		d = h.desk(alice, "study", true)
		h.says("c1", l, false)
		after(time.Minute)
		d.shows("visit c1")
		h.says("c1", l, true)
		d.shows("ring c1 by bob@x.test")
		if !d.answers() {
			t.Error("she could not answer")
		}
		h.OwnerLeft("c1")
		h.says("c1", l, true) // he need not prove it again
		d.shows("visit c1 by bob@x.test", "ring c1 by bob@x.test")
	})
}

// Who proves an address while it rings is shown with it, at once.
func TestARingSaysByWhatAddressItsReaderIsKnown(t *testing.T) {
	wishing(t, call.AtOnce, func(t *testing.T, h *house) {
		d, l := h.desk(alice, "study", true), h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		d.shows("visit c1", "ring c1")
		h.says("c1", l, true)
		d.shows("ring c1 by bob@x.test")
		h.says("c1", l, true)
		d.shows()
	})
}

func TestTheTermsOfALinkGoBeforeThoseOfItsOwner(t *testing.T) {
	wishing(t, call.AfterWords, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		open, closed, plain := h.link(alice, "Roof"), h.link(alice, "Wall"), h.link(alice, "Door")
		for _, set := range []struct {
			l     call.Link
			terms call.Terms
		}{{open, call.AtOnce}, {closed, call.Proved}, {plain, ""}} {
			if err := h.SetTerms(t.Context(), alice, set.l.ID, set.terms); err != nil {
				t.Fatal(err)
			}
		}
		all, _, err := h.Mails(t.Context(), alice, 0, 0, 10)
		if err != nil || len(all) != 3 || all[0].Terms != "" || all[1].Terms != call.Proved || all[2].Terms != call.AtOnce {
			t.Fatalf("her mails: %v, %+v", err, all)
		}
		plain, closed, open = all[0], all[1], all[2]
		h.comes("c1", plain, time.Minute)
		h.hears("c1", call.Opened, call.Silent)
		h.comes("c2", closed, time.Minute)
		h.hears("c2", call.Opened, call.Unproved)
		d.shows("visit c1", "visit c2")
		h.comes("c3", open, time.Minute)
		d.shows("visit c3", "ring c3")
		if !d.answers() {
			t.Error("she could not answer")
		}

		// She changes her mind while they wait.
		if err := h.SetTerms(t.Context(), alice, closed.ID, call.AfterWords); err != nil {
			t.Fatal(err)
		}
		h.hears("c2", call.Silent)
		if err := h.SetTerms(t.Context(), alice, closed.ID, call.AtOnce); err != nil {
			t.Fatal(err)
		}
		h.hears("c2", call.Ringing)
		d.shows("ring c2")
	})
}

func TestACallThatSoundsFallsSilentWhenItsOwnerWantsToKnowFirst(t *testing.T) {
	wishing(t, "", func(t *testing.T, h *house) {
		d, l := h.desk(alice, "study", true), h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		d.shows("visit c1", "ring c1")
		h.terms(t, call.Proved)
		h.hears("c1", call.Opened, call.Ringing, call.Unproved)
		d.shows("visit c1") // without sound from now on
		after(10 * time.Minute)
		d.shows()
		h.left()
		h.says("c1", l, true)
		d.shows("ring c1 by bob@x.test")
	})
}

// terms has alice set the terms of her only link.
func (h *house) terms(t *testing.T, terms call.Terms) {
	t.Helper()
	all, _, err := h.Mails(t.Context(), alice, 0, 0, 1)
	if err == nil {
		err = h.SetTerms(t.Context(), alice, all[0].ID, terms)
	}
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func TestWhoMayNotRingReachesNobodyByWriting(t *testing.T) {
	wishing(t, call.Proved, func(t *testing.T, h *house) {
		d, l := h.desk(alice, "study", true), h.link(alice, "Roof")
		for i := range 10 {
			conv := fmt.Sprint("c", i)
			h.says(conv, l, false)
			d.shows("visit " + conv)
			h.goes(conv)
			d.shows("silence " + conv)
		}
		after(time.Hour)
		h.left()
		h.desk(alice, "later", true).shows() // nor is anything of them announced as missed
	})
}

func TestTermsThatChangeWhileHeReloadsHoldWhenHeIsBack(t *testing.T) {
	wishing(t, "", func(t *testing.T, h *house) {
		d, l := h.desk(alice, "study", true), h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		d.shows("visit c1", "ring c1")
		h.Gone("c1")
		h.terms(t, call.Proved)
		d.forget()
		h.comes("c1", l, time.Minute)
		h.hears("c1", call.Opened, call.Ringing, call.Unproved)
		d.shows("visit c1")
		h.Gone("c1")
		h.terms(t, call.AtOnce)
		h.comes("c1", l, time.Minute)
		h.hears("c1", call.Ringing)
	})
}

func TestTermsHoldForWhatRingsAgain(t *testing.T) {
	wishing(t, "", func(t *testing.T, h *house) {
		d, l := h.desk(alice, "study", true), h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		d.moments(true)
		h.hears("c1", call.Opened, call.Ringing, call.Moment)
		h.terms(t, call.AfterWords)
		after(h.times.Moment + time.Second)
		h.hears("c1", call.Silent)
		h.terms(t, call.AtOnce)
		h.hears("c1", call.Ringing)
		h.terms(t, call.AfterWords)
		h.hears("c1", call.Silent)
		h.restart()
		h.desk(alice, "study", true)
		h.comes("c1", l, time.Minute)
		after(time.Minute)
		h.hears("c1", call.Silent) // once more, and it does not ring
	})
}

func TestACallCountsOnceHoweverOftenTheTermsChange(t *testing.T) {
	wishing(t, "", func(t *testing.T, h *house) {
		d, l := h.desk(alice, "study", true), h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		h.hears("c1", call.Opened, call.Ringing)
		for range 5 {
			h.terms(t, call.Proved)
			h.hears("c1", call.Unproved)
			h.terms(t, call.AtOnce)
			h.hears("c1", call.Ringing)
		}
		d.forget()
		if !d.answers() {
			t.Error("she could not answer")
		}
	})
}

func TestNobodySetsTheTermsOfAnothersLink(t *testing.T) {
	wishing(t, "", func(t *testing.T, h *house) {
		l, off := h.link(alice, "Roof"), h.link(alice, "Wall")
		if err := h.Revoke(t.Context(), alice, off.ID); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"another's":         h.SetTerms(t.Context(), bob, l.ID, call.Proved),
			"one that is off":   h.SetTerms(t.Context(), alice, off.ID, call.Proved),
			"one that is not":   h.SetTerms(t.Context(), alice, 4711, call.Proved),
			"unknown terms for": h.SetTerms(t.Context(), alice, l.ID, "never"),
		} {
			if err == nil || name != "unknown terms for" && !errors.Is(err, call.ErrNoLink) {
				t.Errorf("%s link: %v", name, err)
			}
		}
		all, _, err := h.Mails(t.Context(), alice, 0, 0, 1)
		if err != nil || all[0].Terms != "" {
			t.Errorf("her link: %v, %+v", err, all)
		}
	})
}

func TestTermsOfTheAccountThatAreRelaxedRingForWhoeverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanted{terms: map[string]call.Terms{alice: call.Proved}}
		h := openHouse(t, func(o *Options) { o.Wishes = w })
		defer h.shut()
		d := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		d.shows("visit c1")
		h.hears("c1", call.Opened, call.Unproved)
		delete(w.terms, alice)
		h.Turned(alice)
		after(time.Second)
		d.shows("ring c1")
	})
}
