package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/delivery"
	"chmail/internal/sqldb"
)

// waits lists who waits, page by page.
func (o *office) waits(f delivery.Filter) (all []delivery.Waiting) {
	o.t.Helper()
	for after := int64(0); ; {
		p, err := o.Waiting(o.t.Context(), f, after)
		if err != nil {
			o.t.Fatal(err)
		}
		all = append(all, p.Waiting...)
		if after = p.Next; after == 0 {
			return all
		}
	}
}

// do has an administrator do something, page by page, and returns what became of it.
func (o *office) do(act delivery.Act, f delivery.Filter) (sum delivery.Done) {
	o.t.Helper()
	for after := int64(0); ; {
		d, err := o.Do(o.t.Context(), act, f, after)
		if err != nil {
			o.t.Fatal(err)
		}
		sum.Changed, sum.InWork, sum.Already, sum.Held, sum.Kept = sum.Changed+d.Changed, sum.InWork+d.InWork, sum.Already+d.Already, sum.Held+d.Held, sum.Kept+d.Kept
		sum.Pardoned, sum.Holds, sum.Stopped = sum.Pardoned || d.Pardoned, sum.Holds || d.Holds, append(sum.Stopped, d.Stopped...)
		if after = d.Next; after == 0 {
			return sum
		}
	}
}

// down has a host be unreachable.
func (o *office) down(name string) {
	o.with(name, func(h *host) {
		h.down = func() *delivery.Verdict {
			return &delivery.Verdict{Enhanced: [3]int{4, 4, 1}, Text: "connection refused", Temporary: true}
		}
	})
}

func TestAnAdministratorSeesWhyAMailIsStillHere(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		began := time.Now()
		o.refuses("one.test", 451, "greylisted")
		id := o.mail("bob@one.test", "carla@one.test")
		o.mail("dora@two.test")
		after(6 * time.Minute)
		all := o.waits(delivery.Filter{ID: id})
		if len(all) != 2 || all[0].To != "bob@one.test" || all[0].From != alice || all[0].Login != alice || all[0].Destination != "one.test" || all[0].Tries != 2 {
			t.Fatalf("who waits: %+v", all)
		}
		w := all[0]
		if !w.At.Equal(began) || !w.Until.Equal(began.Add(5*24*time.Hour)) || !w.Next.After(time.Now()) || w.Last == nil || w.Last.N != 2 || w.Last.Text != "greylisted" {
			t.Errorf("bob: %+v, last %+v", w, w.Last)
		}
		tries, err := o.Attempts(t.Context(), w.Number)
		if err != nil || len(tries) != 2 || !tries[0].At.Equal(began) || tries[0].Code != 451 || tries[0].Status != "4.1.1" || tries[0].Remote != "mx [192.0.2.1]" {
			t.Errorf("what was tried: %+v, %v", tries, err)
		}
		if _, err := o.Waiting(t.Context(), delivery.Filter{ID: "nosuchmail12"}, 0); !errors.Is(err, ErrNotQueued) {
			t.Errorf("a mail that is not here: %v", err)
		}
		if _, err := o.Do(t.Context(), delivery.Drop, delivery.Filter{ID: "nosuchmail12"}, 0); !errors.Is(err, ErrNotQueued) {
			t.Errorf("a mail that is not here, dropped: %v", err)
		}
		if _, err := o.Do(t.Context(), "shred", delivery.Filter{}, 0); err == nil {
			t.Error("what the queue cannot do was done")
		}
	})
}

