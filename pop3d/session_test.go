package pop3d

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// batch is everything that a client may send in one piece (RFC 2449 6.6).
const batch = "CAPA\r\nUSER alice@example.com\r\nPASS open sesame\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nnonsense\r\n" +
	"DELE 1\r\nLIST 1\r\nRSET\r\nDELE 2\r\nQUIT\r\n"

func TestABatchIsAnsweredAlikeHoweverItIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		converse := func(cut int) (replies string, writes int) {
			s.office.put("alice@example.com", letter{"a", crlf("Subject: a\n\n.\n")}, letter{"b", crlf("Subject: b\n\none\ntwo\n")})
			c := s.dial(true)
			c.want("+OK ...")
			before := c.wire.received()
			if cut > 0 {
				c.raw(batch[:cut])
				synctest.Wait()
			}
			c.raw(batch[cut:])
			all, err := io.ReadAll(c.r)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if got := s.office.uids("alice@example.com"); got != "a" {
				t.Fatalf("cut at %d: alice has %q", cut, got)
			}
			c.conn.Close()
			return string(all), c.wire.received() - before
		}
		want, writes := converse(0)
		if !strings.HasSuffix(want, "+OK 1 messages deleted\r\n") || strings.Count(want, "\r\n") != 38 {
			t.Fatalf("the batch is answered\n%s", want)
		}
		// One for the replies, one for the end of TLS.
		if writes > 2 {
			t.Errorf("the replies to one batch went out in %d writes", writes)
		}
		for cut := 1; cut < len(batch); cut++ {
			if got, _ := converse(cut); got != want {
				t.Fatalf("cut at %d it is answered\n%s", cut, got)
			}
		}
	})
}

func TestASlowReaderIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.office.deliver("alice@example.com", bytes.Repeat([]byte("seventy-six characters\r\n"), 1<<16))
		c := s.in("alice@example.com", "open sesame")
		c.say("RETR 1", "DELE 1", "QUIT")
		time.Sleep(50 * time.Second)
		if s.office.isOpen() != 1 {
			t.Fatal("the session was left too early")
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if s.office.isOpen() != 0 || s.office.uids("alice@example.com") != "uid-1" {
			t.Error("a client that reads nothing for a minute still has its session")
		}
		if !strings.Contains(s.log.String(), `end="slow reader"`) {
			t.Errorf("the log says\n%s", s.log)
		}
	})
}

// TestASteadyTrickleHasAnHour has a client read so slowly that no write ever takes too long.
func TestASteadyTrickleHasAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.office.deliver("alice@example.com", make([]byte, 32<<20))
		c := s.in("alice@example.com", "open sesame")
		began := time.Now()
		c.say("RETR 1")
		for p := make([]byte, 16<<10); ; time.Sleep(4 * time.Second) {
			if _, err := io.ReadFull(c.r, p); err != nil {
				break
			}
		}
		synctest.Wait()
		if took := time.Since(began); took < 59*time.Minute || took > 62*time.Minute || s.office.isOpen() != 0 {
			t.Errorf("after %v %d sessions are open", took, s.office.isOpen())
		}
	})
}

func TestALineWithoutEndIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, before, line string }{
		{"before the login", "", strings.Repeat("x", 1<<20)},
		{"credentials", "", "USER " + strings.Repeat("x", 1<<20)},
		{"after the login", "USER alice@example.com\r\nPASS open sesame\r\n", "RETR " + strings.Repeat("1", 1<<20)},
		{"in an exchange", "AUTH PLAIN\r\n", strings.Repeat("A", 1<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				cl := s.dial(true)
				// It goes on sending while we answer.
				sent := make(chan error)
				go func() {
					_, err := io.WriteString(cl.conn, c.before+c.line+"\r\nQUIT\r\n")
					sent <- err
				}()
				all, err := io.ReadAll(cl.r)
				if err := <-sent; err != nil {
					t.Errorf("the client could not finish its line: %v", err)
				}
				if err != nil || !strings.HasSuffix(string(all), "\r\n-ERR line too long\r\n") {
					t.Errorf("got %q and %v", all, err)
				}
				cl.conn.Close()
			})
		})
	}
}

// TestLongLines has RFC 2449 4: 255 octets for a command, more for what carries credentials.
func TestLongLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		long := strings.Repeat("p", 8000)
		s.office.password["alice@example.com"] = long
		c := s.dial(true)
		c.want("+OK ...")
		c.say("CAPA" + strings.Repeat(" ", 255-4-2))
		for range 11 {
			c.want("...")
		}
		c.say("CAPA" + strings.Repeat(" ", 256-4-2))
		c.want("-ERR a command has at most 255 octets")
		c.say("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00alice@example.com\x00"+long)))
		c.want("+OK ...")
		c = s.dial(true)
		c.want("+OK ...")
		c.say("USER alice@example.com", "PASS "+long)
		c.want("+OK ...")
		c.want("+OK ...")
		c.say("LIST " + strings.Repeat("0", 300) + "1")
		c.want("-ERR a command has at most 255 octets")
	})
}

func TestAHandshakeThatStallsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		silent := s.implicit.dial("198.51.100.7:1")
		half := s.dial(false)
		half.want("+OK ...")
		half.say("STLS")
		half.want("+OK ...")
		half.raw("\x16\x03\x01\x02\x00\x01") // the beginning of a hello
		time.Sleep(31 * time.Second)
		synctest.Wait()
		for _, conn := range []net.Conn{silent, half.conn} {
			began := time.Now()
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF || time.Since(began) > 0 {
				t.Errorf("%v after %v more, want the end of the connection", err, time.Since(began))
			}
		}
	})
}

func TestConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(o *Options) { o.Limits.PerNet = 2 })
		s.dial(false).want("+OK ...")
		s.dial(false).want("+OK ...")
		third := s.dial(false)
		third.want("-ERR [SYS/TEMP] too many connections; come back in a minute")
		third.end()
	})
}

// TestWhatCannotBeReadToItsEndDoesNotLookComplete breaks a message and a listing in their midst: no dot, no further reply.
func TestWhatCannotBeReadToItsEndDoesNotLookComplete(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ broken, command string }{
		{"short", "RETR 1"}, {"long", "RETR 1"}, {"breaks", "RETR 1"}, {"breaks", "TOP 1 9999999"}, {"short", "LIST"}, {"short", "UIDL"},
	} {
		t.Run(c.broken+" "+c.command, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.office.deliver("alice@example.com", bytes.Repeat([]byte("text\r\n"), 50_000))
				s.office.fill("alice@example.com", 10_000)
				cl := s.in("alice@example.com", "open sesame")
				s.office.breakIt(c.broken)
				cl.say(c.command, "DELE 1", "QUIT")
				cl.want("+OK ...")
				all, err := io.ReadAll(cl.r)
				if err != nil || len(all) < 30_000 || bytes.Contains(all, []byte("\n.")) || bytes.Contains(all, []byte("+OK")) {
					t.Errorf("got %d octets and %v, ending in %q", len(all), err, all[max(0, len(all)-40):])
				}
				if !strings.Contains(s.log.String(), `msg="pop3 session broken off"`) || s.office.uids("alice@example.com")[:6] != "uid-1 " {
					t.Errorf("log:\n%s", s.log)
				}
			})
		})
	}
}

func TestADownloadOutlivesTheServersStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		text := bytes.Repeat([]byte("seventy-six characters\r\n"), 1<<15)
		s.office.deliver("alice@example.com", text)
		c := s.in("alice@example.com", "open sesame")
		c.say("RETR 1", "RETR 1", "DELE 1", "QUIT")
		c.want("+OK ...")
		synctest.Wait()
		stopped := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
			defer cancel()
			stopped <- s.server.Shutdown(ctx)
		}()
		synctest.Wait()
		all, err := io.ReadAll(c.r)
		if err != nil {
			t.Fatal(err)
		}
		got, rest := readResponse(t, all)
		// What the client asked for beyond it is not begun.
		if !bytes.Equal(got, text) || string(rest) != "-ERR [SYS/TEMP] the server is going down; come back in a minute\r\n" {
			t.Errorf("got %d octets of %d, then %q", len(got), len(text), rest)
		}
		c.conn.Close()
		if err := <-stopped; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestADeletionThatIsUnderWayOutlivesTheServersStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.office.deliver("alice@example.com", []byte("hello\r\n"))
		s.office.commit = 3 * time.Second
		c := s.in("alice@example.com", "open sesame")
		c.say("DELE 1", "QUIT")
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			time.Sleep(time.Second)
			s.shutdown()
			close(done)
		}()
		c.want("+OK message 1 deleted")
		c.want("+OK 1 messages deleted")
		c.end()
		<-done
		if left := s.office.uids("alice@example.com"); left != "" {
			t.Errorf("%s is left", left)
		}
	})
}

// TestALoginIsASignOfLife has R2, and what goes to the log.
func TestALoginIsASignOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.office.deliver("alice@example.com", []byte("hello\r\n"))
		c := s.dial(true)
		c.want("+OK ...")
		c.say("USER Guess", "PASS guess", "USER BOB@example.com", "PASS guess")
		for _, want := range []string{"+OK ...", "-ERR [AUTH] ...", "+OK ...", "-ERR [AUTH] ..."} {
			c.want(want)
		}
		c = s.in("ALICE@example.com", "open sesame")
		c.say("RETR 1", "DELE 1", "QUIT")
		if _, err := io.ReadAll(c.r); err != nil {
			t.Fatal(err)
		}
		want := call.Sign{Login: "alice@example.com", Source: call.POP3, IP: netip.MustParseAddr("198.51.100.7")}
		if len(s.office.signs()) != 1 || s.office.signs()[0] != want {
			t.Errorf("signs of life %+v, want %+v", s.office.signs(), want)
		}
		synctest.Wait()
		if got, want := s.server.Stats(), (Stats{Sessions: 1, Retrieved: 1, Octets: 7, Deleted: 1}); got != want {
			t.Errorf("counted: %+v, want %+v", got, want)
		}
		if c := s.server.Connections(true); c.Taken != 2 {
			t.Errorf("connections: %+v", c)
		}
		for _, want := range []string{
			`level=DEBUG msg="pop3 login refused" session=`, `failures=1`, `failures=2`,
			`level=INFO msg="pop3 session" session=`, `peer=198.51.100.7 login=alice@example.com messages=1 read=1 octets=7 deleted=1 end=quit`,
		} {
			if !strings.Contains(s.log.String(), want) {
				t.Errorf("%s is not in the log\n%s", want, s.log)
			}
		}
	})
}

