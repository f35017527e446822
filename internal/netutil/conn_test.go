package netutil

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a Conn and the client at the other end, in memory.
func pair(t *testing.T, l Limits) (*Conn, net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	c := NewConn(server, l)
	t.Cleanup(func() {
		c.kill()
		client.Close()
	})
	return c, client
}

// say sends text as the client and returns once it is read, or the connection closed.
func say(t *testing.T, client net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(client, text); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("sending %q: %v", text, err)
	}
}

// counted counts what reaches the network.
type counted struct {
	net.Conn
	writes []string
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes = append(c.writes, string(p))
	return c.Conn.Write(p)
}

func TestRepliesToPipelinedCommandsLeaveTogether(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	raw := &counted{Conn: server}
	c := NewConn(raw, Limits{})
	go func() {
		say(t, client, "MAIL\r\nRCPT\r\nDATA\r\n")
		io.CopyN(io.Discard, client, 12)
		client.Close()
	}()
	for range 3 {
		if _, err := c.ReadLine(100); err != nil {
			t.Fatal(err)
		}
		c.WriteString("2")
		c.Write([]byte("50\n"))
	}
	if _, err := c.ReadLine(100); err != io.EOF {
		t.Fatalf("after the last line: %v", err)
	}
	if len(raw.writes) != 1 || raw.writes[0] != "250\n250\n250\n" {
		t.Errorf("three replies went out as %q", raw.writes)
	}
	if c.In() != 18 || c.Out() != 12 {
		t.Errorf("counted %d in and %d out, want 18 and 12", c.In(), c.Out())
	}
}

func TestSilenceEndsAConnectionForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Limits{Idle: time.Minute})
		go func() {
			time.Sleep(50 * time.Second)
			say(t, client, "late ")
			time.Sleep(50 * time.Second)
			say(t, client, "but\r\n")
			time.Sleep(61 * time.Second)
			say(t, client, "RCPT TO:<smuggled@x.test>\r\n")
		}()
		if line, err := c.ReadLine(100); string(line) != "late but\r\n" {
			t.Fatalf("a slow line within the limit: %q, %v", line, err)
		}
		_, err := c.ReadLine(100)
		if err != ErrIdle || !errors.Is(err, os.ErrDeadlineExceeded) || !IsGone(err) {
			t.Fatalf("after a minute of silence: %v", err)
		}
		time.Sleep(2 * time.Second)
		if line, err := c.ReadLine(100); err != ErrIdle {
			t.Errorf("what came after the timeout was read: %q, %v", line, err)
		}
		c.SetIdle(time.Hour)
		if n, err := c.Read(make([]byte, 10)); n != 0 || err != ErrIdle {
			t.Errorf("a timeout passed: %d, %v", n, err)
		}
	})
}

func TestTheHandlersOwnDeadlinePasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Limits{Idle: time.Minute})
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := c.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrIdle) {
			t.Fatalf("peeking at a silent client: %v", err)
		}
		go func() {
			time.Sleep(5 * time.Second)
			say(t, client, "USER\r\n")
		}()
		c.SetReadDeadline(time.Time{})
		if b, err := c.Peek(4); string(b) != "USER" {
			t.Errorf("after the peek: %q, %v", b, err)
		}
		if line, err := c.ReadLine(6); string(line) != "USER\r\n" {
			t.Errorf("the peeked line: %q, %v", line, err)
		}
	})
}

func TestTricklingIsNoProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Limits{Idle: time.Minute, MinRate: 1000})
		left := make(chan struct{})
		go func() {
			defer close(left)
			for {
				if _, err := client.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		began := time.Now()
		c.Bulk(true)
		n, err := io.Copy(io.Discard, c)
		if err != ErrTooSlow || n != 16 || time.Since(began) > 16*time.Second {
			t.Errorf("%d octets at one a second: %v after %v", n, err, time.Since(began))
		}
		c.Close()
		<-left
	})
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Limits{Idle: time.Minute, MinRate: 1000})
		go func() {
			for range 100 {
				say(t, client, strings.Repeat("x", 2000))
				time.Sleep(time.Second)
			}
			client.Close()
		}()
		c.Bulk(true)
		var got int
		for b := make([]byte, 4096); ; {
			n, err := c.Read(b)
			if got += n; err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("a fair rate was cut off after %d octets: %v", got, err)
			}
			time.Sleep(10 * time.Second) // our own slowness is not the peer's
		}
		if got != 200_000 {
			t.Errorf("read %d octets of 200000", got)
		}
	})
}

func TestNoConnectionOutlivesItsLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Limits{Idle: 2 * time.Minute, Life: 10 * time.Minute})
		go func() {
			for range 13 { // nine minutes
				say(t, client, "NOOP\r\n")
				time.Sleep(45 * time.Second)
			}
		}()
		began := time.Now()
		for {
			_, err := c.ReadLine(100)
			if err == nil {
				continue
			}
			if err != ErrLifeOver || time.Since(began) != 10*time.Minute {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			return
		}
	})
}

func TestAPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t, Limits{Idle: time.Hour, Write: 30 * time.Second})
		began := time.Now()
		if _, err := c.Write(make([]byte, 100_000)); err != ErrStuck || time.Since(began) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, err := c.Read(make([]byte, 1)); err != ErrStuck {
			t.Errorf("reading went on: %v", err)
		}
		if err := c.Flush(); err != ErrStuck {
			t.Errorf("writing went on: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // slow, but he reads
		c, client := pair(t, Limits{Write: 30 * time.Second})
		go func() {
			for b := make([]byte, writeMost); ; time.Sleep(20 * time.Second) {
				if _, err := io.ReadFull(client, b); err != nil {
					return
				}
			}
		}()
		if n, err := c.Write(make([]byte, 10*writeMost)); n != 10*writeMost || err != nil {
			t.Errorf("a slow reader got %d octets: %v", n, err)
		}
		c.kill()
		synctest.Wait()
		time.Sleep(time.Minute)
	})
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t, Limits{Write: time.Hour})
		c.WriteString("221 bye\r\n")
		began := time.Now()
		c.Close()
		if d := time.Since(began); d > lastFlush {
			t.Errorf("closing waited %v for a peer that does not read", d)
		}
	})
}

