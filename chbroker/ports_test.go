package chbroker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// twoPorts is a house with hardly any ports, on its own clock.
func twoPorts(t *testing.T, f func(t *testing.T, h *house, listening *[]int)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var listening []int
		f(t, openHouse(t, func(o *Options) {
			o.Ports = Range{24000, 24001}
			o.LinkLife, o.Times.Lease = 7*time.Hour, 30*time.Hour
			o.Listening = func() []int { return listening }
		}), &listening)
	})
}

// port is that of a card for login's next mail, and keeps its link.
func (h *house) port(login string) int {
	h.t.Helper()
	c, err := h.Card(h.t.Context(), login)
	if err != nil {
		h.t.Fatal(err)
	}
	h.keep(c, message.Summary{})
	return c.Port
}

// ports checks which port the cards of these logins carry, in order.
func (h *house) wants(logins []string, ports ...int) {
	h.t.Helper()
	for i, login := range logins {
		if got := h.port(login); got != ports[i] {
			h.t.Errorf("a mail of %s carries port %d, want %d", login, got, ports[i])
		}
	}
}

func TestALoginKeepsItsPort(t *testing.T) {
	twoPorts(t, func(t *testing.T, h *house, _ *[]int) {
		h.wants([]string{alice, bob, alice, bob}, 24000, 24001, 24000, 24001)
		if who := holder(t, h.maps, "chat.example.com", 24000); who != alice {
			t.Errorf("the port map gives alice's port to %s", who)
		}
		after(40 * time.Hour)
		h.maps = NewMemory() // and Redis has forgotten it
		h.o.Maps = h.maps
		h.restart()
		h.wants([]string{bob, alice}, 24001, 24000)
		if who := holder(t, h.maps, "chat.example.com", 24000); who != alice {
			t.Errorf("the port map gives alice's port to %s", who)
		}
	})
}

func TestALeaseIsRenewedByUse(t *testing.T) {
	twoPorts(t, func(t *testing.T, h *house, _ *[]int) {
		for range 12 {
			h.wants([]string{alice}, 24000)
			synctest.Wait() // renewing goes on in the background
			l, ok, err := h.maps.Lease(t.Context(), "chat.example.com", 24000)
			if left := time.Until(l.Until); err != nil || !ok || left < 28*time.Hour {
				t.Fatalf("the lease ends in %v (%v %v)", left, ok, err)
			}
			after(3 * time.Hour)
		}
	})
}

func TestAPortThatALinkCarriesStaysItsOwners(t *testing.T) {
	twoPorts(t, func(t *testing.T, h *house, _ *[]int) {
		h.wants([]string{alice, bob}, 24000, 24001)
		h.wants([]string{carol}, 0) // both were used a moment ago
		after(3 * time.Hour)
		h.wants([]string{bob}, 24001)
		after(time.Hour)
		if _, err := h.Card(t.Context(), alice); err != nil { // for a mail that was refused: its link is not kept
			t.Fatal(err)
		}
		after(4 * time.Hour) // alice's link has expired, bob's has not
		h.wants([]string{carol}, 24000)
	})
}

func TestAPortWithAListenerIsNotTaken(t *testing.T) {
	twoPorts(t, func(t *testing.T, h *house, listening *[]int) {
		h.wants([]string{alice, bob}, 24000, 24001)
		after(time.Hour)
		*listening = []int{24000}
		h.wants([]string{carol}, 24001)
		h.wants([]string{bob}, 0)
		*listening = nil
		after(time.Minute)
		h.wants([]string{bob}, 24000)
	})
}

func TestWithThePoolExhaustedTheLeastRecentlyUsedGoes(t *testing.T) {
	twoPorts(t, func(t *testing.T, h *house, _ *[]int) {
		h.wants([]string{alice, bob}, 24000, 24001)
		l := h.link(bob, "Roof")
		after(time.Hour)
		h.wants([]string{alice}, 24000)
		after(time.Hour)
		h.wants([]string{carol}, 24001)
		if who := holder(t, h.maps, "chat.example.com", 24001); who != carol {
			t.Errorf("the port map gives carol's port to %s", who)
		}
		if got := h.linkOf(l.ID).Port; got != 0 {
			t.Errorf("bob's old link leads to port %d, want the web port", got)
		}
		after(time.Hour)
		h.wants([]string{bob}, 24000)
		if got := h.linkOf(l.ID).Port; got != 24000 {
			t.Errorf("bob's old link leads to port %d, want his new one", got)
		}
	})
}

// linkOf is a link as Resolve gives it, found by its number.
func (h *house) linkOf(id int64) (l struct{ Port int }) {
	h.t.Helper()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) (err error) {
		var login string
		if err := tx.QueryRow(`SELECT login FROM chbroker_link WHERE id = ?`, id).Scan(&login); err != nil {
			return err
		}
		l.Port, err = h.ports.current(tx, login)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
	return l
}

func TestAnotherRangeGivesAnotherPort(t *testing.T) {
	twoPorts(t, func(t *testing.T, h *house, _ *[]int) {
		h.wants([]string{alice, bob}, 24000, 24001)
		h.o.Ports = Range{24001, 24010}
		h.restart()
		h.wants([]string{alice, bob, carol}, 24002, 24001, 24003)
		synctest.Wait()
		if who := holder(t, h.maps, "chat.example.com", 24000); who != "nobody" {
			t.Errorf("the port outside the range is still %s's", who)
		}
	})
}

func TestGapsAreFilled(t *testing.T) {
	twoPorts(t, func(t *testing.T, h *house, _ *[]int) {
		h.wants([]string{alice, bob}, 24000, 24001)
		if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return h.Remove(tx, alice) }); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if who := holder(t, h.maps, "chat.example.com", 24000); who != "nobody" {
			t.Errorf("the port of an account that is gone is still %s's", who)
		}
		h.wants([]string{carol, bob}, 24000, 24001)
	})
}

func TestAPortThatThePortMapGivesToOthersIsLeftAlone(t *testing.T) {
	twoPorts(t, func(t *testing.T, h *house, _ *[]int) {
		take(t, h.maps, "chat.example.com", Lease{Port: 24000, Login: "eve@elsewhere.example", Number: 1 << 50, Until: second(time.Hour)})
		h.wants([]string{alice, bob}, 24001, 0)
		if who := holder(t, h.maps, "chat.example.com", 24000); who != "eve@elsewhere.example" {
			t.Errorf("eve's port is %s's", who)
		}
		after(2 * time.Hour)
		h.wants([]string{bob}, 24000)
	})
}

func TestManyFirstMailsAtOnce(t *testing.T) {
	t.Parallel()
	h := openHouse(t, func(o *Options) { o.Ports = Range{24000, 24999} })
	const n = 200
	got := make(chan int)
	for i := range n {
		go func() {
			c, err := h.Card(t.Context(), fmt.Sprintf("p%d@example.com", i%(n/2)))
			if err != nil {
				t.Error(err)
			}
			got <- c.Port
		}()
	}
	count := make(map[int]int)
	for range n {
		count[<-got]++
	}
	delete(count, 0) // one that had no time to wait
	for port, cards := range count {
		if cards > 2 {
			t.Errorf("port %d is on %d cards", port, cards)
		}
	}
}
