package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
)

// town stands for the rooms behind the control socket.
type town struct {
	mu     sync.Mutex
	people map[string]Account
	done   []string
	wait   chan struct{} // when not nil, Set lasts until it is closed
	begun  chan struct{}
}

func (h *town) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = append(h.done, fmt.Sprintf(format, args...))
}

func (h *town) Add(_ context.Context, login, password, name string) error {
	if _, there := h.people[login]; there {
		return errors.New(login + ": there is such an account already")
	}
	h.note("add %s %s %s", login, password, name)
	h.people[login] = Account{Login: login, Name: name, HasPassword: true, Created: then, Changed: then}
	return nil
}

func (h *town) SetPassword(_ context.Context, login, password string) error {
	h.note("passwd %s %s", login, password)
	return nil
}

func (h *town) Set(_ context.Context, login string, changes map[string]string) error {
	if h.wait != nil {
		close(h.begun)
		<-h.wait
	}
	h.note("set %s %v", login, changes)
	return nil
}

func (h *town) Remove(_ context.Context, login string) error {
	h.note("remove %s", login)
	delete(h.people, login)
	return nil
}

func (h *town) Accounts(context.Context) (all []Account, err error) {
	for _, a := range h.people {
		all = append(all, a)
	}
	return all, nil
}

var (
	then   = time.Date(2026, 11, 25, 15, 4, 5, 0, time.UTC)
	latest = &Latest{IP: "192.0.2.7", Host: "laptop", Source: "smtp", Seen: then}
	person = Person{Login: alice, Verdict: "on", Latest: latest, Evidence: []Evidence{
		{Source: "smtp", Client: "k1", IP: "192.0.2.7", Host: "laptop", Seen: then, Until: then.Add(time.Hour), Interval: 60},
	}}
)

func (h *town) Presence(_ context.Context, login string) ([]Person, error) {
	switch login {
	case "":
		return []Person{person, {Login: bob, Verdict: "unknown", Evidence: []Evidence{}}}, nil
	case alice:
		return []Person{person}, nil
	}
	return nil, nil
}

func (h *town) Ports(context.Context) ([]Port, error) {
	return []Port{{Port: 24000, Login: alice, Host: "chat.example.com", Listening: true, Until: then}}, nil
}

func (h *town) Whois(_ context.Context, port int) (Owner, error) {
	if port != 24000 {
		return Owner{}, fmt.Errorf("nobody has port %d", port)
	}
	return Owner{Port: port, Login: alice, Latest: latest}, nil
}

// running is a server with its control socket.
type running struct {
	*Server
	town *town
	path string
	log  *bytes.Buffer
	over chan error
}

