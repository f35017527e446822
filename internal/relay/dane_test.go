package relay

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"testing/synctest"
)

// signed is a zone of which DNSSEC vouches for some names.
type signed struct {
	*zone
	secure map[string]bool
	tlsa   map[string][]TLSA
	alias  map[string]string
	fail   bool // TLSA records cannot be looked up
}

func (s *signed) SecureMX(ctx context.Context, name string) ([]*net.MX, bool, error) {
	mx, err := s.LookupMX(ctx, name)
	return mx, s.secure[name], err
}

func (s *signed) SecureIPAddr(ctx context.Context, host string) ([]net.IPAddr, bool, error) {
	ips, err := s.LookupIPAddr(ctx, host)
	return ips, s.secure[host], err
}

func (s *signed) SecureNames(_ context.Context, host string, secure bool) ([]string, error) {
	switch to := s.alias[host]; {
	case to != "" && secure:
		return []string{to, host}, nil
	case to != "" || secure:
		return []string{host}, nil
	}
	return nil, nil
}

func (s *signed) LookupTLSA(_ context.Context, port uint16, host string) ([]TLSA, bool, error) {
	if s.fail {
		return nil, false, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}
	if port != 25 || len(s.tlsa[host]) == 0 {
		return nil, s.secure[host], &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return s.tlsa[host], s.secure["_25._tcp."+host], nil
}

// tlsa makes the record of a certificate.
func tlsa(usage, selector, matching uint8, c *x509.Certificate) TLSA {
	b := c.Raw
	if selector == 1 {
		b = c.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(b)
		b = sum[:]
	case 2:
		sum := sha512.Sum512(b)
		b = sum[:]
	}
	return TLSA{Usage: usage, Selector: selector, Matching: matching, Data: b}
}

func TestDANEDecidesWhereDNSSECVouches(t *testing.T) {
	t.Parallel()
	const (
		good   = "mx.example.org [192.0.2.1]: 250 2.0.0 ok (TLS1.3)"
		broken = "mx.example.org [192.0.2.1]: 4.7.5 the TLS handshake failed: the server's certificate is none that its domain has named (DANE) (temporary)"
		plain  = "S: 220 ready\nC: EHLO relay.example.com\nS: 250 mx.example.org\nC: QUIT\n! reset\n"
		noTLS  = "mx.example.org [192.0.2.1]: 4.7.4 the server does no TLS, which is demanded by the TLSA records of mx.example.org (DANE) (temporary)"
	)
	refused := strings.Split(overTLS, "! tls")[0] + "! tls refused\n"
	for name, c := range map[string]struct {
		certificate, unsigned string
		record                func(server, authority *x509.Certificate) TLSA
		script, want          string
	}{
		"3 1 1":                       {"any.example", "", func(s, _ *x509.Certificate) TLSA { return tlsa(3, 1, 1, s) }, overTLS, good},
		"3 0 2":                       {"any.example", "", func(s, _ *x509.Certificate) TLSA { return tlsa(3, 0, 2, s) }, overTLS, good},
		"3 0 0":                       {"any.example", "", func(s, _ *x509.Certificate) TLSA { return tlsa(3, 0, 0, s) }, overTLS, good},
		"3 1 1 of another":            {"mx.example.org", "", func(_, a *x509.Certificate) TLSA { return tlsa(3, 1, 1, a) }, refused, broken},
		"2 0 1":                       {"mx.example.org", "", func(_, a *x509.Certificate) TLSA { return tlsa(2, 0, 1, a) }, overTLS, good},
		"2 1 1, the domain's name":    {"example.org", "", func(_, a *x509.Certificate) TLSA { return tlsa(2, 1, 1, a) }, overTLS, good},
		"2 0 0":                       {"mx.example.org", "", func(_, a *x509.Certificate) TLSA { return tlsa(2, 0, 0, a) }, overTLS, good},
		"2 1 1 of the server":         {"mx.example.org", "", func(s, _ *x509.Certificate) TLSA { return tlsa(2, 1, 1, s) }, refused, broken},
		"2 0 1, another name":         {"any.example", "", func(_, a *x509.Certificate) TLSA { return tlsa(2, 0, 1, a) }, refused, "mx.example.org [192.0.2.1]: 4.7.5 the TLS handshake failed: x509: certificate is valid for any.example, not example.org (temporary)"},
		"unusable: TLS all the same":  {"any.example", "", func(s, _ *x509.Certificate) TLSA { return tlsa(1, 1, 1, s) }, overTLS, good},
		"unusable, no TLS":            {"any.example", "", func(s, _ *x509.Certificate) TLSA { return tlsa(3, 2, 1, s) }, plain, noTLS},
		"no TLS":                      {"any.example", "", func(s, _ *x509.Certificate) TLSA { return tlsa(3, 1, 1, s) }, plain, noTLS},
		"MX unsigned: opportunistic":  {"any.example", "example.org.", func(_, a *x509.Certificate) TLSA { return tlsa(3, 1, 1, a) }, overTLS, good},
		"host unsigned":               {"any.example", "mx.example.org.", func(_, a *x509.Certificate) TLSA { return tlsa(3, 1, 1, a) }, overTLS, good},
		"records unsigned":            {"any.example", "_25._tcp.mx.example.org.", func(_, a *x509.Certificate) TLSA { return tlsa(3, 1, 1, a) }, overTLS, good},
		"records cannot be looked up": {"any.example", "fail", func(s, _ *x509.Certificate) TLSA { return tlsa(3, 1, 1, s) }, "", "4.4.3 the TLSA records of mx.example.org cannot be looked up (temporary)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ca := newAuthority(t)
				server := ca.server(c.certificate)
				p := &peers{t: t, tls: server}
				if c.script != "" {
					p.scripts = []string{c.script}
				}
				z := &signed{zone: exampleOrg(), secure: map[string]bool{"example.org.": true, "mx.example.org.": true, "_25._tcp.mx.example.org.": true}, fail: c.unsigned == "fail"}
				z.secure[c.unsigned] = false
				z.tlsa = map[string][]TLSA{"mx.example.org.": {tlsa(3, 1, 1, newAuthority(t).cert), c.record(server.Certificates[0].Leaf, ca.cert)}}
				if strings.HasPrefix(name, "unusable") {
					z.tlsa["mx.example.org."] = z.tlsa["mx.example.org."][1:]
				}
				r := New(Options{Name: "relay.example.com", Resolver: z, Own: nobody, Dial: p.dial, Roots: x509.NewCertPool()})
				v, safety := sendBy(t, r, mailOf(t, "to a@example.org\n\nSubject: x\n\n"))
				p.playing.Wait()
				if wants := v.Accepted() && name[1] == ' '; wants != (safety == DANE) { // named after the record that fits
					t.Errorf("protected by %q", safety)
				}
				if told(v) != c.want || len(p.dialled) != len(p.scripts) {
					t.Errorf("%s, want %s; dialled %v", told(v), c.want, p.dialled)
				}
			})
		})
	}
}

