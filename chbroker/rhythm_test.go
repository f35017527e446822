package chbroker

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// polls has alice's mail client sign in after each of these times.
func (h *house) polls(gaps ...time.Duration) {
	for _, g := range gaps {
		after(g)
		h.mailLogin(alice)
	}
}

// learned checks the interval that the verbs show of alice's mail client, which has just polled.
func (h *house) learned(want time.Duration) {
	h.t.Helper()
	if v := h.person(alice); len(v.Evidence) == 0 || time.Duration(v.Evidence[0].Interval)*time.Second != want {
		h.t.Errorf("learned is %+v, want %v", v.Evidence, want)
	}
}

// isOnFor checks that alice is on for so long from now, and off then.
func (h *house) isOnFor(d time.Duration) {
	h.t.Helper()
	after(d - time.Second)
	h.is(alice, On)
	after(time.Second)
	h.is(alice, Off)
}

func TestAMailClientThatPollsIsOnForTwoOfItsIntervals(t *testing.T) {
	for every, holds := range map[time.Duration]time.Duration{
		time.Minute: 3 * time.Minute, 5 * time.Minute: 11 * time.Minute, time.Hour: 121 * time.Minute, 12 * time.Hour: 24*time.Hour + time.Minute,
	} {
		t.Run(every.String(), func(t *testing.T) {
			story(t, func(t *testing.T, h *house) {
				h.polls(0, every)
				h.learned(0) // two polls are too few
				h.polls(every)
				h.learned(every)
				h.isOnFor(holds)
			})
		})
	}
}

func TestBeforeThreePollsAnyLoginHoldsForFifteenMinutes(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.polls(0, 5*time.Minute)
		h.isOnFor(15 * time.Minute)
	})
}

func TestLoginsInARowAreOnePoll(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.polls(0, time.Second, 28*time.Second) // one mail after another is fetched
		h.learned(0)
		for range 3 {
			h.polls(10*time.Minute-29*time.Second, 5*time.Second, 24*time.Second)
		}
		h.learned(10 * time.Minute)
		h.isOnFor(21 * time.Minute) // after the last login, whatever it belonged to
	})
}

func TestANightIsNoInterval(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.polls(0, 25*time.Hour, 25*time.Hour)
		h.learned(0)
		h.polls(5*time.Minute, 5*time.Minute)
		h.learned(5 * time.Minute)
		h.polls(10 * time.Hour) // the computer was off: shorter than a day, but the median does not follow it
		h.learned(5 * time.Minute)
		h.isOnFor(11 * time.Minute)
	})
}

func TestAClientThatPollsOtherwiseThanBeforeIsLearnedAnew(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.polls(0, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour)
		h.learned(time.Hour)
		for range maxGaps/2 + 1 {
			h.polls(2 * time.Minute)
		}
		h.learned(2 * time.Minute)
	})
}

func TestEachClientIsLearnedByItself(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		phone := call.Sign{Login: alice, Source: call.POP3, IP: netip.MustParseAddr("198.51.100.1")}
		sending := call.Sign{Login: alice, Source: call.SMTP, IP: netip.MustParseAddr("192.0.2.7"), Host: "laptop"}
		for i := range 12 {
			h.mailLogin(alice)
			if i%2 == 0 {
				h.Seen(t.Context(), phone)
			}
			h.Seen(t.Context(), sending)
			after(5 * time.Minute)
		}
		got := make(map[string]int64)
		for _, e := range h.person(alice).Evidence {
			got[e.Source+" "+e.IP] = e.Interval
		}
		want := map[string]int64{"pop3 192.0.2.7": 300, "pop3 198.51.100.1": 600, "smtp 192.0.2.7": 0} // who sends mail does not poll
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("learned %v, want %v", got, want)
		}
	})
}

func TestWhatWasLearnedSurvivesARestart(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.polls(0, 20*time.Minute, 20*time.Minute, 20*time.Minute)
		h.o.Maps = NewMemory()
		h.restart()
		h.is(alice, Off)
		h.polls(20 * time.Minute)
		h.learned(20 * time.Minute)
		h.isOnFor(41 * time.Minute)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		after(rhythmsKept) // long enough to be forgotten
		h.start()
		h.mailLogin(alice)
		h.learned(0)
	})
}

func TestAClientThatHasNotPolledForLongIsForgotten(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	var k known
	k.learn("old", now)
	k.learn("young", now.Add(time.Hour))
	k.forgetRhythms(now.Add(rhythmsKept))
	if len(k.rhythms) != 2 {
		t.Fatalf("after just so long %d clients are known, want both", len(k.rhythms))
	}
	k.forgetRhythms(now.Add(rhythmsKept + time.Minute))
	if len(k.rhythms) != 1 || k.rhythms[0].field != "young" {
		t.Fatalf("known are %v, want the young one only", k.rhythms)
	}
}