func TestAFilterChoosesByLoginRecipientDestinationAndAge(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		for _, h := range []string{"one.test", "two.test"} {
			o.refuses(h, 451, "later")
		}
		o.mail("Bob@one.test", "carla@two.test")
		after(time.Hour)
		o.notice("dora@two.test")
		synctest.Wait()
		if d := o.do(delivery.Hold, delivery.Filter{To: "carla@two.test"}); d.Changed != 1 {
			t.Errorf("held: %+v", d)
		}
		for want, f := range map[string]delivery.Filter{
			"Bob@one.test carla@two.test dora@two.test": {},
			"Bob@one.test carla@two.test":               {Login: alice},
			"Bob@one.test":                              {To: "bob@ONE.test"},
			"carla@two.test dora@two.test":              {To: "TWO.test"},
			"dora@two.test":                             {Destination: "two.test", To: "dora@two.test"},
			"carla@two.test":                            {Held: true},
			"Bob@one.test carla@two.test ":              {Before: time.Now().Add(-time.Minute)},
		} {
			var got []string
			for _, w := range o.waits(f) {
				got = append(got, w.To)
			}
			if strings.Join(got, " ") != strings.TrimSpace(want) {
				t.Errorf("%+v chooses %v", f, got)
			}
		}
	})
}

func TestWhatIsHeldWaitsUntilItIsReleased(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		id := o.mail("bob@one.test")
		synctest.Wait()
		if d := o.do(delivery.Hold, delivery.Filter{ID: id}); d.Changed != 1 {
			t.Errorf("held: %+v", d)
		}
		if d := o.do(delivery.Hold, delivery.Filter{ID: id}); d.Already != 1 || d.Changed != 0 {
			t.Errorf("held again: %+v", d)
		}
		o.accepts("one.test")
		if d := o.do(delivery.Retry, delivery.Filter{}); d.Held != 1 || d.Changed != 0 {
			t.Errorf("tried though it is held: %+v", d)
		}
		after(24 * time.Hour)
		o.gets("one.test")
		if w := o.waits(delivery.Filter{Held: true}); len(w) != 1 || w[0].Held != "by an administrator" {
			t.Errorf("held: %+v", w)
		}
		o.restart()
		if d := o.do(delivery.Release, delivery.Filter{ID: id}); d.Changed != 1 {
			t.Errorf("released: %+v", d)
		}
		synctest.Wait()
		o.gets("one.test", "bob@one.test")
		o.empty()
	})
}

func TestARetryGoesOutAtOnceThoughItsDestinationIsLeftAlone(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.down("one.test")
		o.mail("bob@one.test")
		synctest.Wait()
		id := o.mail("carla@one.test") // it waits without an attempt of its own
		o.accepts("one.test")
		synctest.Wait()
		o.gets("one.test")
		if d := o.do(delivery.Retry, delivery.Filter{ID: id}); d.Changed != 1 {
			t.Errorf("to be tried: %+v", d)
		}
		synctest.Wait()
		o.gets("one.test", "carla@one.test")
		if d := o.do(delivery.Retry, delivery.Filter{Destination: "one.test"}); d.Changed != 1 {
			t.Errorf("to be tried: %+v", d)
		}
		synctest.Wait()
		o.gets("one.test", "bob@one.test", "carla@one.test")
		o.empty()
	})
}

func TestWhatIsGivenUpGoesBackAndWhatIsDroppedIsGone(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		id := o.mail("bob@one.test", "carla@one.test", "dora@one.test")
		synctest.Wait()
		o.do(delivery.Hold, delivery.Filter{To: "carla@one.test"})
		if d := o.do(delivery.Fail, delivery.Filter{ID: id, To: "bob@one.test"}); d.Changed != 1 {
			t.Errorf("given up: %+v", d)
		}
		told := o.told(alice)
		if len(told) != 1 || !strings.Contains(told[0], "Final-Recipient: rfc822; bob@one.test\r\nAction: failed\r\nStatus: 5.0.0") || strings.Contains(told[0], "carla@") || !strings.Contains(told[0], "given it up") {
			t.Errorf("told %q", told)
		}
		if d := o.do(delivery.Fail, delivery.Filter{Held: true}); d.Changed != 1 { // what is held as well
			t.Errorf("given up: %+v", d)
		}
		if d := o.do(delivery.Drop, delivery.Filter{}); d.Changed != 1 {
			t.Errorf("dropped: %+v", d)
		}
		if told = o.told(alice); len(told) != 2 {
			t.Errorf("%d reports", len(told))
		}
		o.empty()
	})
}

