package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/address"
	"chmail/internal/delivery"
)

// zone is a Resolver of the tests. What is not in it does not exist; "fail" as an answer is a name server that does not answer.
type zone struct {
	mx  map[string][]string // "10 mx.example.org."
	ip  map[string][]string
	txt map[string][]string
}

func answers(from map[string][]string, name string) ([]string, error) {
	list := from[name]
	switch {
	case len(list) == 0:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case list[0] == "fail":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	return list, nil
}

func (z *zone) LookupMX(_ context.Context, name string) (mx []*net.MX, err error) {
	list, err := answers(z.mx, name)
	for _, l := range list {
		pref, host, _ := strings.Cut(l, " ")
		n, _ := strconv.Atoi(pref)
		mx = append(mx, &net.MX{Host: host, Pref: uint16(n)})
	}
	return mx, err
}

func (z *zone) LookupIPAddr(_ context.Context, host string) (ips []net.IPAddr, err error) {
	list, err := answers(z.ip, host)
	for _, l := range list {
		ips = append(ips, net.IPAddr{IP: net.ParseIP(l)})
	}
	return ips, err
}

func (z *zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	return answers(z.txt, name)
}

// exampleOrg is a domain with one mail server.
func exampleOrg() *zone {
	return &zone{
		mx:  map[string][]string{"example.org.": {"10 mx.example.org."}},
		ip:  map[string][]string{"mx.example.org.": {"192.0.2.1"}, "smart.example.net.": {"10.0.0.1"}},
		txt: map[string][]string{},
	}
}

// peers are the servers of a test: each connection that is made plays the next script.
type peers struct {
	t       *testing.T
	scripts []string
	tls     *tls.Config
	mu      sync.Mutex
	dialled []string
	playing sync.WaitGroup
}

func (p *peers) dial(_ context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.dialled)
	p.dialled = append(p.dialled, address)
	if n >= len(p.scripts) || strings.TrimSpace(p.scripts[n]) == "refused" {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	p.playing.Go(func() { (&peer{t: p.t, conn: server, in: bufio.NewReader(server), tls: p.tls}).play(n+1, p.scripts[n]) })
	return client, nil
}

// peer is a server that plays a script. Its lines:
//
//	S: line      the server says
//	S" text\n    the same, as a Go string without its quotes, no line end added
//	C: line      the client says exactly this
//	C" text\r\n  the same, as a Go string without its quotes
//	! tls        the server's side of a handshake
//	! tls refused  the same, which the client breaks off
//	! junk       the client says something, and the server closes
//	! wait 6m    the server says nothing for that time
//	! closed     the client has closed
//	! reset      the server closes; at the end of a script it does so by itself
//
// Before the server says anything it makes sure that the client waits for it.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	tls  *tls.Config
}

func (p *peer) play(n int, script string) {
	defer func() { p.conn.Close() }()
	for i, line := range strings.Split(strings.TrimSuffix(script, "\n"), "\n") {
		if err := p.line(line); err != nil {
			p.t.Errorf("connection %d, line %d, %s: %v", n, i+1, line, err)
			return
		}
	}
}

func (p *peer) line(line string) error {
	kind, text, _ := strings.Cut(line, " ")
	switch kind {
	case "S:", `S"`:
		text, err := unquoted(kind, text)
		if err != nil {
			return err
		}
		_ = p.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if b, err := p.in.Peek(1); err == nil {
			return fmt.Errorf("the client does not wait: %q", b)
		}
		_, err = io.WriteString(p.conn, text)
		return err
	case "C:", `C"`:
		text, err := unquoted(kind, text)
		if err != nil {
			return err
		}
		_ = p.conn.SetReadDeadline(time.Now().Add(time.Hour))
		got := make([]byte, len(text))
		if n, err := io.ReadFull(p.in, got); err != nil || string(got) != text {
			return fmt.Errorf("the client says %q (%v)", got[:n], err)
		}
		return nil
	case "!":
		return p.act(text)
	}
	return errors.New("what is this?")
}

