package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/delivery"
	"chmail/internal/message"
)

func TestAMailGoesOutAtOnce(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.mail("bob@one.test", "carla@one.test", "dora@two.test")
		synctest.Wait()
		o.gets("one.test", "bob@one.test", "carla@one.test")
		o.gets("two.test", "dora@two.test")
		o.with("one.test", func(h *host) {
			if len(h.content) != 1 || strings.Contains(h.content[0], "Return-Path") || !strings.HasPrefix(h.content[0], "From: ") {
				t.Errorf("it went out as %q", h.content)
			}
		})
		o.empty()
		if n := len(o.told(alice)); n != 0 {
			t.Errorf("%d reports", n)
		}
	})
}

func TestWhoIsNamedTwiceGetsAMailOnce(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.mail("bob@one.test", "carla@one.test", "bob@one.test")
		synctest.Wait()
		o.gets("one.test", "bob@one.test", "carla@one.test")
		o.empty()
	})
}

func TestManyMailsShareALine(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		for i := range 60 {
			o.mail(fmt.Sprintf("r%d@one.test", i))
		}
		synctest.Wait()
		o.with("one.test", func(h *host) {
			if len(h.got) != 60 || h.opened > 5 {
				t.Errorf("%d mails over %d lines", len(h.got), h.opened)
			}
		})
		o.empty()
	})
}

func TestWhatIsRefusedForTheMomentIsTriedByTheLadder(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		began := time.Now()
		var at []time.Duration
		o.with("one.test", func(h *host) {
			h.says = func(delivery.Mail, string) delivery.Verdict {
				at = append(at, time.Since(began))
				return verdict(451, "greylisted")
			}
		})
		o.mail("bob@one.test")
		after(40 * time.Hour)
		o.mu.Lock()
		got := slices.Clone(at)
		o.mu.Unlock()
		want := []time.Duration{0}
		for _, d := range (Times{}).filled().Retry {
			want = append(want, want[len(want)-1]+d)
			if len(want) == 6 { // the sender is told when he should be, not when an attempt happens to be due
				want[5] = 3 * time.Hour
			}
		}
		if len(got) != len(want) {
			t.Fatalf("tried at %v", got)
		}
		for i := range got {
			if got[i] < want[i] || got[i] > want[i]+want[i]/8+time.Duration(i)*time.Minute {
				t.Errorf("attempt %d after %v, not %v", i+1, got[i], want[i])
			}
		}
		told := o.told(alice) // that it is late, once
		if len(told) != 1 || !strings.Contains(told[0], "Action: delayed") || !strings.Contains(told[0], "Will-Retry-Until: ") || !strings.Contains(told[0], "451 4.1.1 greylisted") {
			t.Errorf("told %q", told)
		}
		o.accepts("one.test")
		after(20 * time.Hour)
		o.gets("one.test", "bob@one.test")
		o.empty()
	}, func(o *Options) { o.Times.Late = 3 * time.Hour })
}

func TestAMailThatNobodyTakesInFiveDaysGoesBack(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "not today")
		o.mail("bob@one.test")
		after(5*24*time.Hour + time.Minute)
		told := o.told(alice)
		if len(told) != 2 || !strings.Contains(told[1], "Action: failed") || !strings.Contains(told[1], "Status: 4.4.7") || !strings.Contains(told[1], "\r\nSubject: Offer\r\n") {
			t.Errorf("told %q", told)
		}
		o.empty()
	})
}

func TestARefusedRecipientIsReportedAndTheOthersGetTheMail(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("one.test", func(h *host) {
			h.says = func(_ delivery.Mail, to string) delivery.Verdict {
				if to == "ghost@one.test" {
					return verdict(550, "no such user")
				}
				return verdict(250, "taken")
			}
		})
		o.mail("bob@one.test", "ghost@one.test")
		synctest.Wait()
		o.gets("one.test", "bob@one.test")
		told := o.told(alice)
		if len(told) != 1 || !strings.Contains(told[0], "Final-Recipient: rfc822; ghost@one.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user") || strings.Contains(told[0], "bob@") {
			t.Errorf("told %q", told)
		}
		o.empty()
	})
}