func TestAStopWakesWhoWaitsAndLetsATransferFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Limits{Idle: time.Hour})
		go func() {
			time.Sleep(time.Second)
			c.Interrupt()
		}()
		if _, err := c.ReadLine(100); err != ErrShutdown {
			t.Fatalf("a waiting read: %v", err)
		}
		go func() {
			c.WriteString("421 bye\r\n")
			c.Close()
		}()
		if b, err := io.ReadAll(client); string(b) != "421 bye\r\n" {
			t.Errorf("the goodbye: %q, %v", b, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Limits{Idle: time.Hour})
		c.Bulk(true)
		c.Interrupt()
		go func() {
			time.Sleep(time.Second)
			say(t, client, "the end\r\n.\r\n")
		}()
		for _, want := range []string{"the end\r\n", ".\r\n"} {
			if line, err := c.ReadLine(100); string(line) != want {
				t.Fatalf("within the transfer: %q, %v", line, err)
			}
		}
		c.Bulk(false)
		if _, err := c.ReadLine(100); err != ErrShutdown {
			t.Errorf("after the transfer: %v", err)
		}
	})
}

func TestTheEndOfAPeerThatOwesMoreIsAnError(t *testing.T) {
	t.Parallel()
	for noEOF, want := range map[bool]error{false: io.EOF, true: io.ErrUnexpectedEOF} {
		c, client := pair(t, Limits{NoEOF: noEOF})
		go func() {
			say(t, client, "half")
			client.Close()
		}()
		if b, err := c.Peek(5); string(b) != "half" || err != want {
			t.Errorf("%q, %v, want %v", b, err, want)
		}
		if b := c.in.unread(); string(b) != "half" {
			t.Errorf("buffered %q", b)
		}
		if line, err := c.ReadLine(10); line != nil || err != want || !IsGone(err) {
			t.Errorf("a line without end: %q, %v", line, err)
		}
	}
}

func TestLinesAreBoundedAndTheBufferGrowsForThem(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 12288) + "\r\n"
	c, client := pair(t, Limits{})
	go func() {
		say(t, client, "short\r\n"+long+"bare\n"+long)
		client.Close()
	}()
	for _, want := range []string{"short\r\n", long, "bare\n"} {
		if line, err := c.ReadLine(12290); string(line) != want {
			t.Fatalf("got %d octets, %v; want %d", len(line), err, len(want))
		}
	}
	if _, err := c.ReadLine(12289); err != ErrLineTooLong {
		t.Errorf("one octet more than allowed: %v", err)
	}
	if line, err := c.ReadLine(12290); string(line) != long {
		t.Errorf("the long line was read in part: %d, %v", len(line), err)
	}
}

func TestWhatAPeerMaySendCanBeCapped(t *testing.T) {
	t.Parallel()
	c, client := pair(t, Limits{})
	go say(t, client, strings.Repeat("a", 100_000))
	c.SetReadCap(10_000)
	if n, err := io.Copy(io.Discard, c); n != 10_000 || err != ErrTooMuch {
		t.Errorf("%d octets, %v", n, err)
	}
}

func TestAConnectionGivenAwayStartsWithWhatWasPeeked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Limits{Idle: time.Second, Life: time.Minute})
		go func() {
			say(t, client, "GET / HT")
			time.Sleep(time.Hour)
			say(t, client, "TP/1.1")
			client.Close()
		}()
		if b, err := c.Peek(3); string(b) != "GET" {
			t.Fatalf("peeked %q, %v", b, err)
		}
		given, err := c.Take()
		if err != nil {
			t.Fatal(err)
		}
		c.Interrupt()
		if b, err := io.ReadAll(given); string(b) != "GET / HTTP/1.1" {
			t.Errorf("the new owner read %q, %v", b, err)
		}
	})
}

// pieces is a connection whose peer has sent everything, cut in pieces.
type pieces struct {
	net.Conn
	in  []byte
	cut int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.in[:min(max(p.cut, 1), len(p.in))])
	p.in = p.in[n:]
	return n, nil
}
func (p *pieces) RemoteAddr() net.Addr            { return nil }
func (p *pieces) SetReadDeadline(time.Time) error { return nil }

// FuzzReadLine holds ReadLine to bytes.Lines, however the peer cuts its octets.
func FuzzReadLine(f *testing.F) {
	f.Add([]byte("a\r\nb\n\n"), 1)
	f.Add(bytes.Repeat([]byte("x\n"), 3000), 4095)
	f.Add(append(bytes.Repeat([]byte("x"), 9000), '\n'), 4096)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		const most = 8192
		c := NewConn(&pieces{in: in, cut: cut}, Limits{})
		for line := range bytes.Lines(in) {
			got, err := c.ReadLine(most)
			switch {
			case len(line) > most || line[len(line)-1] != '\n':
				if err == nil {
					t.Fatalf("a line of %d octets was taken", len(got))
				}
				return
			case err != nil || !bytes.Equal(got, line):
				t.Fatalf("got %q, %v; want %q", got, err, line)
			}
		}
		if got, err := c.ReadLine(most); err != io.EOF {
			t.Fatalf("after the end: %q, %v", got, err)
		}
	})
}
