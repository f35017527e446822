package chbroker

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer is a real redis-server of a test's own.
type redisServer struct {
	port int
	dir  string // of its snapshots; it makes none by itself
	cmd  *exec.Cmd
	ask  *redis.Client // an independent client that looks into it
}

func startRedis(t testing.TB) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is missing: ./script/test installs it")
		}
		t.Skip("redis-server is not installed; ./script/test installs it")
	}
	r := &redisServer{dir: t.TempDir()}
	for try := 1; ; try++ {
		r.port = freePort(t)
		if r.run(t) {
			break
		}
		if try == 5 {
			t.Fatal("redis-server does not start")
		}
	}
	r.ask = redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", r.port), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() {
		if err := r.ask.Close(); err != nil {
			t.Error(err)
		}
		r.kill()
	})
	return r
}

func freePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func (r *redisServer) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

// run starts the server and waits until it answers; false when it ended instead (another test took the port).
func (r *redisServer) run(t testing.TB) bool {
	t.Helper()
	r.cmd = exec.Command("redis-server", "--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", r.dir)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // killed, or the port was taken: either way it is not there
		close(ended)
	}(r.cmd)
	up := func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	for {
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
			if up() {
				return true
			}
		}
	}
}

// again runs it once more on its port, for which it waits while another program has it: the system hands such ports out for a moment to whoever connects somewhere.
func (r *redisServer) again(t testing.TB) {
	t.Helper()
	for range 20 {
		if r.run(t) {
			return
		}
		<-time.After(250 * time.Millisecond)
	}
	t.Fatal("another program keeps the port")
}

// kill ends Redis at once; what it held is gone, but for a snapshot that a test had it make.
func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill() // fails only when it has already ended
}

// freeze makes Redis as slow as can be: the kernel accepts for it, and nobody answers. thaw ends that.
func (r *redisServer) freeze(t testing.TB) { r.signal(t, syscall.SIGSTOP) }
func (r *redisServer) thaw(t testing.TB)   { r.signal(t, syscall.SIGCONT) }

func (r *redisServer) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func (r *redisServer) maps(t testing.TB) *Redis {
	t.Helper()
	m, err := NewRedis(r.url(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// eventually waits for what another process or goroutine brings about.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
}
