package chbroker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

func TestWhoComesAndGoesDoesNotMakeARingSoundEachTime(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		l := h.link(alice, "Roof")
		d := h.desk(alice, "study", true)
		h.comes("c1", l, time.Minute)
		for range 200 {
			after(100 * time.Millisecond)
			h.Gone("c1")
			after(10 * time.Millisecond)
			h.comes("c1", l, time.Minute)
		}
		p.hears(t, "ring c1")
		rings := 0
		d.mu.Lock()
		for _, a := range d.alerts {
			if a == "ring c1" {
				rings++
			}
		}
		d.mu.Unlock()
		if rings != 1+maxAgain {
			t.Errorf("one ring sounded %d times", rings)
		}
		d.forget()
		after(time.Minute) // the next one is due, and it sounds
		d.shows("ring c1")
		p.hears(t, "ring c1")
	})
}

func TestTheReaderLeavesDuringARingInThePocket(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		p.hears(t, "ring c1")
		h.Rung(alice, PushDevice, p.call) // shown, by the browser alone
		after(12 * time.Second)
		h.Gone("c1")
		after(time.Minute)
		p.hears(t, "missed c1")
		h.left(1)
		h.Rung(alice, PushDevice, p.call)
		h.desk(alice, "study", true).shows("missed c1")
	})
}

func TestASignOfMailWakesTheBrowserAgain(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		p.hears(t, "ring c1")
		after(11 * time.Second)
		h.hears("c1", call.Opened, call.Ringing, call.Unknown)
		p.hears(t, "missed c1")
		after(time.Minute)
		h.mailLogin(alice)
		h.hears("c1", call.Back, call.Ringing)
		p.hears(t, "ring c1")
	})
}

func TestTheLastDeskClosesAndThePocketRingsOn(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		study := h.desk(alice, "study", false)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		p.hears(t, "ring c1")
		h.Rung(alice, PushDevice, p.call)
		after(5 * time.Second)
		study.detach()
		after(12 * time.Second)
		h.hears("c1", call.Opened, call.Ringing)
		p.hears(t)
	})
}

func TestTheDeskThatWasInViewCloses(t *testing.T) {
	withPocket(t, func(t *testing.T, h *house, p *pocket) {
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		p.hears(t, "ring c1")
		after(5 * time.Second)
		study.detach()
		p.hears(t, "ring c1") // the browser that showed nothing before
		h.Rung(alice, PushDevice, p.call)
		after(12 * time.Second)
		h.hears("c1", call.Opened, call.Ringing)
	})
}

func TestARestartDoesNotEndDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.Wishes = wanted{terms: map[string]call.Terms{alice: call.AfterWords}} })
		defer h.shut()
		l := h.link(alice, "Roof")
		h.desk(alice, "study", true).shows()
		h.comes("c1", l, time.Minute)
		h.hears("c1", call.Opened, call.Silent)
		h.o.Wishes = wanted{} // what the doubt was about is forgotten, as bursts are
		h.restart()
		study := h.desk(alice, "study", true)
		h.comes("c1", l, time.Minute)
		study.shows("visit c1")
		h.hears("c1", call.Silent)
		h.Visit(call.Visit{Conv: "c1", Link: l, Opened: time.Now().Add(-time.Minute), Spoke: true})
		study.shows("ring c1")
	})
}

func TestWordThatFailedIsNotTriedAgainAfterTheAnswer(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"answer", "end"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tries, left atomic.Int32
				h := openHouse(t, func(o *Options) {
					o.Word = func(context.Context, call.Word) error {
						if tries.Add(1) == 1 {
							after(3 * time.Second)
							return errors.New("disk busy")
						}
						left.Add(1)
						return nil
					}
				})
				defer h.shut()
				h.comes("c1", h.link(alice, "Roof"), time.Minute) // no device: word is being left
				after(time.Second)
				h.desk(alice, "study", true).forget()
				if how == "answer" && !h.Join(alice, "study", "c1") {
					t.Fatal("no call")
				} else if how == "end" {
					h.End(alice, "c1")
				}
				after(time.Hour)
				if n := left.Load(); n != 0 {
					t.Errorf("%d notices were left after the owner had answered or ended it", n)
				}
			})
		})
	}
}
