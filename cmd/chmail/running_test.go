package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/play"
)

// freePorts finds a plan of ports that nobody uses at the moment.
func freePorts(t *testing.T) play.Ports {
	t.Helper()
	for range 200 {
		if p, err := play.PortsFrom(3000 + rand.IntN(7000)); err == nil && p.Free() == nil { // one base of them would have its pages on a port that browsers refuse
			return p
		}
	}
	t.Fatal("no free plan of ports on this machine")
	return play.Ports{}
}

// printed is what a running program has printed so far.
type printed struct {
	mu   sync.Mutex
	text strings.Builder
	all  chan struct{} // closed once the last line of the welcome is there
	once sync.Once
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	if strings.Contains(p.text.String(), "Mail from outside") {
		p.once.Do(func() { close(p.all) })
	}
	return len(b), nil
}

func (p *printed) find(t *testing.T, pattern string) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.text.String())
	if m == nil {
		t.Fatalf("%s was not printed:\n%s", pattern, p.text.String())
	}
	return m[1]
}

// playing is a play instance in this process.
type playing struct {
	ports play.Ports
	out   *printed
	data  string
	stop  func() (status int)
}

func startPlaying(t *testing.T) *playing {
	t.Helper()
	p := &playing{ports: freePorts(t), out: &printed{all: make(chan struct{})}}
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan int, 1)
	go func() {
		o := outside{in: strings.NewReader(""), out: p.out, err: os.Stderr, lastly: new(lastly)}
		ended <- run(ctx, o, []string{"play", "--port-base", strconv.Itoa(p.ports.Base)})
	}()
	p.stop = sync.OnceValue(func() int {
		cancel(errors.New("the test is over"))
		return <-ended
	})
	t.Cleanup(func() { p.stop() })
	select {
	case <-p.out.all:
	case status := <-ended:
		ended <- status
		t.Fatalf("play ended with status %d before it was ready", status)
	case <-time.After(time.Minute):
		t.Fatal("play was not ready within a minute")
	}
	p.data = p.out.find(t, `Data: (\S+)`)
	return p
}

func TestVerbsAskTheRunningServer(t *testing.T) {
	t.Parallel()
	p := startPlaying(t)
	verb := func(want int, stdin string, args ...string) string {
		t.Helper()
		out, errs, status := chmail(t, stdin, append(args, "--config", p.data+"/chmail.yaml")...)
		if status != want {
			t.Errorf("chmail %v: status %d, want %d: %s%s", args, status, want, out, errs)
		}
		return out + errs
	}
	verb(statusDone, "a fine long password\n", "account", "add", "carol@localhost.test")
	verb(statusRefused, "a fine long password\n", "account", "add", "carol@localhost.test")
	verb(statusRefused, "short\n", "account", "passwd", "carol@localhost.test")
	verb(statusDone, "", "account", "set", "carol@localhost.test", "chat=header-only")
	verb(statusRefused, "", "account", "set", "nobody@localhost.test", "chat=off")
	if text := verb(statusDone, "", "account", "list"); strings.Count(text, "@localhost.test") != 3 || !strings.Contains(text, "chat=header-only") {
		t.Errorf("the list:\n%s", text)
	}
	var ports []struct {
		Port  int
		Login string
	}
	if err := json.Unmarshal([]byte(verb(statusDone, "", "ports", "--json")), &ports); err != nil || len(ports) != 1 || ports[0].Login != "alice@localhost.test" {
		t.Fatalf("ports: %v, %+v", err, ports)
	}
	if text := verb(statusDone, "", "whois", strconv.Itoa(ports[0].Port)); !strings.Contains(text, "alice@localhost.test") || !strings.Contains(text, "127.0.0.1") {
		t.Errorf("whois: %s", text)
	}
	if text := verb(statusDone, "", "presence"); !strings.Contains(text, "alice@localhost.test") || !strings.Contains(text, "smtp") || !strings.Contains(text, "pop3") {
		t.Errorf("presence:\n%s", text)
	}
	if text := verb(statusRefused, "", "serve"); strings.Count(text, "process "+strconv.Itoa(os.Getpid())) != 2 || !strings.Contains(text, "waiting a moment for the data") {
		t.Errorf("a second server on the same data: %s", text)
	}
	resp, err := http.Get("http://" + play.Addr(p.ports.Health) + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %v, %v", resp, err)
	}
}

func TestANewPasswordEndsWhatWasOpenedWithTheOldOne(t *testing.T) {
	t.Parallel()
	p := startPlaying(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	site := "http://localhost:" + strconv.Itoa(p.ports.Web)
	in, err := browser.PostForm(site+"/desk/login", url.Values{"user": {"alice@localhost.test"}, "password": {p.out.find(t, `alice@localhost\.test\s+password (\S+)`)}})
	if err != nil {
		t.Fatal(err)
	}
	in.Body.Close()
	desk := func() int {
		t.Helper()
		resp, err := browser.Get(site + "/desk")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := desk(); status != http.StatusOK {
		t.Fatalf("the desk after signing in: %d", status)
	}
	if out, errs, status := chmail(t, "another long password\n", "account", "passwd", "alice@localhost.test", "--config", p.data+"/chmail.yaml"); status != statusDone {
		t.Fatalf("passwd: status %d: %s%s", status, out, errs)
	}
	if status := desk(); status != http.StatusSeeOther {
		t.Errorf("the desk after the password changed: %d, want to be led to the sign-in", status)
	}
}

func TestPlayLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p := startPlaying(t)
	if status := p.stop(); status != statusDone {
		t.Errorf("status %d", status)
	}
	if _, err := os.Stat(p.data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder %s: %v", p.data, err)
	}
	for _, port := range []int{p.ports.Submission, p.ports.POP3S, p.ports.Web, p.ports.Health} {
		ln, err := net.Listen("tcp", play.Addr(port))
		if err != nil {
			t.Errorf("a port is still taken: %v", err)
			continue
		}
		ln.Close()
	}
}