func start(t *testing.T, path string) *running {
	t.Helper()
	r := &running{town: &town{people: map[string]Account{}}, path: path, log: new(bytes.Buffer), over: make(chan error, 1)}
	r.Server = New(Options{Accounts: r.town, Reports: r.town, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	ln, err := ListenControl(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	go func() { r.over <- r.ServeControl(ln) }()
	t.Cleanup(func() {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// socketPath is short enough for a socket, whatever the test's name.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chmail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "control.sock")
}

func client(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVerbsReachTheRunningServer(t *testing.T) {
	t.Parallel()
	r := start(t, socketPath(t))
	c, ctx := client(t, r.path), t.Context()
	if all, err := c.Accounts(ctx); err != nil || all == nil || len(all) != 0 {
		t.Errorf("nobody lives here: %#v, %v", all, err)
	}
	must(t, c.AddAccount(ctx, alice, "pass wörd 😀", "Alice"))
	if err := c.AddAccount(ctx, alice, "x", ""); err == nil || err.Error() != alice+": there is such an account already" {
		t.Errorf("the refusal reads %v", err)
	}
	must(t, c.SetPassword(ctx, "Alice@Example.COM", "another"))
	must(t, c.Set(ctx, alice, map[string]string{"name": "", "chat": "off"}))
	all, err := c.Accounts(ctx)
	if want := (Account{Login: alice, Name: "Alice", HasPassword: true, Created: then, Changed: then}); err != nil || len(all) != 1 || all[0] != want {
		t.Errorf("listed %+v, %v", all, err)
	}
	must(t, c.RemoveAccount(ctx, alice))
	want := []string{"add " + alice + " pass wörd 😀 Alice", "passwd Alice@Example.COM another", "set " + alice + " map[chat:off name:]", "remove " + alice}
	if !slices.Equal(r.town.done, want) {
		t.Errorf("done: %q, want %q", r.town.done, want)
	}
	must(t, r.Shutdown(ctx))
	if text := r.log.String(); strings.Contains(text, "wörd") || strings.Contains(text, "another") || strings.Contains(text, "Example.COM") || !strings.Contains(text, "password set\" login="+alice+"\n") {
		t.Errorf("the log says\n%s", text)
	}
}

func TestTheMapsAreShown(t *testing.T) {
	t.Parallel()
	r := start(t, socketPath(t))
	c, ctx := client(t, r.path), t.Context()
	people, err := c.Presence(ctx, "")
	if err != nil || len(people) != 2 || *people[0].Latest != *latest || people[0].Evidence[0] != person.Evidence[0] || people[1].Latest != nil {
		t.Errorf("presence: %+v, %v", people, err)
	}
	if people, err = c.Presence(ctx, alice); err != nil || len(people) != 1 {
		t.Errorf("alice's presence: %+v, %v", people, err)
	}
	if people, err = c.Presence(ctx, "carol@example.com"); err != nil || people == nil || len(people) != 0 {
		t.Errorf("a stranger's presence: %#v, %v", people, err)
	}
	if ports, err := c.Ports(ctx); err != nil || len(ports) != 1 || ports[0].Port != 24000 || !ports[0].Listening {
		t.Errorf("ports: %+v, %v", ports, err)
	}
	if o, err := c.Whois(ctx, 24000); err != nil || o.Login != alice || *o.Latest != *latest {
		t.Errorf("whois: %+v, %v", o, err)
	}
	if _, err := c.Whois(ctx, 24001); err == nil || err.Error() != "nobody has port 24001" {
		t.Errorf("whois of nobody's port: %v", err)
	}
}

// The names in the JSON are fixed: scripts read them.
func TestTheJSONIsAsFixed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    any
		want string
	}{
		{person, `{"login":"alice@example.com","verdict":"on","latest":{"ip":"192.0.2.7","host":"laptop","source":"smtp","seen":"2026-11-25T15:04:05Z"},` +
			`"evidence":[{"source":"smtp","client":"k1","ip":"192.0.2.7","host":"laptop","seen":"2026-11-25T15:04:05Z","until":"2026-11-25T16:04:05Z","interval_s":60,"age_s":0}],"until":null}`},
		{Port{Port: 24000, Login: alice, Host: "c.example", Until: then}, `{"port":24000,"login":"alice@example.com","host":"c.example","listening":false,"until":"2026-11-25T15:04:05Z"}`},
		{Owner{Port: 24000, Login: alice}, `{"port":24000,"login":"alice@example.com","latest":null}`},
		{Account{Login: alice, Created: then, Changed: then}, `{"login":"alice@example.com","name":"","created":"2026-11-25T15:04:05Z","changed":"2026-11-25T15:04:05Z","has_password":false,"maildrop":{"quota":0,"used":0}}`},
		{Account{Login: alice, Created: then, Changed: then, Chat: "off", Language: "ja", PublishHost: true}, `{"login":"alice@example.com","name":"",` +
			`"created":"2026-11-25T15:04:05Z","changed":"2026-11-25T15:04:05Z","has_password":false,"chat":"off","language":"ja","publish_host":true,"maildrop":{"quota":0,"used":0}}`},
	} {
		if got, err := json.Marshal(c.v); err != nil || string(got) != c.want {
			t.Errorf("%s (%v), want\n%s", got, err, c.want)
		}
	}
}

func TestTheSocketIsItsOwnersOnly(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	start(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
}

// What private does shows only before the mode is set a second time.
func TestTheSocketIsClosedFromItsFirstMomentOn(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	lc := net.ListenConfig{Control: private}
	ln, err := lc.Listen(t.Context(), "unix", path)
	must(t, err)
	defer ln.Close()
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("its first mode is %v", info.Mode())
	}
}

func TestTwoServersDoNotShareASocket(t *testing.T) {
	t.Parallel()
	first := start(t, socketPath(t))
	if ln, err := ListenControl(t.Context(), first.path); !errors.Is(err, ErrRunning) {
		t.Errorf("a second server got %v, %v", ln, err)
	}
	if err := client(t, first.path).Set(t.Context(), alice, map[string]string{"name": "A"}); err != nil {
		t.Errorf("the first one lost its socket: %v", err)
	}
}

func TestWhatAKilledServerLeftIsReplaced(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	ln, err := net.Listen("unix", path)
	must(t, err)
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, ln.Close())
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoServer) {
		t.Errorf("asking a killed server: %v", err)
	}
	start(t, path)
	must(t, client(t, path).Set(t.Context(), alice, map[string]string{"name": "A"}))
}

func TestAFileInTheWayIsNotRemoved(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	must(t, os.WriteFile(path, []byte("dear diary"), 0o600))
	if _, err := ListenControl(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("listening over a file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "dear diary" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

func TestNoServerIsSaidPlainly(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), path) {
		t.Errorf("without a server: %v", err)
	}
	r := start(t, path)
	c := client(t, path)
	must(t, r.Shutdown(t.Context()))
	if err := <-r.over; err != nil {
		t.Errorf("a wanted end is an error: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket's file stays behind: %v", err)
	}
	if err := c.Set(t.Context(), alice, map[string]string{"name": "A"}); !errors.Is(err, ErrNoServer) {
		t.Errorf("asking a server that has stopped: %v", err)
	}
}

// inMemory is a network of one listener, for tests with a clock of their own.
type inMemory struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func newInMemory() *inMemory { return &inMemory{conns: make(chan net.Conn), over: make(chan struct{})} }

func (m *inMemory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.over:
		return nil, net.ErrClosed
	}
}

func (m *inMemory) Close() error   { m.once.Do(func() { close(m.over) }); return nil }
func (m *inMemory) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "memory"} }