func TestNoPresenceNoMatter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(o *Options) { o.Presence = nil })
		s.in("alice@example.com", "open sesame")
	})
}

func TestTheGreetingOffersNoAPOP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newStage(t).dial(false)
		line, err := c.r.ReadString('\n')
		if err != nil || strings.Contains(line, "<") || !strings.HasPrefix(line, "+OK ") {
			t.Errorf("greeting %q, %v", line, err)
		}
	})
}

func TestTLSOldAndNew(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			s.trust.MaxVersion = version
			s.in("alice@example.com", "open sesame")
			c := s.dial(false)
			c.want("+OK ...")
			c.say("STLS")
			c.want("+OK ...")
			c.handshake()
			c.say("USER alice@example.com", "PASS open sesame")
			c.want("+OK ...")
			c.want("+OK ...")
		})
	}
}

func TestServeInTLSNeedsACertificate(t *testing.T) {
	t.Parallel()
	s := New(Options{Hostname: "mail.example.com"})
	ln := newWires()
	if err := s.Serve(ln, true); err == nil || !strings.Contains(err.Error(), "certificate") || !ln.closed {
		t.Errorf("Serve: %v", err)
	}
}

// TestAListingOfManyPages counts what LIST and UIDL say of a large maildrop with holes in it.
func TestAListingOfManyPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		const n = 20_000
		s.office.fill("alice@example.com", n)
		c := s.in("alice@example.com", "open sesame")
		c.say("DELE 1", "DELE 10000", "DELE 19999", "DELE 20000")
		for range 4 {
			c.want("+OK ...")
		}
		for verb, detail := range map[string]func(i int) string{
			"LIST": func(i int) string { return fmt.Sprint((i - 1) % 1000) },
			"UIDL": func(i int) string { return fmt.Sprintf("uid-%d", i) },
		} {
			c.say(verb)
			c.want("+OK 19996 messages")
			for i := 1; i <= n; i++ {
				if i != 1 && i != 10000 && i < 19999 {
					c.want(fmt.Sprintf("%d %s", i, detail(i)))
				}
			}
			c.want(".")
		}
	})
}

func TestARemovedAccountReadsNoMore(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{"removed": "removed", "the password is changed while it is looked at": "changing"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			s.office.put("alice@example.com", letter{"a", crlf("Subject: a\n\n.\n")})
			if broken == "changing" {
				s.office.broken[broken] = true
			}
			c := s.dial(true)
			c.want("+OK ...")
			c.raw("USER alice@example.com\r\nPASS open sesame\r\n")
			c.want("+OK ...")
			c.want("+OK ...")
			s.office.mu.Lock()
			s.office.broken[broken] = true
			s.office.mu.Unlock()
			c.raw("RETR 1\r\n")
			c.want("-ERR [AUTH] ...")
			if all, err := io.ReadAll(c.r); len(all) > 0 || err != nil {
				t.Errorf("%s: behind it comes %q, %v", name, all, err)
			}
			c.conn.Close()
		})
	}
}

func TestANewPasswordEndsTheSessionsOfTheOldOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.office.put("alice@example.com", letter{"a", crlf("Subject: a\n\n.\n")})
		c := s.dial(true)
		c.want("+OK ...")
		c.raw("USER alice@example.com\r\nPASS open sesame\r\nDELE 1\r\n")
		c.want("+OK ...")
		c.want("+OK ...")
		c.want("+OK ...")
		s.office.mu.Lock()
		s.office.broken["version"] = true // trouble of ours signs nobody out
		s.office.mu.Unlock()
		c.raw("STAT\r\n")
		c.want("+OK 0 0")
		s.office.mu.Lock()
		s.office.broken["version"], s.office.version = false, "another"
		s.office.mu.Unlock()
		c.raw("QUIT\r\n")
		c.want("-ERR [AUTH] ...")
		if all, err := io.ReadAll(c.r); len(all) > 0 || err != nil {
			t.Errorf("behind it comes %q, %v", all, err)
		}
		if got := s.office.uids("alice@example.com"); got != "a" {
			t.Errorf("alice has %q", got)
		}
		c.conn.Close()
	})
}
