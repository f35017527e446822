package chatd

import (
	"testing"
	"time"
)

func TestAnOldConversationGoesUnlessSomebodyIsInIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stop()
	h.start(func(o *Options) { o.Keep = 90 * 24 * time.Hour })
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "one"})
	bob.expect("ack")
	after := func(days int) (left int) {
		t.Helper()
		if err := h.srv.expire(t.Context(), time.Now().Add(time.Duration(days)*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		talks, err := h.srv.Conversations(t.Context(), alice, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(talks)
	}
	if after(91) != 1 {
		t.Error("a conversation that somebody is in is removed")
	}
	h.stop()
	h.start(func(o *Options) { o.Keep = 90 * 24 * time.Hour })
	if after(89) != 1 {
		t.Error("it is removed too early")
	}
	if after(91) != 0 || h.events(conv) != 0 {
		t.Error("it is still there")
	}
}
