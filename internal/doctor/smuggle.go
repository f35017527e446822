package doctor

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strings"
	"time"

	"chmail/internal/smuggling"
)

// A Door is a place where mail is given in, which Smuggle probes.
type Door struct {
	Name            string // of the configuration
	Addr            string // host:port
	TLS             bool   // from the first octet on
	Config          *tls.Config
	Login, Password string // Login "": none is given
	From, To        string // addresses of the own domain
	Submission      bool   // somebody's own login was given for it: that it is probed was asked for
}

// What a door makes of a variant.
const (
	Refused  = "refused"  // the mail was refused
	Harmless = "harmless" // the mail was taken, the sequence as text
	Smuggled = "SMUGGLED" // what stood behind the sequence was obeyed
)

// smuggleWithin bounds one probe.
const smuggleWithin = 20 * time.Second

// Why nothing can be said about a variant.
var (
	errNotProbed  = errors.New("takes no mail from here")
	errNoChunks   = errors.New("does not offer BDAT")
	errUnanswered = errors.New("no answer to the mail")
)

// maxMissed is how many probes in a row may come to nothing before a door is left alone, other than by its closing at once.
const maxMissed = 3

// Smuggle probes a door with every variant, by DATA and, where it is offered, by BDAT, over a connection each. Behind the sequence stand two NOOPs: whoever answers them has taken the sequence
// for the end of the mail. No mail arrives anywhere: it bears more Received fields than any server takes (RFC 5321 6.3). tell hears of each: OK for refused and harmless, Fail for SMUGGLED,
// Warn for a probe that came to nothing at a door that takes mail from here, Skip where it takes none.
func Smuggle(ctx context.Context, d Door, dial func(ctx context.Context, network, addr string) (net.Conn, error), tell func(Finding)) {
	entered, missed := false, 0
	for _, chunks := range []bool{false, true} {
		how := d.Name + " " + d.Addr + " DATA"
		if chunks {
			how = d.Name + " " + d.Addr + " BDAT"
		}
		for _, v := range smuggling.Variants() {
			if v.Fate == smuggling.End && !chunks {
				continue // that is the end
			}
			fate, said, err := probe(ctx, d, dial, v.Seq, chunks)
			if ctx.Err() != nil {
				return
			}
			if errors.Is(err, errNoChunks) || err != nil && !entered && !errors.Is(err, errUnanswered) {
				tell(Finding{State: Skip, Check: "smuggle", Subject: how, Text: err.Error()})
				if !entered {
					return
				}
				break
			}
			entered = true
			tell(verdict(how+" "+v.String(), fate, said, err))
			if missed++; err == nil || errors.Is(err, errUnanswered) && !errors.Is(err, os.ErrDeadlineExceeded) {
				missed = 0
			}
			if missed == maxMissed {
				tell(Finding{State: Warn, Check: "smuggle", Subject: how, Text: "not probed further", Mend: probeAgain})
				return
			}
		}
	}
}

const probeAgain = "look into that server's log for why, and probe again"

// verdict is what is told of one probe.
func verdict(subject, fate, said string, err error) Finding {
	f := Finding{State: OK, Check: "smuggle", Subject: subject, Text: fate + ": " + said}
	switch {
	case err != nil:
		f.State, f.Text, f.Mend = Warn, "nothing can be said: "+err.Error(), probeAgain
	case fate == Smuggled:
		f.State, f.Text = Fail, fate+": what stood behind it was obeyed as commands: "+said
		f.Mend = "update or configure that server: a mail can be hidden in a mail there (for Postfix: smtpd_forbid_bare_newline = yes)"
	}
	return f
}

