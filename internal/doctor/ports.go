package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"syscall"
	"time"
)

// portWithin bounds the talk with one port.
const portWithin = 5 * time.Second

// ports looks whether each configured port answers, in its own protocol and with the certificate of the file, or from the authority. From here only: what a firewall does to others cannot be seen.
func (d *Doctor) ports(ctx context.Context) []Finding {
	host, chat := d.leaf(ctx, d.Setup.Host), d.leaf(ctx, d.Setup.Chat)
	all, errs := make([]Finding, len(d.Listeners)), make([]error, len(d.Listeners))
	var wait sync.WaitGroup
	for i, l := range d.Listeners {
		leaf := host
		if l.Kind == ListenWeb {
			leaf = chat
		}
		wait.Go(func() { all[i], errs[i] = d.port(ctx, l, leaf) })
	}
	wait.Wait()
	for _, err := range errs {
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return all
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return []Finding{{State: Fail, Check: "port", Subject: "all ports", Text: "nothing listens on any of them: the server does not run", Mend: "start it: chmail serve --config " + d.Files.Config}}
}

func (d *Doctor) port(ctx context.Context, l Listener, leaf *x509.Certificate) (Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, portWithin)
	defer cancel()
	f := Finding{State: OK, Check: "port", Subject: l.Key + " " + l.Addr, Text: "answers, as seen from this computer"}
	shown, err := d.speak(ctx, l)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		f.State, f.Text, f.Mend = Fail, "nothing listens", "restart the server; what keeps it from listening is in its log"
	case d.Managed != nil && leaf == nil && errors.As(err, new(*net.OpError)) && strings.Contains(err.Error(), "remote error: tls"):
		f.State, f.Text, f.Mend = Fail, "refuses TLS: there is no certificate yet", "see what is said of the certificates above; this port needs nothing else"
	case d.Managed != nil && leaf == nil && shown != nil:
		f.State, f.Text, f.Mend = Warn, "shows a certificate that nobody vouches for: there is no other yet", "see what is said of the certificates above; this port needs nothing else"
	case err != nil:
		f.State, f.Text = Fail, err.Error()
		f.Mend = "look which program listens there (ss -ltnp), and into the server's log"
	case shown != nil && leaf != nil && !bytes.Equal(shown.Raw, leaf.Raw):
		f.State = Warn
		f.Text = "shows another certificate than that of the file, until "
		if d.Managed != nil {
			f.Text = "shows another certificate than that which the server has got, until "
		}
		f.Text += shown.NotAfter.UTC().Format("2 January 2006 15:04 MST")
		f.Mend = "after a renewal wait ten seconds; if it stays so, the server cannot read the new files: its log says why"
	}
	return f, err
}

// speak greets a port and changes to TLS where the web or mail is spoken in it; it returns the certificate that is shown, nil on a port without TLS.
func (d *Doctor) speak(ctx context.Context, l Listener) (*x509.Certificate, error) {
	conn, err := d.dial(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(until); err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
	}
	if l.Kind == ListenWeb && !l.TLS {
		return nil, nil
	}
	if !l.TLS {
		if err := startTLS(l.Kind, textproto.NewConn(conn)); err != nil {
			return nil, err
		}
	}
	name := d.Setup.Host
	if l.Kind == ListenWeb {
		name = d.Setup.Chat
	}
	// What it shows is looked at, not trusted: nothing is said to it that anybody could not say.
	secure := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("in the TLS handshake: %w", err)
	}
	shown := secure.ConnectionState().PeerCertificates[0]
	if l.Kind == ListenWeb {
		return shown, nil
	}
	t := textproto.NewConn(secure)
	if l.TLS {
		err = greeting(l.Kind, t)
	}
	if err == nil {
		err = t.PrintfLine("QUIT")
	}
	return shown, err
}

// dial connects to a listener, on loopback where it listens on every address.
func (d *Doctor) dial(ctx context.Context, l Listener) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(l.Addr); err != nil {
		return nil, err
	}
	return d.Dial(ctx, "tcp", l.Reach())
}

// Reach is where the listener is reached from this computer: on loopback where it listens on every address.
func (l Listener) Reach() string {
	host, port, err := net.SplitHostPort(l.Addr)
	if err != nil {
		return l.Addr
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// greeting reads the first line of a mail server.
func greeting(kind string, t *textproto.Conn) error {
	if kind == ListenSMTP {
		if _, _, err := t.ReadResponse(220); err != nil {
			return fmt.Errorf("greets otherwise than an SMTP server: %w", err)
		}
		return nil
	}
	line, err := t.ReadLine()
	if err != nil {
		return fmt.Errorf("reading its greeting: %w", err)
	}
	if !strings.HasPrefix(line, "+OK") {
		return fmt.Errorf("greets otherwise than a POP3 server: %.100q", line)
	}
	return nil
}

// startTLS asks a mail server for TLS, up to its go-ahead.
func startTLS(kind string, t *textproto.Conn) error {
	if err := greeting(kind, t); err != nil {
		return err
	}
	if kind == ListenPOP3 {
		if err := t.PrintfLine("STLS"); err != nil {
			return err
		}
		line, err := t.ReadLine()
		if err != nil || !strings.HasPrefix(line, "+OK") {
			return fmt.Errorf("does not change to TLS: %.100q, %w", line, err)
		}
		return nil
	}
	for _, c := range []struct {
		line string
		code int
	}{{"EHLO localhost", 250}, {"STARTTLS", 220}} {
		if err := t.PrintfLine("%s", c.line); err != nil {
			return err
		}
		if _, _, err := t.ReadResponse(c.code); err != nil {
			return fmt.Errorf("answers %s with: %w", c.line, err)
		}
	}
	return nil
}
