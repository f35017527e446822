package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// A counter is an intake whose store is a buffer and whose database commits nothing: for measuring, and for mails by the thousand.
type counter struct {
	*Intake
	*buffer
	broker *broker
}

// buffer is a store that has the latest mail.
type buffer struct {
	pigeonholes
	b []byte
}

func (s *buffer) Put(_ context.Context, r io.Reader, size int64) (message.Stored, error) {
	s.b = slices.Grow(s.b[:0], int(size))[:size]
	if _, err := io.ReadFull(r, s.b); err != nil {
		return message.Stored{}, err
	}
	return message.Stored{Body: s.b, Size: size}, nil
}

func (s *buffer) Deliver(*sqldb.Tx, message.Stored, []message.Drop, int, time.Time) (int64, error) {
	return 1, nil
}
func (s *buffer) Used(*sqldb.Tx, string) (int64, error)         { return 0, nil }
func (s *buffer) Octets(context.Context, string) (int64, error) { return 0, nil }

// everybody owns every address.
type everybody struct{}

func (everybody) Owns(context.Context, string, address.Address) (bool, error) { return true, nil }
func (everybody) Recipients(_ context.Context, a address.Address) ([]string, bool, error) {
	return []string{a.Login()}, true, nil
}

func (everybody) Remains(*sqldb.Tx, string, time.Time) (bool, error) { return true, nil }
func (everybody) Stands(*sqldb.Tx, string, time.Time) (bool, error)  { return true, nil }

// unwritten is a database that keeps nothing.
type unwritten struct{}

func (unwritten) Update(_ context.Context, f func(*sqldb.Tx) error) error { return f(nil) }

// forgetful keeps no links.
type forgetful struct{ *broker }

func (forgetful) Note(*sqldb.Tx, string, message.Summary, time.Time) error    { return nil }
func (forgetful) Wrote(context.Context, string, string) (bool, error)         { return false, nil }
func (forgetful) Keep(*sqldb.Tx, call.Card, message.Summary, time.Time) error { return nil }

func newCounter(t testing.TB) *counter {
	c := &counter{buffer: &buffer{}, broker: &broker{}}
	var err error
	if c.Intake, err = New(Options{
		DB: unwritten{}, Hostname: host, Spool: filepath.Join(t.TempDir(), "spool"), Store: c.buffer, Broker: forgetful{c.broker}, Owners: everybody{},
		Manners: &people{}, Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	c.cards.budget = time.Minute
	return c
}

// takes hands in a mail in both ways, and checks that it is refused in words or stored as it should be. It tells whether it was stored.
func (c *counter) takes(t *testing.T, raw []byte) (submitted, accepted bool) {
	t.Helper()
	tree, err := message.Scan(&message.Memory{B: raw})
	if err != nil {
		t.Fatal(err)
	}
	body := raw[tree.Parts[0].Body:]
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		body = append(bytes.Clone(body), crlf...)
	}
	if accepted = c.taken(t, c.Accept(context.Background(), fromOutside(), bytes.NewReader(raw))); accepted {
		if !bytes.HasSuffix(c.b, body) {
			t.Errorf("the body became %.300q", c.b)
		}
	}
	for _, down := range []bool{true, false} {
		c.broker.card = nil
		if down {
			c.cards.misses = 0
			c.broker.card = func(context.Context) error { return errors.New("down") }
		}
		submitted = c.taken(t, c.Submit(context.Background(), toBob(), bytes.NewReader(raw)))
		if !submitted {
			continue
		}
		if accepted && down && !bytes.HasSuffix(c.b, body) {
			t.Errorf("without a card, the body became %.300q", c.b)
		}
		stored, err := message.Scan(&message.Memory{B: c.b})
		if err != nil {
			t.Fatal(err)
		}
		h := &stored.Head
		links := map[bool]int{true: 0, false: 1}[down]
		if h.Count("From") != 1 || h.Has("Bcc") || h.Count("CH-Login") != 1 || h.Count("CH-Link") != links || !h.Has("Date") || !h.Has("Message-ID") || len(stored.Parts) != len(tree.Parts) {
			t.Errorf("%d of %d parts, the header is %.1000q", len(stored.Parts), len(tree.Parts), h.Raw)
		}
	}
	return submitted, accepted
}

func (c *counter) taken(t *testing.T, err error) bool {
	t.Helper()
	var r *message.Refusal
	switch {
	case err == nil:
		sound(t, string(c.b))
		return true
	case !errors.As(err, &r):
		t.Errorf("neither stored nor refused: %v", err)
	}
	return false
}

func TestEveryMailOfTheCorpus(t *testing.T) {
	t.Parallel()
	root := os.Getenv("CHMAIL_CORPUS")
	if root == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("CHMAIL_CORPUS is not set: CI reads real mail")
		}
		t.Skip("CHMAIL_CORPUS names no folder of mails")
	}
	c := newCounter(t)
	var all, submitted, accepted int
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains([]string{".tsv", ".md", ".source", ".asc", ".pem"}, filepath.Ext(path)) {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b = bytes.ReplaceAll(b, []byte(crlf), []byte("\n"))
		b = bytes.ReplaceAll(b, []byte("\n"), []byte(crlf))
		t.Run(strings.TrimPrefix(path, root), func(t *testing.T) {
			all++
			sub, acc := c.takes(t, b)
			if sub {
				submitted++
			}
			if acc {
				accepted++
			}
		})
		return nil
	})
	if err != nil || all == 0 {
		t.Fatalf("%d mails, %v", all, err)
	}
	t.Logf("of %d mails %d were submitted and %d accepted", all, submitted, accepted)
	if submitted < all*3/4 || accepted < all*3/4 {
		t.Errorf("of %d mails only %d were submitted and %d accepted", all, submitted, accepted)
	}
}

