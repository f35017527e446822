package chatd

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// byForm says something as a page without scripts does, and returns why it was not taken.
func (h *house) byForm(token, name, cid, text string) string {
	h.t.Helper()
	err := h.srv.Post(h.t.Context(), h.broker.link(token), Note{Token: token, Visitor: cookieOf(name), Name: name, CID: cid, Text: text})
	if err != nil && Refusal(err) == "" {
		h.t.Fatal(err)
	}
	return Refusal(err)
}

func (h *house) look(token, name string, waits bool) Sight {
	h.t.Helper()
	sight, err := h.srv.Look(h.t.Context(), h.broker.link(token), cookieOf(name), waits)
	if err != nil {
		h.t.Fatal(err)
	}
	return sight
}

// texts are the messages of a sight, the newest first.
func texts(sight Sight) (list []string) {
	for _, s := range sight.Said {
		if s.Kind == kindSay {
			list = append(list, s.Text)
		}
	}
	return list
}

func TestAWholeChatByForm(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		desk := h.desk(alice)
		synctest.Wait()
		h.follow(offer, cookieOf("Bob"))
		if s := h.look(offer, "Bob", true); s.Here || s.State != "" || len(s.Said) != 0 {
			t.Errorf("before he wrote anything: %+v", s)
		}
		time.Sleep(3 * time.Second)
		for range 2 { // the same form twice is one message
			if why := h.byForm(offer, "Bob", "form.1", "Is the roof still to be had?"); why != "" {
				t.Fatal(why)
			}
		}
		visit := desk.expect("visit")
		conv := visit["conv"].(string)
		if v := h.broker.visits; len(v) != 1 || v[0].Who != "Bob" || !v[0].Spoke || time.Since(v[0].Opened) != 3*time.Second {
			t.Errorf("the broker was told %+v", v)
		}
		desk.send(frame{"t": "answer", "call": visit["call"]})
		desk.send(frame{"t": "open", "conv": conv, "last": 0})
		desk.said(0, "Is the roof still to be had?")
		desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "It is."})
		desk.expect("ack")

		for range 40 { // the frame of the log looks again
			time.Sleep(5 * time.Second)
			h.look(offer, "Bob", true)
		}
		s := h.look(offer, "Bob", true)
		if !s.Here || s.Name != "Bob" || s.State != call.Answered || !slices.Equal(texts(s), []string{"It is.", "Is the roof still to be had?"}) {
			t.Errorf("he sees %+v", s)
		}
		if len(h.broker.gone) != 0 {
			t.Error("he counts as gone although he waits")
		}
		if s := h.look(offer, "Mina", true); s.Here || len(s.Said) != 0 {
			t.Errorf("somebody else sees %+v", s)
		}
		if why := h.byForm(offer, "Bob", "form.2", "Then I take it."); why != "" {
			t.Fatal(why)
		}
		began := time.Now()
		h.srv.Quit(h.broker.link(offer), cookieOf("Bob"))
		h.broker.until(t, "that he has left", func() bool { return slices.Contains(h.broker.gone, conv) })
		took(t, began, 0)
		for desk.expect("reader")["here"] != false {
		}
		took(t, began, 0) // he has said so: nobody waits for him to come back
		if s := h.look(offer, "Bob", true); s.Here || len(texts(s)) != 3 {
			t.Errorf("after he left: %+v", s)
		}
	})
}

func TestWhoeverPostedAndLooksNoMoreHasLeft(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		began := time.Now()
		if why := h.byForm(offer, "Bob", "form.1", "hello"); why != "" {
			t.Fatal(why)
		}
		for range 3 {
			time.Sleep(20 * time.Second)
			h.look(offer, "Bob", false) // somebody who opens the page once more need not wait
		}
		h.broker.until(t, "that he has left", func() bool { return len(h.broker.gone) == 1 })
		took(t, began, formStay)
		if n := len(h.broker.visits); n != 1 {
			t.Errorf("%d visits", n)
		}
		h.byForm(offer, "Bob", "form.1", "hello") // his browser sends the form again by itself
		if n := len(h.broker.visits); n != 1 || len(texts(h.look(offer, "Bob", false))) != 1 {
			t.Errorf("what was said already calls again: %d visits", n)
		}
	})
}

func TestWhatAFormMayNot(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		if why := h.byForm(offer, "Bob", "form.1", " \n"); why != "text" || len(h.broker.visits) != 0 || h.look(offer, "Bob", true).Here {
			t.Errorf("nothing is said: %q", why)
		}
		for i := range h.srv.limits.perNet {
			if why := h.byForm(offer, "Bob"+strconv.Itoa(i), "form.1", "hello"); why != map[bool]string{true: "busy"}[i >= freshPerNet] {
				t.Fatalf("visitor %d of one network: %q", i, why)
			}
		}
		h.broker.until(t, "that all are there", func() bool { return len(h.broker.visits) == freshPerNet })
		desk := h.desk(alice)
		conv := h.broker.visits[0].Conv
		desk.send(frame{"t": "end", "conv": conv})
		h.broker.until(t, "that it has ended", func() bool { return len(h.broker.ended) == 1 })
		if why := h.byForm(offer, "Bob0", "form.2", "and yet"); why != "ended" {
			t.Errorf("said into what has ended: %q", why)
		}
		if s := h.look(offer, "Bob0", true); s.State != call.Ended || len(texts(s)) != 1 {
			t.Errorf("it can be read: %+v", s)
		}
		h.srv.Dismiss(alice)
		synctest.Wait()
		if h.look(offer, "Bob1", true).Here {
			t.Error("the removed owner's reader is still there")
		}
	})
}

func TestAPageWithASocketTakesTheSeat(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		h.byForm(offer, "Bob", "form.1", "hello")
		bob, _ := h.talking(offer, "Bob")
		time.Sleep(replaceAfter + time.Second)
		if h.look(offer, "Bob", true).Here {
			t.Error("he sits there still")
		}
		bob.send(frame{"t": "say", "cid": "1", "text": "now with scripts"})
		bob.expect("ack")
		if len(h.broker.gone) != 0 {
			t.Error("he counts as gone")
		}
	})
}
