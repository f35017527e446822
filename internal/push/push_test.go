package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
	"chmail/internal/webpush"
)

const alice, bob = "alice@example.com", "bob@example.com"

// services are the push services of the world: they keep what they are handed.
type services struct {
	mu   sync.Mutex
	gone map[string]bool // endpoints
	got  chan sent
	dead chan struct{} // until it is closed, nothing comes back from what has "dead" in its endpoint
	late chan sent     // what such a one was handed
}

type sent struct {
	endpoint string
	m        webpush.Message
	text     map[string]any
}

func (s *services) send(ctx context.Context, to *webpush.Subscription, m webpush.Message) error {
	if strings.Contains(to.Endpoint, "dead") {
		s.late <- sent{endpoint: to.Endpoint, m: m}
		select {
		case <-s.dead:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone[to.Endpoint] {
		s.got <- sent{endpoint: to.Endpoint + " is gone"}
		return webpush.ErrGone
	}
	var text map[string]any
	if err := json.Unmarshal(m.Text, &text); err != nil {
		return err
	}
	s.got <- sent{to.Endpoint, m, text}
	return nil
}

// told waits for n messages and names their endpoints.
func (s *services) told(t *testing.T, n int) (all []sent) {
	t.Helper()
	for range n {
		select {
		case m := <-s.got:
			all = append(all, m)
		case <-time.After(time.Minute):
			t.Fatalf("%d messages of %d", len(all), n)
		}
	}
	slices.SortFunc(all, func(x, y sent) int { return strings.Compare(x.endpoint, y.endpoint) })
	return all
}

type house struct {
	*Pusher
	*services
	t   *testing.T
	dir string
	db  *sqldb.DB
	log lookout

	sessions sync.Map // names of those that are over
	removed  sync.Map // login: when its account was removed
	counts   struct {
		sync.Mutex
		sent, gone int
	}
}

// counted checks how many messages to browsers were taken, and how many found none.
func (h *house) counted(sent, gone int) {
	h.t.Helper()
	h.counts.Lock()
	defer h.counts.Unlock()
	if h.counts.sent != sent || h.counts.gone != gone {
		h.t.Errorf("%d sent and %d gone are counted, want %d and %d", h.counts.sent, h.counts.gone, sent, gone)
	}
}

// current is what the sessions tell of one; about "trouble" it cannot be found out.
func (h *house) current(_ context.Context, _, session string) (bool, error) {
	if session == "trouble" {
		return false, errors.New("trouble")
	}
	_, over := h.sessions.Load(session)
	return !over, nil
}

// remains is what the accounts tell of one.
func (h *house) remains(_ *sqldb.Tx, login string, since time.Time) (bool, error) {
	at, gone := h.removed.Load(login)
	return !gone || at.(time.Time).Before(since), nil
}

// lookout is a log that can be waited for.
type lookout struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lookout) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lookout) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, over := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatal("it does not come about that", what)
		}
	}
}

func openHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), services: &services{
		gone: make(map[string]bool), got: make(chan sent, 1000), dead: make(chan struct{}), late: make(chan sent, 1000),
	}}
	db, err := sqldb.Open(t.Context(), filepath.Join(h.dir, "chmail.db"), Schema())
	if err != nil {
		t.Fatal(err)
	}
	h.db = db
	h.start()
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) start() {
	h.t.Helper()
	p, err := New(h.t.Context(), Options{
		DB: h.db, Log: slog.New(slog.NewTextHandler(&h.log, nil)), KeyFile: filepath.Join(h.dir, "push.key"), Subject: "mailto:postmaster@example.com", Send: h.services.send,
		Sent: func(err error) {
			h.counts.Lock()
			defer h.counts.Unlock()
			switch {
			case err == nil:
				h.counts.sent++
			case errors.Is(err, webpush.ErrGone):
				h.counts.gone++
			}
		},
		Current: h.current, Remains: h.remains,
		Words: func(lang string, a call.Alert) (string, string) { return lang + ": " + a.Who, a.About },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.Pusher = p
}

// endpoint is that of a browser, by its name, which may begin with a push service's.
func endpoint(name string) string {
	if host, rest, ok := strings.Cut(name, "/"); ok {
		return "https://" + host + "/" + rest
	}
	return "https://push.example.net/" + name
}

func (h *house) allow(login, lang, name string) {
	h.t.Helper()
	h.allowIn(Session{Login: login, ID: "session of " + login, Began: time.Now()}, lang, name)
}

func (h *house) allowIn(by Session, lang, name string) {
	h.t.Helper()
	raw := fmt.Appendf(nil, `{"endpoint":%q,"keys":{"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}}`, endpoint(name))
	if err := h.Subscribe(h.t.Context(), by, lang, raw); err != nil {
		h.t.Fatal(err)
	}
}

func TestEveryBrowserOfALoginIsWoken(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	if h.Has(alice) {
		t.Error("alice can be woken before she allowed it")
	}
	h.Ring(alice, call.Alert{Call: "k0"}, time.Second) // nobody is told
	h.allow(alice, "en", "laptop")
	h.allow(alice, "ja", "phone")
	h.allow(bob, "en", "other")
	h.Ring(alice, call.Alert{Kind: call.AlertRing, Call: "k1", Conv: "c1", Who: "Bob", About: "Offer for the roof"}, 30*time.Second)
	all := h.told(t, 2)
	for i, want := range []struct{ name, title string }{{"laptop", "en: Bob"}, {"phone", "ja: Bob"}} {
		m := all[i]
		if m.endpoint != endpoint(want.name) || m.text["title"] != want.title || m.text["text"] != "Offer for the roof" || m.text["call"] != "k1" || m.text["conv"] != "c1" || m.text["missed"] != false {
			t.Errorf("%s is told %v", m.endpoint, m.text)
		}
		if !m.m.Urgent || m.m.TTL > 30*time.Second || m.m.TTL < 5*time.Second || len(m.m.Topic) == 0 || len(m.m.Topic) > 32 {
			t.Errorf("%s: %+v", m.endpoint, m.m)
		}
	}
	h.Missed(alice, call.Alert{Call: "k1", Conv: "c1", Who: "Bob"})
	if m := h.told(t, 2)[0]; m.m.Urgent || m.m.TTL < time.Hour || m.text["missed"] != true || m.m.Topic != all[0].m.Topic {
		t.Errorf("a missed call: %+v", m)
	}
	h.Over(alice, call.Alert{Call: "k1", Conv: "c1", Who: "Bob"})
	if m := h.told(t, 2)[0]; m.m.Urgent || m.m.TTL < time.Minute || m.text["over"] != true || m.text["missed"] != false || m.m.Topic != all[0].m.Topic {
		t.Errorf("a call that was answered elsewhere: %+v", m)
	}
}

func TestABrowserThatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	h.allow(alice, "en", "laptop")
	h.gone[endpoint("laptop")] = true
	h.Ring(alice, call.Alert{Call: "k1"}, time.Minute)
	h.told(t, 1)
	eventually(t, "the browser is forgotten", func() bool { return !h.Has(alice) })
	h.counted(0, 1)
}

func TestABrowserBelongsToWhoeverSubscribedLast(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	h.allow(alice, "en", "shared")
	h.allow(bob, "en", "shared")
	if h.Has(alice) || !h.Has(bob) {
		t.Errorf("alice: %v, bob: %v", h.Has(alice), h.Has(bob))
	}
	if err := h.Unsubscribe(t.Context(), alice, endpoint("shared")); err != nil || !h.Has(bob) {
		t.Errorf("alice has taken it from bob: %v", err)
	}
	if err := h.Unsubscribe(t.Context(), bob, endpoint("shared")); err != nil || h.Has(bob) {
		t.Errorf("bob is still known: %v", err)
	}
}

func TestOfManyBrowsersTheOldestGiveWay(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	for i := range perLogin + 2 {
		h.allow(alice, "en", fmt.Sprint("browser", i))
	}
	h.Ring(alice, call.Alert{Call: "k1"}, time.Minute)
	if all := h.told(t, perLogin); all[len(all)-1].endpoint != endpoint(fmt.Sprint("browser", perLogin+1)) {
		t.Errorf("the newest is not among them: %v", all)
	}
}

func TestWhoAsksDoesNotWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	h.allow(alice, "en", "phone")
	busy := max(4, 2*runtime.GOMAXPROCS(0)) // all that read
	reads, hold := make(chan struct{}, busy), make(chan struct{})
	var readers sync.WaitGroup
	for range busy {
		readers.Go(func() {
			if err := h.db.View(context.Background(), func(*sqldb.Tx) error { reads <- struct{}{}; <-hold; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	for range busy {
		<-reads
	}
	asked := make(chan bool, 1)
	go func() {
		h.allow(bob, "en", "tablet")
		asked <- h.Has(alice) && h.Has(bob)
	}()
	select {
	case can := <-asked:
		if !can {
			t.Error("alice and bob cannot be woken")
		}
	case <-time.After(20 * time.Second):
		t.Error("Has, which the broker's board calls, waits for the database")
	}
	close(hold)
	readers.Wait()
}

func TestACountThatIsToldOfLateIsNotBelieved(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	var all sync.WaitGroup
	for i := range 40 { // commits are told of in any order
		all.Go(func() {
			h.allow(alice, "en", fmt.Sprint("browser", i%3))
			if err := h.Unsubscribe(context.Background(), alice, endpoint(fmt.Sprint("browser", i%3))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if h.Has(alice) {
		t.Error("alice has no browser left, and can be woken")
	}
	h.allow(alice, "en", "phone")
	h.allow(bob, "en", "phone")
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return h.Remove(tx, bob) }); err != nil || h.Has(alice) || h.Has(bob) {
		t.Errorf("alice: %v, bob: %v, %v", h.Has(alice), h.Has(bob), err)
	}
}

func TestABrowserIsWokenNoLongerThanItsSessionLasts(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	h.allowIn(Session{Login: alice, ID: "s1"}, "en", "phone")
	h.allowIn(Session{Login: alice, ID: "s2"}, "en", "laptop")
	h.allowIn(Session{Login: bob, ID: "trouble"}, "en", "tablet")
	h.sessions.Store("s1", true) // by its age, or since the password is another
	h.Ring(alice, call.Alert{Call: "k1"}, time.Minute)
	if m := h.told(t, 1)[0]; m.endpoint != endpoint("laptop") {
		t.Errorf("%s is told", m.endpoint)
	}
	eventually(t, "the other is forgotten", func() bool {
		h.Pusher.mu.Lock()
		defer h.Pusher.mu.Unlock()
		return h.known[alice].browsers == 1
	})
	if err := h.SignedOut(t.Context(), bob, "s2"); err != nil || !h.Has(alice) {
		t.Errorf("bob has signed alice out: %v", err)
	}
	if err := h.SignedOut(t.Context(), alice, "s2"); err != nil || h.Has(alice) {
		t.Errorf("signed out, and can be woken: %v", err)
	}
	h.Ring(bob, call.Alert{Call: "k2"}, time.Minute)
	eventually(t, "the log says that it could not be found out", func() bool { return h.log.count("level=ERROR") == 1 })
	if !h.Has(bob) {
		t.Error("a browser is forgotten for trouble of ours")
	}
	h.allowIn(Session{Login: bob, ID: "s3"}, "en", "tablet") // signed in anew
	h.Ring(bob, call.Alert{Call: "k3"}, time.Minute)
	if m := h.told(t, 1)[0]; m.text["call"] != "k3" {
		t.Errorf("bob is told %v", m.text)
	}
}

func TestWhoeverIsGivenTheAddressNextHasNoBrowserOfTheOldOwner(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	began, removed := time.Now().Add(-time.Hour), time.Now()
	h.removed.Store(alice, removed)
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return h.Remove(tx, alice) }); err != nil {
		t.Fatal(err)
	}
	h.allowIn(Session{Login: alice, ID: "s1", Began: began}, "en", "phone") // its request was past the check of the session when the account went
	if h.Has(alice) {
		t.Error("the old owner's browser will be told who calls the new one, and about which mail")
	}
	h.allowIn(Session{Login: alice, ID: "s2", Began: removed.Add(time.Second)}, "en", "phone")
	if !h.Has(alice) {
		t.Error("the new owner cannot be woken")
	}
}

func TestADeadPushServiceDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	h.allow(alice, "en", "dead.example.net/phone")
	h.allow(alice, "en", "laptop")
	h.allow(bob, "en", "tablet")
	const rings = 2 * hostQueue
	for i := range rings {
		h.Ring(alice, call.Alert{Call: fmt.Sprint("a", i)}, time.Hour)
		h.told(t, 1) // her other browser
	}
	h.Ring(bob, call.Alert{Call: "b"}, time.Minute)
	if m := h.told(t, 1)[0]; m.endpoint != endpoint("tablet") {
		t.Errorf("%s was told", m.endpoint)
	}
	eventually(t, "the dead service's line is full", func() bool { return h.log.count("too much waits for a push service") == rings-hostQueue })
	if n := len(h.late); n > perHost {
		t.Errorf("the dead service is handed %d messages at once", n)
	}
	close(h.dead)
	h.told(t, hostQueue)
	eventually(t, "all lines are left", func() bool {
		h.lines.mu.Lock()
		defer h.lines.mu.Unlock()
		return len(h.lines.hosts) == 0
	})
}

func TestARingThatIsOfNoUseAnyMoreIsNotSent(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	h.allow(alice, "en", "push.example.net/dead")
	h.allow(bob, "en", "tablet")
	for i := range perHost { // the service has as much in hand as it gets at once
		h.Ring(alice, call.Alert{Call: fmt.Sprint("a", i)}, time.Hour)
	}
	for range perHost {
		<-h.late
	}
	h.Ring(bob, call.Alert{Call: "b0"}, 20*time.Millisecond)
	eventually(t, "bob's ring is given up", func() bool { return h.log.count("too late for a browser") == 1 })
	h.Ring(bob, call.Alert{Call: "b1"}, time.Minute)
	close(h.dead)
	for _, m := range h.told(t, perHost+1) {
		if m.endpoint == endpoint("tablet") && (m.text["call"] != "b1" || m.m.TTL > time.Minute || m.m.TTL <= 0) {
			t.Errorf("bob is told of %v, TTL %v", m.text["call"], m.m.TTL)
		}
	}
}

func TestRestartRemovalAndKeys(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	h.allow(alice, "en", "laptop")
	key := h.Key()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h.Ring(alice, call.Alert{Call: "k0"}, time.Second) // too late, and harmless
	h.start()
	if !h.Has(alice) || h.Key() != key {
		t.Errorf("after a restart alice can be woken: %v; the same key: %v", h.Has(alice), h.Key() == key)
	}
	if info, err := os.Stat(filepath.Join(h.dir, "push.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return h.Remove(tx, alice) }); err != nil {
		t.Fatal(err)
	}
	if h.Has(alice) {
		t.Error("a removed login can be woken")
	}
	if err := h.Subscribe(t.Context(), Session{Login: alice}, "en", []byte(`{"endpoint":"https://127.0.0.1/x"}`)); !errors.Is(err, webpush.ErrSubscription) || h.Has(alice) {
		t.Errorf("a subscription that is none: %v", err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "push.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), h.o); err == nil {
		t.Error("a key that is none is taken")
	}
}
