package chbroker

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// opens fetches pages of links, one after the other.
func (h *house) opens(apart time.Duration, peer string, links ...call.Link) {
	for _, l := range links {
		after(apart)
		h.Opened(l, netip.MustParseAddr(peer))
	}
}

func (h *house) links(login string, n int) (all []call.Link) {
	for i := range n {
		all = append(all, h.link(login, fmt.Sprint("Mail ", i)))
	}
	return all
}

func TestAPageThatWasOpenedAmongManyRingsOnceItsReaderHasSaidSomething(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		all := h.links(alice, 9)
		h.opens(100*time.Millisecond, "192.0.2.77", all...)
		v := call.Visit{Conv: "c1", Link: all[8], Opened: time.Now(), Peer: netip.MustParseAddr("198.51.100.9")} // from elsewhere: scanners have many addresses
		h.Visit(v)
		h.hears("c1", call.Opened)
		after(3 * time.Second)
		h.hears("c1", call.Silent)
		after(time.Hour)
		d.shows("visit c1")
		v.Who = "Bob"
		h.Visit(v) // a name is no word
		d.shows("visit c1")
		v.Spoke = true
		h.Visit(v)
		d.shows("ring c1")
		h.hears("c1", call.Ringing)
		h.left()
	})
}

func TestAScannerThatImitatesPeopleLeavesNothing(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		all := h.links(alice, 5)
		h.opens(300*time.Millisecond, "192.0.2.77", all...)
		for i, l := range all {
			h.Visit(call.Visit{Conv: fmt.Sprint("s", i), Link: l, Opened: time.Now()})
		}
		after(time.Minute) // it stays for long
		for i := range all {
			h.goes(fmt.Sprint("s", i))
		}
		after(time.Hour)
		h.left()
		h.desk(alice, "study", true).shows() // nothing missed
		h.desk(bob, "study", true).shows()
		if h.board.limits.links.spent(all[0].ID, time.Now()) {
			t.Error("a scanner has used up a link's calls")
		}
	})
}

func TestWhoIsNoMachine(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]func(h *house) (l call.Link, opened time.Time){
		"one link, again and again": func(h *house) (call.Link, time.Time) {
			l := h.link(alice, "Roof")
			h.opens(100*time.Millisecond, "192.0.2.77", l, l, l, l, l)
			return l, time.Now()
		},
		"two links at once": func(h *house) (call.Link, time.Time) {
			all := h.links(alice, 2)
			h.opens(0, "192.0.2.77", all...)
			return all[0], time.Now()
		},
		"one link after the other": func(h *house) (call.Link, time.Time) {
			all := h.links(alice, 9)
			h.opens(1100*time.Millisecond, "192.0.2.77", all...)
			return all[8], time.Now()
		},
		"a minute after a scanner": func(h *house) (call.Link, time.Time) {
			all := h.links(alice, 9)
			h.opens(10*time.Millisecond, "192.0.2.77", all...)
			after(time.Minute)
			h.opens(0, "198.51.100.9", all[0])
			return all[0], time.Now()
		},
		"an office whose people read their mail of yesterday": func(h *house) (call.Link, time.Time) {
			all := []call.Link{h.link(alice, "Roof"), h.link(bob, "Floor"), h.link("carol@example.com", "Wall")}
			after(24 * time.Hour)
			h.opens(0, "192.0.2.77", all...)
			return all[0], time.Now()
		},
	} {
		t.Run(name, func(t *testing.T) {
			strict(t, func(t *testing.T, h *house) {
				l, opened := story(h)
				d := h.desk(alice, "study", true)
				h.Visit(call.Visit{Conv: "c1", Link: l, Opened: opened, Peer: netip.MustParseAddr("192.0.2.77")})
				after(3 * time.Second)
				d.shows("visit c1", "ring c1")
			})
		})
	}
}

func TestLinksOfManyOwnersFetchedFromOneNetworkAsTheirMailsArrive(t *testing.T) {
	strict(t, func(t *testing.T, h *house) {
		all := []call.Link{h.link(alice, "Roof"), h.link(bob, "Floor"), h.link("carol@example.com", "Wall")}
		h.opens(500*time.Millisecond, "2001:db8:1:2::7", all...)
		d := h.desk(alice, "study", true)
		opened := time.Now()
		h.Visit(call.Visit{Conv: "machine", Link: all[0], Opened: opened, Peer: netip.MustParseAddr("2001:db8:1:2::99")})
		h.Visit(call.Visit{Conv: "person", Link: all[0], Opened: opened, Peer: netip.MustParseAddr("2001:db8:77::1")})
		after(3 * time.Second)
		d.shows("visit machine", "visit person", "ring person")
		h.hears("machine", call.Opened, call.Silent)
	})
}

func TestAnOwnerMayWantToSeeWordsFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.Wishes = wanted{terms: map[string]call.Terms{alice: call.AfterWords}} })
		defer h.shut()
		d, other := h.desk(alice, "study", true), h.desk(bob, "study", true)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.comes("c2", h.link(bob, "Floor"), time.Minute)
		other.shows("visit c2", "ring c2")
		d.shows("visit c1")
		h.hears("c1", call.Opened, call.Silent)
		if _, ok := h.Answer(alice, "study", d.lastCall()); !ok {
			t.Error("who is shown silently cannot be answered")
		}
		h.hears("c1", call.Answered)
	})
}

func TestOneLinkOpenedOverAndOverHidesNoBurst(t *testing.T) {
	t.Parallel()
	hs, at := newHaste(), time.Now()
	for range 2 * maxRecent {
		hs.opened(call.Link{ID: 1, Login: alice}, netip.Addr{}, at)
	}
	if hs.hasty(alice, netip.Addr{}, at) {
		t.Error("one link is a burst")
	}
	for i := range int64(hasteLinks) {
		hs.opened(call.Link{ID: 2 + i, Login: alice}, netip.Addr{}, at.Add(time.Millisecond))
	}
	if !hs.hasty(alice, netip.Addr{}, at.Add(time.Millisecond)) {
		t.Error("a burst of links is not seen behind one that was opened over and over")
	}
}

func TestWhatHasteRemembersIsBounded(t *testing.T) {
	t.Parallel()
	hs := newHaste()
	at := time.Now()
	for i := range maxCounted + 10 {
		for k := range 3 {
			hs.opened(call.Link{ID: int64(k), Login: fmt.Sprint(i)}, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), at)
		}
	}
	for i := range 5 * maxRecent {
		hs.opened(call.Link{ID: int64(i), Login: alice}, netip.Addr{}, at.Add(time.Duration(i)*10*time.Millisecond))
	}
	for i := range 3 * maxBursts {
		for k := range 3 {
			hs.opened(call.Link{ID: int64(k), Login: bob}, netip.Addr{}, at.Add(time.Duration(i)*time.Minute))
		}
	}
	a, b := hs.owners[alice], hs.owners[bob]
	if len(hs.owners) > maxCounted || len(hs.networks) > maxCounted || len(a.recent) > maxRecent || len(a.spans) != 1 || len(b.spans) > maxBursts {
		t.Errorf("%d owners, %d networks; alice %d openings, %d bursts; bob %d bursts", len(hs.owners), len(hs.networks), len(a.recent), len(a.spans), len(b.spans))
	}
	if !hs.hasty(alice, netip.Addr{}, at.Add(20*time.Second)) || hs.hasty(alice, netip.Addr{}, at.Add(-time.Minute)) {
		t.Error("a long burst is not known for one")
	}
}
