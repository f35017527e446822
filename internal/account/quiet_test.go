package account

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// isQuiet looks at the wall clock of a zone.
func (h *house) isQuiet(login, zone, clock string, want bool) {
	h.t.Helper()
	where, err := time.LoadLocation(zone)
	h.must(err)
	at, err := time.ParseInLocation("2006-01-02 15:04", clock, where)
	h.must(err)
	if got := h.Quiet(login, at); got != want {
		h.t.Errorf("at %s in %s: quiet for %s is %t, want %t", clock, zone, login, got, want)
	}
}

func TestQuietHoursGoByTheWallClockOfTheAccount(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "account.db")
	h := openHouse(t, path).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword})
	h.isQuiet(alice, "Asia/Seoul", "2026-11-25 23:00", false)
	h.set(alice, map[string]string{"quiet": "22:00-07:00, 12:30-13:30", "timezone": "Asia/Seoul"})
	for clock, want := range map[string]bool{"21:59": false, "22:00": true, "00:00": true, "06:59": true, "07:00": false, "12:29": false, "12:30": true, "13:30": false} {
		h.isQuiet(alice, "Asia/Seoul", "2026-11-25 "+clock, want)
	}
	h.isQuiet(alice, "UTC", "2026-11-25 13:00", true)
	h.isQuiet(bob, "Asia/Seoul", "2026-11-25 23:00", false)

	again := openHouse(t, path)
	again.must(again.LoadWishes(t.Context()))
	again.isQuiet(alice, "Asia/Seoul", "2026-11-25 23:00", true)
	h.set(alice, map[string]string{"timezone": ""})
	h.isQuiet(alice, "UTC", "2026-11-25 23:00", true)
	if a, _, err := h.Lookup(t.Context(), alice); err != nil || a.Quiet != "22:00-07:00,12:30-13:30" || a.Timezone != "" {
		t.Errorf("alice is %+v, %v", a, err)
	}
	h.set(alice, map[string]string{"quiet": ""})
	h.isQuiet(alice, "UTC", "2026-11-25 23:00", false)
	h.set(alice, map[string]string{"quiet": "22:00-07:00"})
	h.ForgetWishes(alice)
	h.isQuiet(alice, "UTC", "2026-11-25 23:00", false)
}

func TestQuietHoursAreKnownToTurn(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	at := func(clock string) time.Time {
		when, err := time.Parse("2006-01-02 15:04:05", clock)
		h.must(err)
		return when
	}
	if turns := h.Turns(alice, at("2026-11-25 12:00:00")); !turns.IsZero() {
		t.Errorf("without quiet hours they turn at %s", turns)
	}
	h.set(alice, map[string]string{"quiet": "22:00-07:00", "timezone": "Asia/Seoul"})
	for now, want := range map[string]string{ // nine hours behind Seoul
		"2026-11-25 12:00:30": "2026-11-25 13:00:00", "2026-11-25 13:00:00": "2026-11-25 22:00:00", "2026-11-25 21:59:59": "2026-11-25 22:00:00", "2026-11-25 22:00:00": "2026-11-26 13:00:00",
	} {
		if turns := h.Turns(alice, at(now)); !turns.Equal(at(want)) {
			t.Errorf("at %s they turn at %s, not at %s", now, turns.UTC(), want)
		}
	}
	h.set(alice, map[string]string{"quiet": "00:00-12:00,12:00-00:00"}) // always
	if turns := h.Turns(alice, at("2026-11-25 12:00:00")); !turns.IsZero() || !h.Quiet(alice, at("2026-11-25 12:00:00")) {
		t.Errorf("hours that never end end at %s", turns)
	}
}

func TestQuietHoursInTheNightsOfSummerTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	h.set(alice, map[string]string{"quiet": "01:00-02:30", "timezone": "Europe/Berlin"})
	for utc, want := range map[string]bool{
		"2026-03-29T00:59:00Z": true, "2026-03-29T01:00:00Z": false, // 01:59, then 03:00
		"2026-10-25T00:29:00Z": true, "2026-10-25T00:30:00Z": false, // 02:29 and 02:30, summer time
		"2026-10-25T01:29:00Z": true, "2026-10-25T01:30:00Z": false, // 02:29 and 02:30 once more
	} {
		at, err := time.Parse(time.RFC3339, utc)
		h.must(err)
		if h.Quiet(alice, at) != want {
			t.Errorf("at %s it is quiet: %t, want %t", utc, !want, want)
		}
	}
}

func TestQuietHoursThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []map[string]string{
		{"quiet": "22-7"}, {"quiet": "22:00"}, {"quiet": "22:00-24:00"}, {"quiet": "07:00-07:00"}, {"quiet": "9:00-10:00"}, {"quiet": ","}, {"quiet": "22:00-07:00,"},
		{"quiet": "01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00,01:00-02:00"},
		{"timezone": "Seoul"}, {"timezone": "Local"}, {"timezone": "../etc/passwd"}, {"timezone": "GMT+25"},
	} {
		if err := Check(bad); !errors.Is(err, ErrBadSetting) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestWhoeverGoesByAnAccountsWishesHearsWhenTheyChange(t *testing.T) {
	t.Parallel()
	var heard []string
	var h *house
	h = newHouse(t, func(o *Options) {
		o.OnWishes = func(login string) { // by then they hold
			heard = append(heard, fmt.Sprint(login, " ", h.Quiet(login, time.Now()), " ", h.Terms(login)))
		}
	}).with([2]string{alice, alicesPassword})
	h.set(alice, map[string]string{"quiet": "00:00-12:00,12:00-00:00"})
	h.set(alice, map[string]string{"quiet": "", "ring": "proved"})
	h.set(alice, map[string]string{"name": "Alice", "language": "ko", "ring": "proved"}) // which changes nothing of it
	if got := strings.Join(heard, "; "); got != alice+" true ; "+alice+" false proved" {
		t.Errorf("heard %q", got)
	}
}
