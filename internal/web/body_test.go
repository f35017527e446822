package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowly gives a piece whenever some time has passed.
type slowly struct {
	left  int
	every time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	time.Sleep(s.every)
	return copy(p, "piece"), nil
}

// serveFiles serves a site with a place for large bodies, over pipes of memory, so that its minutes cost nothing.
func serveFiles(t *testing.T, patient bool) *http.Client {
	t.Helper()
	site, err := New(Options{URL: "http://localhost"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /files", site.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		body := LargeBody(w, r, 1<<20)
		if patient {
			body.Patient()
		}
		b, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(w, len(b))
		return err
	}))
	mux.Handle("POST /form", site.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	}))
	mux.Handle("GET /slow", site.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Length", fmt.Sprint(512<<10))
		_, err := SlowAnswer(w).Write(bytes.Repeat([]byte("x"), 512<<10))
		return err
	}))
	ln := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := NewServer(ServerOptions{Handler: site.Handler(mux)})
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return ln.dial() }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := srv.Shutdown(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Error(err)
		}
		<-ended
	})
	return &http.Client{Transport: transport}
}

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) dial() (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case p.conns <- b:
		return a, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func TestALargeBodyMayTakeItsTimeButNotForEver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patient bool
		pieces  int
		every   time.Duration
		want    string
	}{
		"a file over a slow line":                    {true, 30, 20 * time.Second, "150"},
		"a file of which nothing comes any more":     {true, 3, 40 * time.Second, ""},
		"a file that never ends":                     {true, 200, 20 * time.Second, ""},
		"somebody of whom it is not known who he is": {false, 30, 2 * time.Second, ""},
		"a form": {false, 3, 2 * time.Second, "15"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := serveFiles(t, c.patient)
				got := ""
				resp, err := client.Post("http://localhost/files", "application/octet-stream", &slowly{c.pieces, c.every})
				if err == nil {
					if body, err := io.ReadAll(resp.Body); err == nil && resp.StatusCode == http.StatusOK {
						got = string(body)
					}
					resp.Body.Close()
				}
				if got != c.want {
					t.Errorf("answered %q, want %q (%v)", got, c.want, err)
				}
				time.Sleep(2 * time.Hour) // until the sender has noticed, too
			})
		})
	}
}

func TestOnlyWhatAsksForItTakesLargeBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := serveFiles(t, true)
		for _, c := range []struct {
			path   string
			size   int
			status int
		}{{"/files", 1 << 20, 200}, {"/files", 1<<20 + 1, 413}, {"/form", maxBody, 200}, {"/form", maxBody + 1, 413}} {
			resp, err := client.Post("http://localhost"+c.path, "application/octet-stream", strings.NewReader(strings.Repeat("x", c.size)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.status {
				t.Errorf("%d octets to %s: status %d, want %d", c.size, c.path, resp.StatusCode, c.status)
			}
		}
	})
}

func TestASlowReaderGetsAllOfAFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		resp, err := serveFiles(t, true).Get("http://localhost/slow")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		n, buf := 0, make([]byte, 32<<10)
		for err == nil {
			var k int
			k, err = io.ReadFull(resp.Body, buf)
			n += k
			time.Sleep(10 * time.Second)
		}
		if !errors.Is(err, io.EOF) || n != 8*64<<10 {
			t.Errorf("%d octets came in minutes: %v", n, err)
		}
	})
}
