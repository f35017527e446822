package chatd

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

func TestAnOwnerWhoHasLeftIsCalledAgainByWhatTheReaderSays(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		talk := func(token, name string) (bob, desk *page, conv string) {
			desk = h.desk(alice)
			synctest.Wait()
			bob, conv = h.talking(token, name)
			desk.send(frame{"t": "answer", "call": "call of " + conv})
			desk.send(frame{"t": "open", "conv": conv, "last": 0})
			synctest.Wait()
			return bob, desk, conv
		}
		visits := func() int {
			synctest.Wait()
			h.broker.mu.Lock()
			defer h.broker.mu.Unlock()
			n := 0
			for _, v := range h.broker.visits {
				if v.Spoke {
					n++
				}
			}
			return n
		}
		bob, desk, conv := talk(offer, "Bob")
		bob.send(frame{"t": "say", "cid": "1", "text": "good morning"})
		desk.said(0, "good morning")
		desk.send(frame{"t": "seen", "conv": conv, "n": 3})
		synctest.Wait()
		desk.cut()
		before := visits()
		time.Sleep(ownerGrace + time.Second)
		if n := visits(); n != before {
			t.Errorf("the owner has left and nobody spoke: %d visits, want %d", n, before)
		}
		bob.send(frame{"t": "say", "cid": "2", "text": "one more thing"})
		bob.send(frame{"t": "say", "cid": "3", "text": "are you there?"})
		if n := visits(); n != before+1 {
			t.Errorf("the reader spoke: %d visits, want %d", n, before+1)
		}
		if v := h.broker.visits[len(h.broker.visits)-1]; !v.Spoke || v.Conv != conv {
			t.Errorf("the visit is %+v", v)
		}

		// What was said while nobody noticed that he had gone calls him as soon as that is known.
		mina, desk, _ := talk(gutters, "Mina")
		desk.cut()
		mina.send(frame{"t": "say", "cid": "1", "text": "hello?"})
		before = visits()
		time.Sleep(ownerGrace + time.Second)
		if n := visits(); n != before+1 {
			t.Errorf("an unseen message: %d visits, want %d", n, before+1)
		}

		// A link that has ended calls nobody; what is said is kept.
		ken, desk, conv := talk(gutters, "Ken")
		desk.cut()
		time.Sleep(ownerGrace + time.Second)
		h.broker.mu.Lock()
		delete(h.broker.links, gutters)
		h.broker.mu.Unlock()
		before = visits()
		ken.send(frame{"t": "say", "cid": "1", "text": "too late"})
		if n := visits(); n != before {
			t.Errorf("an ended link: %d visits, want %d", n, before)
		}
		h.desk(alice).send(frame{"t": "open", "conv": conv, "last": 0})
		synctest.Wait()
	})
}

// visitsThatSpoke is how often the broker was told of somebody who had said something.
func (h *house) visitsThatSpoke() (n int) {
	synctest.Wait()
	h.broker.mu.Lock()
	defer h.broker.mu.Unlock()
	for _, v := range h.broker.visits {
		if v.Spoke {
			n++
		}
	}
	return n
}

func (h *house) partings() int {
	synctest.Wait()
	h.broker.mu.Lock()
	defer h.broker.mu.Unlock()
	return len(h.broker.parted)
}

// answered is a conversation in which the owner has answered.
func (h *house) answered(token, name string) (reader, desk *page, conv string) {
	desk = h.desk(alice)
	synctest.Wait()
	reader, conv = h.talking(token, name)
	desk.send(frame{"t": "answer", "call": "call of " + conv})
	synctest.Wait()
	return reader, desk, conv
}

func TestTwoShortAbsencesAreNoLongOne(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		_, desk, _ := h.answered(offer, "Bob")
		desk.cut()
		time.Sleep(time.Second)
		desk = h.desk(alice) // a reload
		synctest.Wait()
		time.Sleep(ownerGrace - 2*time.Second)
		desk.cut()
		time.Sleep(ownerGrace - time.Second)
		synctest.Wait()
		if n := h.partings(); n > 0 {
			t.Error("the owner counts as having left too early")
		}
		time.Sleep(2 * time.Second)
		if n := h.partings(); n != 1 {
			t.Error("the owner has left, and nobody is told")
		}
	})
}

func TestWhoReloadsWhileTheOwnerIsCalledAgainStillCallsHim(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		bob, desk, _ := h.answered(offer, "Bob")
		desk.cut()
		time.Sleep(ownerGrace + time.Second)
		before := h.visitsThatSpoke()
		slow := func(d time.Duration) {
			h.broker.mu.Lock()
			defer h.broker.mu.Unlock()
			h.broker.resolved = func() { time.Sleep(d) }
		}
		slow(300 * time.Millisecond)
		bob.send(frame{"t": "say", "cid": "1", "text": "are you there?"})
		synctest.Wait()
		bob.cut()
		time.Sleep(time.Second)
		slow(0)
		if n := h.visitsThatSpoke(); n != before {
			t.Errorf("%d calls of somebody who has gone", n-before)
		}
		bob = h.reader(offer, "Bob", 0, 0)
		bob.expect("joined")
		bob.send(frame{"t": "intent"})
		if n := h.visitsThatSpoke(); n != before+1 {
			t.Errorf("what he said before the reload has called %d times", n-before)
		}
	})
}

func TestTheOwnerCanLeaveAndBeCalledAgainAndAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		bob, desk, conv := h.answered(offer, "Bob")
		for i := range 3 {
			desk.cut()
			time.Sleep(ownerGrace + time.Second)
			before := h.visitsThatSpoke()
			bob.send(frame{"t": "say", "cid": strconv.Itoa(i), "text": "are you there?"})
			if n := h.visitsThatSpoke(); n != before+1 {
				t.Errorf("round %d: %d calls", i, n-before)
			}
			// The broker begins a new call, which the owner answers.
			h.broker.mu.Lock()
			h.broker.states[conv] = call.Opened
			h.broker.mu.Unlock()
			h.srv.Tell(conv, call.Opened)
			desk = h.desk(alice)
			synctest.Wait()
			desk.send(frame{"t": "answer", "call": "call of " + conv})
			synctest.Wait()
		}
	})
}

func TestWritingOnBehindAnEndedLinkSlowsNobody(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		bob, desk, _ := h.answered(gutters, "Bob")
		desk.cut()
		time.Sleep(ownerGrace + time.Second)
		h.broker.mu.Lock()
		delete(h.broker.links, gutters)
		looked := 0
		h.broker.resolved = func() { looked++ }
		h.broker.mu.Unlock()
		for i := range 2 * missesPerMinute {
			bob.send(frame{"t": "say", "cid": strconv.Itoa(i), "text": "for later"})
			bob.expect("ack")
			synctest.Wait()
		}
		if looked != 1 {
			t.Errorf("the link was looked up %d times", looked)
		}
		began := time.Now()
		h.reader(offer, "Mina", 0, 0).expect("joined") // of the same network
		if d := time.Since(began); d > 0 {
			t.Errorf("a neighbour's right token waits %v", d)
		}
	})
}
