package intake

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/sqldb"
)

// unstamped checks that a mail went out, without a link.
func (o *office) unstamped(got string) {
	o.t.Helper()
	sound(o.t, got)
	m, body := parse(o.t, got)
	if m.Header.Get("CH-Login") != alice || strings.Contains(got, token) || body != "Hello.\r\n" {
		o.t.Errorf("got %q", got)
	}
}

func TestABrokerInTroubleCostsNoMail(t *testing.T) {
	t.Parallel()
	trouble := errors.New("out of cards")
	for name, set := range map[string]func(*broker){
		"it fails":                 func(b *broker) { b.card = func(context.Context) error { return trouble } },
		"it panics":                func(b *broker) { b.card = func(context.Context) error { panic("out of cards") } },
		"it cannot keep the link":  func(b *broker) { b.keep = func() error { return trouble } },
		"it panics over the link":  func(b *broker) { b.keep = func() error { panic("out of cards") } },
		"it minds the time it has": func(b *broker) { b.card = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			set(o.broker)
			o.cards.budget = cardBudget
			o.unstamped(o.submit(letter("", "Hello.\n")))
			if o.count("test_link") != 0 || o.count("test_mail") != 1 {
				t.Error("there is not one mail without a link")
			}
			log := o.log.String()
			if !strings.Contains(log, "stamp=header-only reason=\"no card: ") || !strings.Contains(log, "without a link") {
				t.Errorf("the log says %q", log)
			}
			o.swept()
		})
	}
}

func TestABlobWithALinkThatWasNotKeptIsStoredOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.broker.keep = func() error { return errors.New("no") }
	got := o.submit(letter("", strings.Repeat("0123456789\n", 10000)))
	sound(t, got)
	if strings.Contains(got, token) || o.store.size() != 1 {
		t.Errorf("%d blobs, with link: %v", o.store.size(), strings.Contains(got, token))
	}
}

// hang has the broker hang until the function is called.
func (b *broker) hang() (release func()) {
	done := make(chan struct{})
	b.card = func(context.Context) error { <-done; return nil }
	return func() { close(done) }
}

// A clock that runs by itself only.
func TestAMailWaitsFiftyMillisecondsForItsCard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		release := b.hang()
		c := newCards(b)
		start := time.Now()
		if _, err := c.get(context.Background(), alice, false); !errors.Is(err, errLate) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != cardBudget {
			t.Errorf("it took %v", took)
		}
		release()
		synctest.Wait()
		if c.hanging != 0 {
			t.Errorf("%d calls hang", c.hanging)
		}
	})
}

func TestABrokerThatMissesIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		down := true
		b.card = func(context.Context) error {
			if down {
				return errors.New("down")
			}
			return nil
		}
		c := newCards(b)
		ask := func(want error) {
			t.Helper()
			if _, err := c.get(context.Background(), alice, false); (err == nil) != (want == nil) || want == errTired && !errors.Is(err, want) {
				t.Errorf("after %d: %v, want %v", b.times(), err, want)
			}
		}
		for range cardMisses {
			ask(errors.New("down"))
		}
		start := time.Now()
		for range 100 {
			ask(errTired)
		}
		if b.times() != cardMisses || time.Since(start) != 0 {
			t.Errorf("asked %d times, in %v", b.times(), time.Since(start))
		}
		// One mail tries; it failed, so the others wait again.
		time.Sleep(cardRecover)
		ask(errors.New("down"))
		ask(errTired)
		down = false
		time.Sleep(cardRecover - 1)
		ask(errTired)
		time.Sleep(time.Nanosecond)
		for range 10 {
			ask(nil)
		}
		// A miss now and then opens nothing.
		for range 20 {
			down = true
			ask(errors.New("down"))
			down = false
			ask(nil)
		}
	})
}

func TestOneMailTriesWhetherTheBrokerIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		release := b.hang()
		defer release()
		c := newCards(b)
		crowd := func(n int) {
			for range n {
				go c.get(context.Background(), alice, false)
			}
			synctest.Wait()
		}
		crowd(cardMisses)
		time.Sleep(cardBudget)
		synctest.Wait()
		crowd(50)
		if b.times() != cardMisses {
			t.Errorf("asked %d times", b.times())
		}
		time.Sleep(cardRecover)
		crowd(50)
		if b.times() != cardMisses+1 {
			t.Errorf("asked %d times", b.times())
		}
		// It hangs for days: what hangs with it is bounded.
		for range 10 * cardHanging {
			time.Sleep(cardRecover)
			crowd(1)
		}
		time.Sleep(cardBudget)
		synctest.Wait()
		if b.times() != cardHanging || c.hanging != cardHanging {
			t.Errorf("asked %d times, %d calls hang", b.times(), c.hanging)
		}
	})
}

func TestAClientThatGivesUpIsNotTheBrokersFault(t *testing.T) {
	t.Parallel()
	b := &broker{card: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	c := newCards(b)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 2 * cardMisses {
		if _, err := c.get(ctx, alice, false); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if c.misses != 0 {
		t.Errorf("%d misses", c.misses)
	}
}

func newCards(b *broker) *cards {
	return &cards{broker: b, budget: cardBudget, log: slog.New(slog.DiscardHandler)}
}

func TestWhatIsNotCommittedIsDiscarded(t *testing.T) {
	t.Parallel()
	small, large := letter("", "Hello.\n"), letter("", strings.Repeat("0123456789\n", 10000))
	broken := errors.New("disk on fire")
	for _, raw := range []string{small, large} {
		o := newOffice(t)
		hand := func() error { return o.Submit(context.Background(), toBob(), strings.NewReader(raw)) }

		o.store.deliver = func() error { return broken }
		if err := hand(); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		o.store.deliver = func() error { panic("at the disco") }
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a panic was swallowed")
				}
			}()
			t.Errorf("no panic: %v", hand())
		}()
		o.store.deliver = nil

		o.open(failing{o.db, broken})
		if err := hand(); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		o.open(o.db)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := o.Submit(ctx, toBob(), strings.NewReader(raw)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		o.empty()
	}
}

// failing is a database whose commit fails.
type failing struct {
	Database
	err error
}

func (f failing) Update(ctx context.Context, do func(*sqldb.Tx) error) error {
	return f.Database.Update(ctx, func(tx *sqldb.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return f.err
	})
}
