package pop3d

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
)

// login is what a client says first.
const login = "USER alice@example.com\r\nPASS open sesame\r\n"

// letter is a message that lies in a maildrop.
type letter struct {
	uid  string
	body []byte
}

// postOffice is accounts, maildrops and presence in memory. Its maildrops are snapshots, as the real ones are.
type postOffice struct {
	mu       sync.Mutex
	password map[string]string
	drops    map[string][]letter
	open     int
	seen     []call.Sign
	broken   map[string]bool // what fails: authenticate, crowded, open, entry, list, read, short, long, breaks, expunge, panic
	delay    time.Duration   // that Authenticate takes
	commit   time.Duration   // that Expunge takes
	version  string          // of everybody's password
	delivery int             // numbers unique ids
}

func newPostOffice() *postOffice {
	return &postOffice{
		password: map[string]string{"alice@example.com": "open sesame", "bob@example.com": "secret"},
		drops:    make(map[string][]letter), broken: map[string]bool{"no keys": true},
	}
}

var errBroken = errors.New("the cellar is under water")

func (p *postOffice) fails(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken[what] && what == "crowded" {
		return fmt.Errorf("signing in: %w", message.Refuse(454, [3]int{4, 7, 0}, "too many attempts to sign in, try again later"))
	}
	if p.broken[what] {
		return fmt.Errorf("%s: %w", what, errBroken)
	}
	return nil
}

func (p *postOffice) breakIt(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken[what] = true
}

func (p *postOffice) mend(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken[what] = false
}

func (p *postOffice) deliver(login string, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delivery++
	p.drops[login] = append(slices.Clip(p.drops[login]), letter{uid: fmt.Sprintf("uid-%d", p.delivery), body: body})
}

// put makes these all that lies in a maildrop.
func (p *postOffice) put(login string, all ...letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops[login] = all
}

func (p *postOffice) isOpen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

func (p *postOffice) signs() []call.Sign {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// fill adds n letters of 0 to 999 octets.
func (p *postOffice) fill(login string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	drop, text := slices.Clone(p.drops[login]), make([]byte, 1000)
	for i := range n {
		p.delivery++
		drop = append(drop, letter{uid: fmt.Sprintf("uid-%d", p.delivery), body: text[:i%1000]})
	}
	p.drops[login] = drop
}

func (p *postOffice) uids(login string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, l := range p.drops[login] {
		all = append(all, l.uid)
	}
	return strings.Join(all, " ")
}

func (p *postOffice) Version(context.Context, string) (string, bool, error) {
	err := p.fails("version")
	gone := p.fails("removed") != nil
	p.mu.Lock()
	defer p.mu.Unlock()
	return "version " + p.version, !gone, err
}

func (p *postOffice) Authenticate(ctx context.Context, user, password string, _ netip.Addr) (string, bool, error) {
	if err := errors.Join(p.fails("authenticate"), p.fails("crowded")); err != nil {
		return "", false, err
	}
	if err := p.fails("panic"); err != nil {
		panic(err)
	}
	select {
	case <-time.After(p.delay):
	case <-ctx.Done():
		return "", false, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken["changing"] {
		p.version = "another"
	}
	login := strings.ToLower(user)
	want, ok := p.password[login]
	return login, ok && want == password, nil
}

func (p *postOffice) Seen(_ context.Context, s call.Sign) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, s)
}

func (p *postOffice) Open(ctx context.Context, login string) (Maildrop, error) {
	if err := p.fails("open"); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open++
	return &snapshot{office: p, login: login, letters: p.drops[login]}, nil
}

type snapshot struct {
	office  *postOffice
	login   string
	letters []letter // never changed in place
	closed  bool
}

func (d *snapshot) Stat() (n int, octets int64) {
	for _, l := range d.letters {
		octets += int64(len(l.body))
	}
	return len(d.letters), octets
}

func (d *snapshot) entry(n int) message.Entry {
	return message.Entry{Number: n, Size: int64(len(d.letters[n-1].body)), UID: d.letters[n-1].uid}
}

func (d *snapshot) Entry(ctx context.Context, n int) (message.Entry, error) {
	if err := errors.Join(d.office.fails("entry"), ctx.Err()); err != nil {
		return message.Entry{}, err
	}
	return d.entry(n), nil
}

func (d *snapshot) List(ctx context.Context, from int, yield func(message.Entry) bool) error {
	if err := errors.Join(d.office.fails("list"), ctx.Err()); err != nil {
		return err
	}
	for n := from; n <= len(d.letters); n++ {
		if n == len(d.letters) && d.office.fails("short") != nil {
			return nil
		}
		if !yield(d.entry(n)) {
			return nil
		}
	}
	return nil
}

func (d *snapshot) Read(ctx context.Context, n int) (io.ReadCloser, error) {
	if err := errors.Join(d.office.fails("read"), ctx.Err()); err != nil {
		return nil, err
	}
	body := d.letters[n-1].body
	var r io.Reader = bytes.NewReader(body)
	switch {
	case d.office.fails("short") != nil:
		r = bytes.NewReader(body[:len(body)-1])
	case d.office.fails("long") != nil:
		r = io.MultiReader(r, endless{})
	case d.office.fails("breaks") != nil:
		r = io.MultiReader(bytes.NewReader(body[:len(body)/2]), failing{})
	}
	return io.NopCloser(r), nil
}

// endless is more than an entry says.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// failing breaks off in the way that is most easily taken for an end.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (d *snapshot) Expunge(ctx context.Context, numbers iter.Seq[int]) error {
	select {
	case <-time.After(d.office.commit):
	case <-ctx.Done():
	}
	if err := errors.Join(d.office.fails("expunge"), ctx.Err()); err != nil {
		return err
	}
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	gone := make(map[string]bool)
	for n := range numbers {
		gone[d.letters[n-1].uid] = true
	}
	d.office.drops[d.login] = slices.DeleteFunc(slices.Clone(d.office.drops[d.login]), func(l letter) bool { return gone[l.uid] })
	return nil
}

func (d *snapshot) Close() error {
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	if !d.closed {
		d.closed = true
		d.office.open--
	}
	return nil
}

// crlf gives a text that was written with LF the line ends of a stored message.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }
