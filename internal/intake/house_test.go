package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	netmail "net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
	host  = "mail.example.com"
	token = "https://chat.example.com/c/AbCdEfGhIjKlMnOpQrStUv"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// A post office is an intake with its neighbours, for one test.
type office struct {
	*Intake
	t      testing.TB
	db     *sqldb.DB
	store  *pigeonholes
	broker *broker
	people *people
	// checker is what an office has to check mail from outside with, set before it is opened anew; nil at first.
	checker Checker
	filter  Filter
	tag     string // before the subject of a suspect mail
	queue   Queue  // nil: mail for others is refused
	log     *lines
	spool   string
}

func newOffice(t testing.TB) *office {
	t.Helper()
	db, err := sqldb.Open(context.Background(), filepath.Join(t.TempDir(), "chmail.db"), sqldb.Schema{Room: "test", Steps: []string{
		`CREATE TABLE test_mail (id INTEGER PRIMARY KEY, body BLOB, blob TEXT) STRICT;
		CREATE TABLE test_stamp (stamp TEXT NOT NULL) STRICT;
		CREATE TABLE test_entry (login TEXT NOT NULL, mail INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
		CREATE TABLE test_link (url TEXT NOT NULL, login TEXT NOT NULL) STRICT;
		CREATE TABLE test_removed (login TEXT NOT NULL, at INTEGER NOT NULL) STRICT;`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	o := &office{t: t, db: db, store: &pigeonholes{blobs: make(map[string][]byte)}, broker: &broker{}, people: &people{}, log: &lines{}, spool: filepath.Join(t.TempDir(), "spool")}
	o.open(db)
	return o
}

// open starts the intake on this database.
func (o *office) open(db Database) {
	o.t.Helper()
	var err error
	if o.Intake, err = New(Options{
		Queue: o.queue, DB: db, Hostname: host, Spool: o.spool, Store: o.store, Broker: o.broker, Owners: owners{}, Manners: o.people,
		Policy: o.people.policy, Checker: o.checker, Filter: o.filter, Tag: o.tag, Log: slog.New(slog.NewTextHandler(o.log, nil)),
	}); err != nil {
		o.t.Fatal(err)
	}
	o.cards.budget = time.Minute // on a busy machine as well
}

// toBob is the envelope of a mail that alice has submitted.
func toBob() *message.Envelope {
	return &message.Envelope{
		ID: message.NewID(), From: must(alice), To: []address.Address{must(bob)}, Drops: [][]string{{bob}}, Login: alice, SignedIn: noon.Add(-time.Hour),
		Peer: netip.MustParseAddr("203.0.113.9"), Helo: "alices-laptop", TLS: "TLS1.3", Began: noon.Add(-time.Minute), Received: noon,
	}
}

// fromOutside is the envelope of a mail from somebody else's server.
func fromOutside() *message.Envelope {
	e := toBob()
	e.Login, e.From, e.Helo = "", must("carol@elsewhere.test"), "mx.elsewhere.test"
	return e
}

func must(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// wire writes a mail of a test with the line ends of SMTP.
func wire(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// letter is an ordinary mail of alice's with this body, and further fields before it.
func letter(fields, body string) string {
	return wire("From: Alice <alice@example.com>\nTo: bob@example.com\nSubject: Dinner\nDate: Wed, 25 Nov 2026 11:59:00 +0000\nMessage-ID: <1@example.com>\n" +
		fields + "\n" + body)
}

// submit hands in a mail of alice's and returns it as bob finds it.
func (o *office) submit(raw string) string {
	o.t.Helper()
	if err := o.Submit(context.Background(), toBob(), strings.NewReader(raw)); err != nil {
		o.t.Fatalf("submitting: %v", err)
	}
	return o.last(bob)
}

// refused hands in a mail of alice's that must be refused, with a code and a word of the reply, and leave nothing behind.
func (o *office) refused(raw string, code int, word string) *message.Refusal {
	o.t.Helper()
	err := o.Submit(context.Background(), toBob(), strings.NewReader(raw))
	return o.isRefusal(err, code, word)
}

func (o *office) isRefusal(err error, code int, word string) *message.Refusal {
	o.t.Helper()
	var r *message.Refusal
	if !errors.As(err, &r) || r.Code != code || !strings.Contains(r.Text, word) {
		o.t.Fatalf("got %v, want %d with %q", err, code, word)
	}
	o.empty()
	return r
}

// accept hands in a mail from outside and returns it as bob finds it.
func (o *office) accept(raw string) string {
	o.t.Helper()
	if err := o.Accept(context.Background(), fromOutside(), strings.NewReader(raw)); err != nil {
		o.t.Fatalf("accepting: %v", err)
	}
	return o.last(bob)
}

// last returns the latest mail in a maildrop.
func (o *office) last(login string) string {
	o.t.Helper()
	var body []byte
	var blob *string
	err := o.db.View(context.Background(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT body, blob FROM test_mail JOIN test_entry ON mail = id WHERE login = ? ORDER BY id DESC LIMIT 1`, login).Scan(&body, &blob)
	})
	if err != nil {
		o.t.Fatalf("looking into the maildrop of %s: %v", login, err)
	}
	if blob != nil {
		body = o.store.blob(*blob)
	}
	return string(body)
}

// empty checks that no mail has come in, and nothing lies about.
func (o *office) empty() {
	o.t.Helper()
	if n := o.count("test_mail") + o.count("test_entry") + o.count("test_link"); n != 0 {
		o.t.Errorf("%d rows were committed", n)
	}
	if n := o.store.size(); n != 0 {
		o.t.Errorf("%d blobs were left", n)
	}
	o.swept()
}

// swept checks that the spool is empty.
func (o *office) swept() {
	o.t.Helper()
	left, err := os.ReadDir(o.spool)
	if err != nil || len(left) != 0 {
		o.t.Errorf("the spool holds %v, %v", left, err)
	}
}

// has tells whether a maildrop has a mail.
func (o *office) has(login string) (has bool) {
	o.t.Helper()
	if err := o.db.View(context.Background(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM test_entry WHERE login = ?)`, login).Scan(&has)
	}); err != nil {
		o.t.Fatal(err)
	}
	return has
}

func (o *office) count(table string) (n int) {
	o.t.Helper()
	if err := o.db.View(context.Background(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n) }); err != nil {
		o.t.Fatal(err)
	}
	return n
}

// parse reads a mail as another program would.
func parse(t testing.TB, raw string) (*netmail.Message, string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("%v: %.500q", err, raw)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return m, string(body)
}

// sound checks what is true of every mail that is stored.
func sound(t testing.TB, raw string) {
	t.Helper()
	var e lineEnds
	e.write([]byte(raw))
	if e.bare() || !strings.HasSuffix(raw, crlf) || strings.Contains(raw, "\x00") {
		t.Fatalf("stored with odd octets: %.300q", raw)
	}
	for line := range strings.SplitSeq(raw, crlf) {
		if len(line) > message.MaxLine {
			t.Fatalf("a line of %d octets was stored: %.60q", len(line), line)
		}
	}
	tree, err := message.Scan(&message.Memory{B: []byte(raw)})
	if err != nil || tree.Parts[0].Defects&message.DefectHeaderSize != 0 {
		t.Fatalf("cannot be scanned: %v", err)
	}
}

// pigeonholes are the store.
type pigeonholes struct {
	octets  int64 // that each is said to hold when somebody asks before
	mu      sync.Mutex
	blobs   map[string][]byte
	put     error // of Put
	deliver func() error
	held    int // holders besides the maildrops, of the latest mail
}

func (s *pigeonholes) Put(_ context.Context, r io.Reader, size int64) (message.Stored, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return message.Stored{}, err
	}
	if int64(len(b)) != size {
		return message.Stored{}, fmt.Errorf("%d octets, announced were %d", len(b), size)
	}
	m := message.Stored{Size: size}
	s.mu.Lock()
	defer s.mu.Unlock()
	if size <= 64<<10 {
		m.Body = b
	} else {
		m.Blob = message.NewID()
		s.blobs[m.Blob] = b
	}
	return m, s.put
}

func (s *pigeonholes) Deliver(tx *sqldb.Tx, m message.Stored, drops []message.Drop, holders int, now time.Time) (int64, error) {
	if s.deliver != nil {
		if err := s.deliver(); err != nil {
			return 0, err
		}
	}
	var body, blob any = m.Body, nil
	if m.Blob != "" {
		body, blob = nil, m.Blob
	}
	res, err := tx.Exec(`INSERT INTO test_mail (body, blob) VALUES (?, ?)`, body, blob)
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(`INSERT INTO test_stamp (stamp) VALUES (?)`, m.Stamp); err != nil {
		return 0, err
	}
	for _, d := range drops {
		if d.Quota > 0 && d.Quota < m.Size {
			return 0, message.Refuse(452, [3]int{4, 2, 2}, "full")
		}
		if _, err := tx.Exec(`INSERT INTO test_entry (login, mail, at) VALUES (?, ?, ?)`, d.Login, id, now); err != nil {
			return 0, err
		}
	}
	s.held = holders
	return id, nil
}

// Used is nothing: a pigeonhole is full when its quota is smaller than the mail.
func (s *pigeonholes) Used(*sqldb.Tx, string) (int64, error)         { return 0, nil }
func (s *pigeonholes) Octets(context.Context, string) (int64, error) { return s.octets, nil }

func (s *pigeonholes) Discard(m message.Stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, m.Blob)
}

func (s *pigeonholes) blob(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.blobs[name])
}