// TestDANEVouchesForREQUIRETLS sends a mail that demands REQUIRETLS to a domain whose DNSSEC names the server and its key.
func TestDANEVouchesForREQUIRETLS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		server := ca.server("any.example")
		script := strings.Replace(strings.Replace(overTLS, "250 PIPELINING", "250-REQUIRETLS\nS: 250 PIPELINING", 1), "alice@example.com>", "alice@example.com> REQUIRETLS", 1)
		p := &peers{t: t, tls: server, scripts: []string{script}}
		z := &signed{zone: exampleOrg(), secure: map[string]bool{"example.org.": true, "mx.example.org.": true, "_25._tcp.mx.example.org.": true}}
		z.tlsa = map[string][]TLSA{"mx.example.org.": {tlsa(3, 1, 1, server.Certificates[0].Leaf)}}
		v := sendOne(t, New(Options{Name: "relay.example.com", Resolver: z, Own: nobody, Dial: p.dial, Roots: x509.NewCertPool()}), mailOf(t, "to a@example.org\nrequiretls\n\nSubject: x\n\n"))
		p.playing.Wait()
		if told(v) != "mx.example.org [192.0.2.1]: 250 2.0.0 ok (TLS1.3)" {
			t.Error(told(v))
		}
	})
}

func TestAServerWithoutCertificateIsNone(t *testing.T) {
	t.Parallel()
	if err := verifyDANE(nil, []TLSA{{Usage: 3}}, []string{"x"}); err == nil {
		t.Error("no certificate will do")
	}
	ca := newAuthority(t)
	if err := verifyDANE([]*x509.Certificate{ca.server("x.example").Certificates[0].Leaf, ca.cert}, []TLSA{tlsa(2, 0, 1, ca.cert)}, []string{""}); err == nil {
		t.Error("no name will do")
	}
}