func unquoted(kind, text string) (string, error) {
	if kind[1] == ':' {
		return text + "\r\n", nil
	}
	return strconv.Unquote(`"` + text + `"`)
}

func (p *peer) act(what string) error {
	what, value, _ := strings.Cut(what, " ")
	switch what {
	case "tls":
		s := tls.Server(p.conn, p.tls)
		_ = p.conn.SetDeadline(time.Now().Add(time.Minute))
		err := s.Handshake()
		p.conn, p.in = s, bufio.NewReader(s)
		if value == "refused" && err != nil {
			return nil
		}
		return err
	case "junk":
		_ = p.conn.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := p.in.ReadByte()
		p.conn.Close()
		return err
	case "wait":
		d, err := time.ParseDuration(value)
		time.Sleep(d) // of the bubble's clock
		return err
	case "closed":
		_ = p.conn.SetReadDeadline(time.Now().Add(time.Hour))
		if b, err := p.in.ReadByte(); err == nil {
			return fmt.Errorf("the client says %q", b)
		} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			return err
		}
		return nil
	case "reset":
		return p.conn.Close()
	}
	return errors.New("what is this?")
}

// mailOf reads a mail from the files of a dialogue: lines "to ADDRESS PARAMETERS…", "from", "ret", "envid", "utf8", "requiretls", "anytls", "signature", then a blank line and the body,
// whose lines are ended with CRLF; "body" in front of a Go string gives the body itself.
func mailOf(t *testing.T, text string) delivery.Mail {
	t.Helper()
	m := delivery.Mail{ID: "1", From: parse(t, "alice@example.com")}
	head, body, _ := strings.Cut(text, "\n\n")
	raw := []byte(strings.ReplaceAll(body, "\n", "\r\n"))
	for line := range strings.SplitSeq(strings.TrimSpace(head), "\n") {
		word, value, _ := strings.Cut(line, " ")
		switch word {
		case "to":
			m.To = append(m.To, recipient(t, value))
		case "from":
			m.From = parse(t, value)
		case "ret":
			m.Ret = value
		case "envid":
			m.EnvID = value
		case "utf8":
			m.UTF8 = true
		case "requiretls":
			m.RequireTLS = true
		case "anytls":
			m.AnyTLS = true
		case "signature":
			m.Signature = []byte(value + "\r\n")
		case "body":
			s, err := strconv.Unquote(`"` + value + `"`)
			if err != nil {
				t.Fatal(err)
			}
			raw = []byte(s)
		default:
			t.Fatalf("mail: %q", line)
		}
	}
	m.Body, m.Size, m.EightBit = bytes.NewReader(raw), int64(len(raw)), !isASCII(raw)
	return m
}

func recipient(t *testing.T, text string) delivery.Recipient {
	t.Helper()
	var r delivery.Recipient
	for i, word := range strings.Fields(text) {
		if i == 0 {
			r.Address = parse(t, word)
		} else if n, ok := strings.CutPrefix(word, "NOTIFY="); ok {
			r.Notify = n
		} else if o, ok := strings.CutPrefix(word, "ORCPT="); ok {
			r.ORcpt = o
		}
	}
	return r
}

func parse(t *testing.T, s string) address.Address {
	t.Helper()
	if s == "<>" {
		return address.Address{}
	}
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// told is a verdict as the tests write it.
func told(v *delivery.Verdict) string {
	var also []string
	for word, is := range map[string]bool{"temporary": v.Temporary, "relayed": v.Relayed, "stale": v.Stale, "own": v.Own, v.TLS: v.TLS != ""} {
		if is {
			also = append(also, word)
		}
	}
	if len(also) == 0 {
		return v.String()
	}
	slices.Sort(also)
	return v.String() + " (" + strings.Join(also, ", ") + ")"
}
