package e2e

import (
	"context"
	"io"
	"net"
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

func TestAMailScannerRingsNobody(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, port := s.mailWithPort(t, "Offer for the roof")
	desk := s.desk(t, "/desk")

	resp, err := s.client().Head(link)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || len(resp.Cookies()) != 0 {
		t.Errorf("HEAD: status %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	if conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second); err == nil {
		conn.Close()
		t.Error("HEAD started the listener on the port")
	}
	for range 5 {
		if status := s.get(t, link); status != 200 {
			t.Errorf("GET: status %d", status)
		}
	}
	for _, wrong := range []string{"/c/AAAAAAAAAAAAAAAAAAAAAA", "/c/x", "/c/" + link} {
		if status := s.get(t, s.url()+wrong); status != 404 {
			t.Errorf("GET %s: status %d, want 404", wrong, status)
		}
	}
	scanner := follow(t, link) // a sandbox that runs the page's scripts, and nothing else
	scanner.Until(`document.readyState === 'complete'`)
	reader := follow(t, link)
	reader.MoveMouse()
	desk.Until(`document.querySelectorAll('.call').length > 0`)
	desk.Until(`document.querySelectorAll('.call.ring').length === 1`)
	desk.Until(`document.querySelectorAll('.call').length === 1`)
	m := s.maildrop(t, alice, alicesPassword)
	defer m.quit()
	if n := m.count(); n != 0 {
		t.Errorf("%d notices in the maildrop", n)
	}
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
