package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

func TestPollingCostsOneHashInTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		for range 10 {
			h.expect(true, alice, alicesPassword, home)
			time.Sleep(time.Minute)
		}
		if n := h.hashes.Load(); n != 1 {
			t.Errorf("%d hashes in ten minutes of polling, want 1", n)
		}
		h.expect(true, alice, alicesPassword, home)
		if n := h.hashes.Load(); n != 2 {
			t.Errorf("%d hashes after ten minutes, want a second", n)
		}
		h.expect(false, alice, alicesPassword+"x", home)
	})
}

func TestAnOldPasswordIsForgottenAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	h.expect(true, alice, alicesPassword, home)
	h.must(h.SetPassword(t.Context(), alice, "a new password"))
	h.expect(false, alice, alicesPassword, home)
	h.expect(true, alice, "a new password", home)
}

// What happens beside this process, by a verb that opened the data itself, is noticed within seconds.
func TestAPasswordChangedBesideUsIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		h.expect(true, alice, alicesPassword, home)
		h.must(h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE account_login SET hash = '', version = 'other'`)
			return err
		}))
		time.Sleep(recordLife)
		h.expect(false, alice, alicesPassword, home)
	})
}

func TestAStrangersNameCostsWhatAnAccountCosts(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	h.must(h.Add(t.Context(), "postmaster@example.com", alicesPassword, ""))
	h.must(h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE account_login SET hash = '' WHERE login = 'postmaster@example.com'`)
		return err
	}))
	h.hashes.Store(0)
	var costs []params
	derive := h.hasher.derive
	h.hasher.derive = func(password, salt []byte, passes, memory uint32, threads uint8, length uint32) []byte {
		costs = append(costs, params{memory, passes, threads})
		return derive(password, salt, passes, memory, threads, length)
	}
	for i, user := range []string{alice, "nobody@example.com", "nobody@elsewhere.example", "postmaster@example.com", "no address", ""} {
		h.expect(false, user, "wrong password", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
		if n := h.hashes.Load(); n != int64(i+1) {
			t.Errorf("%q: %d hashes after %d attempts", user, n, i+1)
		}
	}
	for _, c := range costs {
		if c != h.hasher.params {
			t.Errorf("a hash at other costs: %+v", c)
		}
	}
}

