package web

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestAGuesserIsSlowedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(20, time.Minute)
		guesser, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:0:1::1")
		for i := range 20 {
			// Each guess from another address of the same /64.
			from := netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))
			began := time.Now()
			if !l.Wait(t.Context(), from) || time.Since(began) > 0 {
				t.Fatalf("guess %d was held back", i)
			}
			if !l.Hit(from) {
				t.Fatalf("guess %d counted as one too many", i)
			}
		}
		for want := delayStep; want <= 3*delayStep; want += delayStep {
			began := time.Now()
			if !l.Wait(t.Context(), guesser) || time.Since(began) != want {
				t.Errorf("held back for %v, want %v", time.Since(began), want)
			}
			l.Hit(guesser)
		}
		for range 100 {
			l.Hit(guesser)
		}
		began := time.Now()
		if !l.Wait(t.Context(), guesser) || time.Since(began) != maxDelay {
			t.Errorf("held back for %v, want %v", time.Since(began), maxDelay)
		}
		began = time.Now()
		if !l.Wait(t.Context(), other) || time.Since(began) > 0 {
			t.Error("somebody else was held back")
		}
		time.Sleep(3 * time.Minute)
		began = time.Now()
		if !l.Wait(t.Context(), guesser) || time.Since(began) > 0 {
			t.Error("still held back after the window")
		}
	})
}

func TestWaitingIsBoundedAndEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(0, time.Minute)
		a := netip.MustParseAddr("192.0.2.1")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool, maxWaiting)
		for range maxWaiting {
			go func() { done <- l.Wait(ctx, a) }()
		}
		synctest.Wait()
		if l.Wait(ctx, a) {
			t.Error("one more than the limit was let wait")
		}
		cancel()
		for range maxWaiting {
			if <-done {
				t.Error("a request that was broken off went on")
			}
		}
	})
}

func TestAddressesWithoutEndDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	l := NewLimiter(5, time.Hour)
	for i := range 3 * maxAddresses {
		l.Hit(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := len(l.now) + len(l.was); n > 2*maxAddresses {
		t.Errorf("%d addresses are kept", n)
	}
}
