package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

const (
	alice      = "alice@example.com"
	postmaster = "postmaster@example.com"
)

// An office is a queue with the world around it, for one test: a store of bytes, other hosts that say what the test wants, and maildrops for reports.
type office struct {
	*Queue
	t    testing.TB
	db   *sqldb.DB
	path string
	set  []func(*Options)

	mu       sync.Mutex
	bodies   map[int64][]byte
	holders  map[int64]int
	hosts    map[string]*host
	gone     map[string]bool // whose account is
	broken   error           // of Prepare
	anyTLS   bool            // of the mails that are given to the queue from now on
	prepared int
}

// host is a destination.
type host struct {
	down    func() *delivery.Verdict                          // nil: it can be reached
	says    func(m delivery.Mail, to string) delivery.Verdict // nil: 250
	most    int                                               // lines it takes; 0: any number
	perLine int                                               // mails over one; 0: any number
	unsafe  bool                                              // it has not what its domain demands of a connection
	wait    time.Duration                                     // of each mail
	opened  int                                               // lines,
	tried   int                                               // attempts to open one,
	lines   int                                               // open now,
	peak    int                                               // and at most
	got     []string                                          // "id to" of every recipient
	content []string                                          // of every mail
}

var schema = sqldb.Schema{Room: "test", Steps: []string{`CREATE TABLE test_report (login TEXT NOT NULL, text BLOB NOT NULL) STRICT;`}}

// inOffice is a story on the bubble's clock.
func inOffice(t *testing.T, f func(t *testing.T, o *office), set ...func(*Options)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := openOffice(t, set...)
		o.Start()
		f(t, o)
		o.shut()
	})
}

func openOffice(t testing.TB, set ...func(*Options)) *office {
	t.Helper()
	o := &office{
		t: t, path: filepath.Join(t.TempDir(), "queue.db"), set: set, bodies: make(map[int64][]byte), holders: make(map[int64]int), hosts: make(map[string]*host),
		gone: make(map[string]bool),
	}
	o.open()
	return o
}

func (o *office) open() {
	o.t.Helper()
	var err error
	if o.db, err = sqldb.Open(context.Background(), o.path, Schema(), schema); err != nil {
		o.t.Fatal(err)
	}
	opt := Options{
		DB: o.db, Store: o, Carrier: o, Post: o, Hostname: "mail.example.com", Postmaster: postmaster, Log: slog.New(slog.DiscardHandler),
		Route: func(_, to address.Address) string { return to.Domain }, Caps: Caps{Recipients: -1, Strangers: -1},
	}
	for _, f := range o.set {
		f(&opt)
	}
	if o.Queue, err = New(context.Background(), opt); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) shut() {
	o.t.Helper()
	if err := errors.Join(o.Queue.Close(), o.db.Close()); err != nil {
		o.t.Error(err)
	}
}

// restart is the program ending and beginning again.
func (o *office) restart() {
	o.t.Helper()
	o.shut()
	o.open()
	o.Start()
	synctest.Wait()
}

func (o *office) host(name string) *host {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.hosts[name]
	if h == nil {
		h = &host{}
		o.hosts[name] = h
	}
	return h
}

// with changes or reads a host under the lock.
func (o *office) with(name string, f func(h *host)) {
	h := o.host(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	f(h)
}

// mail has alice send a mail, and returns its id.
func (o *office) mail(to ...string) string {
	o.t.Helper()
	return o.send(message.Params{}, alice, to...)
}

// notice is a mail of the system's own.
func (o *office) notice(to string) string {
	o.t.Helper()
	return o.enqueue(&message.Envelope{ID: message.NewID(), Received: time.Now()}, "", to)
}

func (o *office) send(p message.Params, from string, to ...string) string {
	o.t.Helper()
	return o.enqueue(&message.Envelope{ID: message.NewID(), Login: alice, Received: time.Now(), Params: p}, from, to...)
}

func (o *office) enqueue(env *message.Envelope, from string, to ...string) string {
	o.t.Helper()
	if from != "" {
		env.From = parse(o.t, from)
	}
	out := message.Outgoing{Env: env, AnyTLS: o.anyTLS}
	for i, a := range to {
		env.To = append(env.To, parse(o.t, a))
		out.To = append(out.To, i)
	}
	text := fmt.Sprintf("Return-Path: <%s>\r\nFrom: %s\r\nSubject: Offer\r\nMessage-ID: <%s@x>\r\n\r\nHello.\r\n", from, alice, env.ID)
	out.Skip, out.Size = int64(strings.Index(text, "\n")+1), int64(len(text))
	o.mu.Lock()
	id := int64(len(o.bodies) + 1)
	o.bodies[id], o.holders[id] = []byte(text), 1
	o.mu.Unlock()
	out.Message = id
	if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error { return o.Enqueue(tx, out) }); err != nil {
		o.t.Fatal(err)
	}
	return env.ID
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// got tells what a host has got so far: recipients, sorted.
func (o *office) got(name string) []string {
	var all []string
	o.with(name, func(h *host) {
		for _, g := range h.got {
			_, to, _ := strings.Cut(g, " ")
			all = append(all, to)
		}
	})
	slices.Sort(all)
	return all
}

// gets checks what a host has got.
func (o *office) gets(name string, want ...string) {
	o.t.Helper()
	if got := o.got(name); !slices.Equal(got, want) {
		o.t.Errorf("%s has got %v, not %v", name, got, want)
	}
}

// empty checks that nothing waits, and that every message was let go of.
func (o *office) empty() {
	o.t.Helper()
	for _, table := range []string{"queue_mail", "queue_rcpt", "queue_try"} {
		if n := o.number(`SELECT count(*) FROM ` + table); n != 0 {
			o.t.Errorf("%d rows in %s", n, table)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, n := range o.holders {
		if n != 0 {
			o.t.Errorf("message %d has %d holders", id, n)
		}
	}
}

func (o *office) number(query string, args ...any) (n int64) {
	o.t.Helper()
	if err := o.db.View(context.Background(), func(tx *sqldb.Tx) error { return tx.QueryRow(query, args...).Scan(&n) }); err != nil {
		o.t.Fatal(err)
	}
	return n
}

// told is the reports that a login has got.
func (o *office) told(login string) (all []string) {
	o.t.Helper()
	if err := o.db.View(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`SELECT text FROM test_report WHERE login = ? ORDER BY rowid`, login)
		if err != nil {
			return err
		}
		for rows.Next() {
			var text []byte
			if err := rows.Scan(&text); err != nil {
				return err
			}
			all = append(all, string(text))
		}
		return rows.Err()
	}); err != nil {
		o.t.Fatal(err)
	}
	return all
}

// Body implements Store.
func (o *office) Body(_ context.Context, id int64) (message.Body, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.bodies[id]
	if !ok {
		return nil, errors.New("no such message")
	}
	return body{bytes.NewReader(b)}, nil
}

type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

// Release implements Store.
func (o *office) Release(tx *sqldb.Tx, id int64) error {
	tx.AfterCommit(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.holders[id]--
	})
	return nil
}

