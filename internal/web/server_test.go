package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, o ServerOptions) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Log = slog.New(slog.DiscardHandler)
	s := NewServer(o)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, ln.Addr().String()
}

// send writes raw bytes and returns the status line of the answer, or how the connection ended.
func send(t *testing.T, addr, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// The server may have hung up already, which the reading below finds out.
	_, _ = io.WriteString(c, raw)
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "closed"
	}
	return strings.TrimSpace(line)
}

func hello() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}

func TestEndlessHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, ServerOptions{Handler: hello()})
	if got := send(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); got != "HTTP/1.1 204 No Content" {
		t.Errorf("an ordinary request: %s", got)
	}
	if got := send(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("a", 64<<10)+"\r\n\r\n"); !strings.Contains(got, " 431 ") && got != "closed" {
		t.Errorf("64 KiB of headers: %s", got)
	}
}

func TestConnectionsAreCountedBeforeTheyCost(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, ServerOptions{Handler: hello(), PerNet: 2})
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	within := time.Now().Add(10 * time.Second)
	for got := ""; got != "closed"; got = send(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") {
		if time.Now().After(within) {
			t.Fatalf("a third connection is served: %s", got)
		}
	}
	for _, c := range held {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for got := ""; !strings.Contains(got, " 204 "); got = send(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") {
		if time.Now().After(within) {
			t.Fatalf("after the others have gone: %s", got)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stats.Open > s.perNet || s.stats.Open < 0 {
		t.Errorf("%d connections are counted", s.stats.Open)
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	s, addr := serve(t, ServerOptions{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		w.WriteHeader(http.StatusNoContent)
	})})
	answer := make(chan string, 1)
	go func() { answer <- send(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	close(leave)
	if got := <-answer; got != "HTTP/1.1 204 No Content" {
		t.Errorf("the request that was under way: %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestOverTLSPagesComeByHTTP2AndSocketsByHTTP1(t *testing.T) {
	t.Parallel()
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	_, addr := serve(t, ServerOptions{
		TLS: &tls.Config{Certificates: borrowed.TLS.Certificates, MinVersion: tls.VersionTLS12},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Proto", r.Proto)
			if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
				w.Header().Set("X-Hijack", "no")
			}
			if r.TLS == nil {
				w.Header().Set("X-TLS", "none")
			}
		}),
	})
	pool := x509.NewCertPool()
	pool.AddCert(borrowed.Certificate())
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Header.Get("X-Proto") != "HTTP/2.0" || resp.Header.Get("X-TLS") != "" {
		t.Errorf("a page comes by %s, TLS %q", resp.Header.Get("X-Proto"), resp.Header.Get("X-TLS"))
	}
	one, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "example.com", NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if p := one.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("a socket's connection speaks %q", p)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
}
