package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/delivery"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// clumsy is a post office whose reports fail in one way or another, as long as it is told to.
type clumsy struct {
	*office
	faults
}

type faults struct {
	deliver error // at the delivery, within the transaction
	prepare error
	panics  bool
}

// breaks has the reports fail so from now on.
func (c *clumsy) breaks(f faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = f
}

func (c *clumsy) now() faults {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
}

type clumsyParcel struct {
	Parcel
	c *clumsy
}

func (p clumsyParcel) Deliver(tx *sqldb.Tx) error {
	return errors.Join(p.c.now().deliver, p.Parcel.Deliver(tx))
}

func (c *clumsy) Prepare(ctx context.Context, to string, since time.Time, raw io.Reader) (Parcel, error) {
	f := c.now()
	if f.panics {
		panic("a mail that breaks it")
	}
	if f.prepare != nil {
		return nil, f.prepare
	}
	p, err := c.office.Prepare(ctx, to, since, raw)
	return clumsyParcel{p, c}, err
}

// inClumsyOffice is a story with such a post office.
func inClumsyOffice(t *testing.T, f func(t *testing.T, o *office, c *clumsy)) {
	t.Helper()
	c := &clumsy{}
	inOffice(t, func(t *testing.T, o *office) {
		c.office = o
		f(t, o, c)
	}, func(o *Options) { o.Post = c })
}

func TestAMailIsNotSentAgainForAReportThatFails(t *testing.T) {
	for name, broken := range map[string]faults{
		"at its delivery":  {deliver: errors.New("the maildrop is broken")},
		"before it":        {prepare: errors.New("the spool is broken")},
		"for a full disk":  {prepare: message.Refuse(452, [3]int{4, 3, 1}, "no storage left")},
		"in the last step": {deliver: message.Refuse(452, [3]int{4, 2, 2}, "the maildrop is full")},
		"by a panic":       {panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			inClumsyOffice(t, func(t *testing.T, o *office, c *clumsy) {
				c.breaks(broken)
				o.with("one.test", func(h *host) {
					h.says = func(_ delivery.Mail, to string) delivery.Verdict {
						if to == "ghost@one.test" {
							return verdict(550, "no such user")
						}
						return verdict(250, "taken")
					}
				})
				o.mail("bob@one.test", "ghost@one.test")
				after(4 * time.Hour)
				o.gets("one.test", "bob@one.test")
				if told := o.told(postmaster); len(told) != 0 {
					t.Errorf("somebody else's report went to the postmaster: %q", told)
				}
				c.breaks(faults{})
				after(4 * time.Hour)
				if told := o.told(alice); len(told) != 1 || !strings.Contains(told[0], "550 5.1.1 no such user") {
					t.Errorf("told %q", told)
				}
				o.empty()
			})
		})
	}
}

func TestWhoIsToBeToldThatAMailIsLateIsToldWhenThatIsPossible(t *testing.T) {
	inClumsyOffice(t, func(t *testing.T, o *office, c *clumsy) {
		o.refuses("one.test", 451, "greylisted")
		c.breaks(faults{prepare: message.Refuse(452, [3]int{4, 2, 2}, "the maildrop is full")})
		o.mail("bob@one.test")
		after(5 * time.Hour)
		c.breaks(faults{})
		after(9 * time.Hour)
		if told := o.told(alice); len(told) != 1 || !strings.Contains(told[0], "Action: delayed") {
			t.Errorf("told %q", told)
		}
	})
}