// TestDANEFollowsAHostToItsOtherName has an MX that is an alias (CNAME). Where DNSSEC vouches for all of it, the records stand under the name that it leads to, else under its own.
func TestDANEFollowsAHostToItsOtherName(t *testing.T) {
	t.Parallel()
	const good, broken = "mx.example.org [192.0.2.1]: 250 2.0.0 ok (TLS1.3)", "mx.example.org [192.0.2.1]: 4.7.5 the TLS handshake failed: the server's certificate is none that its domain has named (DANE) (temporary)"
	refused := strings.Split(overTLS, "! tls")[0] + "! tls refused\n"
	for name, c := range map[string]struct {
		under    []string // names that have a record; the first has the right one
		unsigned string
		usage    uint8
		script   string
		want     string
		asked    string // for in the handshake
	}{
		"the other name":                     {[]string{"host.example.net."}, "", 3, overTLS, good, "host.example.net"},
		"both: the other name's counts":      {[]string{"host.example.net.", "mx.example.org."}, "", 3, overTLS, good, "host.example.net"},
		"both, and it is wrong":              {[]string{"mx.example.org.", "host.example.net."}, "", 3, refused, broken, "host.example.net"},
		"its own":                            {[]string{"mx.example.org."}, "", 3, overTLS, good, "mx.example.org"},
		"its own: the other one is unsigned": {[]string{"mx.example.org.", "host.example.net."}, "mx.example.org.", 3, overTLS, good, "mx.example.org"},
		"an authority for the other name":    {[]string{"host.example.net."}, "", 2, overTLS, good, "host.example.net"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ca := newAuthority(t)
				server := ca.server("host.example.net")
				var asked string
				server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					asked = hello.ServerName
					return nil, nil
				}
				p := &peers{t: t, tls: server, scripts: []string{c.script}}
				z := &signed{zone: exampleOrg(), alias: map[string]string{"mx.example.org.": "host.example.net."}, tlsa: map[string][]TLSA{}, secure: map[string]bool{"example.org.": true, "mx.example.org.": true}}
				for i, n := range c.under {
					z.secure["_25._tcp."+n] = true
					z.tlsa[n] = []TLSA{tlsa(3, 1, 1, ca.cert)}
					if i == 0 && c.usage == 3 {
						z.tlsa[n] = []TLSA{tlsa(3, 1, 1, server.Certificates[0].Leaf)}
					} else if i == 0 {
						z.tlsa[n] = []TLSA{tlsa(2, 0, 1, ca.cert)}
					}
				}
				z.secure[c.unsigned] = false
				v := sendOne(t, New(Options{Name: "relay.example.com", Resolver: z, Own: nobody, Dial: p.dial, Roots: x509.NewCertPool()}), mailOf(t, "to a@example.org\n\nSubject: x\n\n"))
				p.playing.Wait()
				if told(v) != c.want || asked != c.asked {
					t.Errorf("%s, want %s; asked for %q, want %q", told(v), c.want, asked, c.asked)
				}
			})
		})
	}
}
