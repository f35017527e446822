package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// redisServer is a real redis-server of a test's own, without persistence.
type redisServer struct {
	port int
	cmd  *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	need(t, "redis-server")
	r := &redisServer{port: portBlock(t, 1)}
	r.run(t)
	t.Cleanup(r.kill)
	return r
}

func (r *redisServer) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

func (r *redisServer) run(t *testing.T) {
	t.Helper()
	r.cmd = exec.Command("redis-server", "--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "redis-server answers", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill ends Redis at once; what it held is gone.
func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill() // fails only when it has already ended
	_, _ = r.cmd.Process.Wait()
}

// freeze makes Redis as slow as can be: it accepts and never answers. thaw ends that.
func (r *redisServer) freeze(t *testing.T) { r.signal(t, syscall.SIGSTOP) }
func (r *redisServer) thaw(t *testing.T)   { r.signal(t, syscall.SIGCONT) }

func (r *redisServer) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// do speaks one command of the Redis protocol (RESP2) as an independent client and returns the reply's strings.
func (r *redisServer) do(t *testing.T, args ...string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := conn.Write([]byte(b.String())); err != nil {
		t.Fatal(err)
	}
	return respReply(t, bufio.NewReader(conn))
}

func respReply(t *testing.T, r *bufio.Reader) []string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	kind, rest := line[0], strings.TrimSpace(line[1:])
	var n int
	switch kind {
	case '+', ':':
		return []string{rest}
	case '$':
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatal(err)
		}
		if n < 0 {
			return nil
		}
		buf := make([]byte, n+2)
		for got := 0; got < len(buf); {
			k, err := r.Read(buf[got:])
			if err != nil {
				t.Fatal(err)
			}
			got += k
		}
		return []string{string(buf[:n])}
	case '*':
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatal(err)
		}
		var all []string
		for range n {
			all = append(all, respReply(t, r)...)
		}
		return all
	}
	t.Fatalf("redis said %q", line)
	return nil
}

// eventually waits for something that another process brings about.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
}
