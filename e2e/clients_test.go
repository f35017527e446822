package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// submit sends a mail as a mail client does: STARTTLS, AUTH, DATA.
func (s *server) submit(from, password, to, text string) error {
	conn, err := net.DialTimeout("tcp", s.submission(), 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		return err
	}
	if err := c.Hello("alices-laptop.example"); err != nil {
		return err
	}
	if err := c.StartTLS(s.trust); err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", from, password, "localhost")); err != nil {
		return err
	}
	if err := send(c, from, to, text); err != nil {
		return err
	}
	return c.Quit()
}

func send(c *smtp.Client, from, to, text string) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, crlf(text)); err != nil {
		return err
	}
	return w.Close()
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// letter is a plain mail.
func letter(from, to, subject, body string) string {
	return fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nMessage-ID: <%d@client.example>\nDate: %s\n\n%s\n",
		from, to, subject, time.Now().UnixNano(), time.Now().Format(time.RFC1123Z), body)
}

// maildrop is a POP3 session in TLS.
type maildrop struct {
	t testing.TB
	c *textproto.Conn
}

func (s *server) maildrop(t testing.TB, login, password string) *maildrop {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", s.pop3s(), s.trust)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	m := &maildrop{t: t, c: textproto.NewConn(conn)}
	t.Cleanup(func() { m.c.Close() })
	m.ok("")
	m.ok("USER " + login)
	m.ok("PASS " + password)
	return m
}

// ok sends a command and expects +OK; it returns the rest of the line.
func (m *maildrop) ok(command string) string {
	m.t.Helper()
	if command != "" {
		if err := m.c.PrintfLine("%s", command); err != nil {
			m.t.Fatal(err)
		}
	}
	line, err := m.c.ReadLine()
	if err != nil {
		m.t.Fatalf("POP3 %s: %v", verb(command), err)
	}
	rest, found := strings.CutPrefix(line, "+OK")
	if !found {
		m.t.Fatalf("POP3 %s: %s", verb(command), line)
	}
	return strings.TrimSpace(rest)
}

func verb(command string) string { v, _, _ := strings.Cut(command, " "); return v }

func (m *maildrop) count() int {
	m.t.Helper()
	var n, octets int
	if _, err := fmt.Sscanf(m.ok("STAT"), "%d %d", &n, &octets); err != nil {
		m.t.Fatal(err)
	}
	return n
}

// raw fetches message n as it lies in the maildrop.
func (m *maildrop) raw(n int) string {
	m.t.Helper()
	m.ok(fmt.Sprintf("RETR %d", n))
	text, err := m.c.ReadDotBytes()
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *maildrop) message(n int) (*mail.Message, string) {
	m.t.Helper()
	raw := m.raw(n)
	msg, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		m.t.Fatalf("message %d cannot be read: %v\n%s", n, err, raw)
	}
	body, err := io.ReadAll(msg.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return msg, string(body)
}

// quit commits deletions.
func (m *maildrop) quit() { m.t.Helper(); m.ok("QUIT"); m.c.Close() }

// chatLink is the link that the server stamped into a message.
func chatLink(t testing.TB, msg *mail.Message) string {
	t.Helper()
	link := strings.Trim(msg.Header.Get("CH-Link"), "<>")
	if link == "" {
		t.Fatalf("the message carries no CH-Link: %v", msg.Header)
	}
	return link
}
