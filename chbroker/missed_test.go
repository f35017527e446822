package chbroker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

func TestAPageThatVanishesWasNobodysVisit(t *testing.T) {
	for name, stays := range map[string]time.Duration{"before the ring": time.Second, "within five seconds of it": 6 * time.Second} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, h *house) {
				d := h.desk(alice, "study", true)
				h.comes("c1", h.link(alice, "Roof"), 0)
				after(stays)
				d.forget()
				h.Gone("c1")
				if stays > 2*time.Second {
					d.shows("visit c1") // the sound stops at once
				}
				after(15 * time.Second)
				d.shows("silence c1")
				after(time.Hour)
				h.left()
				h.desk(alice, "phone", true).shows()
				if s, ok := h.State("c1"); ok {
					t.Errorf("the call is still there: %s", s)
				}
			})
		})
	}
}

func TestTheReaderGivesUp(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		after(6 * time.Second)
		h.Gone("c1")
		d.shows("visit c1", "ring c1", "visit c1")
		after(15 * time.Second)
		d.shows("silence c1", "missed c1") // the desk told him: no notice
		after(time.Hour)
		h.left()

		silent := h.desk(bob, "study", false)
		h.comes("c2", h.link(bob, "Roof"), time.Minute)
		after(6 * time.Second)
		h.Gone("c2")
		after(15 * time.Second)
		silent.shows("visit c2", "ring c2", "visit c2", "silence c2", "missed c2")
		h.left(1) // nothing told him
	})
}

func TestTheReaderComesBackInTime(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		after(10 * time.Second)
		h.hears("c1", call.Opened, call.Ringing)
		h.Gone("c1")
		after(14 * time.Second)
		if s, ok := h.State("c1"); !ok || s != call.Ringing {
			t.Errorf("meanwhile the call is %q %v", s, ok)
		}
		d.shows("visit c1", "ring c1", "visit c1")
		h.comes("c1", l, 0)
		h.hears("c1", call.Ringing) // the same call, the same ring: six seconds of it are left
		d.shows("visit c1", "ring c1")
		after(6 * time.Second)
		h.hears("c1", call.Retrying)

		h.Gone("c1")
		after(20 * time.Second)
		h.comes("c1", l, time.Minute) // too late: another call
		h.hears("c1", call.Opened, call.Ringing)
	})
}

func TestAYoungPageThatIsReloadedRingsWhenItIsOldEnough(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		h.comes("c1", l, 0)
		after(time.Second)
		h.Gone("c1")
		after(5 * time.Second)
		h.hears("c1", call.Opened)
		h.comes("c1", l, 0)
		h.hears("c1", call.Ringing)
	})
}

func TestTheOwnerAnswersWhileTheReaderReloads(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		after(10 * time.Second)
		h.Gone("c1")
		if !d.answers() {
			t.Error("the call is not to be had")
		}
		h.comes("c1", l, 0)
		h.hears("c1", call.Opened, call.Ringing, call.Answered)
		if s, _ := h.State("c1"); s != call.Answered {
			t.Errorf("the call is %s", s)
		}
	})
}

func TestMissedCallsAreShownWhenTheOwnerAppears(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		for _, conv := range []string{"c1", "c2", "c3"} {
			h.comes(conv, l, time.Minute)
			after(20 * time.Second)
			h.Gone(conv)
			after(time.Minute)
		}
		h.left(1, 1, 1)
		h.comes("c3", l, time.Minute) // and is there again
		after(time.Second)
		silent := h.desk(alice, "phone", false)
		silent.shows("missed c1", "missed c2", "visit c3", "ring c3")
		silent.detach()
		d := h.desk(alice, "study", true) // the other one has not shown them
		d.shows("missed c1", "missed c2", "ring c3")
		d.answers()
		d.detach()
		h.desk(alice, "tablet", true).shows()
		h.restart()
		h.desk(alice, "tablet", true).shows()
	})
}

