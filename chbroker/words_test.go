package chbroker

import (
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// waiting is a story in which word of a reader who has written nothing waits for what he writes.
func waiting(t *testing.T, f func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.Times.Words = 20 * time.Second })
		defer h.shut()
		f(t, h)
	})
}

func TestWordWaitsForWhatTheReaderWrites(t *testing.T) {
	waiting(t, func(t *testing.T, h *house) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Leaving) // and not before it is true that she has been told
		after(10 * time.Second)
		h.left()
		h.says("c1", h.link(alice, "Roof"), false)
		h.left(1)
		h.hears("c1", call.Unknown)
	})
}

func TestWordOfWhoWritesNothingIsLeftAllTheSame(t *testing.T) {
	waiting(t, func(t *testing.T, h *house) {
		h.mailLogin(alice)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Leaving)
		after(19 * time.Second)
		h.left()
		h.hears("c1")
		after(2 * time.Second)
		h.left(1)
		h.hears("c1", call.Noticed)
		h.says("c1", h.link(alice, "Roof"), false) // that is for the next notice, or the mail of what was said
		h.left()
	})
}

func TestWhoHasWrittenAlreadyIsNotWaitedFor(t *testing.T) {
	waiting(t, func(t *testing.T, h *house) {
		h.says("c1", h.link(alice, "Roof"), false)
		h.left(1)
		h.hears("c1", call.Opened, call.Unknown)
		h.comes("c2", h.link(alice, "Roof"), time.Minute)
		h.hears("c2", call.Opened, call.Leaving)
		h.goes("c2") // having written nothing in a moment: that was nobody
		after(time.Minute)
		h.left()
	})
}

func TestAnOwnerWhoComesMeanwhileIsLeftNoWord(t *testing.T) {
	waiting(t, func(t *testing.T, h *house) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Leaving)
		after(5 * time.Second)
		d := h.desk(alice, "study", true)
		d.shows("visit c1", "ring c1") // it rings at once
		h.hears("c1", call.Back, call.Ringing)
		if _, ok := h.Answer(alice, "study", d.lastCall()); !ok {
			t.Error("she could not answer")
		}
		h.hears("c1", call.Answered)
		after(time.Minute)
		h.left()
	})
}