func TestWhoIsToldWhat(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("no.test", 550, "no")
		o.with("old.test", func(h *host) {
			h.says = func(delivery.Mail, string) delivery.Verdict {
				v := verdict(250, "taken")
				v.Relayed = true
				return v
			}
		})
		notify := func(words string) message.Params {
			return message.Params{EnvID: "a+2Bb", Rcpt: []message.RcptParam{{Notify: words, ORcpt: "rfc822;old+2Bname@no.test"}}}
		}
		for _, c := range []struct {
			what, from, to, notify string
			want                   []string // in the report; nil: there is none
		}{
			{"nothing was said", alice, "x@no.test", "", []string{"Action: failed", "Original-Envelope-Id: a+b", "Original-Recipient: rfc822; old+name@no.test"}},
			{"never", alice, "x@no.test", "NEVER", nil},
			{"success alone", alice, "x@no.test", "SUCCESS", nil},
			{"failure", alice, "x@no.test", "DELAY,FAILURE", []string{"Action: failed"}},
			{"a report itself", "", "x@no.test", "", nil},
			{"taken", alice, "x@old.test", "", nil},
			{"taken, and it was asked for", alice, "x@old.test", "SUCCESS", []string{"Action: relayed"}},
		} {
			before := len(o.told(alice))
			o.send(notify(c.notify), c.from, c.to)
			synctest.Wait()
			told := o.told(alice)[before:]
			if (len(told) == 1) != (c.want != nil) || len(told) > 1 {
				t.Errorf("%s: told %q", c.what, told)
			}
			for _, w := range c.want {
				if len(told) == 1 && !strings.Contains(told[0], w) {
					t.Errorf("%s: no %q in %s", c.what, w, told[0])
				}
			}
		}
		o.empty()
	})
}

func TestAReportWhoseReaderIsGoneGoesToThePostmaster(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.gone[alice] = true
		o.refuses("no.test", 550, "no")
		o.mail("x@no.test")
		synctest.Wait()
		if told := o.told(postmaster); len(told) != 1 || len(o.told(alice)) != 0 {
			t.Errorf("told %q", told)
		}
		o.empty()
	})
}

func TestAMailWhoseBytesAreLostIsReported(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("no.test", 451, "later")
		o.mail("x@no.test")
		synctest.Wait()
		o.mu.Lock()
		clear(o.bodies)
		o.mu.Unlock()
		after(6 * 24 * time.Hour)
		if told := o.told(alice); len(told) == 0 || !strings.Contains(told[len(told)-1], "Action: failed") {
			t.Errorf("told %q", told)
		}
		o.empty()
	})
}

func TestAReportThatCannotBeWrittenWaits(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("no.test", func(h *host) {
			h.says = func(_ delivery.Mail, to string) delivery.Verdict {
				if to == "bob@no.test" {
					return verdict(250, "taken")
				}
				return verdict(550, "no")
			}
		})
		o.broken = errors.New("the disk is full")
		o.mail("bob@no.test", "x@no.test")
		synctest.Wait()
		o.gets("no.test", "bob@no.test")
		o.mu.Lock()
		o.broken = nil
		o.mu.Unlock()
		after(time.Hour)
		o.gets("no.test", "bob@no.test") // he has not got it twice
		if told := o.told(alice); len(told) != 1 || strings.Contains(told[0], "bob") {
			t.Errorf("told %q", told)
		}
		o.empty()
		if o.prepared != 0 {
			t.Errorf("%d reports are neither delivered nor thrown away", o.prepared)
		}
	})
}

func TestAHostThatIsDownIsAskedOnceForAllThatWaits(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("down.test", func(h *host) {
			h.down = func() *delivery.Verdict {
				v := verdict(0, "no connection")
				v.Temporary = true
				return &v
			}
		})
		for i := range 200 {
			o.mail(fmt.Sprintf("r%d@down.test", i))
		}
		o.mail("bob@one.test")
		after(30 * time.Second)
		o.gets("one.test", "bob@one.test")
		o.with("down.test", func(h *host) {
			if h.tried > firstLines {
				t.Errorf("asked %d times in half a minute", h.tried)
			}
		})
		after(time.Hour)
		o.with("down.test", func(h *host) {
			if h.tried > 30 {
				t.Errorf("asked %d times in an hour", h.tried)
			}
		})
		o.accepts("down.test")
		after(3 * time.Hour)
		if got := o.got("down.test"); len(got) != 200 {
			t.Errorf("it has got %d of 200", len(got))
		}
		o.empty()
	})
}

func TestHowManyLinesAHostTakesIsLearned(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("slow.test", func(h *host) { h.wait, h.most = time.Second, 3 })
		o.with("fast.test", func(h *host) { h.wait = time.Second })
		for i := range 400 {
			o.mail(fmt.Sprintf("r%d@slow.test", i))
			o.mail(fmt.Sprintf("r%d@fast.test", i))
		}
		after(3 * time.Minute)
		o.with("slow.test", func(h *host) {
			if h.peak != 3 || len(h.got) != 400 {
				t.Errorf("slow: %d lines at most, %d mails", h.peak, len(h.got))
			}
		})
		o.with("fast.test", func(h *host) {
			if h.peak < 8 || h.peak > 20 || len(h.got) != 400 {
				t.Errorf("fast: %d lines at most, %d mails", h.peak, len(h.got))
			}
		})
		if n := o.number(`SELECT count(*) FROM queue_try`); n != 0 {
			t.Errorf("%d attempts failed", n)
		}
		o.empty()
	})
}