func TestMissedCallsOutliveTheProgram(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		called := time.Now()
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		after(20 * time.Second)
		h.Gone("c1")
		after(time.Hour)
		h.restart()
		d := h.desk(alice, "study", true)
		d.shows("missed c1")
		if !d.at.Equal(called) {
			t.Errorf("a call that was made at %v is told as of %v", called, d.at)
		}
		h.restart()
		h.desk(alice, "study", true).shows()
		h.left(1)
	})
}

func TestOfManyMissedCallsTheLatestAreKept(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		var want []string
		for i := range maxMissed + 5 {
			conv := fmt.Sprint("c", i)
			h.comes(conv, l, time.Minute)
			after(20 * time.Second)
			h.Gone(conv)
			after(time.Minute)
			if i >= 5 {
				want = append(want, "missed "+conv)
			}
		}
		after(time.Hour)
		if all, err := h.loadCalls(t.Context()); err != nil || len(all) != maxMissed {
			t.Errorf("a start looks at %d calls, want %d; %v", len(all), maxMissed, err)
		}
		h.restart()
		h.desk(alice, "study", true).shows(want...)
	})
}

func TestNoticesAreMergedWhenCallsRepeat(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		calls := func() {
			h.comes("c1", l, time.Minute)
			after(20 * time.Second)
			h.Gone("c1")
			after(time.Minute)
		}
		calls()
		h.left(1)
		h.hears("c1", call.Opened, call.Unknown)
		calls()
		h.hears("c1", call.Opened, call.Unknown) // true: he has been left word a moment ago
		calls()
		h.comes("c2", l, time.Minute) // another reader is told of at once
		h.left(1)
		after(15 * time.Minute)
		h.left(2)
		calls()
		h.left()
		h.comes("c1", l, time.Minute)
		h.Input(alice, "study")
		d := h.desk(alice, "study", true)
		d.lastCall()
		h.Join(alice, "study", "c1") // he talks with him: no more notices about that
		after(time.Hour)
		h.left()
	})
}

func TestTheNoticeOfManyCallsKnowsTheFirstAndTheLast(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.postOffice(false)
		l := h.link(alice, "Roof")
		var began []time.Time
		for range 3 {
			began = append(began, time.Now())
			h.comes("c1", l, time.Minute)
			after(20 * time.Second)
			h.Gone("c1")
			after(time.Minute)
		}
		h.postOffice(true)
		after(5 * time.Minute)
		h.mu.Lock()
		if w := h.words; len(w) != 1 || w[0].Calls != 3 || !w[0].At.Equal(began[0]) || !w[0].Last.Equal(began[2]) {
			t.Errorf("the notices: %+v", w)
		}
		h.mu.Unlock()
	})
}

func TestWordThatFailsIsTriedAgain(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.postOffice(false)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		after(10 * time.Minute)
		h.hears("c1", call.Opened) // nothing is said that is not true
		h.left()
		h.postOffice(true)
		after(5 * time.Minute)
		h.hears("c1", call.Unknown)
		h.left(1)
		after(time.Hour)
		h.left()
	})
}

func TestWordThatWasDueIsLeftByTheNextStart(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.postOffice(false)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		after(20 * time.Second)
		h.Gone("c1")
		after(time.Minute)
		h.left()
		h.postOffice(true)
		h.restart()
		h.left(1)
		h.restart()
		after(time.Hour)
		h.left()

		h.postOffice(false)
		h.comes("c9", h.link(bob, "Roof"), time.Minute)
		after(20 * time.Second)
		h.Gone("c9")
		after(time.Minute)
		h.desk(bob, "study", true).shows("missed c9") // that he was shown it makes the word no less due
		h.postOffice(true)
		h.restart()
		h.left(1)

		h.comes("c1", l, time.Minute) // word was left of it an hour ago, by the clock of SQL
		h.left(1)
		h.restart()
		h.comes("c1", l, time.Minute)
		after(time.Minute)
		h.left()
	})
}

