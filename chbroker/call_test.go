package chbroker

import (
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// story runs a story about calls on its own clock.
func story(t *testing.T, f func(t *testing.T, h *house)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, openHouse(t)) })
}

func TestTheOwnerAnswers(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		study, phone := h.desk(alice, "study", true), h.desk(alice, "phone", true)
		h.comes("c1", h.link(alice, "Roof"), time.Second)
		h.hears("c1", call.Opened)
		study.shows("visit c1") // silently: the page is not two seconds old
		phone.shows("visit c1")
		after(time.Second)
		h.hears("c1", call.Ringing)
		study.shows("ring c1")
		phone.shows("ring c1")
		if !phone.answers() {
			t.Error("the first answer does not win")
		}
		h.hears("c1", call.Answered)
		study.shows("silence c1")
		phone.shows()
		if study.answers() {
			t.Error("the second answer wins too")
		}
		if conv, ok := h.Answer(alice, "phone", phone.lastCall()); !ok || conv != "c1" {
			t.Errorf("the answer said twice: %q %v", conv, ok)
		}
		after(time.Hour)
		h.hears("c1")
		h.left()
		if s, ok := h.State("c1"); !ok || s != call.Answered {
			t.Errorf("the call is %q %v, want answered", s, ok)
		}
	})
}

func TestTheOwnerAnswersAndLeaves(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		study := h.desk(alice, "study", true)
		h.comes("c1", l, time.Minute)
		h.OwnerLeft("c1") // he was not in it
		h.hears("c1", call.Opened, call.Ringing)
		study.answers()
		study.forget()
		h.hears("c1", call.Answered)
		study.detach()
		h.OwnerLeft("c1")
		h.hears("c1", call.Left)
		h.comes("c1", l, time.Minute) // a reconnect says nothing
		after(time.Hour)
		h.hears("c1")
		h.left()
		h.Visit(call.Visit{Conv: "c1", Link: l, Opened: time.Now().Add(-time.Minute), Spoke: true})
		h.hears("c1", call.Opened, call.Away)
		h.left(1)
		study = h.desk(alice, "study", true)
		study.shows("visit c1", "ring c1")
		h.hears("c1", call.Back, call.Ringing)
		study.answers()
		h.hears("c1", call.Answered)
		study.detach()
		h.OwnerLeft("c1")
		h.hears("c1", call.Left)
		phone := h.desk(alice, "phone", true) // he comes back by himself: nothing rings, and he can go on
		phone.shows("visit c1")
		if !h.Join(alice, "phone", "c1") {
			t.Error("the owner cannot go on")
		}
		h.hears("c1", call.Answered)
		h.OwnerLeft("c1")
		h.Gone("c1")
		after(time.Hour)
		h.hears("c1", call.Left)
		h.left()
		phone.shows("silence c1", "silence c1") // he has answered; the reader has left
		h.desk(alice, "tablet", true).shows()   // nothing was missed
		if _, ok := h.State("c1"); ok {
			t.Error("the call is not over")
		}
	})
}

func TestAPageThatIsOldEnoughRingsAtOnce(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		d.shows("visit c1", "ring c1")
		h.hears("c1", call.Opened, call.Ringing)
	})
}

func TestTheOwnerDeclines(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		study, phone := h.desk(alice, "study", true), h.desk(alice, "phone", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		phone.shows("visit c1", "ring c1")
		if h.Decline(bob, "d", phone.lastCall()) {
			t.Error("bob declines alice's call")
		}
		if _, ok := h.Answer(bob, "d", phone.lastCall()); ok {
			t.Error("bob answers alice's call")
		}
		for range 2 {
			if !h.Decline(alice, "phone", phone.lastCall()) {
				t.Error("alice cannot decline")
			}
		}
		h.hears("c1", call.Opened, call.Ringing, call.Declined)
		study.shows("visit c1", "ring c1", "silence c1")
		h.desk(alice, "tablet", true).shows()
		h.Input(alice, "study")
		h.mailLogin(alice)
		after(time.Hour)
		h.hears("c1")
		h.left()
	})
}

func TestNobodyAnswers(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		d.shows("visit c1", "ring c1")
		for range 2 {
			after(30 * time.Second) // ring
			d.shows("visit c1")     // the sound ends, he is still shown
			h.left()
			after(29 * time.Second) // pause
			d.shows()
			after(time.Second)
			d.shows("ring c1")
		}
		h.hears("c1", call.Opened, call.Ringing, call.Retrying, call.Ringing, call.Retrying, call.Ringing)
		after(30 * time.Second)
		h.hears("c1", call.Noticed)
		d.shows("visit c1")
		h.left(1)
		after(time.Hour)
		h.hears("c1")
		h.left()
		if !d.answers() { // the visit is still on the desk, with "talk"
			t.Error("a waiting reader cannot be answered")
		}
		h.hears("c1", call.Answered)
	})
}

func TestWithoutADeviceWordIsLeftAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		sign func(*house)
		want call.State
	}{
		"never seen":          {func(*house) {}, call.Unknown},
		"a mail client polls": {func(h *house) { h.mailLogin(alice) }, call.Noticed},
		"was here an hour ago": {func(h *house) {
			h.mailLogin(alice)
			after(time.Hour)
		}, call.Away},
		"has closed the desk": {func(h *house) { h.desk(alice, "study", true).detach() }, call.Away},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, h *house) {
				c.sign(h)
				h.comes("c1", h.link(alice, "Roof"), 0)
				after(time.Second)
				h.hears("c1", call.Opened)
				h.left()
				after(time.Second)
				h.hears("c1", c.want)
				h.left(1)
			})
		})
	}
}

