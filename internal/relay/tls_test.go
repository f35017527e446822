package relay

import (
	"bufio"
	"context"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/delivery"
)

const overTLS = `S: 220 ready
C: EHLO relay.example.com
S: 250-mx.example.org
S: 250 STARTTLS
C: STARTTLS
S: 220 go ahead
! tls
C: EHLO relay.example.com
S: 250-mx.example.org
S: 250-DSN
S: 250 PIPELINING
C: MAIL FROM:<alice@example.com>
C: RCPT TO:<a@example.org>
C: DATA
S: 250 ok
S: 250 ok
S: 354 go on
C: Subject: x
C: 
C: .
S: 250 ok
C: QUIT
S: 221 bye
! closed
`

// TestTLSOverTCP speaks to servers on this computer's own loopback: one with the right name, and one that a smarthost's name does not fit.
func TestTLSOverTCP(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for name, c := range map[string]struct{ certificate, destination, script, want string }{
		"the right name":              {"mx.example.org", "example.org", overTLS, "mx.example.org [127.0.0.1]: 250 2.0.0 ok (TLS1.3) starttls"},
		"another name, opportunistic": {"else.example.org", "example.org", overTLS, "mx.example.org [127.0.0.1]: 250 2.0.0 ok (TLS1.3) starttls"},
		"a smarthost, the right name": {"smart.example.net", "smarthost:out", overTLS, "smart.example.net [127.0.0.1]: 250 2.0.0 ok (TLS1.3) verified"},
		"a smarthost, another name": {"else.example.net", "smarthost:out", strings.Split(overTLS, "! tls")[0] + "! tls refused\n",
			"smart.example.net [127.0.0.1]: 4.7.5 the TLS handshake failed: tls: failed to verify certificate: x509: certificate is valid for else.example.net, not smart.example.net (temporary)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			done := make(chan struct{})
			go func() {
				defer close(done)
				nc, err := l.Accept()
				l.Close() // whoever comes again meets nobody
				if err != nil {
					t.Error(err)
					return
				}
				(&peer{t: t, conn: nc, in: bufio.NewReader(nc), tls: ca.server(c.certificate)}).play(1, c.script)
			}()
			z := exampleOrg()
			z.ip["mx.example.org."], z.ip["smart.example.net."] = []string{"127.0.0.1"}, []string{"127.0.0.1"}
			port := uint16(l.Addr().(*net.TCPAddr).Port)
			r := New(Options{
				Name: "relay.example.com", Resolver: z, AnyAddress: true, Port: port, Roots: ca.pool(),
				Smarthosts: map[string]Smarthost{"out": {Host: "smart.example.net", Port: port}},
			})
			m := mailOf(t, "to a@example.org\n\nSubject: x\n\n")
			var v delivery.Verdict
			var safety string
			if line, err := r.Open(ctx, c.destination, m); err != nil {
				v = *err.(*delivery.Verdict)
			} else {
				verdicts, _ := line.Send(ctx, m)
				v, safety = verdicts[0], " "+string(line.Security())
				line.Close()
			}
			<-done
			if got := told(&v) + safety; got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestAMailThatMayGoByAnyConnectionGoesWhereOthersWait has a server that its domain's policy does not name, with a certificate that its TLSA records do not: for a mail with
// TLS-Required: No (RFC 8689 4.2.2) that is no matter. Its connection serves no other mail.
func TestAMailThatMayGoByAnyConnectionGoesWhereOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca, cache := newAuthority(t), &memoryPolicies{}
		_ = cache.SetPolicy(t.Context(), "example.org", Policy{ID: "1", Mode: ModeEnforce, MX: []string{"other.example.org"}, Until: time.Now().Add(time.Hour)})
		p := &peers{t: t, tls: ca.server("any.example"), scripts: []string{overTLS, strings.Split(overTLS, "! tls")[0] + "! junk\n", "S: 220 ready\nC: EHLO relay.example.com\nS: 250-mx.example.org\nS: 250 STARTTLS\nC: QUIT\n! reset\n"}}
		z := &signed{zone: exampleOrg(), secure: map[string]bool{"example.org.": true, "mx.example.org.": true, "_25._tcp.mx.example.org.": true}}
		z.tlsa = map[string][]TLSA{"mx.example.org.": {tlsa(3, 1, 1, ca.cert)}}
		r := New(Options{Name: "relay.example.com", Resolver: z, Own: nobody, Dial: p.dial, Roots: x509.NewCertPool(), Policies: cache})
		m := mailOf(t, "to a@example.org\nanytls\n\nSubject: x\n\n")
		line, err := r.Open(t.Context(), "example.org", m)
		if err != nil {
			t.Fatal(err)
		}
		verdicts, again := line.Send(t.Context(), m)
		line.Close()
		if told(&verdicts[0]) != "mx.example.org [192.0.2.1]: 250 2.0.0 ok (TLS1.3)" || again {
			t.Errorf("%s, again %v", told(&verdicts[0]), again)
		}
		// Where the handshake fails it goes in plaintext, as any mail does to a domain that demands nothing.
		if line, err = r.Open(t.Context(), "example.org", m); err != nil {
			t.Fatal(err)
		}
		line.Close()
		if v := sendOne(t, r, mailOf(t, "to a@example.org\n\nSubject: x\n\n")); !v.Temporary || v.Enhanced != [3]int{4, 7, 5} {
			t.Errorf("any other mail: %s", told(v))
		}
		p.playing.Wait()
	})
}