func (s *pigeonholes) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.blobs)
}

// broker gives cards as it is told.
type broker struct {
	mu    sync.Mutex
	asked int
	about message.Summary
	card  func(ctx context.Context) error // before the card
	keep  func() error                    // before the link
	noted []string                        // verdicts of mails without a link
	seen  func(ctx context.Context) (netip.Addr, error)
}

func (b *broker) Card(ctx context.Context, login string) (call.Card, error) {
	b.mu.Lock()
	b.asked++
	card := b.card
	b.mu.Unlock()
	if card != nil {
		if err := card(ctx); err != nil {
			return call.Card{}, err
		}
	}
	return call.Card{Login: login, Name: "Alice", Host: "chat.example.com", Port: 24001, URL: token, Hash: []byte("hash")}, nil
}

// Wrote knows of the links that end in "mine".
func (b *broker) Wrote(_ context.Context, login, link string) (bool, error) {
	return login == alice && strings.HasSuffix(link, "mine"), nil
}

func (b *broker) Latest(ctx context.Context, _ string) (netip.Addr, error) {
	b.mu.Lock()
	seen := b.seen
	b.mu.Unlock()
	if seen == nil {
		return netip.Addr{}, nil
	}
	return seen(ctx)
}

func (b *broker) Keep(tx *sqldb.Tx, c call.Card, m message.Summary, _ time.Time) error {
	b.mu.Lock()
	b.about = m
	keep := b.keep
	b.mu.Unlock()
	if keep != nil {
		if err := keep(); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`INSERT INTO test_link (url, login) VALUES (?, ?)`, c.URL, c.Login)
	return err
}

