package chbroker

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAConversationThatItsOwnerEndsCallsNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t)
		study := h.desk(alice, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		study.shows("visit c1", "ring c1")
		h.comes("c2", h.link(alice, "Door"), time.Minute)
		study.shows("visit c2")
		h.End(bob, "c1") // not his
		study.shows()
		h.End(alice, "c1")
		study.shows("silence c1", "ring c2") // the next one's turn
		after(time.Hour)
		if s, ok := h.State("c1"); ok {
			t.Errorf("the call is %s", s)
		}
		study.forget()
		h.left(1) // of the other

		h.comes("c3", h.link(alice, "Gate"), time.Minute)
		after(h.times.Verify + time.Second)
		study.detach()
		h.goes("c3")
		study.forget()
		h.End(alice, "c3") // at another desk
		synctest.Wait()
		h.restart()
		h.desk(alice, "phone", true).shows()
		after(time.Hour)
		h.left()
	})
}
