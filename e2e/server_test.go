package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTime = 20 * time.Second // until the program says ready; generous for a loaded machine
	stopTime  = 8 * time.Second  // what the program promises at SIGTERM
)

// server is a running chmail with a configuration of its own.
type server struct {
	dir, config string
	base        int // ports: base+0 … +6 services, base+10 … base+29 chat
	trust       *tls.Config
	redis       string

	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{} // closed when the process has ended
}

func (s *server) port(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.base+n)) }
func (s *server) mx() string        { return s.port(0) }
func (s *server) submission() string {
	return s.port(1)
}
func (s *server) submissions() string { return s.port(2) }
func (s *server) pop3() string        { return s.port(3) }
func (s *server) pop3s() string       { return s.port(4) }
func (s *server) url() string         { return fmt.Sprintf("https://localhost:%d", s.base+5) }
func (s *server) health() string      { return s.port(6) }
func (s *server) chatFirst() int      { return s.base + 10 }
func (s *server) chatLast() int       { return s.base + 29 }

// newServer writes a configuration and certificates; start runs it. redisURL "" leaves Redis out.
func newServer(t testing.TB, redisURL string, extra ...string) *server {
	t.Helper()
	return newServerFor(t, "localhost", "example.com", redisURL, append(extra, "relay: {off: true}\n")...)
}

// newServerFor is newServer for a server of another name, and another domain.
func newServerFor(t testing.TB, hostname, domain, redisURL string, extra ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), base: portBlock(t, 30), redis: redisURL}
	s.trust = certificates(t, s.dir, hostname)
	text := fmt.Sprintf(`hostname: %s
domains: [%s]
data: data
tls: {cert: cert.pem, key: key.pem}
smtp:
  mx: {listen: ["%s"], verify: %v}
  submission: {listen: ["%s"]}
  submissions: {listen: ["%s"]}
pop3:
  listen: ["%s"]
  listen_tls: ["%s"]
chat:
  url: %s
  listen: ["127.0.0.1:%d"]
  ports: %d-%d
health: {listen: "%s"}
`, hostname, domain, s.mx(), hostname != "localhost", s.submission(), s.submissions(), s.pop3(), s.pop3s(), s.url(), s.base+5, s.chatFirst(), s.chatLast(), s.health())
	if redisURL != "" {
		text += fmt.Sprintf("redis: {url: %q}\n", redisURL)
	}
	text += strings.Join(extra, "")
	s.config = filepath.Join(s.dir, "chmail.yaml")
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs `chmail serve` until the test ends and waits until it says ready.
func (s *server) start(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		t.Cleanup(func() { s.kill(); s.report(t) })
	} else if strings.Contains(s.log.String(), "DATA RACE") {
		s.report(t)
	}
	s.cmd = exec.Command(binary(t), "serve", "--config", s.config)
	s.log = newLogBuffer()
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		defer close(done)
		_ = cmd.Wait() // how it ended is asked of ProcessState by whoever wants to know
	}(s.cmd, s.done)
	select {
	case <-s.log.wait("msg=ready"): // an address "already in use" is no such word
	case <-s.done:
		t.Fatalf("chmail serve ended before it was ready:\n%s", s.log)
	case <-time.After(startTime):
		t.Fatalf("chmail serve was not ready after %v:\n%s", startTime, s.log)
	}
}

// report shows the server's log when the test failed, and fails it when the race detector had something to say.
func (s *server) report(t testing.TB) {
	if strings.Contains(s.log.String(), "DATA RACE") {
		t.Error("the race detector found a race in the server")
	}
	if t.Failed() {
		t.Logf("server log:\n%s", s.log)
	}
}

// kill ends the process at once, as a power cut would.
func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill() // fails only when it has already ended
		<-s.done
	}
}

// stop asks the process to end and checks that it does within its promise.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.done:
	case <-time.After(stopTime):
		t.Errorf("chmail still runs %v after SIGTERM", stopTime)
		s.kill()
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status after SIGTERM is %d, want 0", code)
	}
}

// chmail runs a verb of the program with this server's configuration and returns what it printed and its exit status.
func (s *server) chmail(t testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runChmail(t, stdin, append(args, "--config", s.config)...)
}

func runChmail(t testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("chmail %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// account adds a login with its password and display name.
func (s *server) account(t testing.TB, login, password string) {
	t.Helper()
	if _, errs, code := s.chmail(t, password+"\n", "account", "add", login); code != 0 {
		t.Fatalf("chmail account add %s: exit %d: %s", login, code, errs)
	}
}

// logBuffer keeps what the server printed and tells when a word came up.
type logBuffer struct {
	mu      sync.Mutex
	text    strings.Builder
	waiting map[string]chan struct{}
	pipe    *io.PipeWriter
}

func newLogBuffer() *logBuffer {
	r, w := io.Pipe()
	b := &logBuffer{waiting: map[string]chan struct{}{}, pipe: w}
	go func() {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			b.line(lines.Text())
		}
	}()
	return b
}

func (b *logBuffer) Write(p []byte) (int, error) { return b.pipe.Write(p) }

func (b *logBuffer) line(l string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.WriteString(l + "\n")
	for word, ch := range b.waiting {
		if strings.Contains(l, word) {
			close(ch)
			delete(b.waiting, word)
		}
	}
}

// wait returns a channel that is closed when a line with word has been printed.
func (b *logBuffer) wait(word string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := make(chan struct{})
	if strings.Contains(b.text.String(), word) {
		close(ch)
		return ch
	}
	b.waiting[word] = ch
	return ch
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// portBlock finds n TCP ports in a row that are free on the loopback address, below the range that the kernel hands out itself.
func portBlock(t testing.TB, n int) int {
	t.Helper()
	for range 200 {
		base := 20000 + mrand.IntN((32000-20000-n)/n)*n
		if !ports.take(base, n) {
			continue
		}
		if blockFree(base, n) {
			t.Cleanup(func() { ports.give(base, n) })
			return base
		}
		ports.give(base, n)
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

// ports are those of the tests that run at this time: many are bound only later.
var ports portsInUse

type portsInUse struct {
	mu  sync.Mutex
	all map[int]bool
}

func (p *portsInUse) take(base, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := base; i < base+n; i++ {
		if p.all[i] {
			return false
		}
	}
	if p.all == nil {
		p.all = make(map[int]bool)
	}
	for i := base; i < base+n; i++ {
		p.all[i] = true
	}
	return true
}

func (p *portsInUse) give(base, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := base; i < base+n; i++ {
		delete(p.all, i)
	}
}

func blockFree(base, n int) bool {
	for p := base; p < base+n; p++ {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			return false
		}
		if ln.Close() != nil {
			return false
		}
	}
	return true
}

// certificates writes cert.pem and key.pem for localhost and more names into dir and returns what a client needs to trust them.
func certificates(t testing.TB, dir string, more ...string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: append([]string{"localhost"}, more...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}