func TestTheNoticeTellsOfTheCall(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		began := time.Now()
		h.Visit(call.Visit{Conv: "c1", Link: l, Opened: began.Add(-time.Minute)})
		h.Visit(call.Visit{Conv: "c1", Link: l, Who: "Bob Brown", Opened: began}) // he gives a name
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.words) != 1 {
			t.Fatalf("%d notices", len(h.words))
		}
		w := h.words[0]
		if w.Login != alice || w.Conv != "c1" || w.Link.ID != l.ID || w.Link.Mail.MessageID != "<1@example.com>" || w.Calls != 1 || !w.At.Equal(began) {
			t.Errorf("the notice: %+v", w)
		}
	})
}

func TestARingThatNoDeviceAcknowledgesWasNotDelivered(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", false)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		after(9 * time.Second)
		h.hears("c1", call.Opened, call.Ringing)
		h.left()
		after(time.Second)
		h.hears("c1", call.Noticed)
		h.left(1)
		d.shows("visit c1", "ring c1", "visit c1")
	})
}

func TestTheLastDeviceLeavesWhileItRings(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Ringing)
		d.detach()
		after(9 * time.Second)
		h.hears("c1")
		after(time.Second)
		h.hears("c1", call.Away)
		h.left(1)
	})
}

func TestTheOwnerComesWhileTheReaderWaits(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Unknown)
		h.left(1)
		after(time.Minute)
		d := h.desk(alice, "study", true)
		h.hears("c1", call.Back, call.Ringing)
		d.shows("visit c1", "ring c1")
		after(3 * time.Minute)
		h.hears("c1", call.Retrying, call.Ringing, call.Retrying, call.Ringing, call.Noticed)
		h.left() // one notice per call
		d.forget()

		h.Input(alice, "study") // he returns to his computer
		h.hears("c1", call.Back, call.Ringing)
		d.shows("ring c1")
		h.Input(alice, "study") // he sits there: that is no news
		after(3 * time.Minute)
		h.hears("c1", call.Retrying, call.Ringing, call.Retrying, call.Ringing, call.Noticed)
		h.Input(alice, "study")
		h.hears("c1")
	})
}

func TestAMailClientThatComesBackIsASign(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.mailLogin(alice)
		after(time.Hour)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Away)
		h.mailLogin(alice) // and fetches the notice
		h.hears("c1", call.Back)
		after(10 * time.Second)
		h.hears("c1", call.Noticed) // nothing of his can ring
		for range 10 {
			after(time.Minute)
			h.mailLogin(alice)
		}
		h.hears("c1")
		h.left(1)

		after(time.Hour) // the client has gone: it is not told again by itself
		h.mailLogin(alice)
		h.hears("c1")
		d := h.desk(alice, "study", true) // the notice's link
		h.hears("c1", call.Back, call.Ringing)
		d.answers()
		h.hears("c1", call.Answered)
	})
}

func TestADeskOpenedDuringAPauseRingsAtOnce(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		after(31 * time.Second)
		h.hears("c1", call.Opened, call.Ringing, call.Retrying)
		d := h.desk(alice, "phone", true)
		h.hears("c1", call.Ringing)
		d.shows("visit c1", "ring c1")
	})
}

func TestTwoNewBeginningsAreApart(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Unknown)
		h.desk(alice, "study", false)
		h.hears("c1", call.Back, call.Ringing)
		after(10 * time.Second)
		h.hears("c1", call.Noticed)
		h.desk(alice, "phone", true).shows("visit c1")
		after(4 * time.Second)
		h.hears("c1")
		after(time.Second) // fifteen since the last one
		h.hears("c1", call.Back, call.Ringing)
	})
}

func TestADeskThatComesAndGoesDoesNotRingForEver(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		for range 2000 {
			after(3 * time.Second)
			h.desk(alice, "study", false).detach()
		}
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		rings := 0
		for _, s := range h.told["c1"] {
			if s == call.Ringing {
				rings++
			}
		}
		if rings < 2 || rings > maxRounds*3 {
			t.Errorf("%d rings in 100 minutes", rings)
		}
	})
}

func TestWhoAnswersByTypingIsRungForNoLonger(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		study, phone := h.desk(alice, "study", true), h.desk(alice, "phone", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		study.shows("visit c1", "ring c1")
		phone.shows("visit c1", "ring c1")
		if !h.Join(alice, "study", "c1") {
			t.Error("speaking in the conversation does not answer its call")
		}
		study.shows("silence c1")
		phone.shows("silence c1")
		h.Join(alice, "study", "c1") // he says more
		study.shows()
	})
}

func TestOneRingAtATime(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		h.hears("c1", call.Opened, call.Ringing)
		after(10 * time.Second)
		h.comes("c2", l, time.Minute)
		h.comes("c3", h.link(bob, "Other"), time.Minute) // another owner's business
		h.hears("c2", call.Opened)
		h.hears("c3", call.Opened, call.Unknown)
		d.shows("visit c1", "ring c1", "visit c2")
		after(20 * time.Second) // c1 pauses, c2's turn
		h.hears("c1", call.Retrying)
		h.hears("c2", call.Ringing)
		d.shows("visit c1", "ring c2")
		after(30 * time.Second) // c2 pauses, c1's turn again
		h.hears("c1", call.Ringing)
		h.hears("c2", call.Retrying)
		d.forget()
		after(5 * time.Second)
		_, ok := h.Answer(alice, "study", "nonsense")
		if ok {
			t.Error("a call that is none is answered")
		}
		if !h.Join(alice, "study", "c1") {
			t.Error("speaking in the conversation does not answer its call")
		}
		h.hears("c1", call.Answered)
		after(25 * time.Second)
		h.hears("c2", call.Ringing)
		if h.Join(alice, "study", "c9") {
			t.Error("a conversation without a call has one")
		}
	})
}