// client asks through the network.
func (m *inMemory) client() *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		m.conns <- theirs
		return ours, nil
	}}}}
}

func TestShutdownWaitsForWhatIsBeingDone(t *testing.T) {
	t.Parallel()
	for _, patient := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := &town{wait: make(chan struct{}), begun: make(chan struct{})}
			s, network := New(Options{Accounts: h, Reports: h, Log: slog.New(slog.DiscardHandler)}), newInMemory()
			go s.ServeControl(network)
			c := network.client()
			named, stopped := make(chan error, 1), make(chan error, 1)
			go func() { named <- c.Set(t.Context(), alice, map[string]string{"name": "Alice"}) }()
			<-h.begun
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			go func() { stopped <- s.Shutdown(ctx) }()
			synctest.Wait()
			if len(stopped) > 0 || len(named) > 0 {
				t.Error("it stopped in the middle of an order")
			}
			if !patient {
				if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("broken off with %v", err)
				}
				if err := <-named; err == nil {
					t.Error("a broken order is reported as done")
				}
				close(h.wait)
				return
			}
			close(h.wait)
			must(t, <-named)
			must(t, <-stopped)
		})
	}
}

// raw sends a request as it stands and returns the answer.
func raw(t *testing.T, network, address, request string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial(network, address)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	// It may be refused before it is read to the end.
	if _, err := io.WriteString(conn, request); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(text)
}

func TestBadOrdersAreRefusedAndBounded(t *testing.T) {
	t.Parallel()
	r := start(t, socketPath(t))
	post := func(path, body string) (int, string) {
		return raw(t, "unix", r.path, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
	}
	for body, want := range map[string]string{
		"": "EOF", "{": "EOF", "[]": "cannot", `{"login":"a","pasword":"x"}`: "unknown field", `{"login":"a"} {}`: "more than one",
		`{"login":"` + strings.Repeat("a", maxBody) + `"}`: "more than 65536 bytes", `{"login":1}`: "cannot",
	} {
		if status, text := post(pathPassword, body); status != http.StatusUnprocessableEntity || !strings.Contains(text, want) {
			t.Errorf("%.40q is answered %d %s, want %q", body, status, text, want)
		}
	}
	for request, want := range map[string]int{
		"GET /v1/accounts/add HTTP/1.1\r\nHost: x\r\n\r\n": 405, "GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n": 404, "GET / HTTP/1.1\r\nHost: x\r\n\r\n": 404,
		"GET /v1/whois?port=x HTTP/1.1\r\nHost: x\r\n\r\n": 422, "hello\r\n\r\n": 400,
		"GET /v1/ports HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n": 431,
	} {
		if status, text := raw(t, "unix", r.path, request); status != want {
			t.Errorf("%.40q is answered %d %s, want %d", request, status, text, want)
		}
	}
	if len(r.town.done) != 0 {
		t.Errorf("done all the same: %q", r.town.done)
	}
}

func TestAnAnswerOfAnotherVersionIsNamed(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	ln, err := ListenControl(t.Context(), path)
	must(t, err)
	other := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	go other.Serve(ln)
	defer other.Close()
	if _, err := client(t, path).Ports(t.Context()); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("a server that does not know the question: %v", err)
	}
}

func TestAMonitorLearnsWhetherTheServerLives(t *testing.T) {
	t.Parallel()
	var dead atomic.Bool
	s := New(Options{Log: slog.New(slog.DiscardHandler), Alive: func(ctx context.Context) error {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("the question has no limit in time")
		}
		if dead.Load() {
			return errors.New("secret path /var/lib/chmail/chmail.db is on fire")
		}
		return nil
	}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	over := make(chan error, 1)
	go func() { over <- s.ServeHealth(ln) }()
	ask := func(line string) (int, string) {
		return raw(t, "tcp", ln.Addr().String(), line+" HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if status, body := ask("GET /healthz"); status != 200 || body != "ok\n" {
		t.Errorf("alive: %d %q", status, body)
	}
	dead.Store(true)
	if status, body := ask("GET /healthz"); status != 503 || body != "not alive\n" {
		t.Errorf("dead: %d %q", status, body)
	}
	for line, want := range map[string]int{"POST /healthz": 405, "GET /": 404, "GET " + pathAccounts: 404} {
		if status, _ := ask(line); status != want {
			t.Errorf("%s is answered %d, want %d", line, status, want)
		}
	}
	must(t, s.Shutdown(t.Context()))
	must(t, <-over)
}
