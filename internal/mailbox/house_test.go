package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
)

// What pop3d asks of a maildrop, and intake of the store.
var (
	_ interface {
		Stat() (n int, octets int64)
		Entry(ctx context.Context, n int) (message.Entry, error)
		List(ctx context.Context, from int, yield func(message.Entry) bool) error
		Read(ctx context.Context, n int) (io.ReadCloser, error)
		Expunge(ctx context.Context, numbers iter.Seq[int]) error
		io.Closer
	} = (*Drop)(nil)
	_ interface {
		Put(ctx context.Context, r io.Reader, size int64) (message.Stored, error)
		Deliver(tx *sqldb.Tx, m message.Stored, drops []message.Drop, holders int, now time.Time) (int64, error)
		Discard(m message.Stored)
	} = (*Store)(nil)
)

// An office is a store with its database, for one test.
type office struct {
	*Store
	t   testing.TB
	db  *sqldb.DB
	dir string

	backup atomic.Bool  // no blob may go
	asked  atomic.Int64 // how often one was to go
	said   slog.Handler // nil: nobody listens
}

func newOffice(t testing.TB) *office {
	t.Helper()
	o := &office{t: t, dir: t.TempDir()}
	o.open()
	t.Cleanup(o.close)
	return o
}

func (o *office) open() {
	o.t.Helper()
	var err error
	if o.said == nil {
		o.said = slog.DiscardHandler
	}
	if o.db, err = sqldb.Open(context.Background(), filepath.Join(o.dir, "chmail.db"), Schema()); err != nil {
		o.t.Fatal(err)
	}
	if o.Store, err = New(Options{DB: o.db, Dir: filepath.Join(o.dir, "blobs"), Log: slog.New(o.said), Removing: o.removing}); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) removing(remove func() error) (bool, error) {
	o.asked.Add(1)
	if o.backup.Load() {
		return false, nil
	}
	return true, remove()
}

func (o *office) close() {
	o.t.Helper()
	if err := errors.Join(o.Store.Close(), o.db.Close()); err != nil {
		o.t.Error(err)
	}
}

// restart is the program ending and beginning again.
func (o *office) restart() {
	o.t.Helper()
	o.close()
	o.open()
}

// letter is a message of that size which tells what it is.
func letter(name string, size int) []byte {
	return bytes.Repeat([]byte(name+"\r\n"), size/(len(name)+2)+1)[:size]
}

func (o *office) put(body []byte) message.Stored {
	o.t.Helper()
	m, err := o.Put(context.Background(), bytes.NewReader(body), int64(len(body)))
	if err != nil {
		o.t.Fatal(err)
	}
	return m
}

// to are maildrops without a quota.
func to(logins ...string) (drops []message.Drop) {
	for _, login := range logins {
		drops = append(drops, message.Drop{Login: login})
	}
	return drops
}

// send delivers a message.
func (o *office) send(body []byte, drops ...string) {
	o.t.Helper()
	m := o.put(body)
	if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error { _, err := o.Deliver(tx, m, to(drops...), 0, time.Now()); return err }); err != nil {
		o.t.Fatal(err)
	}
}

// look opens a maildrop until the end of the test.
func (o *office) look(login string) *session {
	o.t.Helper()
	d, err := o.Open(context.Background(), login)
	if err != nil {
		o.t.Fatal(err)
	}
	return &session{Drop: d, t: o.t}
}