func TestAMailWhoseReportCannotBeWrittenIsNotGivenUp(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		id := o.mail("bob@one.test")
		synctest.Wait()
		o.mu.Lock()
		o.broken = errors.New("the disk is full")
		o.mu.Unlock()
		if d := o.do(delivery.Fail, delivery.Filter{ID: id}); d.Changed != 0 || d.Kept != 1 {
			t.Errorf("given up: %+v", d)
		}
		o.mu.Lock()
		o.broken = nil
		o.mu.Unlock()
		if d := o.do(delivery.Fail, delivery.Filter{ID: id}); d.Changed != 1 || len(o.told(alice)) != 1 {
			t.Errorf("given up: %+v, told %q", d, o.told(alice))
		}
		o.empty()
	})
}

func TestWhoIsOnHisWayIsLeftAlone(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("slow.test", func(h *host) { h.wait = 10 * time.Second })
		id := o.mail("bob@slow.test")
		synctest.Wait()
		if w := o.waits(delivery.Filter{}); len(w) != 1 || !w[0].InWork {
			t.Errorf("on his way: %+v", w)
		}
		for _, act := range []delivery.Act{delivery.Retry, delivery.Hold, delivery.Release, delivery.Fail, delivery.Drop} {
			if d := o.do(act, delivery.Filter{ID: id}); d.InWork != 1 || d.Changed != 0 {
				t.Errorf("%s: %+v", act, d)
			}
		}
		after(11 * time.Second)
		o.gets("slow.test", "bob@slow.test")
		if n := len(o.told(alice)); n != 0 {
			t.Errorf("%d reports", n)
		}
		o.empty()
	})
}

func TestALoginsMailGoesAgainWhenAllOfItIsReleased(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		id := o.mail("a@one.test", "b@one.test", "c@one.test")
		o.mail("d@one.test")
		synctest.Wait()
		o.gets("one.test")
		if d := o.do(delivery.Release, delivery.Filter{ID: id}); d.Changed != 3 || d.Pardoned || !slices.Equal(d.Stopped, []string{alice}) {
			t.Errorf("a part is released: %+v", d)
		}
		synctest.Wait()
		o.gets("one.test", "a@one.test", "b@one.test", "c@one.test")
		if d := o.do(delivery.Release, delivery.Filter{Login: alice}); d.Changed != 1 || !d.Pardoned || d.Stopped != nil {
			t.Errorf("all is released: %+v", d)
		}
		o.mail("e@one.test")
		synctest.Wait()
		o.gets("one.test", "a@one.test", "b@one.test", "c@one.test", "d@one.test", "e@one.test")
	}, func(o *Options) { o.Caps = Caps{Recipients: 2, Strangers: -1} })
}