// probe gives one mail in.
func probe(ctx context.Context, d Door, dial func(ctx context.Context, network, addr string) (net.Conn, error), seq string, chunks bool) (fate, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, smuggleWithin)
	defer cancel()
	conn, err := dial(ctx, "tcp", d.Addr)
	if err != nil {
		return "", "", fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	until, _ := ctx.Deadline()
	if err := conn.SetDeadline(until); err != nil {
		return "", "", err
	}
	t, can, err := d.enter(ctx, conn)
	if err != nil {
		return "", "", err
	}
	if chunks && !strings.Contains(can, "\nCHUNKING") {
		return "", "", errNoChunks
	}
	for _, line := range []string{"MAIL FROM:<" + d.From + ">", "RCPT TO:<" + d.To + ">"} {
		if _, text, err := command(t, 25, line); err != nil {
			return "", "", fmt.Errorf("%w: %s is answered with %s", errNotProbed, line, text)
		}
	}
	mail := strings.Repeat("Received: from probe.invalid by probe.invalid; Thu, 1 Jan 2026 00:00:00 +0000\r\n", 120) +
		"From: <" + d.From + ">\r\nTo: <" + d.To + ">\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nSubject: chmail doctor smuggle\r\n\r\nA probe of chmail doctor." + seq + "NOOP\r\nNOOP\r\n"
	if chunks {
		mail = fmt.Sprintf("BDAT %d LAST\r\n%s", len(mail), mail)
	} else {
		if _, text, err := command(t, 354, "DATA"); err != nil {
			return "", "", fmt.Errorf("%w: DATA is answered with %s", errNotProbed, text)
		}
		mail += ".\r\n"
	}
	// A server that refuses early may close before it has taken everything: its answer is read all the same.
	_, _ = t.W.WriteString(mail)
	_ = t.W.Flush()
	return judge(t)
}

// judge reads what is answered to a mail, and up to the answer to QUIT.
func judge(t *textproto.Conn) (fate, said string, err error) {
	code, text, err := t.ReadResponse(0)
	if err != nil && code == 0 {
		return "", "", fmt.Errorf("%w: %w", errUnanswered, err)
	}
	fate, said = Harmless, fmt.Sprintf("%d %.100s", code, text)
	if code >= 400 {
		fate = Refused
	}
	_ = t.PrintfLine("QUIT") // it may have closed, which is read below
	for {
		code, text, err := t.ReadResponse(0)
		switch {
		case code == 0 && err != nil, code == 221, code == 421:
			return fate, said, nil
		default:
			return Smuggled, fmt.Sprintf("%d %.100s", code, text), nil
		}
	}
}

// enter greets, changes to TLS where that is offered, and logs in; it returns what the door can do, a keyword at the beginning of each line.
func (d Door) enter(ctx context.Context, conn net.Conn) (*textproto.Conn, string, error) {
	secure := func() error {
		c := tls.Client(conn, d.Config)
		conn = c
		return c.HandshakeContext(ctx)
	}
	if d.TLS {
		if err := secure(); err != nil {
			return nil, "", fmt.Errorf("in the TLS handshake: %w", err)
		}
	}
	t := textproto.NewConn(conn)
	if err := greeting(ListenSMTP, t); err != nil {
		return nil, "", err
	}
	_, can, err := command(t, 250, "EHLO localhost")
	if err == nil && !d.TLS && strings.Contains(can, "\nSTARTTLS") {
		if _, _, err = command(t, 220, "STARTTLS"); err == nil {
			err = secure()
		}
		if err == nil {
			t = textproto.NewConn(conn)
			_, can, err = command(t, 250, "EHLO localhost")
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("before the mail: %w", err)
	}
	if d.Login != "" {
		if _, ok := conn.(*tls.Conn); !ok {
			return nil, "", fmt.Errorf("%w: no password is sent without TLS", errNotProbed)
		}
		if _, text, err := command(t, 235, "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+d.Login+"\x00"+d.Password))); err != nil {
			return nil, "", fmt.Errorf("%w: the login is answered with %s", errNotProbed, text)
		}
	}
	return t, can, nil
}

// command says a line and reads its answer.
func command(t *textproto.Conn, code int, line string) (int, string, error) {
	if err := t.PrintfLine("%s", line); err != nil {
		return 0, "", err
	}
	got, text, err := t.ReadResponse(code)
	if err != nil {
		return got, err.Error(), err
	}
	return got, text, nil
}