func TestACallThatTheProgramsEndCutOff(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.desk(alice, "study", false)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		h.comes("c2", l, 0) // nobody knows yet what it is
		after(time.Second)
		h.hears("c1", call.Opened, call.Ringing)
		h.restart()
		after(20 * time.Second)
		h.left()
		after(10 * time.Second) // nobody came back
		h.left(1)
		h.desk(alice, "study", true).shows("missed c1")

		h.comes("c3", l, time.Minute)
		h.hears("c3", call.Opened, call.Ringing)
		h.restart()
		d := h.desk(alice, "study", true)
		d.shows()
		h.comes("c3", l, time.Minute) // his page comes back by itself
		h.hears("c3", call.Ringing)
		d.shows("visit c3", "ring c3")
		d.answers()
		h.hears("c3", call.Answered)
		after(time.Hour)
		h.left()
		h.restart()
		if _, ok := h.State("c3"); ok {
			t.Error("a call that was answered is taken up")
		}
	})
}

func TestOneDoorHasRoomForSoMany(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.desk(alice, "study", true)
		first := h.link(alice, "Roof")
		h.comes("a0", first, time.Minute)
		h.hears("a0", call.Opened, call.Ringing)
		for i := range maxOfLink + 4 { // one link cannot fill the door
			h.comes(fmt.Sprint("a", i+1), first, time.Minute)
		}
		h.hears(fmt.Sprint("a", maxOfLink), call.Noticed)
		h.left(1) // the first is told of at once
		second := h.link(alice, "Wall")
		for i := range maxVisits - maxOfLink {
			h.comes(fmt.Sprint("b", i), second, time.Minute)
		}
		h.hears("b49", call.Opened)
		third := h.link(alice, "Door")
		h.comes("c0", third, time.Minute)
		h.hears("c0", call.Noticed) // true: he has been left word of the crowd a moment ago
		h.comes("c0", third, time.Minute)
		h.hears("c0", call.Noticed) // as often as he asks
		h.left()
		if s, ok := h.State("c0"); ok {
			t.Errorf("nothing rings for him, yet he is %s", s)
		}
		for i := range maxOfLink {
			h.Answer(alice, "study", h.callOf(fmt.Sprint("a", i)))
			h.Gone(fmt.Sprint("a", i))
		}
		after(20 * time.Second)
		h.comes("c0", third, time.Minute)
		h.hears("c0", call.Opened) // there is room again; another one is ringing
		h.Answer(alice, "study", h.callOf("c0"))
		for i := range maxVisits - maxOfLink {
			h.Answer(alice, "study", h.callOf(fmt.Sprint("b", i)))
		}
		h.postOffice(false)
		h.left()
		h.restart()
		h.postOffice(true)
		after(16 * time.Minute)
		h.left(4) // the others of the first link; with c0 she has talked
	})
}

// callOf is the id of a conversation's call.
func (h *house) callOf(conv string) (id string) {
	h.t.Helper()
	synctest.Wait()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT id FROM chbroker_call WHERE conv = ? AND over = 0`, conv).Scan(&id)
	}); err != nil {
		h.t.Errorf("no open call of %s: %v", conv, err)
	}
	return id
}

func TestASlowDatabaseHoldsUpNoCall(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		writing, done := make(chan struct{}), make(chan error, 1)
		go func() {
			done <- h.db.Update(t.Context(), func(*sqldb.Tx) error { <-writing; return nil })
		}()
		h.comes("c1", l, time.Minute)
		d.shows("visit c1", "ring c1")
		h.hears("c1", call.Opened) // more would be a promise that the program's end breaks
		if s, ok := h.State("c1"); !ok || s != call.Opened {
			t.Errorf("who reconnects is told %q %v", s, ok)
		}
		d.answers()
		h.hears("c1", call.Ringing, call.Answered)
		h.comes("c2", l, time.Minute)
		d.shows("visit c2", "ring c2")
		h.hears("c2", call.Opened)
		close(writing)
		if err := <-done; err != nil {
			t.Error(err)
		}
		h.hears("c2", call.Ringing)
	})
}