type parcel struct {
	o     *office
	login string
	text  []byte
}

// Prepare implements Post.
func (o *office) Prepare(_ context.Context, to string, _ time.Time, raw io.Reader) (Parcel, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return nil, o.broken
	}
	if o.gone[to] {
		return nil, message.Refuse(550, [3]int{5, 1, 1}, "no such login")
	}
	text, err := io.ReadAll(raw)
	o.prepared++
	return &parcel{o, to, text}, err
}

func (p *parcel) Deliver(tx *sqldb.Tx) error {
	_, err := tx.Exec(`INSERT INTO test_report (login, text) VALUES (?, ?)`, p.login, p.text)
	return err
}

func (p *parcel) Close() {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	p.o.prepared--
}

// Open implements Carrier.
func (o *office) Open(ctx context.Context, destination string, m delivery.Mail) (Line, error) {
	h := o.host(destination)
	o.mu.Lock()
	defer o.mu.Unlock()
	h.tried++
	if h.down != nil {
		if v := h.down(); v != nil {
			return nil, v
		}
	}
	if h.unsafe && !m.AnyTLS {
		return nil, &delivery.Verdict{Enhanced: [3]int{4, 7, 5}, Text: "the TLS handshake failed", Temporary: true}
	}
	if h.most > 0 && h.lines >= h.most {
		return nil, &delivery.Verdict{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "too many connections", Temporary: true}
	}
	h.opened++
	h.lines++
	h.peak = max(h.peak, h.lines)
	return &line{o: o, h: h}, nil
}

type line struct {
	o    *office
	h    *host
	sent int
}

// Send implements Line.
func (l *line) Send(ctx context.Context, m delivery.Mail) (verdicts []delivery.Verdict, again bool) {
	text := make([]byte, m.Size)
	if _, err := m.Body.ReadAt(text, 0); err != nil {
		l.o.t.Errorf("reading a mail: %v", err)
	}
	if l.h.wait > 0 {
		select {
		case <-time.After(l.h.wait):
		case <-ctx.Done():
			return []delivery.Verdict{{Enhanced: [3]int{4, 4, 2}, Text: "cut off", Temporary: true}}, false
		}
	}
	l.o.mu.Lock()
	defer l.o.mu.Unlock()
	l.sent++
	l.h.content = append(l.h.content, string(m.Signature)+string(text))
	for _, to := range m.To {
		v := delivery.Verdict{Code: 250, Enhanced: [3]int{2, 0, 0}, Text: "taken", Remote: "mx [192.0.2.1]"}
		if l.h.says != nil {
			v = l.h.says(m, to.Address.String())
		}
		if v.Accepted() {
			l.h.got = append(l.h.got, m.ID+" "+to.Address.String())
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, (l.h.perLine == 0 || l.sent < l.h.perLine) && !m.AnyTLS
}

// Close implements Line.
func (l *line) Close() {
	l.o.mu.Lock()
	defer l.o.mu.Unlock()
	l.h.lines--
}

// verdict is a server's answer.
func verdict(code int, text string) delivery.Verdict {
	return delivery.Verdict{Code: code, Enhanced: [3]int{code / 100, 1, 1}, Text: text, Remote: "mx [192.0.2.1]", Temporary: code < 500}
}

// refuses has a host answer every recipient so.
func (o *office) refuses(name string, code int, text string) {
	o.with(name, func(h *host) { h.says = func(delivery.Mail, string) delivery.Verdict { return verdict(code, text) } })
}

// accepts has a host take everything again.
func (o *office) accepts(name string) {
	o.with(name, func(h *host) { h.says, h.down = nil, nil })
}

func routeBy(d string) func(from, to address.Address) string {
	return func(address.Address, address.Address) string { return d }
}
