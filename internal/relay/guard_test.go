package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"chmail/internal/address"
	"chmail/internal/delivery"
)

const takesNothing = "S: 220 ready\nC: EHLO relay.example.com\nS: 250 mx.example.org\nC: QUIT\nS: 221 bye\n"

// unsent opens a line to a server that must hear of no mail, and returns the verdicts for m.
func unsent(t *testing.T, m delivery.Mail) (verdicts []delivery.Verdict) {
	t.Helper()
	p := &peers{t: t, scripts: []string{takesNothing}}
	line, err := New(Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Dial: p.dial}).Open(t.Context(), "example.org", m)
	if err != nil {
		t.Fatal(err)
	}
	verdicts, again := line.Send(t.Context(), m)
	if !again {
		t.Error("the line has ended")
	}
	line.Close()
	p.playing.Wait()
	return verdicts
}

// TestNothingEndsALineThatIsNotItsEnd builds mails that nobody can have sent: whatever their parts hold, no command and no header gets a second line from it.
func TestNothingEndsALineThatIsNotItsEnd(t *testing.T) {
	t.Parallel()
	hostile := address.Address{Local: "a>\r\nRCPT TO:<victim", Domain: "example.org"}
	for name, c := range map[string]struct {
		change func(m *delivery.Mail)
		want   string
	}{
		"a recipient":      {func(m *delivery.Mail) { m.To[0].Address = hostile }, "5.1.3 the address cannot be written"},
		"the sender":       {func(m *delivery.Mail) { m.From = hostile }, "5.1.7 the sender's address cannot be written"},
		"half a signature": {func(m *delivery.Mail) { m.Signature = []byte("DKIM-Signature: x") }, "5.6.0 the message holds a CR or LF that stands alone"},
		"a short body":     {func(m *delivery.Mail) { m.Size++ }, "4.3.0 the stored message cannot be read (temporary)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := mailOf(t, "to a@example.org\n\nSubject: x\n\n")
				c.change(&m)
				if v := unsent(t, m); told(&v[0]) != c.want {
					t.Errorf("%s, want %s", told(&v[0]), c.want)
				}
			})
		})
	}
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	for _, line := range []string{"NOOP\r\nQUIT", "NOOP\n", "NOOP\x00", "NOOP\x7f"} {
		if newConn(client, "", Timeouts{}.filled()).say(line) == nil {
			t.Errorf("%q was said", line)
		}
	}
}

// fading is a body that can be read once, and not to its end again: the disk has gone between the look and the sending.
type fading struct {
	*bytes.Reader
	reads int
}

func (f *fading) ReadAt(p []byte, off int64) (int, error) {
	if f.reads++; f.reads > 5 {
		return 0, errors.New("the disk is gone")
	}
	return f.Reader.ReadAt(p, off)
}

// TestHalfAMailIsNotEnded has the stored message go while it is sent: the server must not take what it has for the whole.
func TestHalfAMailIsNotEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		raw := strings.Repeat(strings.Repeat("x", 62)+"\r\n", 3*blockSize/64)
		m := mailOf(t, "to a@example.org\n\n")
		m.Body, m.Size = &fading{Reader: bytes.NewReader([]byte(raw))}, int64(len(raw))
		script := "S: 220 ready\nC: EHLO relay.example.com\nS: 250 mx.example.org\nC: MAIL FROM:<alice@example.com>\nS: 250 ok\nC: RCPT TO:<a@example.org>\nS: 250 ok\nC: DATA\nS: 354 go on\n" +
			strings.Repeat("C: "+strings.Repeat("x", 62)+"\n", blockSize/64) + "! closed\n"
		p := &peers{t: t, scripts: []string{script}}
		line, err := New(Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Dial: p.dial}).Open(t.Context(), "example.org", m)
		if err != nil {
			t.Fatal(err)
		}
		verdicts, again := line.Send(t.Context(), m)
		line.Close()
		p.playing.Wait()
		if told(&verdicts[0]) != "4.3.0 the stored message cannot be read (temporary)" || again {
			t.Errorf("%s, again %v", told(&verdicts[0]), again)
		}
	})
}

// TestAServerThatHasEnoughSaysWhy has a server refuse a mail before its end and close, as many do with one that is too large for them.
func TestAServerThatHasEnoughSaysWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, hasEnough)
}

func hasEnough(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		_, _ = io.ReadFull(server, make([]byte, 100))
		_, _ = io.WriteString(server, "552 5.3.4 too large\r\n")
		server.Close()
	}()
	c := newConn(client, "mx.example.org [192.0.2.1]", Timeouts{}.filled())
	m := mailOf(t, "to a@example.org\n\nSubject: x\n\n"+strings.Repeat("x\n", blockSize))
	l := &Line{c: c, o: &Options{}, buf: make([]byte, blockSize)}
	tr := transaction{l: l, s: &shipment{mail: &m, body: m.Body, size: m.Size}}
	if v := tr.message(); told(v) != "mx.example.org [192.0.2.1]: 552 5.3.4 too large" || c.dead == nil {
		t.Error(told(v))
	}
}

// TestNoPasswordWithoutTLS asks for AUTH on a connection in plaintext, which nothing above ever does.
func TestNoPasswordWithoutTLS(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	server.Close()
	c := newConn(client, "", Timeouts{}.filled())
	c.caps.auth = " PLAIN "
	if v := c.login(&Smarthost{Login: "alice", Password: "secret"}); told(v) != "4.7.11 the smarthost does no TLS, without which no password is sent (temporary)" {
		t.Error(told(v))
	}
}

// TestNobodyHasHisHandsFull sends a mail to many: however many commands go at once, their answers are heard before so much is said that both sides could wait for the other to read.
func TestNobodyHasHisHandsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		var most int
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer server.Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := server.Read(buf) // a group comes in one piece
				if err != nil {
					return
				}
				if most = max(most, n); strings.HasPrefix(string(buf[:n]), "Subject") {
					_, _ = io.WriteString(server, "250 ok\r\n")
					continue
				}
				for line := range strings.Lines(string(buf[:n])) {
					answer := "250 ok\r\n"
					if line == "DATA\r\n" {
						answer = "354 go on\r\n"
					}
					_, _ = io.WriteString(server, answer)
				}
			}
		}()
		m := mailOf(t, "to a@example.org\n\nSubject: x\n\n")
		for range 250 {
			m.To = append(m.To, delivery.Recipient{Address: address.Address{Local: strings.Repeat("x", 60), Domain: "example.org"}})
		}
		l := &Line{c: newConn(client, "", Timeouts{}.filled()), o: &Options{}}
		l.c.caps.pipelining = true
		verdicts, again := l.Send(t.Context(), m)
		for i := range verdicts {
			if !verdicts[i].Accepted() {
				t.Errorf("recipient %d: %s", i, told(&verdicts[i]))
			}
		}
		l.c.close()
		<-done
		if !again || most > 4600 || most < 1000 {
			t.Errorf("%d octets at once, again %v", most, again)
		}
	})
}
