package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mailSize is the size of the load's mails: 8 KiB, what a mail without attachments weighs.
const mailSize = 8 << 10

// BenchmarkSubmission submits 8 KiB mails over held STARTTLS connections with AUTH, client on the same machine, and reports the rate,
// the server's CPU time a mail, its peak memory and the 99th percentile from MAIL to the reply. docs/performance.md has the figures.
func BenchmarkSubmission(b *testing.B) {
	for _, conns := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			s := benchServer(b, 50)
			clients := make([]*lineClient, conns)
			for i := range clients {
				clients[i] = s.submitter(b, i%50+1)
			}
			body := strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody minds.\r\n", mailSize/64)
			times := make([][]time.Duration, conns)
			before := s.cpu(b)
			var next atomic.Int64
			b.ResetTimer()
			var wg sync.WaitGroup
			for i, c := range clients {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						t0 := time.Now()
						if err := c.deliver(i%50+1, int(n)%50+1, body); err != nil {
							b.Error(err)
							return
						}
						times[i] = append(times[i], time.Since(t0))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Concat(times...)
			slices.Sort(all)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
			b.ReportMetric(float64(s.cpu(b)-before)/1e6/float64(b.N), "cpu-ms/mail")
			b.ReportMetric(float64(all[len(all)*99/100])/1e6, "p99-ms")
			b.ReportMetric(s.peakMB(b), "peak-MB")
		})
	}
}

// BenchmarkPOP3Session is a whole mail check over a new TLS connection: login, STAT, LIST, UIDL, QUIT.
func BenchmarkPOP3Session(b *testing.B) {
	s := benchServer(b, 10)
	c := s.submitter(b, 1)
	for i := range 20 {
		if err := c.deliver(1, i%10+1, "hello\r\n"); err != nil {
			b.Fatal(err)
		}
	}
	before := s.cpu(b)
	var box atomic.Int64
	b.SetParallelism(5)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.check(int(box.Add(1))%10 + 1); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
	b.ReportMetric(float64(s.cpu(b)-before)/1e6/float64(b.N), "cpu-ms/session")
}

// benchServer is a server with accounts user1 … userN, password "secret".
func benchServer(b *testing.B, accounts int) *server {
	b.Helper()
	s := newServer(b, "")
	for i := 1; i <= accounts; i++ {
		s.account(b, fmt.Sprintf("user%d@example.com", i), "secret")
	}
	s.start(b)
	return s
}

// cpu is the server's CPU time so far (proc(5), stat fields 14 and 15, in ticks of 10 ms).
func (s *server) cpu(b *testing.B) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		b.Skip("CPU time is read from /proc, which this system does not have")
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	sys, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatalf("unexpected /proc stat line %q", text)
	}
	return time.Duration(user+sys) * 10 * time.Millisecond
}

// peakMB is the largest resident memory the server had.
func (s *server) peakMB(b *testing.B) float64 {
	b.Helper()
	return s.statusKB(b, "VmHWM:") / 1024
}

// statusKB is a figure of proc(5)'s status of the server.
func (s *server) statusKB(b *testing.B, name string) (kb float64) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		b.Skip("memory is read from /proc, which this system does not have")
	}
	_, rest, _ := strings.Cut(string(text), name)
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		b.Fatal(err)
	}
	return kb
}

// lineClient is a lean protocol client, so that the client's own work takes little of the machine.
type lineClient struct {
	conn net.Conn
	r    *bufio.Reader
}

func (c *lineClient) expect(code string) error {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, code) {
			return fmt.Errorf("got %q, want %s", line, code)
		}
		if len(line) < 4 || line[3] != '-' {
			return nil
		}
	}
}

func (c *lineClient) ask(code, format string, args ...any) error {
	if _, err := fmt.Fprintf(c.conn, format+"\r\n", args...); err != nil {
		return err
	}
	return c.expect(code)
}

// submitter is a held submission connection of user n, authenticated.
func (s *server) submitter(b *testing.B, n int) *lineClient {
	b.Helper()
	c, err := s.dialSubmission(fmt.Sprintf("user%d@example.com", n), "secret")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.conn.Close() })
	return c
}

func (s *server) dialSubmission(login, password string) (*lineClient, error) {
	conn, err := net.DialTimeout("tcp", s.submission(), 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &lineClient{conn: conn, r: bufio.NewReader(conn)}
	if err := c.expect("220"); err != nil {
		return nil, err
	}
	if err := c.ask("250", "EHLO load.example"); err != nil {
		return nil, err
	}
	if err := c.ask("220", "STARTTLS"); err != nil {
		return nil, err
	}
	secure := tls.Client(conn, s.trust)
	c.conn, c.r = secure, bufio.NewReader(secure)
	if err := c.ask("250", "EHLO load.example"); err != nil {
		return nil, err
	}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + login + "\x00" + password))
	return c, c.ask("235", "AUTH PLAIN %s", plain)
}

func (c *lineClient) deliver(from, to int, body string) error {
	if err := c.ask("250", "MAIL FROM:<user%d@example.com>", from); err != nil {
		return err
	}
	if err := c.ask("250", "RCPT TO:<user%d@example.com>", to); err != nil {
		return err
	}
	if err := c.ask("354", "DATA"); err != nil {
		return err
	}
	head := fmt.Sprintf("From: user%d@example.com\r\nTo: user%d@example.com\r\nSubject: load\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", from, to)
	if _, err := io.WriteString(c.conn, head+body+".\r\n"); err != nil {
		return err
	}
	return c.expect("250")
}

// check is one mail check of user n over POP3 in TLS.
func (s *server) check(n int) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", s.pop3s(), s.trust)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &lineClient{conn: conn, r: bufio.NewReader(conn)}
	if err := c.pop3("", false); err != nil {
		return err
	}
	for _, cmd := range []string{fmt.Sprintf("USER user%d@example.com", n), "PASS secret", "STAT"} {
		if err := c.pop3(cmd, false); err != nil {
			return err
		}
	}
	for _, cmd := range []string{"LIST", "UIDL"} {
		if err := c.pop3(cmd, true); err != nil {
			return err
		}
	}
	return c.pop3("QUIT", false)
}

func (c *lineClient) pop3(command string, multi bool) error {
	if command != "" {
		if _, err := io.WriteString(c.conn, command+"\r\n"); err != nil {
			return err
		}
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+OK") {
		return fmt.Errorf("%s: %q", verb(command), line)
	}
	for multi && line != ".\r\n" {
		if line, err = c.r.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}