func TestOneDestinationDoesNotKeepTheOthersWaiting(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("big.test", func(h *host) { h.wait = time.Second })
		for i := range 500 {
			o.mail(fmt.Sprintf("r%d@big.test", i))
		}
		after(5 * time.Second)
		for i := range 20 {
			o.mail(fmt.Sprintf("r@small%d.test", i))
		}
		after(40 * time.Second)
		for i := range 20 {
			if got := o.got(fmt.Sprintf("small%d.test", i)); len(got) != 1 {
				t.Errorf("small%d has got %v", i, got)
			}
		}
	}, func(o *Options) { o.Limits = Limits{Lines: 4, PerLine: 10} })
}

func TestAMailInWorkOutlivesTheProgram(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("slow.test", func(h *host) { h.wait = time.Minute })
		o.mail("bob@slow.test")
		after(10 * time.Second)
		o.restart() // the mail on the way is cut off
		o.gets("slow.test")
		if n := o.number(`SELECT count(*) FROM queue_try`); n != 0 {
			t.Errorf("%d attempts are noted that failed for the program's sake", n)
		}
		after(2 * time.Minute)
		o.gets("slow.test", "bob@slow.test")
		o.empty()
	})
}

func TestAMailOnTheWayHasItsTimeWhenTheProgramEnds(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("slow.test", func(h *host) { h.wait = 3 * time.Second })
		o.mail("bob@slow.test")
		after(time.Second)
		o.restart()
		o.gets("slow.test", "bob@slow.test")
		after(time.Minute)
		o.gets("slow.test", "bob@slow.test")
		o.empty()
	})
}

func TestRoutesAreThoseOfTheConfiguration(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		o.mail("bob@one.test")
		synctest.Wait()
		o.set = append(o.set, func(o *Options) { o.Route = routeBy("smarthost:provider") })
		o.restart()
		after(10 * time.Minute)
		o.gets("smarthost:provider", "bob@one.test")
		o.empty()
	})
}

func TestAMailIsSignedOnce(t *testing.T) {
	s := &signer{}
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("two.test", 451, "later")
		o.mail("bob@one.test", "carla@two.test")
		synctest.Wait()
		o.accepts("two.test")
		o.restart()
		after(time.Hour)
		var first, second string
		o.with("one.test", func(h *host) { first = h.content[0] })
		o.with("two.test", func(h *host) { second = h.content[len(h.content)-1] })
		if first != second || !strings.HasPrefix(first, "DKIM-Signature: 1\r\nFrom: ") {
			t.Errorf("sent as %q and %q", first, second)
		}
		o.empty()
	}, func(o *Options) { o.Signer = s })
}

func TestAMailIsSignedOnceThoughOneDestinationIsDoneFirst(t *testing.T) {
	s := &signer{}
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("two.test", 451, "later")
		o.mail("bob@one.test", "carla@two.test")
		synctest.Wait()
		// As it was taken into work before the other destination's verdict was written down, with the signature.
		j := &job{mail: mail{id: o.number(`SELECT id FROM queue_mail`)}}
		done, err := o.sign(t.Context(), j, outward{})
		done()
		if err != nil || string(j.signature) != "DKIM-Signature: 1\r\n" {
			t.Errorf("signed anew: %q, %v", j.signature, err)
		}
	}, func(o *Options) { o.Signer = s })
}

func TestAMailWhoseKeyWasRetiredIsSignedAnew(t *testing.T) {
	s := &signer{}
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("one.test", 451, "later")
		o.mail("bob@one.test")
		synctest.Wait()
		after(10 * time.Minute)
		s.retired.Store(1)
		after(30 * time.Minute)
		o.restart()
		o.accepts("one.test")
		after(time.Hour)
		o.with("one.test", func(h *host) {
			var seen []string
			for _, c := range h.content {
				number, _, _ := strings.Cut(strings.TrimPrefix(c, "DKIM-Signature: "), "\r\n")
				seen = append(seen, number)
			}
			// Once per key, whatever the attempts, and across a restart.
			if got := strings.Join(slices.Compact(seen), " "); got != "1 2" || len(seen) < 4 {
				t.Errorf("signatures of the attempts: %v", seen)
			}
		})
		o.empty()
	}, func(o *Options) { o.Signer = s })
}

// signer numbers its signatures. Those up to retired do not hold any more.
type signer struct {
	n       int
	retired atomic.Int64
}

func (s *signer) Holds(signatures []byte) bool {
	var n int64
	_, err := fmt.Sscanf(string(signatures), "DKIM-Signature: %d", &n)
	return err == nil && n > s.retired.Load()
}

func (s *signer) Sign(context.Context, message.Source) ([]byte, error) {
	s.n++
	return fmt.Appendf(nil, "DKIM-Signature: %d\r\n", s.n), nil
}