// readOnly has the database refuse changes to the queue, or take them again.
func (o *office) readOnly(on bool) {
	o.t.Helper()
	all := []string{`DROP TRIGGER no_delete`, `DROP TRIGGER no_update`}
	if on {
		all = []string{`CREATE TRIGGER no_delete BEFORE DELETE ON queue_rcpt BEGIN SELECT RAISE(ABORT, 'full'); END`,
			`CREATE TRIGGER no_update BEFORE UPDATE ON queue_rcpt BEGIN SELECT RAISE(ABORT, 'full'); END`}
	}
	if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error {
		for _, q := range all {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		o.t.Fatal(err)
	}
}

func TestWhatBecameOfAMailIsWrittenDownWhenTheDiskHasRoomAgain(t *testing.T) {
	for name, ends := range map[string]bool{"the program goes on": false, "the program ends": true} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(t *testing.T, o *office) {
				o.with("one.test", func(h *host) { h.wait = 10 * time.Second })
				o.refuses("two.test", 550, "no such user")
				o.with("two.test", func(h *host) { h.wait = 10 * time.Second })
				o.mail("bob@one.test")
				o.mail("ghost@two.test")
				after(time.Second)
				o.readOnly(true)
				after(time.Minute)
				o.readOnly(false)
				if ends {
					o.restart()
				}
				after(time.Hour)
				o.gets("one.test", "bob@one.test")
				if told := o.told(alice); len(told) != 1 || !strings.Contains(told[0], "no such user") {
					t.Errorf("told %q", told)
				}
				o.empty()
			})
		})
	}
}

func TestAnEndThatCanNeverBeWrittenDownKeepsNoOtherFromIt(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("one.test", func(h *host) { h.wait = 10 * time.Second })
		o.mail("stuck@one.test")
		o.mail("bob@one.test")
		after(time.Second)
		change := func(query string) {
			if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(query)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		change(`CREATE TRIGGER stuck BEFORE DELETE ON queue_rcpt BEGIN SELECT RAISE(ABORT, 'damaged') WHERE OLD.address = 'stuck@one.test'; END`)
		o.readOnly(true)
		after(time.Minute)
		o.readOnly(false)
		after(time.Minute)
		if n := o.number(`SELECT count(*) FROM queue_rcpt WHERE address = 'bob@one.test'`); n != 0 {
			t.Error("what became of bob's mail waits for another's")
		}
		change(`DROP TRIGGER stuck`)
	})
}

func TestAMailThatBreaksTheProgramKeepsNobodyWaiting(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("one.test", func(h *host) {
			h.says = func(_ delivery.Mail, to string) delivery.Verdict {
				if to == "poison@one.test" {
					o.mu.Unlock()
					defer o.mu.Lock()
					panic("a mail that breaks it")
				}
				return verdict(250, "taken")
			}
		})
		o.mail("poison@one.test")
		for i := range 5 {
			o.mail(fmt.Sprintf("r%d@one.test", i))
		}
		after(time.Hour)
		o.gets("one.test", "r0@one.test", "r1@one.test", "r2@one.test", "r3@one.test", "r4@one.test")
		after(6 * 24 * time.Hour)
		if told := o.told(alice); len(told) == 0 || !strings.Contains(told[len(told)-1], "Action: failed") {
			t.Errorf("told %q", told)
		}
		o.empty()
	})
}

// broken signs after some panics.
type broken struct {
	signer
	panics int
}

func (b *broken) Sign(ctx context.Context, m message.Source) ([]byte, error) {
	if b.panics--; b.panics >= 0 {
		panic("a mail that breaks it")
	}
	return b.signer.Sign(ctx, m)
}

func TestNothingGoesOutUnsignedForAPanic(t *testing.T) {
	s := &broken{panics: 2}
	inOffice(t, func(t *testing.T, o *office) {
		o.mail("bob@one.test", "carla@two.test")
		after(time.Hour)
		for _, name := range []string{"one.test", "two.test"} {
			o.with(name, func(h *host) {
				if len(h.content) != 1 || !strings.HasPrefix(h.content[0], "DKIM-Signature: 1\r\n") {
					t.Errorf("%s got %q", name, h.content)
				}
			})
		}
		o.empty()
	}, func(o *Options) { o.Signer = s })
}

func TestTheRecipientsOfAMailStayTogether(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("grey.test", 451, "greylisted")
		var to []string
		for i := range 90 {
			to = append(to, fmt.Sprintf("r%d@grey.test", i))
		}
		o.mail(to...)
		after(time.Minute)
		o.accepts("grey.test")
		after(30 * time.Minute)
		o.with("grey.test", func(h *host) {
			if len(h.got) != 90 || len(h.content) != 2 {
				t.Errorf("%d recipients by %d transfers", len(h.got), len(h.content)-1)
			}
		})
	})
}