func TestAnOldHashIsMadeAnewAtTheNextLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	version, _, err := h.Version(t.Context(), alice)
	h.must(err)
	h.hasher.params.passes++
	for range 2 {
		h.expect(true, alice, alicesPassword, home)
	}
	var stored string
	h.must(h.db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT hash FROM account_login`).Scan(&stored)
	}))
	if got, err := parsePHC(stored); err != nil || got.params != h.hasher.params {
		t.Errorf("the stored hash is %q (%v)", stored, err)
	}
	if n := h.hashes.Load(); n != 2 {
		t.Errorf("%d hashes, want one to check and one to make", n)
	}
	if v, _, _ := h.Version(t.Context(), alice); v != version {
		t.Error("the same password at other costs signs out everywhere")
	}
}

func TestManyConnectionsOfOneClientShareTheWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		h.slow()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { h.expect(true, alice, alicesPassword, home) })
		}
		all.Wait()
		if n := h.hashes.Load(); n > int64(runtime.NumCPU()) {
			t.Errorf("%d hashes for 50 connections with the same password, want at most %d", n, runtime.NumCPU())
		}
	})
}

func TestAFewWrongPasswordsDelayTheRightOneAndNeverRefuseIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		var last time.Duration
		for i := range 4 {
			ok, took := h.enter(alice, fmt.Sprintf("wrong %d", i), home)
			if ok || i > 0 && took <= last {
				t.Errorf("wrong password %d: let in %v after %v, the one before waited %v", i, ok, took, last)
			}
			last = took
		}
		if ok, took := h.enter(alice, alicesPassword, home); !ok || took <= last || took > 5*time.Second {
			t.Errorf("the right password after four wrong ones: let in %v after %v", ok, took)
		}
		if ok, took := h.enter(alice, alicesPassword, home); !ok || took != 0 {
			t.Errorf("once she was right: let in %v after %v", ok, took)
		}
		h.guess(1, "bob@example.com", cafe)
		time.Sleep(time.Minute)
		if _, took := h.enter("bob@example.com", "wrong again", cafe); took != 0 {
			t.Errorf("one mistake is still held against its network after a minute: %v", took)
		}
	})
}

func TestGuessingFromOneNetworkIsSlowHoweverManyTryAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		h.slow()
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				// Every guesser has a host of its own in the network, and tries on whatever he is told.
				from := netip.MustParseAddr(fmt.Sprintf("2001:db8:9:9::%x", i))
				for n := 0; ctx.Err() == nil; n++ {
					_, ok, err := h.Authenticate(ctx, alice, fmt.Sprintf("guess %d of %d", n, i), from)
					if ok {
						t.Error("a guess was right")
					}
					if errors.Is(err, ErrBusy) {
						time.Sleep(time.Second)
					}
				}
			})
		}
		all.Wait()
		if n := h.hashes.Load(); n > 260 {
			t.Errorf("%d guesses in an hour, want at most 260", n)
		}
	})
}

func TestABurstOfGuessesIsNoBetterThanOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		h.slow()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				_, ok, err := h.Authenticate(t.Context(), alice, fmt.Sprintf("guess %d", i), cafe)
				if ok || err != nil && !errors.Is(err, ErrBusy) {
					t.Errorf("guess %d: let in %v, %v", i, ok, err)
				}
			})
		}
		all.Wait()
		if n := h.hashes.Load(); n > 12 {
			t.Errorf("%d of 100 guesses at once were looked at, want a few", n)
		}
	})
}

// What is remembered must not be found out by guessing faster than strikes are counted.
func TestTheRightPasswordInABurstOfGuessesHasToWaitLikeTheOthers(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"from a network that is not known": false, "from where she is known herself": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t).with([2]string{alice, alicesPassword})
				h.expect(true, alice, alicesPassword, home) // her client polls: it is remembered
				if known {
					h.expect(true, alice, alicesPassword, cafe)
				}
				h.slow()
				for round := range 3 {
					var all sync.WaitGroup
					h.hashes.Store(0)
					for i := range 1000 {
						all.Go(func() {
							if _, ok, err := h.Authenticate(t.Context(), alice, fmt.Sprint("guess ", i), cafe); ok || err != nil && !errors.Is(err, ErrBusy) {
								t.Errorf("guess %d: let in %v, %v", i, ok, err)
							}
						})
					}
					synctest.Wait()
					began := time.Now()
					_, ok, err := h.Authenticate(t.Context(), alice, alicesPassword, cafe)
					if ok && time.Since(began) == 0 {
						t.Errorf("round %d: the right guess was let in at once", round)
					}
					if !ok && !errors.Is(err, ErrBusy) {
						t.Errorf("round %d: the right guess: %v", round, err)
					}
					if ok, took := h.enter(alice, alicesPassword, home); !ok || took != 0 {
						t.Errorf("alice at home: let in %v after %v", ok, took)
					}
					all.Wait()
					if n := h.hashes.Load(); n > 12 {
						t.Errorf("round %d: %d guesses were looked at, want a few", round, n)
					}
					time.Sleep(maxPause) // and the next burst
				}
				a := h.throttle.attempt(alice, cafe)
				if s := h.throttle.men[a.pair]; s != nil && s.asking != 0 {
					t.Errorf("%d passes were not given back", s.asking)
				}
				time.Sleep(time.Hour)
				if ok, _ := h.enter(alice, alicesPassword, cafe); !ok {
					t.Error("an hour later she is not let in")
				}
			})
		})
	}
}

func TestStrangersCannotLockAnybodyOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		h.expect(true, alice, alicesPassword, home)
		for i := range 200 {
			h.guess(1, alice, netip.AddrFrom4([4]byte{203, 0, byte(i / 100), byte(i)}))
		}
		if ok, took := h.enter(alice, alicesPassword, home); !ok || took != 0 {
			t.Errorf("at home while others guess: let in %v after %v", ok, took)
		}
		if ok, took := h.enter(alice, alicesPassword, street); !ok || took == 0 || took > maxPatience {
			t.Errorf("on the way while others guess: let in %v after %v", ok, took)
		}
		if ok, took := h.enter(alice, alicesPassword, street); !ok || took != 0 {
			t.Errorf("on the way for the second time: let in %v after %v", ok, took)
		}
		if ok, took := h.enter(bob, "not an account's", cafe); ok || took != 0 {
			t.Errorf("somebody else elsewhere: let in %v after %v", ok, took)
		}
	})
}

func TestABadNeighbourBehindTheSameAddressDoesNotDisturb(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword})
		h.expect(true, alice, alicesPassword, cafe)
		h.guess(6, "carol@example.com", cafe)
		if ok, took := h.enter(alice, alicesPassword, cafe); !ok || took != 0 {
			t.Errorf("who was here before: let in %v after %v", ok, took)
		}
		held := func() float64 { return h.throttle.networks[h.throttle.attempt(bob, cafe).network].count(time.Now()) }
		before := held()
		if ok, took := h.enter(bob, bobsPassword, cafe); !ok || took > maxPause {
			t.Errorf("who is new here: let in %v after %v", ok, took)
		}
		if held() > before {
			t.Errorf("a right password is held against the network: %v strikes, before %v", held(), before)
		}
		time.Sleep(time.Hour)
		h.guess(7, alice, cafe) // now he tries her password, at the address where she is known
		if ok, took := h.enter(alice, alicesPassword, home); !ok || took != 0 {
			t.Errorf("alice elsewhere: let in %v after %v", ok, took)
		}
		if ok, took := h.enter(alice, alicesPassword, cafe); !ok || took == 0 || took > maxPause {
			t.Errorf("alice there: let in %v after %v: guesses at her password have to be slow there too", ok, took)
		}
	})
}

// A guesser must not get his own strikes wiped by a neighbour's right password, or by his own, that is looked at meanwhile.
func TestARightPasswordTakesBackItsOwnStrikeOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		line := tracked(th.networks, th.attempt(bob, cafe).network)
		for range strictFrom + 2 {
			th.failed(th.attempt(alice, cafe))
		}
		time.Sleep(maxPause)
		right, before := th.attempt(bob, cafe), line.count(time.Now())
		if !th.claim(right) {
			t.Fatal("it is not bob's turn")
		}
		th.failed(th.attempt(alice, cafe))
		th.failed(th.attempt(alice, cafe))
		th.succeeded(right)
		if n := line.count(time.Now()); n < before+1.99 || n > before+2.01 {
			t.Errorf("%v strikes after two more wrong passwords, before %v", n, before)
		}
		if th.claim(th.attempt(alice, cafe)) {
			t.Error("the next guess is free")
		}
		time.Sleep(maxPause)
		right, last, before := th.attempt(bob, cafe), line.last, line.n
		th.men = map[uint64]*strikes{} // bob is new again
		if !th.claim(right) {
			t.Fatal("it is not bob's turn again")
		}
		th.undecided(right)
		if line.n != before || !line.last.Equal(last) {
			t.Errorf("undisturbed: %v strikes since %v, before %v since %v", line.n, line.last, before, last)
		}
	})
}

func TestNotStayingForTheAnswerIsAWrongPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	h.expect(true, alice, alicesPassword, home)
	for range runtime.NumCPU() {
		h.must(h.hasher.turns.take(t.Context(), true))
	}
	ctx, stop := context.WithCancel(t.Context())
	began := make(chan error, 1)
	go func() {
		_, _, err := h.Authenticate(ctx, alice, "a guess at what is remembered", cafe)
		began <- err
	}()
	for {
		h.hasher.turns.mu.Lock()
		n := len(h.hasher.turns.lines[0])
		h.hasher.turns.mu.Unlock()
		if n == 1 {
			break
		}
		runtime.Gosched()
	}
	stop()
	if err := <-began; !errors.Is(err, context.Canceled) {
		t.Errorf("he left and got %v", err)
	}
	if h.throttle.claim(h.throttle.attempt(alice, cafe)) {
		t.Error("his next guess is free")
	}
}

func TestTheThrottleRemembersOnlySoMuch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		keep := th.attempt(alice, home)
		th.failed(keep)
		for i := range 2 * maxTracked {
			a := th.attempt(fmt.Sprint(i), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
			th.failed(a)
			th.succeeded(a)
		}
		for _, m := range []map[uint64]*strikes{th.networks, th.logins, th.men} {
			if len(m) != maxTracked {
				t.Errorf("%d remembered, want %d", len(m), maxTracked)
			}
		}
	})
}

func TestMemoryOfPasswordsIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemo[int, int](100, time.Minute)
	now := time.Now()
	for i := range 1000 {
		m.put(i, i, now, m.mark())
	}
	if len(m.m) != 100 {
		t.Errorf("%d remembered, want 100", len(m.m))
	}
	m.put(1, 1, now.Add(2*time.Minute), m.mark())
	if v, ok := m.get(1, now.Add(2*time.Minute)); !ok || v != 1 {
		t.Error("what came last was not kept")
	}
	mark := m.mark()
	m.forget(1)
	m.put(1, 2, now, mark)
	if _, ok := m.get(1, now); ok {
		t.Error("what was read before a change is remembered after it")
	}
}

func TestPeopleWhoWereHereBeforeComeFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := turns{free: 1}
		if err := turns.take(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 3)
		come := func(who string, known bool) {
			go func() {
				if err := turns.take(t.Context(), known); err != nil {
					t.Error(err)
				}
				order <- who
				turns.give()
			}()
			synctest.Wait()
		}
		come("stranger", false)
		come("second stranger", false)
		come("neighbour", true)
		turns.give()
		for _, want := range []string{"neighbour", "stranger", "second stranger"} {
			if got := <-order; got != want {
				t.Errorf("%s came, want %s", got, want)
			}
		}
	})
}

func TestALineIsBoundedAndCanBeLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := turns{}
		ctx, stop := context.WithCancel(t.Context())
		var left sync.WaitGroup
		for range maxStrangersWaiting {
			left.Go(func() {
				if err := turns.take(ctx, false); !errors.Is(err, context.Canceled) {
					t.Errorf("left the line with %v", err)
				}
			})
		}
		synctest.Wait()
		err := turns.take(ctx, false)
		if !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		if told := (*message.Refusal)(nil); !errors.As(signingIn(err), &told) || told.Code != 454 {
			t.Errorf("the client is not told to come again, but %v", told)
		}
		stop()
		left.Wait()
		turns.give()
		if err := turns.take(t.Context(), false); err != nil {
			t.Errorf("after all have left: %v", err)
		}
	})
}

func TestOneLineForEachWrongPassword(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	h := newHouse(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }).with([2]string{alice, alicesPassword})
	for user, login := range map[string]string{"Alice@Example.com": "login=" + alice, "Nobody@example.com": "login=nobody@example.com", alicesPassword: `login="(nobody's here)"`, "p@ssw.ord": `login="(nobody's here)"`} {
		log.Reset()
		h.expect(false, user, "a guess", cafe)
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, login+" peer="+cafe.String()) || strings.Contains(text, alicesPassword) || strings.Contains(text, "ssw.ord") {
			t.Errorf("%s: the log says %q", user, text)
		}
	}
}
