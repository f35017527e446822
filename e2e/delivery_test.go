package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const (
	talkOwners  = 20
	talkReaders = 25                    // of each owner
	talkEach    = 50 * time.Millisecond // between two messages of one reader
	talkSays    = 55                    // of one reader: within what one side of a conversation may say at once
)

// BenchmarkDelivery has 500 readers write 20 messages a second each, to 20 owners at their desks, through the built program on one core and over TLS: ten thousand messages a
// second, each committed to the disk, acknowledged to its writer and delivered to the other side. It reports how many were delivered and how long they took, from the moment
// at which each was due.
func BenchmarkDelivery(b *testing.B) {
	b.Setenv("GOMAXPROCS", "1") // the server's; the clients have the rest of the machine
	s := newServer(b, "")
	var links, ports []string
	for i := range talkOwners {
		s.account(b, owner(i), alicesPassword)
	}
	s.account(b, bob, bobsPassword)
	s.start(b)
	for i := range talkOwners {
		link, port := s.mailOf(b, owner(i))
		links, ports = append(links, link), append(ports, port)
	}
	for b.Loop() {
		t := &talkers{s: s, b: b}
		t.gather(links, ports)
		before, began := s.cpu(b), time.Now()
		t.talk()
		took := time.Since(began)
		slices.Sort(t.took)
		if want := talkOwners * talkReaders * talkSays; len(t.took) != want || int(t.acked.Load()) != want {
			b.Fatalf("%d messages delivered and %d acknowledged of %d", len(t.took), t.acked.Load(), want)
		}
		b.ReportMetric(float64(len(t.took))/took.Seconds(), "messages/s")
		b.ReportMetric(float64(s.cpu(b)-before)/float64(took), "cores")
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(t.took[len(t.took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
		}
		t.leave()
	}
}

func owner(i int) string { return fmt.Sprintf("owner%d@example.com", i) }

// mailOf is mailWithPort for a mail of that login.
func (s *server) mailOf(b *testing.B, login string) (link, port string) {
	b.Helper()
	for range 10 {
		if err := s.submit(login, alicesPassword, bob, letter(login, bob, "Offer for the roof", "Have a look at this, please.")); err != nil {
			b.Fatal(err)
		}
		m := s.maildrop(b, bob, bobsPassword)
		msg, _ := m.message(m.count())
		m.quit()
		if port := msg.Header.Get("CH-Port"); port != "" && msg.Header.Get("CH-Link") != "" {
			return chatLink(b, msg), port
		}
	}
	b.Fatal("ten mails without CH-Port or CH-Link")
	return "", ""
}

// talkers are readers and desks that are all connected.
type talkers struct {
	s       *server
	b       *testing.B
	readers []*websocket.Conn
	desks   []*websocket.Conn

	acked atomic.Int64
	mu    sync.Mutex
	took  []time.Duration
}

// from is a client at an address of its own: how much one network may ask for is not what is measured.
func (t *talkers) from(i int) *http.Client {
	c := t.s.client()
	c.Timeout = 0
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 20, byte(i), 1)}}
	c.Transport = &http.Transport{TLSClientConfig: t.s.trust.Clone(), DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	}}
	return c
}

// gather opens all lines; every reader has shown intent and every owner sits at his desk.
func (t *talkers) gather(links, ports []string) {
	visitor := rand.IntN(1 << 30)
	for i := range links {
		c := t.from(i)
		t.desks = append(t.desks, t.desk(c, owner(i)))
		resp, err := c.Get(links[i]) // the port begins to listen
		if err != nil {
			t.b.Fatal(err)
		}
		resp.Body.Close()
		for range talkReaders {
			visitor++
			conn, err := t.s.joined(t.b.Context(), c, "https", t.s.url(), links[i], ports[i], visitor)
			if err == nil {
				err = write(t.b.Context(), conn, map[string]any{"t": "intent"})
			}
			if err == nil {
				err = await(t.b.Context(), conn, `"kind":"join"`)
			}
			if err != nil {
				t.b.Fatalf("a reader of %s: %v", path.Base(links[i]), err)
			}
			t.readers = append(t.readers, conn)
		}
	}
}

// desk signs in.
func (t *talkers) desk(c *http.Client, login string) *websocket.Conn {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.b.Fatal(err)
	}
	c = &http.Client{Transport: c.Transport, CheckRedirect: c.CheckRedirect, Jar: jar}
	req, err := http.NewRequestWithContext(t.b.Context(), http.MethodPost, t.s.url()+"/desk/login", bytes.NewBufferString(url.Values{"user": {login}, "password": {alicesPassword}}.Encode()))
	if err != nil {
		t.b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", t.s.url())
	resp, err := c.Do(req)
	if err != nil {
		t.b.Fatal(err)
	}
	resp.Body.Close()
	conn, err := t.s.socket(t.b.Context(), c, "wss"+strings.TrimPrefix(t.s.url(), "https")+"/desk/ws")
	if err == nil {
		conn.SetReadLimit(1 << 20)
		err = await(t.b.Context(), conn, `"t":"list"`)
	}
	if err != nil {
		t.b.Fatal(err)
	}
	return conn
}

// await reads until a frame holds that.
func await(ctx context.Context, conn *websocket.Conn, what string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, body, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if bytes.Contains(body, []byte(what)) {
			return nil
		}
	}
}

// talk has all readers say what they have to say, and ends when all of it has been acknowledged and delivered.
func (t *talkers) talk() {
	var wg sync.WaitGroup
	for _, conn := range t.desks {
		wg.Go(func() { t.hear(conn) })
	}
	for _, conn := range t.readers {
		wg.Go(func() { t.acks(conn) })
		wg.Go(func() { t.say(conn) })
	}
	wg.Wait()
}

// say says one thing after the other, each when it is due, however long the ones before take.
func (t *talkers) say(conn *websocket.Conn) {
	due := time.Now().Add(rand.N(talkEach))
	for i := range talkSays {
		wait := time.NewTimer(time.Until(due))
		<-wait.C
		if err := write(t.b.Context(), conn, map[string]any{"t": "say", "cid": strconv.Itoa(i), "text": fmt.Sprintf("%d a message of ordinary length, as one types it", due.UnixNano())}); err != nil {
			t.b.Error(err)
			return
		}
		due = due.Add(talkEach)
	}
}

func (t *talkers) acks(conn *websocket.Conn) {
	for range talkSays {
		if err := await(t.b.Context(), conn, `"t":"ack"`); err != nil {
			t.b.Error(err)
			return
		}
		t.acked.Add(1)
	}
}

// hear is the desk of an owner: it takes everything that his readers say.
func (t *talkers) hear(conn *websocket.Conn) {
	var took []time.Duration
	for len(took) < talkReaders*talkSays {
		_, body, err := conn.Read(t.b.Context())
		if err != nil {
			t.b.Error(err)
			break
		}
		now := time.Now()
		if !bytes.Contains(body, []byte(`"kind":"say"`)) {
			continue
		}
		var f struct{ Text string }
		if err := json.Unmarshal(body, &f); err != nil {
			t.b.Error(err)
			break
		}
		due, _, _ := strings.Cut(f.Text, " ")
		ns, err := strconv.ParseInt(due, 10, 64)
		if err != nil {
			t.b.Error(err)
			break
		}
		took = append(took, now.Sub(time.Unix(0, ns)))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took = append(t.took, took...)
}

func (t *talkers) leave() {
	for _, conn := range slices.Concat(t.readers, t.desks) {
		_ = conn.CloseNow()
	}
}