func TestAnAdministratorHoldsWhatALoginSubmitsLater(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		if d := o.do(delivery.Hold, delivery.Filter{Login: alice}); d.Changed != 0 || !d.Holds {
			t.Errorf("held: %+v", d)
		}
		if d := o.do(delivery.Hold, delivery.Filter{Login: alice}); d.Holds {
			t.Errorf("held again: %+v", d)
		}
		o.mail("a@one.test")
		o.restart()
		o.mail("b@one.test")
		synctest.Wait()
		o.gets("one.test")
		for login, want := range map[string]int{"": 1, alice: 1, "dora@example.org": 0} {
			p, err := o.Waiting(t.Context(), delivery.Filter{Login: login}, 0)
			if err != nil || len(p.Stopped) != want || want > 0 && (p.Stopped[0].Login != alice || p.Stopped[0].Why != byAdministrator || p.Stopped[0].At.IsZero()) {
				t.Errorf("%q: stopped: %+v, %v", login, p.Stopped, err)
			}
		}
		after(time.Minute)
		if told := o.told(postmaster); len(told) != 0 {
			t.Errorf("who has done it is told %q", told)
		}
		if d := o.do(delivery.Hold, delivery.Filter{Login: alice, To: "a@one.test"}); d.Holds || d.Already != 1 {
			t.Errorf("one recipient is held: %+v", d)
		}
		if d := o.do(delivery.Release, delivery.Filter{Login: alice}); d.Changed != 2 || !d.Pardoned {
			t.Errorf("released: %+v", d)
		}
		synctest.Wait()
		o.gets("one.test", "a@one.test", "b@one.test")
		o.mail("c@one.test")
		synctest.Wait()
		o.gets("one.test", "a@one.test", "b@one.test", "c@one.test")
	})
}

func TestAMailToManyIsGivenUpWithOneReport(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		many := func(n int) (all []string) {
			for i := range n {
				all = append(all, fmt.Sprintf("r%d@one.test", i))
			}
			return all
		}
		o.mail(many(30)...)
		o.mail(many(250)...)
		o.mail(many(90)...)
		synctest.Wait()
		if d := o.do(delivery.Fail, delivery.Filter{}); d.Changed != 370 {
			t.Errorf("given up: %+v", d)
		}
		if told := o.told(alice); len(told) != 3 || strings.Count(told[1], "Final-Recipient: ") != 250 {
			t.Errorf("%d reports", len(told))
		}
		o.empty()
	}, func(o *Options) { o.Caps = Caps{Recipients: -1, Strangers: -1} })
}

func TestWhatGoesToAHostThatIsDownWaitsForItsPause(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.down("one.test")
		o.mail("a@one.test")
		synctest.Wait()
		o.mail("b@one.test")
		synctest.Wait()
		for _, w := range o.waits(delivery.Filter{}) {
			if !w.Next.After(time.Now()) {
				t.Errorf("%s is said to be tried at %v, and is not", w.To, w.Next)
			}
		}
	})
}

func TestNothingReadsOrChangesAWholeLongQueueAtOnce(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		const many = 2*step + 10
		o.refuses("one.test", 451, "later")
		if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			for i := range many {
				to := fmt.Sprintf("r%d@one.test", i)
				if _, err := tx.Exec(`INSERT INTO queue_mail (id, qid, message, size, skip, sender, login, ret, envid, flags, at) VALUES (?, ?, 0, 0, 0, '', ?, '', '', 0, ?)`, i+1, to, alice, time.Now()); err != nil {
					return err
				}
				if _, err := tx.Exec(`INSERT INTO queue_rcpt (mail, address, notify, orcpt, destination, next) VALUES (?, ?, '', '', 'one.test', ?)`, i+1, to, time.Now().Add(time.Hour)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		p, err := o.Waiting(t.Context(), delivery.Filter{To: "r2005@one.test"}, 0)
		if err != nil || len(p.Waiting) != 0 || p.Next == 0 {
			t.Errorf("the first page: %d, next %d, %v", len(p.Waiting), p.Next, err)
		}
		if all := o.waits(delivery.Filter{To: "r2005@one.test"}); len(all) != 1 {
			t.Errorf("found %+v", all)
		}
		if d, err := o.Do(t.Context(), delivery.Hold, delivery.Filter{}, 0); err != nil || d.Changed != step || d.Next == 0 {
			t.Errorf("the first page is held: %+v, %v", d, err)
		}
		if d := o.do(delivery.Hold, delivery.Filter{}); d.Changed != many-step || d.Already != step {
			t.Errorf("all is held: %+v", d)
		}
		if d := o.do(delivery.Drop, delivery.Filter{Held: true}); d.Changed != many {
			t.Errorf("dropped: %+v", d)
		}
	})
}
