package queue

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/sqldb"
)

func TestWhoSendsMoreThanAPersonDoesIsHeld(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		for range 3 {
			for i := range 10 {
				o.mail(fmt.Sprintf("friend%d@one.test", i)) // to the same ten
			}
		}
		synctest.Wait()
		if got := o.got("one.test"); len(got) != 30 {
			t.Fatalf("%d mails to known people went", len(got))
		}
		o.refuses("slow.test", 451, "later")
		o.with("slow.test", func(h *host) { h.wait = time.Second / 2 }) // it is on its way when the rest is held, and does not arrive
		o.mail("friend@slow.test")
		synctest.Wait()
		for i := range 20 {
			o.mail(fmt.Sprintf("stranger%d@one.test", i))
		}
		after(time.Second)
		if got := o.got("one.test"); len(got) != 38 { // friend@slow.test was new as well
			t.Errorf("%d mails went", len(got))
		}
		if n := o.number(`SELECT count(*) FROM queue_rcpt WHERE held <> ''`); n != 13 {
			t.Errorf("%d recipients are held, with the one that waited", n)
		}
		told := o.told(postmaster)
		if len(told) != 1 || !strings.Contains(told[0], alice) || !strings.Contains(told[0], "more than 19 recipients") || !strings.Contains(told[0], "chmail queue release --login "+alice) {
			t.Errorf("the postmaster is told %q", told)
		}
		o.mail("friend1@one.test")
		after(48 * time.Hour) // the next day changes nothing
		if got := o.got("one.test"); len(got) != 38 {
			t.Errorf("%d mails went", len(got))
		}
		if n := len(o.told(postmaster)); n != 1 {
			t.Errorf("the postmaster is told %d times", n)
		}
		if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error { return Pardon(tx, alice) }); err != nil {
			t.Fatal(err)
		}
		o.mail("friend2@one.test")
		synctest.Wait()
		if got := o.got("one.test"); len(got) != 39 {
			t.Errorf("after the pardon %d mails went", len(got))
		}
	}, func(o *Options) { o.Caps = Caps{Strangers: 19} })
}

func TestADaysRecipientsAreCounted(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		for day := range 3 {
			for range 5 {
				o.mail("bob@one.test")
			}
			synctest.Wait()
			if got := o.got("one.test"); len(got) != 5*(day+1) {
				t.Errorf("day %d: %d mails went", day, len(got))
			}
			after(24 * time.Hour)
		}
		o.mail("bob@one.test", "carla@one.test", "dora@one.test")
		synctest.Wait()
		o.mail("bob@one.test", "carla@one.test", "dora@one.test")
		synctest.Wait()
		if got := o.got("one.test"); len(got) != 18 {
			t.Errorf("%d mails went", len(got))
		}
		after(2 * time.Hour)
		if n := o.number(`SELECT count(*) FROM queue_day`); n > 2 {
			t.Errorf("%d days are kept", n)
		}
	}, func(o *Options) { o.Caps = Caps{Recipients: 5} })
}

func TestNobodyHoldsTheSystemsOwnMail(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.set = append(o.set, func(o *Options) { o.Caps = Caps{Recipients: 1} })
		o.restart()
		for range 5 {
			o.notice("bob@one.test")
		}
		synctest.Wait()
		if got := o.got("one.test"); len(got) != 5 {
			t.Errorf("%d mails went", len(got))
		}
	})
}

func TestARemovedLoginIsAStrangerToAll(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.mail("bob@one.test", "carla@one.test")
		synctest.Wait()
		if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error { return Remove(tx, alice) }); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"queue_met", "queue_day", "queue_stop"} {
			if n := o.number(`SELECT count(*) FROM ` + table); n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
	}, func(o *Options) { o.Caps = Caps{Strangers: 1} })
}
