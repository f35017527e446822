package play

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"time"
)

// mailTime bounds the first mail's whole way; it is loopback, so anything near this is a fault.
const mailTime = 8 * time.Second

// firstMail is a multipart/alternative as mail clients send them, so that a newcomer sees the line and the button.
const firstMail = `From: %[1]s <%[2]s>
To: %[3]s <%[4]s>
Subject: Shall we talk?
Date: %[5]s
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="first-mail"

--first-mail
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Hello %[3]s,

this is an ordinary mail. I sent it with an ordinary mail program, and the server
put the chat link into it on its way. Follow it, and I am called.

%[1]s
--first-mail
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<!DOCTYPE html>
<html><body>
<p>Hello %[3]s,</p>
<p>this is an ordinary mail. I sent it with an ordinary mail program, and the server
put the chat button into it on its way. Press it, and I am called.</p>
<p>%[1]s</p>
</body></html>
--first-mail--
`

// SendFirstMail submits a mail from the sender to the reader as a mail client does, STARTTLS and AUTH included, fetches it from the
// reader's maildrop and returns the chat link in its header. That it returns at all shows the main path at work.
func SendFirstMail(ctx context.Context, p Ports, s State, caFile string) (link string, err error) {
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	trust, err := trustFile(caFile)
	if err != nil {
		return "", err
	}
	if err := submit(ctx, p, s, trust); err != nil {
		return "", fmt.Errorf("submitting the first mail: %w", err)
	}
	link, err = fetchLink(ctx, p, s, trust)
	if err != nil {
		return "", fmt.Errorf("fetching the first mail: %w", err)
	}
	return link, nil
}

func trustFile(caFile string) (*tls.Config, error) {
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the play authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}, nil
}

func dial(ctx context.Context, port int) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", Addr(port))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

func submit(ctx context.Context, p Ports, s State, trust *tls.Config) (err error) {
	conn, err := dial(ctx, p.Submission)
	if err != nil {
		return err
	}
	defer conn.Close()
	c, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		return err
	}
	if err := c.StartTLS(trust); err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", s.Sender.Login, s.Sender.Password, "localhost")); err != nil {
		return err
	}
	if err := c.Mail(s.Sender.Login); err != nil {
		return err
	}
	if err := c.Rcpt(s.Reader.Login); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(firstMail, s.Sender.Name, s.Sender.Login, s.Reader.Name, s.Reader.Login, time.Now().Format(time.RFC1123Z))
	if _, err := w.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// fetchLink reads the newest message of the reader's maildrop by POP3 in TLS.
func fetchLink(ctx context.Context, p Ports, s State, trust *tls.Config) (string, error) {
	conn, err := dial(ctx, p.POP3S)
	if err != nil {
		return "", err
	}
	c := textproto.NewConn(tls.Client(conn, trust))
	defer c.Close()
	if err := pop3Line(c, ""); err != nil {
		return "", err
	}
	if err := pop3Line(c, "USER "+s.Reader.Login); err != nil {
		return "", err
	}
	if err := pop3Line(c, "PASS "+s.Reader.Password); err != nil {
		return "", errors.New("the reader's password was refused") // never the command's own text: it holds the password
	}
	if err := c.PrintfLine("STAT"); err != nil {
		return "", err
	}
	line, err := c.ReadLine()
	if err != nil {
		return "", err
	}
	var count, octets int
	if _, err := fmt.Sscanf(line, "+OK %d %d", &count, &octets); err != nil || count == 0 {
		return "", fmt.Errorf("the maildrop is empty (STAT said %q)", line)
	}
	if err := pop3Line(c, fmt.Sprintf("TOP %d 0", count)); err != nil {
		return "", err
	}
	msg, err := mail.ReadMessage(c.DotReader())
	if err != nil {
		return "", fmt.Errorf("reading the header: %w", err)
	}
	link := strings.Trim(msg.Header.Get("CH-Link"), "<> ")
	if link == "" {
		return "", errors.New("the mail carries no CH-Link")
	}
	return link, pop3Line(c, "QUIT")
}

// pop3Line sends a command (none for "") and expects +OK.
func pop3Line(c *textproto.Conn, command string) error {
	if command != "" {
		if err := c.PrintfLine("%s", command); err != nil {
			return err
		}
	}
	line, err := c.ReadLine()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+OK") {
		return fmt.Errorf("the server said %q", line)
	}
	return nil
}
