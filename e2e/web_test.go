package e2e

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// client is a program that speaks HTTP: no cookies, no scripts, no person.
func (s *server) client() *http.Client {
	return &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: s.trust.Clone()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (s *server) get(t testing.TB, url string) int {
	t.Helper()
	resp, err := s.client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func TestASocketFromAForeignPageIsRefused(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, number := s.mailWithPort(t, "Offer for the roof")
	if status := s.get(t, link); status != 200 {
		t.Fatalf("GET of the link: status %d", status)
	}
	port := "wss://localhost:" + number + "/ws"
	web := "wss" + s.url()[len("https"):]
	for _, origin := range []string{"", "null", "https://evil.example", "http://localhost", "https://localhost", "https://localhost:" + number, s.url() + ".evil.example"} {
		for _, target := range []string{port, web + "/ws", web + "/desk/ws"} {
			header := http.Header{}
			if origin != "" {
				header.Set("Origin", origin)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			conn, _, err := websocket.Dial(ctx, target, &websocket.DialOptions{HTTPClient: s.client(), HTTPHeader: header})
			if err == nil {
				_ = conn.CloseNow()
				t.Errorf("a socket to %s from origin %q was opened", target, origin)
			}
			cancel()
		}
	}
}