// number asks the database for a number.
func (o *office) number(query string, args ...any) (n int64) {
	o.t.Helper()
	err := o.db.View(context.Background(), func(tx *sqldb.Tx) error { return tx.QueryRow(query, args...).Scan(&n) })
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

// clean has the janitor's work done now.
func (o *office) clean(now time.Time) {
	o.t.Helper()
	if err := o.janitor.clean(now); err != nil {
		o.t.Error(err)
	}
}

func (o *office) files() []string {
	o.t.Helper()
	entries, err := os.ReadDir(filepath.Join(o.dir, "blobs"))
	if err != nil {
		o.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// audit checks that all that is counted is what is there.
func (o *office) audit() {
	o.t.Helper()
	for what, query := range map[string]string{
		"maildrops that count wrongly": `SELECT count(*) FROM mailbox_drop AS d WHERE login IS NOT NULL AND (count, octets) <>
			(SELECT count(*), coalesce(sum(size), 0) FROM mailbox_entry WHERE box = d.id AND deleted = 0)`,
		"maildrops whose gaps are wrong": `SELECT count(*) FROM mailbox_drop AS d WHERE login IS NOT NULL AND last - count <>
			base * 1024 + (SELECT coalesce(sum(count), 0) FROM mailbox_gap WHERE box = d.id)`,
		"blocks whose gaps are wrong": `SELECT count(*) FROM mailbox_drop AS d JOIN
			(SELECT box, block, sum(count) AS gone FROM mailbox_gap GROUP BY 1, 2) AS g ON g.box = d.id
			WHERE gone <> min(1024, last - block * 1024) - (SELECT count(*) FROM mailbox_entry WHERE box = d.id AND n BETWEEN block * 1024 + 1 AND block * 1024 + 1024 AND deleted = 0)`,
		"messages with more pointers than are there": `SELECT count(*) FROM (SELECT id, refs FROM mailbox_message
			EXCEPT SELECT message, count(*) FROM mailbox_entry GROUP BY message)`,
		"messages with fewer pointers than are there": `SELECT count(*) FROM (SELECT message, count(*) FROM mailbox_entry GROUP BY message
			EXCEPT SELECT id, refs FROM mailbox_message)`,
		"entries whose size is wrong": `SELECT count(*) FROM mailbox_entry AS e LEFT JOIN mailbox_message AS m ON m.id = e.message WHERE m.size IS NOT e.size`,
		"entries of no maildrop":      `SELECT count(*) FROM mailbox_entry WHERE box NOT IN (SELECT id FROM mailbox_drop)`,
	} {
		if n := o.number(query); n != 0 {
			o.t.Errorf("there are %d %s", n, what)
		}
	}
	if n := o.number(`SELECT count(*) FROM mailbox_message WHERE blob IS NOT NULL`); n != int64(len(o.files())) {
		o.t.Errorf("%d messages are in blobs, and there are the files %v", n, o.files())
	}
}

// A session is a Drop in a test.
type session struct {
	*Drop
	t testing.TB
}

// list returns the entries from a number on.
func (s *session) list(from int) []message.Entry {
	s.t.Helper()
	var all []message.Entry
	if err := s.List(context.Background(), from, func(e message.Entry) bool { all = append(all, e); return true }); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// read returns a whole message.
func (s *session) read(n int) []byte {
	s.t.Helper()
	r, err := s.Read(context.Background(), n)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		s.t.Fatal(err)
	}
	return body
}

// expect checks what lies in the maildrop, by each message's first line.
func (s *session) expect(names ...string) {
	s.t.Helper()
	n, octets := s.Stat()
	var got []string
	for i, e := range s.list(1) {
		body := s.read(e.Number)
		if e.Number != i+1 || e.Size != int64(len(body)) {
			s.t.Errorf("message %d is listed as %d with %d octets, and has %d", i+1, e.Number, e.Size, len(body))
		}
		name, _, _ := strings.Cut(string(body), "\r\n")
		got = append(got, name)
		octets -= e.Size
	}
	if !slices.Equal(got, names) || n != len(names) || octets != 0 {
		s.t.Errorf("there are %d messages: %v, %d octets counted too many; want %v", n, got, octets, names)
	}
}

// quit deletes messages and ends the session.
func (s *session) quit(delete ...int) {
	s.t.Helper()
	if err := errors.Join(s.Expunge(context.Background(), slices.Values(delete)), s.Close()); err != nil {
		s.t.Error(err)
	}
}

func uids(entries []message.Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.UID)
	}
	return fmt.Sprint(all)
}
