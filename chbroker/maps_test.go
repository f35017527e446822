package chbroker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/call"
)

// The conformance suite: whatever keeps the maps passes it, so that a server without Redis behaves as one with it.

func TestMemoryKeepsTheMaps(t *testing.T) {
	t.Parallel()
	conform(t, func(testing.TB) Maps { return NewMemory() })
}

func TestRedisKeepsTheMaps(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	conform(t, func(t testing.TB) Maps { return server.maps(t) })
}

func conform(t *testing.T, open func(testing.TB) Maps) {
	for name, story := range map[string]func(*testing.T, Maps){
		"WhatWasSeenIsFound":               whatWasSeenIsFound,
		"WhatWasLearnedIsWrittenDown":      whatWasLearnedIsWrittenDown,
		"AnOlderSightingChangesNothing":    anOlderSightingChangesNothing,
		"WhatHasRunOutIsGone":              whatHasRunOutIsGone,
		"ALoginHasABoundedNumberOfPlaces":  aLoginHasABoundedNumberOfPlaces,
		"ADeviceThatLeavesIsDropped":       aDeviceThatLeavesIsDropped,
		"ManyLoginsAtOnce":                 manyLoginsAtOnce,
		"APortHasOneHolder":                aPortHasOneHolder,
		"TheHigherNumberIsRight":           theHigherNumberIsRight,
		"OnlyTheHolderGivesAPortBack":      onlyTheHolderGivesAPortBack,
		"ALeaseThatRanOutStandsInNoWay":    aLeaseThatRanOutStandsInNoWay,
		"LeasesOfAHostAreListedInOrder":    leasesOfAHostAreListedInOrder,
		"TheFirstCheckFindsNothing":        theFirstCheckFindsNothing,
		"NamesMayHoldWhatAnAddressMayHold": namesMayHoldWhatAnAddressMayHold,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, open(t))
		})
	}
}

// person makes a login of a test's own: all tests share one Redis.
func person(t testing.TB, name string) string {
	return strings.ToLower(name + "@" + strings.NewReplacer("/", ".", "_", "-").Replace(t.Name()) + ".test")
}

func second(d time.Duration) time.Time { return time.Now().Add(d).UTC().Truncate(time.Second) }

func popPlace(seen, until time.Duration) Place {
	return Place{Source: call.POP3, Client: "c0ffee", IP: netip.MustParseAddr("192.0.2.7"), Seen: second(seen), Until: second(until)}
}

