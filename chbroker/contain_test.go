package chbroker

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// spoilt puts onto the board what no event should ever find there.
type spoilt struct{ login string }

func (e spoilt) on(bd *board) {
	bd.owner(e.login).devices["broken"] = &device{id: "broken"} // it has no outbox
	bd.calls["broken"] = &visit{bd: bd}                         // it has no record
}

func TestAPanicEndsItsCallAndNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log logBook
		words := 0
		h := openHouse(t, func(o *Options) {
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			tell, word := o.Tell, o.Word
			o.Tell = func(conv string, s call.State) {
				if conv == "mute" {
					panic("a reader that cannot be told")
				}
				tell(conv, s)
			}
			o.Word = func(ctx context.Context, w call.Word) error {
				if words++; words == 1 {
					panic("a word that cannot be left")
				}
				return word(ctx, w)
			}
		})
		d := h.desk(bob, "study", true)
		h.board.post(spoilt{alice})
		h.comes("bad", h.link(alice, "Roof"), time.Minute)
		if s, ok := h.State("bad"); ok {
			t.Errorf("the call that panicked is %s", s)
		}
		if _, ok := h.Answer(alice, "study", "broken"); ok || h.Decline(alice, "study", "broken") {
			t.Error("a broken call is answered")
		}
		l := h.link(bob, "Roof")
		h.comes("mute", l, time.Minute)
		d.shows("visit mute", "ring mute")
		d.answers()
		h.comes("good", l, time.Minute)
		d.shows("visit good", "ring good")
		d.answers()
		h.hears("good", call.Opened, call.Ringing, call.Answered)

		h.comes("word", h.link(carol, "Roof"), time.Minute)
		after(time.Minute)
		h.left(1)
		h.hears("word", call.Opened, call.Unknown)
		text := log.String()
		for _, want := range []string{"panic in the board", "visit.go", "panic while something was handed over", "panic while word was left"} {
			if !strings.Contains(text, want) {
				t.Errorf("the log does not say %q", want)
			}
		}
	})
}

func TestWhatMustGoOnGoesOnAfterAPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crew{log: quiet()}
		runs := 0
		if !c.start(func() {
			c.forever(t.Context(), func(context.Context) {
				if runs++; runs < 3 {
					panic("again")
				}
			})
		}) {
			t.Fatal("nothing is started")
		}
		c.wait()
		if runs != 3 {
			t.Errorf("it ran %d times, want 3", runs)
		}
	})
}