func TestADamagedRowStopsNobodyElse(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		o.mail("a@one.test", "b@one.test")
		synctest.Wait()
		if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE queue_rcpt SET address = 'no address' WHERE address = 'a@one.test'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		o.accepts("one.test")
		o.restart()
		after(time.Hour)
		o.gets("one.test", "b@one.test")
		if w := o.waits(delivery.Filter{Held: true}); len(w) != 1 || w[0].Held != "its address cannot be read" {
			t.Errorf("held: %+v", w)
		}
		if d := o.do(delivery.Drop, delivery.Filter{}); d.Changed != 1 {
			t.Errorf("dropped: %+v", d)
		}
		o.empty()
	})
}

func TestNobodyWaitsForAHostThatIsDownLongerThanHeMay(t *testing.T) {
	const many = 60
	inOffice(t, func(t *testing.T, o *office) {
		o.down("down.test")
		for i := range many {
			o.mail(fmt.Sprintf("r%d@down.test", i))
		}
		after(4*time.Hour + 16*time.Minute)
		if told := o.told(alice); len(told) != many {
			t.Errorf("%d of %d are told that their mail is late", len(told), many)
		}
		after(5*24*time.Hour - 4*time.Hour)
		if told := o.told(alice); len(told) != 2*many || !strings.Contains(told[2*many-1], "Action: failed") {
			t.Errorf("%d reports", len(told))
		}
		o.empty()
	})
}

