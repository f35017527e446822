package chbroker

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
	carol = "carol@example.com"
)

// house is a broker with what is around it: a database, maps, a post office for notices, and readers who are told.
type house struct {
	*Broker
	t    testing.TB
	db   *sqldb.DB
	maps Maps
	o    Options

	mu     sync.Mutex
	told   map[string][]call.State
	words  []call.Word
	closed bool   // the post office: words cannot be left
	box    func() // called while word is being left
	counts map[Outcome]int
	rang   []time.Duration
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// openHouse starts a broker on a database of the test's own; change adapts its options.
func openHouse(t testing.TB, change ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, told: make(map[string][]call.State), maps: NewMemory(), counts: make(map[Outcome]int)}
	h.o = Options{
		Host: "chat.example.com", URL: "https://chat.example.com", Ports: Range{24000, 24099}, Log: quiet(),
		Word: h.leave, Tell: h.tell, Maps: h.maps, Limits: Limits{Link: 10_000, Network: 10_000},
		Names: func(_ context.Context, login string) (string, error) {
			return strings.ToUpper(login[:1]) + strings.Split(login[1:], "@")[0], nil
		},
	}
	for _, c := range change {
		c(&h.o)
	}
	h.maps = h.o.Maps
	db, err := sqldb.Open(t.Context(), filepath.Join(t.TempDir(), "chmail.db"), Schema())
	if err != nil {
		t.Fatal(err)
	}
	h.db, h.o.DB = db, db
	h.start()
	t.Cleanup(h.shut)
	return h
}

func (h *house) start() {
	h.t.Helper()
	var err error
	if h.Broker, err = New(h.o); err != nil {
		h.t.Fatal(err)
	}
	h.Watch(Watch{Call: func(o Outcome) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.counts[o]++
	}, Rang: func(took time.Duration) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.rang = append(h.rang, took)
	}})
	if err := h.Start(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

// shut closes the house; a test in a bubble does it before the bubble ends.
func (h *house) shut() {
	h.t.Helper()
	if err := errors.Join(h.Close(), h.db.Close()); err != nil {
		h.t.Error(err)
	}
}

// restart ends the broker and starts a new one on the same database.
func (h *house) restart() {
	h.t.Helper()
	if err := h.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.start()
}

func (h *house) tell(conv string, s call.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told[conv] = append(h.told[conv], s)
}

func (h *house) leave(_ context.Context, w call.Word) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.box != nil {
		h.box()
	}
	if h.closed {
		return errors.New("the post office is closed")
	}
	h.words = append(h.words, w)
	return nil
}

func (h *house) postOffice(open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = !open
}

// hears checks all that a reader has been told since he was last asked.
func (h *house) hears(conv string, want ...call.State) {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.told[conv], want) {
		h.t.Errorf("the reader of %s was told %v, want %v", conv, h.told[conv], want)
	}
	delete(h.told, conv)
}

// left checks the notices left since the last time: how many calls each stands for.
func (h *house) left(calls ...int) {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var got []int
	for _, w := range h.words {
		got = append(got, w.Calls)
	}
	if !slices.Equal(got, calls) {
		h.t.Errorf("notices of %v calls were left, want %v", got, calls)
	}
	h.words = nil
}

// desk is a device of the owner's. loud: it acknowledges what it is told to sound.
type desk struct {
	h      *house
	login  string
	device string
	loud   bool
	detach func()

	mu     sync.Mutex
	alerts []string
	call   string // id of the last alert's call
	at     time.Time
}

func (h *house) desk(login, device string, loud bool) *desk {
	d := &desk{h: h, login: login, device: device, loud: loud}
	d.detach = h.Attach(login, device, netip.MustParseAddr("192.0.2.7"), d.alert)
	return d
}

func (d *desk) alert(a call.Alert) {
	what := string(a.Kind) + " " + a.Conv
	if a.Missed {
		what = "missed " + a.Conv
	}
	if a.Proved != "" {
		what += " by " + a.Proved
	}
	if a.Quiet {
		what = "silently " + what
	}
	if a.At.IsZero() {
		d.h.t.Errorf("%s does not say when it began", what)
	}
	d.mu.Lock()
	d.alerts, d.call, d.at = append(d.alerts, what), a.Call, a.At
	d.mu.Unlock()
	if d.loud && (a.Kind == call.AlertRing || a.Missed) {
		d.h.Rung(d.login, d.device, a.Call)
	}
}

// shows checks all that the device was told since it was last looked at.
func (d *desk) shows(want ...string) {
	d.h.t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.alerts, want) {
		d.h.t.Errorf("desk %s was told %q, want %q", d.device, d.alerts, want)
	}
	d.alerts = nil
}

// forget is for what a story is not about.
func (d *desk) forget() {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alerts = nil
}

func (d *desk) lastCall() string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.call
}

func (d *desk) answers() bool {
	_, ok := d.h.Answer(d.login, d.device, d.lastCall())
	return ok
}

// link keeps the link of a mail from login and resolves it as a reader does.
func (h *house) link(login, subject string) call.Link {
	h.t.Helper()
	card, err := h.Card(h.t.Context(), login)
	if err != nil {
		h.t.Fatal(err)
	}
	h.keep(card, message.Summary{Subject: subject, MessageID: "<1@example.com>", Recipients: 1, Date: time.Now()})
	l, err := h.Resolve(h.t.Context(), tokenOf(card))
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

func tokenOf(c call.Card) string { return c.URL[strings.LastIndexByte(c.URL, '/')+1:] }

func (h *house) keep(c call.Card, m message.Summary) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error { return h.Keep(tx, c, m, time.Now()) }); err != nil {
		h.t.Fatal(err)
	}
}

// comes has a reader open the page of a link and, after a while on it, show intent.
func (h *house) comes(conv string, l call.Link, opened time.Duration) {
	h.Visit(call.Visit{Conv: conv, Link: l, Opened: time.Now().Add(-opened)})
	synctest.Wait() // or who comes next could be the first to ring
}

// mailLogin is the owner's mail client signing in.
func (h *house) mailLogin(login string) {
	h.Seen(h.t.Context(), call.Sign{Login: login, Source: call.POP3, IP: netip.MustParseAddr("192.0.2.7")})
}

// after lets time pass.
func after(d time.Duration) { <-time.After(d) }
