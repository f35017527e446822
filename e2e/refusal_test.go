package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// plainClient speaks SMTP or POP3 to a port without TLS.
func plainClient(t *testing.T, addr string) *lineClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &lineClient{conn: conn, r: bufio.NewReader(conn)}
}

func (s *server) signedIn(t *testing.T) *lineClient {
	t.Helper()
	c, err := s.dialSubmission(alice, alicesPassword)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// must fails the test when a step of a dialogue went otherwise.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestSubmissionRefusesWhatItMust(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	c := s.signedIn(t)
	must(t, c.ask("553", "MAIL FROM:<%s>", bob))
	must(t, c.ask("250", "MAIL FROM:<%s>", alice))
	must(t, c.ask("550", "RCPT TO:<nobody@example.com>"))
	must(t, c.ask("550", "RCPT TO:<someone@elsewhere.example>"))
	must(t, c.ask("250", "RCPT TO:<%s>", bob))
	must(t, c.ask("354", "DATA"))
	must(t, c.ask("550", "From: %s\r\nTo: %s\r\nSubject: not mine\r\n\r\nhello\r\n.", bob, bob))
	must(t, c.ask("552", "MAIL FROM:<%s> SIZE=999999999", alice))
	if err := s.submit(alice, "wrong", bob, letter(alice, bob, "x", "y")); err == nil || !strings.Contains(err.Error(), "535") {
		t.Errorf("a wrong password: %v, want 535", err)
	}
	plain := plainClient(t, s.submission())
	must(t, plain.expect("220"))
	must(t, plain.ask("250", "EHLO x.example"))
	must(t, plain.ask("5", "AUTH PLAIN AGFsaWNlAHg="))

	bare := s.signedIn(t)
	must(t, bare.ask("250", "MAIL FROM:<%s>", alice))
	must(t, bare.ask("250", "RCPT TO:<%s>", bob))
	must(t, bare.ask("354", "DATA"))
	must(t, bare.ask("5", "From: %s\r\nSubject: smuggled\r\n\r\nhello\n.\nMAIL FROM:<%s>\r\n.", alice, alice))
	if _, err := bare.r.ReadString('\n'); err == nil {
		t.Error("the connection goes on after a bare LF")
	}
	m := s.maildrop(t, bob, bobsPassword)
	defer m.quit()
	if n := m.count(); n != 0 {
		t.Errorf("%d mails came through", n)
	}
}

func TestMailFromOutsideComesInForPeopleWhoAreHere(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	c := plainClient(t, s.mx())
	must(t, c.expect("220"))
	must(t, c.ask("250", "EHLO mail.elsewhere.example"))
	must(t, c.ask("250", "MAIL FROM:<carol@elsewhere.example>"))
	must(t, c.ask("550 5.1.1", "RCPT TO:<nobody@example.com>"))
	must(t, c.ask("550 5.7.1", "RCPT TO:<someone@third.example>"))
	must(t, c.ask("250", "RCPT TO:<postmaster>"))
	must(t, c.ask("250", "RCPT TO:<%s>", bob))
	must(t, c.ask("354", "DATA"))
	must(t, c.ask("250", "From: Carol <carol@elsewhere.example>\r\nTo: %s\r\nSubject: from outside\r\nCH-Login: %s\r\nCH-Link: <https://evil.example/c/x>\r\n\r\nhello\r\n.", bob, alice))
	m := s.maildrop(t, bob, bobsPassword)
	defer m.quit()
	msg, body := m.message(1)
	if msg.Header.Get("CH-Link") != "" || msg.Header.Get("CH-Login") != "" || body != "hello\n" {
		t.Errorf("the CH fields of a stranger came through, or the body changed: %v %q", msg.Header, body)
	}
	if !strings.Contains(msg.Header.Get("Received"), "mail.elsewhere.example") || msg.Header.Get("Return-Path") != "<carol@elsewhere.example>" {
		t.Errorf("trace fields: %v", msg.Header)
	}
}

func TestEndlessLinesAreBounded(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	long := strings.Repeat("x", 1<<20)
	pop := plainClient(t, s.pop3())
	must(t, pop.pop3("", false))
	// The server may hang up before it has taken everything, so a failing write is as good as a refusal.
	if _, err := fmt.Fprintf(pop.conn, "USER %s\r\n", long); err == nil {
		if line, err := pop.r.ReadString('\n'); err == nil && !strings.HasPrefix(line, "-ERR") {
			t.Errorf("a POP3 line of 1 MB: %q", line)
		}
	}
	c := s.signedIn(t)
	must(t, c.ask("250", "MAIL FROM:<%s>", alice))
	must(t, c.ask("250", "RCPT TO:<%s>", bob))
	must(t, c.ask("354", "DATA"))
	if _, err := fmt.Fprintf(c.conn, "From: %s\r\nSubject: %s\r\n\r\nhello\r\n.\r\n", alice, long); err == nil {
		if line, err := c.r.ReadString('\n'); err == nil && line[0] != '5' {
			t.Errorf("an endless header line: %q", line)
		}
	}
	halfOpen := plainClient(t, s.submissions())
	must(t, errOf(halfOpen.conn.Write([]byte{22, 3, 1}))) // begins a TLS handshake and goes silent
	s.mailTo(t, "everybody else is served meanwhile")
}

func errOf(_ int, err error) error { return err }

func TestHTTPInTheLineProtocolIsRefused(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, port := s.mailWithPort(t, "Offer for the roof")
	for _, first := range []string{
		"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\nJOIN " + link[len(link)-22:] + "\r\nhello\r\n",
		"Host: localhost\r\nJOIN " + link[len(link)-22:] + "\r\n",
		"JOIN AAAAAAAAAAAAAAAAAAAAAA nobody\r\n",
		"hello\r\n", "\r\n", "GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		s.get(t, link)
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", "127.0.0.1:"+port, s.trust)
		if err != nil {
			t.Fatal(err)
		}
		must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		must(t, errOf(io.WriteString(conn, first)))
		answer, err := io.ReadAll(conn)
		if strings.Contains(string(answer), "OK ") || strings.Contains(string(answer), "101 ") {
			t.Errorf("%.30q was let in: %q", first, answer)
		}
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%.30q: the connection was not closed: %v", first, err)
		}
		must(t, conn.Close())
	}
}