func TestWhatACrashedProgramHadInWorkIsSent(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		o.mail("a@one.test")
		synctest.Wait()
		// A program that was killed has given nothing back.
		if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE queue_rcpt SET owner = 77`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		o.accepts("one.test")
		o.restart()
		after(time.Hour)
		o.gets("one.test", "a@one.test")
		o.empty()
	})
}

func TestALineThatHasEndedMeanwhileCostsNoAttempt(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.mail("a@one.test")
		synctest.Wait()
		stale := true
		o.with("one.test", func(h *host) {
			h.says = func(delivery.Mail, string) delivery.Verdict {
				if stale {
					stale = false
					return delivery.Verdict{Enhanced: [3]int{4, 4, 2}, Text: "the line has ended", Temporary: true, Stale: true}
				}
				return verdict(250, "taken")
			}
		})
		o.mail("b@one.test")
		synctest.Wait()
		o.gets("one.test", "a@one.test", "b@one.test")
		o.empty()
	})
}

func TestADestinationThatIsDownIsNotLeftAloneForLongerThanTheLadderSays(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.down("one.test")
		o.mail("bob@one.test")
		synctest.Wait()
		o.accepts("one.test")
		after(3 * time.Second)
		o.gets("one.test", "bob@one.test")
		o.empty()
	}, func(o *Options) { o.Times.Retry = []time.Duration{time.Second, 2 * time.Second} })
}

func TestAnAdministratorLooksAtAMailWhoseReportCanNeverBeDelivered(t *testing.T) {
	inClumsyOffice(t, func(t *testing.T, o *office, c *clumsy) {
		asked := 0
		o.with("one.test", func(h *host) {
			h.says = func(delivery.Mail, string) delivery.Verdict {
				asked++
				return verdict(550, "no such user")
			}
		})
		c.breaks(faults{panics: true})
		o.mail("ghost@one.test")
		after(7 * 24 * time.Hour)
		w := o.waits(delivery.Filter{Held: true})
		if len(w) != 1 || !strings.HasPrefix(w[0].Held, "no report about it") || asked > 6*24/4+6 {
			t.Errorf("asked %d times; held: %+v", asked, w)
		}
		c.breaks(faults{})
		if d := o.do(delivery.Release, delivery.Filter{}); d.Changed != 1 {
			t.Errorf("released: %+v", d)
		}
		after(time.Minute)
		if told := o.told(alice); len(told) != 1 {
			t.Errorf("told %q", told)
		}
		o.empty()
	})
}

// TestAMaildropThatIsFullOfReportsGetsNoMore: neither does the postmaster get them, nor is the mail tried again.
func TestAMaildropThatIsFullOfReportsGetsNoMore(t *testing.T) {
	inClumsyOffice(t, func(t *testing.T, o *office, c *clumsy) {
		o.refuses("one.test", 550, "no such user")
		c.breaks(faults{prepare: message.Refuse(552, [3]int{5, 2, 2}, "the mailbox is full")})
		o.mail("ghost@one.test")
		o.mu.Lock()
		o.gone["carol@example.com"] = true // of whom the postmaster is told, were there room
		o.mu.Unlock()
		o.send(message.Params{}, "carol@example.com", "ghost@one.test")
		after(time.Hour)
		if told := append(o.told(alice), o.told(postmaster)...); len(told) != 0 {
			t.Errorf("told %q", told)
		}
		o.empty()
	})
}

func TestAMailThatIsHeldOnItsWayStaysIfItDoesNotArrive(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		o.with("one.test", func(h *host) { h.wait = 30 * time.Second })
		o.mail("bob@one.test")
		after(5 * time.Second)
		for _, act := range []delivery.Act{delivery.Hold, delivery.Release, delivery.Hold} {
			if d := o.do(act, delivery.Filter{}); d.InWork != 1 || d.Changed != 0 {
				t.Errorf("%s: %+v", act, d)
			}
			want := map[delivery.Act]string{delivery.Hold: byAdministrator}[act]
			if w := o.waits(delivery.Filter{}); len(w) != 1 || w[0].Held != want {
				t.Errorf("after %s: %+v", act, w)
			}
		}
		after(time.Minute)
		o.accepts("one.test")
		after(2 * time.Hour)
		if w := o.waits(delivery.Filter{Held: true}); len(w) != 1 || w[0].Held != byAdministrator || len(o.got("one.test")) != 0 {
			t.Errorf("held: %+v; delivered: %v", w, o.got("one.test"))
		}
		o.do(delivery.Release, delivery.Filter{})
		after(2 * time.Minute)
		o.gets("one.test", "bob@one.test")
		o.empty()
	})
}

func TestADamagedSenderKeepsNoOtherMail(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.down("one.test")
		o.mail("bob@one.test")
		o.mail("carla@one.test")
		synctest.Wait()
		if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE queue_mail SET sender = 'a b c' WHERE id = 1`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		o.accepts("one.test")
		after(time.Hour)
		o.gets("one.test", "carla@one.test")
		if w := o.waits(delivery.Filter{Held: true}); len(w) != 1 || w[0].Held != "its sender cannot be read" {
			t.Errorf("held: %+v", w)
		}
		if d := o.do(delivery.Fail, delivery.Filter{}); d.Kept != 1 {
			t.Errorf("given up: %+v", d)
		}
		o.do(delivery.Drop, delivery.Filter{})
		o.empty()
	})
}

// TestManyWhoNeedNotBeToldThatTheyAreLate: looking for them comes to an end.
func TestManyWhoNeedNotBeToldThatTheyAreLate(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.down("one.test")
		for i := range 12 {
			var to []string
			var p message.Params
			for n := range 100 {
				to = append(to, fmt.Sprintf("r%d-%d@one.test", i, n))
				p.Rcpt = append(p.Rcpt, message.RcptParam{Notify: "FAILURE"})
			}
			o.send(p, alice, to...)
		}
		after(40 * time.Minute)
		if n, tries := o.number(`SELECT count(*) FROM queue_rcpt WHERE told = 1`), o.number(`SELECT max(tries) FROM queue_rcpt`); n != 1200 || tries > 10 {
			t.Errorf("%d of 1200 are known to be late; tried %d times", n, tries)
		}
		if told := o.told(alice); len(told) != 0 {
			t.Errorf("%d reports", len(told))
		}
		o.accepts("one.test")
		after(time.Hour)
		o.empty()
	}, func(o *Options) { o.Times.Late = 10 * time.Minute })
}
