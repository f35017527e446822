package relay

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/delivery"
)

// TestWhoeverWaitsCanBeCalledAway ends the context at each place where a dialogue waits long.
func TestWhoeverWaitsCanBeCalledAway(t *testing.T) {
	t.Parallel()
	const greeted = "S: 220 ready\nC: EHLO relay.example.com\nS: 250 mx.example.org\n"
	const mail = greeted + "C: MAIL FROM:<alice@example.com>\nS: 250 ok\nC: RCPT TO:<a@example.org>\nS: 250 ok\nC: DATA\nS: 354 go on\nC: Subject: x\nC: \nC: .\n"
	for name, c := range map[string]struct{ script, want string }{
		"the greeting": {"! wait 2m\n! closed\n", "mx.example.org [192.0.2.1]: 4.4.2 broken off at the greeting (temporary)"},
		"EHLO":         {"S: 220 ready\nC: EHLO relay.example.com\n! wait 2m\n! closed\n", "mx.example.org [192.0.2.1]: 4.4.2 broken off at EHLO (temporary)"},
		"MAIL":         {greeted + "C: MAIL FROM:<alice@example.com>\n! wait 2m\n! closed\n", "mx.example.org [192.0.2.1]: 4.4.2 broken off at MAIL (temporary)"},
		"the end":      {mail + "! wait 2m\n! closed\n", "mx.example.org [192.0.2.1]: 4.4.2 broken off at the end of the mail (temporary)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				p := &peers{t: t, scripts: []string{c.script}}
				m := mailOf(t, "to a@example.org\n\nSubject: x\n\n")
				began := time.Now()
				var v delivery.Verdict
				if line, err := New(Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Dial: p.dial}).Open(ctx, "example.org", m); err != nil {
					v = *err.(*delivery.Verdict)
				} else {
					verdicts, again := line.Send(ctx, m)
					if v = verdicts[0]; again {
						t.Error("the line goes on")
					}
					line.Close()
				}
				if took := time.Since(began); told(&v) != c.want || took > time.Minute+time.Second {
					t.Errorf("%s after %s, want %s", told(&v), took, c.want)
				}
				p.playing.Wait()
			})
		})
	}
}

// TestNobodyHoldsALineForDays has a server that takes a block every two minutes, each well within its time.
func TestNobodyHoldsALineForDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, blockSize)
			for _, answer := range []string{"250 ok", "250 ok", "354 go on"} {
				_, _ = server.Read(buf)
				_, _ = io.WriteString(server, answer+"\r\n")
			}
			for {
				if _, err := io.ReadFull(server, buf); err != nil {
					return
				}
				time.Sleep(2 * time.Minute) // of the bubble's clock
			}
		}()
		raw := []byte(strings.Repeat("a line of a mail that is long enough for two hours and more\r\n", 70*blockSize/61))
		m := mailOf(t, "to a@example.org\n\n")
		m.Body, m.Size = bytes.NewReader(raw), int64(len(raw))
		l := &Line{c: newConn(client, "", Timeouts{}.filled()), o: &Options{}}
		if verdicts, again := l.Send(t.Context(), m); told(&verdicts[0]) != "4.4.2 broken off at DATA (temporary)" || again {
			t.Errorf("%s, again %v", told(&verdicts[0]), again)
		}
		l.c.close()
		server.Close()
		<-done
	})
}

// TestACopyThatIsNoneIsNotSent has a converter that leaves the mail as it was.
func TestACopyThatIsNoneIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := mailOf(t, "to a@example.org\n\nSubject: x\n\nü\n")
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		l := &Line{c: newConn(client, "", Timeouts{}.filled()), o: &Options{Downgrade: func(body io.ReaderAt, size int64) (io.ReaderAt, int64, []byte, error) {
			return body, size, nil, nil
		}}}
		if verdicts, again := l.Send(t.Context(), m); told(&verdicts[0]) != "5.6.3 the server takes no 8-bit mail, and this one cannot be converted" || !again {
			t.Errorf("%s, again %v", told(&verdicts[0]), again)
		}
	})
}

// TestCopiesWaitForRoom has two mails for servers that take seven bits only, and room for a copy of one: the second waits until the first is sent, but not for ever.
func TestCopiesWaitForRoom(t *testing.T) {
	t.Parallel()
	mail := mailOf(t, "to a@example.org\n\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nü\n")
	dialogue := func(wait string) string {
		return "S: 220 ready\nC: EHLO relay.example.com\nS: 250-mx.example.org\nS: 250 DSN\nC: MAIL FROM:<alice@example.com>\nS: 250 ok\nC: RCPT TO:<a@example.org>\nS: 250 ok\nC: DATA\n" +
			"! wait " + wait + "\nS: 354 go on\nC: Subject: x\nC: MIME-Version: 1.0\nC: Content-Type: text/plain; charset=utf-8\nC: Content-Transfer-Encoding: quoted-printable\nC: \nC: =C3=BC\nC: .\nS: 250 ok\n" +
			"C: QUIT\nS: 221 bye\n"
	}
	refused := "S: 220 ready\nC: EHLO relay.example.com\nS: 250-mx.example.org\nS: 250 DSN\nC: QUIT\nS: 221 bye\n"
	for what, c := range map[string]struct {
		wait, second, want string
		after              time.Duration
	}{
		"a server that takes its time": {"30s", dialogue("0s"), "mx.example.org [192.0.2.1]: 250 2.0.0 ok", 30 * time.Second},
		"one that takes too much":      {"90s", refused, "4.3.1 too many mails are being converted for servers that take no 8-bit mail (temporary)", roomWithin},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &peers{t: t, scripts: []string{dialogue(c.wait), c.second}}
			r := New(Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Dial: p.dial, Downgrade: func(body io.ReaderAt, size int64) (io.ReaderAt, int64, []byte, error) {
				converted, size, err := SevenBit(body, size)
				return converted, size, nil, err
			}})
			r.copies.limit = mail.Size + 1
			var lines []*Line
			for range 2 {
				line, err := r.Open(t.Context(), "example.org", mail)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, line)
			}
			first := make(chan string)
			go func() {
				verdicts, _ := lines[0].Send(t.Context(), mail)
				first <- told(&verdicts[0])
			}()
			synctest.Wait()
			began := time.Now()
			verdicts, again := lines[1].Send(t.Context(), mail)
			if got := told(&verdicts[0]); got != c.want || !again || time.Since(began).Round(time.Second) != c.after {
				t.Errorf("%s: %s, again %t, after %v; want %s after %v", what, got, again, time.Since(began), c.want, c.after)
			}
			if got := <-first; got != "mx.example.org [192.0.2.1]: 250 2.0.0 ok" {
				t.Errorf("%s: the first: %s", what, got)
			}
			for _, line := range lines {
				line.Close()
			}
			if r.copies.taken != 0 {
				t.Errorf("%s: room for %d octets was not given back", what, r.copies.taken)
			}
			p.playing.Wait()
		})
	}
}
