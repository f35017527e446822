package relay

import (
	"bufio"
	"net"
	"strings"
	"testing"

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
		"the right name":              {"mx.example.org", "example.org", overTLS, "mx.example.org [127.0.0.1]: 250 2.0.0 ok (TLS1.3)"},
		"another name, opportunistic": {"else.example.org", "example.org", overTLS, "mx.example.org [127.0.0.1]: 250 2.0.0 ok (TLS1.3)"},
		"a smarthost, the right name": {"smart.example.net", "smarthost:out", overTLS, "smart.example.net [127.0.0.1]: 250 2.0.0 ok (TLS1.3)"},
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
			done := make(chan struct{})
			go func() {
				defer close(done)
				nc, err := l.Accept()
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
			if line, err := r.Open(t.Context(), c.destination, m); err != nil {
				v = *err.(*delivery.Verdict)
			} else {
				verdicts, _ := line.Send(t.Context(), m)
				v = verdicts[0]
				line.Close()
			}
			<-done
			if told(&v) != c.want {
				t.Errorf("%s, want %s", told(&v), c.want)
			}
		})
	}
}