// Note fails as Keep does: no mail may suffer from either.
func (b *broker) Note(_ *sqldb.Tx, _ string, m message.Summary, _ time.Time) error {
	b.mu.Lock()
	b.noted = append(b.noted, m.Stamp)
	keep := b.keep
	b.mu.Unlock()
	if keep != nil {
		return keep()
	}
	return nil
}

func (b *broker) times() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// people are what accounts and administrator are set to.
type people struct {
	manner call.Manner // of everybody
	boxes  map[string]message.Box
	err    error
	policy Policy // taken over by office.open
}

func (p *people) Manner(context.Context, string) (call.Manner, error) { return p.manner, p.err }

func (p *people) Box(_ context.Context, login string) (message.Box, error) {
	return p.boxes[login], p.err
}

// owners: everybody owns his login, alice also sales@.
type owners struct{}

func (owners) Owns(_ context.Context, login string, a address.Address) (bool, error) {
	if a.Local == "trouble" {
		return false, errors.New("no database")
	}
	return a.Login() == login && a.Local != "ghost" || login == alice && a.Login() == "sales@example.com", nil
}

// Recipients: example.com is here, and everybody of it but the ghost. all@ is an alias of bob and carol.
func (owners) Recipients(_ context.Context, a address.Address) ([]string, bool, error) {
	switch {
	case a.Domain != "example.com":
		return nil, false, nil
	case a.Local == "ghost":
		return nil, true, nil
	case a.Local == "all":
		return []string{bob, carol}, true, nil
	}
	return []string{a.Login()}, true, nil
}

// Remains knows of the accounts that office.remove has removed.
func (owners) Remains(tx *sqldb.Tx, login string, since time.Time) (remains bool, err error) {
	err = tx.QueryRow(`SELECT NOT EXISTS (SELECT 1 FROM test_removed WHERE login = ? AND at >= ?)`, login, since).Scan(&remains)
	return remains, err
}

// Stands knows the same.
func (o owners) Stands(tx *sqldb.Tx, addr string, since time.Time) (bool, error) {
	return o.Remains(tx, addr, since)
}

// remove removes an account, and makes another one of the same name.
func (o *office) remove(login string, at time.Time) {
	o.t.Helper()
	if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO test_removed (login, at) VALUES (?, ?)`, login, at)
		return err
	}); err != nil {
		o.t.Fatal(err)
	}
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
