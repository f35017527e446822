package chbroker

import (
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// resting is a story in which alice does not want to be disturbed when she says so.
func resting(t *testing.T, f func(t *testing.T, h *house, p *pocket)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pocket{has: true}
		f(t, openHouse(t, func(o *Options) { o.Push = p }), p)
	})
}

// rests has alice say that she does not want to be disturbed for a while; 0: until she ends it, less: she ends it.
func (h *house) rests(d time.Duration) {
	h.t.Helper()
	rest := call.Rest{On: d >= 0}
	if d > 0 {
		rest.Until = time.Now().Add(d)
	}
	if err := h.Rest(h.t.Context(), alice, rest, time.Now()); err != nil {
		h.t.Fatal(err)
	}
}

func TestNothingRingsForWhoDoesNotWantToBeDisturbed(t *testing.T) {
	resting(t, func(t *testing.T, h *house, p *pocket) {
		study, other := h.desk(alice, "study", true), h.desk(bob, "study", true)
		h.rests(0)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		study.shows("visit c1") // silently
		h.hears("c1", call.Opened, call.Noticed)
		h.left(1)
		h.Input(alice, "study")
		h.desk(alice, "phone", true).shows("visit c1")
		h.mailLogin(alice)
		after(2 * day)
		h.hears("c1")
		study.shows()
		p.hears(t)
		h.comes("c2", h.link(bob, "Cellar"), time.Minute) // it is she who rests, not he
		other.shows("visit c2", "ring c2")
		p.hears(t, "ring c2")

		h.rests(-1)
		h.hears("c1", call.Back, call.Ringing)
		study.shows("ring c1")
		p.hears(t, "ring c1")
		if !study.answers() {
			t.Error("she could not answer")
		}
	})
}

func TestTheCallThatSoundsFallsSilentForWhoDoesNotWantToBeDisturbed(t *testing.T) {
	resting(t, func(t *testing.T, h *house, _ *pocket) {
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.comes("c2", h.link(alice, "Door"), time.Minute)
		study.shows("visit c1", "ring c1", "visit c2")
		h.rests(time.Hour)
		study.shows("visit c1") // without sound from now on; the other does not ring either
		h.hears("c1", call.Opened, call.Ringing, call.Noticed)
		h.hears("c2", call.Opened, call.Noticed)
		h.left(1, 1)
	})
}

func TestRestEndsByItselfAndOutlivesTheProgram(t *testing.T) {
	resting(t, func(t *testing.T, h *house, _ *pocket) {
		h.rests(time.Hour)
		after(30 * time.Minute)
		h.restart()
		if rest := h.Resting(alice); !rest.On || time.Until(rest.Until) != 30*time.Minute {
			t.Errorf("after a restart: %+v", rest)
		}
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		study.shows("visit c1")
		h.hears("c1", call.Opened, call.Noticed)
		after(30*time.Minute + time.Second)
		if h.Resting(alice).On {
			t.Error("it does not end")
		}
		study.shows("ring c1")
		h.hears("c1", call.Back, call.Ringing)
	})
}

func TestWhoIsGivenTheAddressNextMayBeDisturbed(t *testing.T) {
	resting(t, func(t *testing.T, h *house, _ *pocket) {
		h.rests(0)
		sat := time.Now()
		after(time.Second)
		if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return h.Remove(tx, alice) }); err != nil {
			t.Fatal(err)
		}
		if err := h.Rest(t.Context(), alice, call.Rest{On: true}, sat); err != nil { // her desk is told to close a moment later
			t.Fatal(err)
		}
		if h.Resting(alice).On {
			t.Error("she rests on")
		}
		h.restart()
		if h.Resting(alice).On {
			t.Error("she rests on after a restart")
		}
	})
}