func TestAProgramThatIsKilledHasLearnedAlmostEverything(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.polls(0, 20*time.Minute, 20*time.Minute, 20*time.Minute)
		after(2 * writeEvery)
		synctest.Wait()
		o := h.o
		o.Maps = NewMemory()
		other, err := New(o) // on the same database, without the first one's end
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		field := h.placeOf(call.Sign{Source: call.POP3, IP: netip.MustParseAddr("192.0.2.7")}, time.Now()).Field()
		if every, polls := other.presence.learned(alice, field); every != 20*time.Minute || polls != 4 {
			t.Errorf("after a kill, %v from %d polls is known", every, polls)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatWasLearnedSurvivesTheMapsBeingAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.Maps = hung{NewMemory()} })
		h.polls(0, 5*time.Minute, 5*time.Minute)
		h.learned(5 * time.Minute)
		h.isOnFor(11 * time.Minute)
	})
}

func TestWhatIsLearnedIsBounded(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		at := func(i int) call.Sign {
			return call.Sign{Login: alice, Source: call.POP3, IP: netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)})}
		}
		for i := range 1000 {
			h.Seen(t.Context(), at(i))
			after(time.Second)
		}
		k := h.presence.logins[alice]
		last := h.placeOf(at(999), time.Now()).Field()
		if len(k.rhythms) != maxClients || k.rhythm(last) == nil {
			t.Errorf("%d clients are remembered, want %d with the last", len(k.rhythms), maxClients)
		}
		for range 100 {
			h.polls(5 * time.Minute)
		}
		var text string
		if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT rhythms FROM chbroker_seen`).Scan(&text) }); err != nil {
			t.Error(err)
		}
		if all, err := decodeRhythms(text); err != nil || len(all) == 0 || all[len(all)-1].n != maxGaps || len(text) > 2048 {
			t.Errorf("SQL has %d octets: %v %v", len(text), all, err)
		}
	})
}

func TestSpoiledRhythmsDoNotHinderAStart(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		for _, text := range []string{`[`, `[{"field":"pop3:x","last":-5,"gaps":[1,99999999]}]`, `{}`, `[{"gaps":[60,60,60]}]`} {
			h.mailLogin(alice)
			after(2 * time.Minute)
			if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`UPDATE chbroker_seen SET rhythms = ?`, text)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			h.o.Maps = NewMemory()
			h.restart()
			h.mailLogin(alice)
			h.learned(0)
		}
	})
}

func TestTheNextOfTheNameLearnsAnew(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.polls(0, 5*time.Minute, 5*time.Minute)
		h.learned(5 * time.Minute)
		h.remove(alice)
		h.mailLogin(alice)
		h.learned(0)
	})
}

func TestTheVerbExplainsItsVerdict(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		until := func(v PersonView, want time.Duration) {
			t.Helper()
			if v.Until == nil || !v.Until.Equal(utc(time.Now().Add(want))) {
				t.Errorf("%s until %v, want in %v", v.Verdict, v.Until, want)
			}
		}
		h.polls(0, 5*time.Minute, 5*time.Minute)
		after(time.Minute)
		v := h.person(alice)
		until(v, 10*time.Minute)
		if e := v.Evidence[0]; v.Verdict != On || e.Polls != 3 || e.Interval != 300 || e.Age != 60 || !e.Until.Equal(*v.Until) {
			t.Errorf("of a client that polls, %+v is shown", v)
		}
		after(time.Hour)
		v = h.person(alice)
		if v.Verdict != Off || v.Until != nil || v.Latest == nil || v.Latest.Interval != 300 || !v.Latest.Until.Equal(v.Latest.Seen.Add(11*time.Minute)) {
			t.Errorf("of a client that polled, %+v with %+v is shown", v, v.Latest)
		}
		d := h.desk(alice, "study", true)
		until(h.person(alice), 90*time.Second)
		h.Input(alice, "study")
		after(10 * time.Second)
		v = h.person(alice)
		until(v, 50*time.Second)
		if e := v.Evidence[0]; v.Verdict != Active || e.Input == nil || time.Since(*e.Input) != 10*time.Second {
			t.Errorf("of a desk with a person, %+v is shown", v)
		}
		d.detach()
		if v := h.person(alice); v.Verdict != Off || v.Latest.Source != "desk" || v.Latest.Until != nil {
			t.Errorf("of a desk that was closed, %+v with %+v is shown", v, v.Latest)
		}
	})
}
