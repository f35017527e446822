package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// BenchmarkIdleReaders opens ten thousand readers' lines to one owner's chat port, all of which stay and say nothing, and reports what each costs the server in
// memory.
func BenchmarkIdleReaders(b *testing.B) {
	for _, scheme := range []string{"http", "https"} {
		b.Run(scheme, func(b *testing.B) {
			for b.Loop() {
				idleReaders(b, scheme, 10_000)
			}
		})
	}
}

func idleReaders(b *testing.B, scheme string, lines int) {
	s := newServer(b, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		b.Fatal(err)
	}
	edited := strings.NewReplacer("  url: https:", "  url: "+scheme+":", "  ports:", fmt.Sprintf("  connections: %d\n  per_network: %d\n  ports:", lines+100, lines+100)).Replace(string(text))
	if err := os.WriteFile(s.config, []byte(edited), 0o600); err != nil {
		b.Fatal(err)
	}
	s.account(b, alice, alicesPassword)
	s.account(b, bob, bobsPassword)
	s.start(b)
	link, port := s.mailWithPort(b, "Offer for the roof")
	first := s.idle(b, scheme, link, port, 200) // what is there once for all of them
	before := s.statusKB(b, "VmRSS:")
	rest := s.idle(b, scheme, link, port, lines-200)
	b.ReportMetric((s.statusKB(b, "VmRSS:")-before)/float64(lines-200), "KB/line")
	for _, done := range []func(){first, rest} {
		done()
	}
	s.kill()
}

// idle opens lines that join and stay, answering pings, until the function that it returns is called.
func (s *server) idle(b *testing.B, scheme, link, port string, lines int) (done func()) {
	b.Helper()
	site := scheme + strings.TrimPrefix(s.url(), "https")
	c := s.client()
	c.Timeout = 0
	resp, err := c.Get(link) // the port begins to listen
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	ctx, cancel := context.WithCancel(b.Context())
	var ready, gone sync.WaitGroup
	turn := make(chan struct{}, 64) // dialling at once
	for i := range lines {
		turn <- struct{}{}
		ready.Add(1)
		gone.Go(func() {
			conn, err := s.joined(ctx, c, scheme, site, link, port, i)
			<-turn
			ready.Done()
			if err != nil {
				b.Error(err)
				return
			}
			_, _, _ = conn.Read(ctx) // answers pings until ctx ends
			_ = conn.CloseNow()
		})
	}
	ready.Wait()
	return func() { cancel(); gone.Wait() }
}

// joined is the line of a reader of his own, who has shown no intent.
func (s *server) joined(ctx context.Context, c *http.Client, scheme, site, link, port string, i int) (*websocket.Conn, error) {
	dial, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cookie := "visitor"
	if scheme == "https" {
		cookie = "__Host-visitor"
	}
	header := http.Header{"Origin": {site}, "Cookie": {fmt.Sprintf("%s=%024d", cookie, i)}}
	conn, _, err := websocket.Dial(dial, "ws"+strings.TrimPrefix(scheme, "http")+"://localhost:"+port+"/ws", &websocket.DialOptions{HTTPClient: c, HTTPHeader: header})
	if err != nil {
		return nil, err
	}
	if err := write(dial, conn, map[string]any{"t": "join", "v": 1, "token": path.Base(link), "last": 0}); err != nil {
		return nil, err
	}
	_, text, err := conn.Read(dial)
	if err == nil && !strings.Contains(string(text), `"joined"`) {
		err = fmt.Errorf("joining: %s", text)
	}
	return conn, err
}