func put(t testing.TB, m Maps, login string, places ...Place) {
	t.Helper()
	var all []Sighting
	for _, p := range places {
		all = append(all, Sighting{login, p})
	}
	if err := m.Put(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

func placesOf(t testing.TB, m Maps, login string) []Place {
	t.Helper()
	all, err := m.Places(t.Context(), []string{login})
	if err != nil {
		t.Fatal(err)
	}
	places := all[login]
	slices.SortFunc(places, func(a, b Place) int { return strings.Compare(a.Field(), b.Field()) })
	return places
}

func whatWasSeenIsFound(t *testing.T, m Maps) {
	alice := person(t, "alice")
	desk := Place{
		Source: call.Desk, Client: "d1", IP: netip.MustParseAddr("2001:db8::1"), Seen: second(-time.Minute), Until: second(time.Minute),
		Interval: 5 * time.Minute, Input: second(-30 * time.Second),
	}
	smtp := Place{Source: call.SMTP, Client: "beef", IP: netip.MustParseAddr("192.0.2.7"), Host: "alices-laptop.example", Seen: second(0), Until: second(time.Hour)}
	put(t, m, alice, desk)
	put(t, m, alice, smtp)
	if got := placesOf(t, m, alice); !slices.Equal(got, []Place{desk, smtp}) {
		t.Errorf("found %+v, want %+v", got, []Place{desk, smtp})
	}
	all, err := m.Places(t.Context(), []string{person(t, "nobody"), alice})
	if err != nil || len(all) != 1 {
		t.Errorf("found %+v (%v), want alice alone", all, err)
	}
}

// keepsOpen are maps that outlive the broker.
type keepsOpen struct{ Maps }

func (keepsOpen) Close() error { return nil }

func whatWasLearnedIsWrittenDown(t *testing.T, m Maps) {
	h := openHouse(t, func(o *Options) { o.Maps = keepsOpen{m} })
	alice := person(t, "alice")
	sign := call.Sign{Login: alice, Source: call.POP3, IP: netip.MustParseAddr("192.0.2.7")}
	h.Seen(t.Context(), sign)
	if got := placesOf(t, m, alice); len(got) != 1 || got[0].Interval != 0 || got[0].Until.Sub(got[0].Seen) != h.times.MailSign {
		t.Errorf("of a client that has polled once, the map has %+v", got)
	}
	now := time.Now()
	other := "bob" + alice
	for ago := 50 * time.Minute; ago > 0; ago -= 10 * time.Minute {
		h.presence.note(other, h.placeOf(sign, now.Add(-ago)), now.Add(-ago))
	}
	sign.Login = other
	h.Seen(t.Context(), sign)
	got := placesOf(t, m, other)
	if len(got) != 1 || got[0].Interval != 10*time.Minute || got[0].Until.Sub(got[0].Seen) != 21*time.Minute {
		t.Errorf("of a client that polls every ten minutes, the map has %+v", got)
	}
}

func anOlderSightingChangesNothing(t *testing.T, m Maps) {
	alice := person(t, "alice")
	young := popPlace(0, time.Hour)
	put(t, m, alice, young)
	old := popPlace(-time.Minute, time.Hour)
	old.IP = netip.MustParseAddr("198.51.100.1")
	put(t, m, alice, old)
	if got := placesOf(t, m, alice); !slices.Equal(got, []Place{young}) {
		t.Errorf("found %+v, want %+v", got, young)
	}
	longer := popPlace(0, 2*time.Hour)
	longer.Seen = young.Seen
	put(t, m, alice, longer)
	put(t, m, alice, young) // a renewal that was overtaken
	if got := placesOf(t, m, alice); !slices.Equal(got, []Place{longer}) {
		t.Errorf("found %+v, want %+v", got, longer)
	}
}

func whatHasRunOutIsGone(t *testing.T, m Maps) {
	alice := person(t, "alice")
	over := popPlace(-time.Hour, -time.Minute)
	over.Client = "over"
	put(t, m, alice, over, popPlace(0, 2*time.Second))
	if got := placesOf(t, m, alice); len(got) != 1 || got[0].Client != "c0ffee" {
		t.Errorf("found %+v, want the one that has not run out", got)
	}
	eventually(t, 10*time.Second, "the place runs out", func() bool { return len(placesOf(t, m, alice)) == 0 })
}

func aLoginHasABoundedNumberOfPlaces(t *testing.T, m Maps) {
	alice := person(t, "alice")
	for i := range maxPlaces + 20 {
		p := popPlace(0, time.Hour+time.Duration(i)*time.Minute)
		p.Client = fmt.Sprint("c", i)
		put(t, m, alice, p)
	}
	last := popPlace(0, time.Minute)
	last.Client = "last"
	put(t, m, alice, last)
	got := placesOf(t, m, alice)
	if len(got) != maxPlaces {
		t.Errorf("%d places are kept, want %d", len(got), maxPlaces)
	}
	has := func(client string) bool {
		return slices.ContainsFunc(got, func(p Place) bool { return p.Client == client })
	}
	if has("c0") || has("c20") || !has("c21") || !has("last") {
		t.Error("not those that run out first have gone, or the one just written")
	}
}

func aDeviceThatLeavesIsDropped(t *testing.T, m Maps) {
	alice := person(t, "alice")
	put(t, m, alice, popPlace(0, time.Hour))
	for range 2 {
		if err := m.Drop(t.Context(), alice, "pop3:c0ffee"); err != nil {
			t.Fatal(err)
		}
	}
	if got := placesOf(t, m, alice); len(got) != 0 {
		t.Errorf("still there: %+v", got)
	}
}

func manyLoginsAtOnce(t *testing.T, m Maps) {
	var all []Sighting
	var logins []string
	for i := range 2*redisBatch + 17 {
		login := person(t, fmt.Sprint("p", i))
		logins = append(logins, login)
		other := popPlace(0, time.Hour)
		other.Client = "other"
		all = append(all, Sighting{login, popPlace(0, time.Hour)}, Sighting{login, other})
	}
	if err := m.Put(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	got, err := m.Places(t.Context(), logins)
	if err != nil || len(got) != len(logins) {
		t.Fatalf("%d logins were found (%v), want %d", len(got), err, len(logins))
	}
	for login, places := range got {
		if len(places) != 2 {
			t.Fatalf("%s has %d places, want 2", login, len(places))
		}
	}
	if err := m.Put(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func take(t testing.TB, m Maps, host string, leases ...Lease) []Lease {
	t.Helper()
	held, err := m.Take(t.Context(), host, leases)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func holder(t testing.TB, m Maps, host string, port int) string {
	t.Helper()
	l, ok, err := m.Lease(t.Context(), host, port)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "nobody"
	}
	return l.Login
}

func aPortHasOneHolder(t *testing.T, m Maps) {
	host := person(t, "host")
	alices := Lease{Port: 24001, Login: "alice@example.com", Number: 3, Until: second(time.Hour)}
	if held := take(t, m, host, alices); len(held) != 0 {
		t.Fatalf("a free port is held by %+v", held)
	}
	bobs := alices
	bobs.Login = "bob@example.com"
	if held := take(t, m, host, bobs); !slices.Equal(held, []Lease{alices}) {
		t.Errorf("bob was told %+v, want alice's lease", held)
	}
	alices.Until = second(2 * time.Hour)
	if held := take(t, m, host, alices); len(held) != 0 {
		t.Errorf("alice cannot renew: %+v", held)
	}
	shorter := alices
	shorter.Until = second(time.Hour)
	if held := take(t, m, host, shorter); len(held) != 0 {
		t.Errorf("alice cannot renew again: %+v", held)
	}
	if l, ok, err := m.Lease(t.Context(), host, 24001); err != nil || !ok || l != alices {
		t.Errorf("the port map has %+v %v %v, want %+v", l, ok, err, alices)
	}
	if who := holder(t, m, host, 24002); who != "nobody" {
		t.Errorf("a port that nobody took is %s's", who)
	}
	if who := holder(t, m, person(t, "elsewhere"), 24001); who != "nobody" {
		t.Errorf("on another host the port is %s's", who)
	}
}

func theHigherNumberIsRight(t *testing.T, m Maps) {
	host := person(t, "host")
	lease := func(login string, number int64) Lease {
		return Lease{Port: 24001, Login: login, Number: number, Until: second(time.Hour)}
	}
	take(t, m, host, lease("alice", 3))
	if held := take(t, m, host, lease("bob", 4)); len(held) != 0 || holder(t, m, host, 24001) != "bob" {
		t.Errorf("a newer lease does not replace an older one: %+v", held)
	}
	if held := take(t, m, host, lease("alice", 3)); len(held) != 1 || held[0].Login != "bob" || holder(t, m, host, 24001) != "bob" {
		t.Errorf("an older lease that arrives late: told %+v, the port is %s's", held, holder(t, m, host, 24001))
	}
}

func onlyTheHolderGivesAPortBack(t *testing.T, m Maps) {
	host := person(t, "host")
	l := Lease{Port: 24001, Login: "alice", Number: 3, Until: second(time.Hour)}
	take(t, m, host, l)
	for _, wrong := range []Lease{{Port: 24001, Login: "bob", Number: 3}, {Port: 24001, Login: "alice", Number: 2}, {Port: 24002, Login: "alice", Number: 3}} {
		if err := m.Release(t.Context(), host, wrong); err != nil {
			t.Fatal(err)
		}
	}
	if who := holder(t, m, host, 24001); who != "alice" {
		t.Errorf("the port is %s's, want alice's", who)
	}
	for range 2 {
		if err := m.Release(t.Context(), host, l); err != nil {
			t.Fatal(err)
		}
	}
	if who := holder(t, m, host, 24001); who != "nobody" {
		t.Errorf("the port is still %s's", who)
	}
}

func aLeaseThatRanOutStandsInNoWay(t *testing.T, m Maps) {
	host := person(t, "host")
	take(t, m, host, Lease{Port: 24001, Login: "alice", Number: 9, Until: second(2 * time.Second)})
	eventually(t, 10*time.Second, "the lease runs out", func() bool { return holder(t, m, host, 24001) == "nobody" })
	if held := take(t, m, host, Lease{Port: 24001, Login: "bob", Number: 1, Until: second(time.Hour)}); len(held) != 0 {
		t.Errorf("bob was told %+v", held)
	}
}

func leasesOfAHostAreListedInOrder(t *testing.T, m Maps) {
	host := person(t, "host")
	var all []Lease
	for i := range redisBatch + 20 {
		all = append(all, Lease{Port: 20000 + i*7%(redisBatch+20), Login: fmt.Sprint("p", i), Number: int64(i), Until: second(time.Hour)})
	}
	take(t, m, host, all...)
	got, err := m.Leases(t.Context(), host)
	if err != nil || len(got) != len(all) || !slices.IsSortedFunc(got, func(a, b Lease) int { return a.Port - b.Port }) {
		t.Errorf("%d leases (%v), want %d in order", len(got), err, len(all))
	}
}

func theFirstCheckFindsNothing(t *testing.T, m Maps) {
	for i, want := range []bool{false, true, true} {
		if kept, err := m.Check(t.Context()); err != nil || kept != want {
			t.Errorf("check %d: %v %v, want %v", i+1, kept, err, want)
		}
	}
}

func namesMayHoldWhatAnAddressMayHold(t *testing.T, m Maps) {
	for _, login := range []string{`{a}b"c`, "日本", "a b", "a'*?[x]\\"} {
		login = person(t, "") + login
		p := popPlace(0, time.Hour)
		p.Host = `<q"uo>te`
		put(t, m, login, p)
		if got := placesOf(t, m, login); !slices.Equal(got, []Place{p}) {
			t.Errorf("%s: found %+v, want %+v", login, got, p)
		}
		l := Lease{Port: 24001, Login: login, Number: 1, Until: second(time.Hour)}
		take(t, m, login, l)
		if got, ok, err := m.Lease(t.Context(), login, 24001); err != nil || !ok || got != l {
			t.Errorf("%s: lease %+v %v %v, want %+v", login, got, ok, err, l)
		}
	}
}
