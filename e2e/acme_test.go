package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chmail/internal/acmetest"
	"chmail/internal/dnstest"
)

// managed is a server that has no certificate, and is to get some from an authority, by a challenge on one of its ports.
func managed(t *testing.T, challenge string) (s *server, a *acmetest.Authority, dns *dnstest.Server) {
	t.Helper()
	dns = dnstest.Start(t, dnstest.Records{"mail.one.test A": {"127.0.0.1"}, "chat.one.test A": {"127.0.0.1"}, "mta-sts.one.test A": {"127.0.0.1"}})
	s = newServerFor(t, "mail.one.test", "one.test", "", fmt.Sprintf("relay: {resolver: %q}\n", dns.Addr()))
	a = acmetest.Start(t, dns, acmetest.Ports{TLSALPN: s.base + 5, HTTP: s.base + 7})
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	ours := strings.NewReplacer(
		"tls: {cert: cert.pem, key: key.pem}", fmt.Sprintf("tls: {acme: {agree: true, directory: %q, ca: ca.pem, challenge: %s, http_listen: %q}}", a.Directory, challenge, s.port(7)),
		"https://localhost:", "https://chat.one.test:",
	).Replace(string(text))
	for name, text := range map[string][]byte{s.config: []byte(ours), filepath.Join(s.dir, "ca.pem"): a.CA} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s, a, dns
}

// proved is the certificate of a port that speaks TLS from the first octet on, verified as others do.
func proved(t *testing.T, addr, name string, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", addr, &tls.Config{ServerName: name, RootCAs: roots})
	if err != nil {
		t.Fatalf("%s as %s: %v", addr, name, err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// TestAServerWithoutCertificatesGetsThem: by TLS-ALPN-01 on its web port, one for each name, kept over a restart.
func TestAServerWithoutCertificatesGetsThem(t *testing.T) {
	t.Parallel()
	s, a, _ := managed(t, "tls-alpn")
	s.start(t)
	for _, name := range []string{"mail.one.test", "chat.one.test", "mta-sts.one.test"} {
		s.logs(t, `msg="certificate in use" name=`+name)
	}
	s.logs(t, "the DNS has no address of the name\" name=autoconfig.one.test")
	web := s.port(5)
	proved(t, web, "chat.one.test", a.Issued)
	proved(t, web, "mta-sts.one.test", a.Issued)
	serial := proved(t, s.submissions(), "mail.one.test", a.Issued).SerialNumber
	for _, addr := range []string{s.mx(), s.submission()} {
		c, err := smtp.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.StartTLS(&tls.Config{ServerName: "mail.one.test", RootCAs: a.Issued}); err != nil {
			t.Errorf("STARTTLS on %s: %v", addr, err)
		}
		c.Close()
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Issued, ServerName: "mta-sts.one.test"}, DisableKeepAlives: true}}
	req, err := http.NewRequest("GET", "https://"+web+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "mta-sts.one.test"
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("the policy: %v, %v", resp, err)
	}
	resp.Body.Close()
	if out, _, _ := s.chmail(t, "", "doctor"); !strings.Contains(out, "ok    certificate mail.one.test: holds until") || !strings.Contains(out, "warn  certificate autoconfig.one.test: there is none yet: the DNS has no address of it") {
		t.Errorf("the doctor says:\n%s", out)
	}

	figures, page := s.figures(t)
	for _, use := range []string{"mail", "chat", "other"} {
		if until := figures[`chmail_certificate_expires_timestamp_seconds{use="`+use+`"}`]; until < float64(time.Now().Unix()) {
			t.Errorf("the certificate for %s is shown to run out at %v", use, until)
		}
	}
	nobodyIsNamed(t, page)

	s.stop(t)
	a.Stop()
	s.start(t)
	s.logs(t, `msg="certificate in use" name=mail.one.test`)
	if again := proved(t, s.submissions(), "mail.one.test", a.Issued).SerialNumber; again.Cmp(serial) != 0 {
		t.Error("after a restart another certificate is shown")
	}
}

// TestAServerProvesItsNamesByHTTP, and leads those who come to that port to https.
func TestAServerProvesItsNamesByHTTP(t *testing.T) {
	t.Parallel()
	s, a, _ := managed(t, "http")
	s.start(t)
	s.logs(t, `msg="certificate in use" name=chat.one.test`)
	proved(t, s.port(5), "chat.one.test", a.Issued)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequest("GET", "http://"+s.port(7)+"/desk", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "chat.one.test"
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if to, want := resp.Header.Get("Location"), fmt.Sprintf("https://chat.one.test:%d/desk", s.base+5); to != want {
		t.Errorf("led to %q, want %q", to, want)
	}
}