func FuzzSubmit(f *testing.F) {
	for _, s := range []string{
		"", "\n", "From: alice@example.com\n\nHello.\n", "From x\n>From y\nFrom: a@b.test\nBcc: c@d.test\n\n", "From: a@b.test\nCH-Link: x\n y\nno field\n\nbody", " x\nFrom: a@b.test\n\n",
		"From: a@b.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJD", 300) + "\n--b\n\n" + strings.Repeat("é ", 500) + "\n--b--\n",
		"From: a@b.test\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=3D ", 300), "From: a@b.test\nX: " + strings.Repeat("x ", 600) + "\n\n",
		"From: a@b.test\nAuthentication-Results: mail.example.com\nReturn-Path: <>\nDate: x\nMessage-ID: <>\nSender:\n", "From: a@b.test\r\r\n\r\n", "Subject: x\nFrom:\n a@b.test\n",
		"From: a@b.test\nContent-Type: multipart/signed; boundary=b\n\n--b\n" + strings.Repeat("x", 1000) + ": y\n\n--b--\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(strings.ReplaceAll(s, "\n", crlf)), false)
	}
	c := newCounter(f)
	f.Fuzz(func(t *testing.T, raw []byte, mend bool) {
		if mend {
			raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte{'\r'}, nil), []byte{'\n'}, []byte(crlf))
		}
		c.takes(t, raw)
	})
}

func BenchmarkSubmit(b *testing.B) {
	c := newCounter(b)
	plain := letter("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", strings.Repeat("An ordinary line of an ordinary mail, as long as lines are.\n", 133))
	for name, raw := range map[string]string{
		"8K":     plain,
		"8KLong": letter("MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n", strings.Repeat("An ordinary line of an ordinary mail, as long as lines are. ", 133)+"\n"),
		"1M":     letter("MIME-Version: 1.0\nContent-Type: text/plain\n", strings.Repeat("An ordinary line of an ordinary mail, as long as lines are.\n", 17000)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			env := toBob()
			for b.Loop() {
				if err := c.Submit(context.Background(), env, strings.NewReader(raw)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAccept(b *testing.B) {
	c := newCounter(b)
	raw := outside("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n", strings.Repeat("An ordinary line of an ordinary mail, as long as lines are.\n", 133))
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	env := fromOutside()
	for b.Loop() {
		if err := c.Accept(context.Background(), env, strings.NewReader(raw)); err != nil {
			b.Fatal(err)
		}
	}
}
