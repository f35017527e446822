package acme

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"chmail/internal/acmetest"
	"chmail/internal/dnstest"
)

// shown is the certificate that a port shows to who asks for a name, verified by the authority's root.
func shown(t testing.TB, addr, name string, roots *x509.CertPool, protos ...string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, RootCAs: roots, NextProtos: protos})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// pages serves a word on the listener, with the manager's certificates.
func pages(t testing.TB, ln net.Listener, m *Manager) {
	t.Helper()
	web := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: m.GetCertificate, NextProtos: []string{"h2", "http/1.1"}}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }), TLSConfig: m.Prove(web), ErrorLog: log.New(io.Discard, "", 0)}
	go s.ServeTLS(ln, "", "")
	t.Cleanup(func() { s.Close() })
}

func TestACertificateIsGotByTLSALPNKeptAndRenewed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dns := dnstest.Start(t, dnstest.Records{"mail.alpn.test A": {"127.0.0.1"}, "chat.alpn.test A": {"127.0.0.1"}})
	a := acmetest.Start(t, dns, acmetest.Ports{TLSALPN: h.port(t)})
	names := []string{"mail.alpn.test", "chat.alpn.test", "mta-sts.alpn.test"}
	o := Options{
		Authority: Authority{Directory: a.Directory, Roots: a.Roots, Email: "postmaster@alpn.test"}, Names: names, Solve: TLSALPN, Resolver: dns.Resolver(),
		Check: 100_000 * time.Hour, // whatever is looked at so seldom has to be renewed now
		Look:  10 * time.Millisecond,
	}
	m := h.manager(t, o)
	pages(t, h.ln, m)
	addr := h.ln.Addr().String()

	// Before there is one, people's programs are told no, and other servers get something to encrypt with.
	hello := asking(names[0])
	if _, err := m.GetCertificate(hello); err != errNone {
		t.Errorf("a certificate before there is one: %v", err)
	}
	if cert, err := m.GetCertificateMX(hello); err != nil || cert == nil {
		t.Errorf("port 25 has nothing to encrypt with: %v", err)
	}
	if _, err := tls.Dial("tcp", addr, &tls.Config{ServerName: names[0], NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}); err == nil {
		t.Error("a stranger gets the answer to a question that nobody has asked")
	}

	m.Start()
	h.said.until(t, `level=INFO msg="certificate obtained" name=mail.alpn.test`)
	h.said.until(t, `level=INFO msg="certificate obtained" name=chat.alpn.test`)
	h.said.until(t, "the DNS has no address of the name\" name=mta-sts.alpn.test")
	await(t, h, m, names[0])
	await(t, h, m, names[1])
	first := shown(t, addr, names[0], a.Issued, "http/1.1")
	if names := strings.Join(first.DNSNames, " "); names != "mail.alpn.test" {
		t.Errorf("it stands for %s", names)
	}
	if other := shown(t, addr, "chat.alpn.test", a.Issued); other.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("both names have one certificate: where one fails the other does")
	}
	for _, name := range []string{"pop.example.net", "", "MAIL.alpn.test."} {
		if cert, err := m.GetCertificate(asking(name)); err != nil || cert.Leaf.SerialNumber.Cmp(first.SerialNumber) != 0 {
			t.Errorf("who asks for %q is not shown the first name's: %v", name, err)
		}
	}

	// The DNS has the third one now, and the first is renewed, all without a restart.
	dns.Set("mta-sts.alpn.test A", "127.0.0.1")
	h.said.until(t, `level=INFO msg="certificate obtained" name=mta-sts.alpn.test`)
	if err := m.cache.RenewManagedCertificates(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.said.until(t, `msg="certificate obtained" name=mail.alpn.test renewed=true`)
	for end := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		if second := shown(t, addr, names[0], a.Issued); second.SerialNumber.Cmp(first.SerialNumber) != 0 {
			first = second
			break
		}
		if time.Now().After(end) {
			t.Fatal("the renewed certificate is not shown")
		}
	}
	h.said.until(t, `msg="certificate obtained" name=chat.alpn.test renewed=true`)
	closed(t, m)

	// After a restart they are there, though nobody is there any more to be asked.
	a.Stop()
	o.Check = 0
	again := h.manager(t, o)
	again.Start()
	defer closed(t, again)
	await(t, h, again, names[0])
	if cert, err := again.GetCertificate(hello); err != nil || cert.Leaf.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Errorf("after a restart: %v", err)
	}
	if log := h.said.String(); strings.Contains(log, "PRIVATE KEY") || strings.Contains(log, "token") {
		t.Error("a secret is in the log")
	}
}

// asking is a client that names a host.
func asking(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: name}
}

// await waits until a name's certificate is there.
func await(t testing.TB, h *house, m *Manager, name string) State {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		for _, s := range m.States() {
			if s.Name == name && s.Chain != nil {
				return s
			}
		}
	}
	t.Fatalf("there is no certificate of %s", name)
	return State{}
}

func TestACertificateIsGotByHTTP(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dns := dnstest.Start(t, dnstest.Records{"mail.http.test A": {"127.0.0.1"}})
	a := acmetest.Start(t, dns, acmetest.Ports{HTTP: h.port(t)})
	m := h.manager(t, Options{Authority: Authority{Directory: a.Directory, Roots: a.Roots}, Names: []string{"mail.http.test"}, Solve: HTTP, Resolver: dns.Resolver()})
	s := &http.Server{Handler: m.Handler("8443")}
	go s.Serve(h.ln)
	defer s.Close()
	m.Start()
	defer closed(t, m)
	state := await(t, h, m, "mail.http.test")
	if state.Trouble != "" || !state.Tried.IsZero() {
		t.Errorf("it is told as trouble: %+v", state)
	}

	w := httptest.NewRecorder()
	if m.Handler("").ServeHTTP(w, httptest.NewRequest("GET", "http://mail.http.test/", nil)); w.Code != http.StatusNotFound {
		t.Errorf("where the pages have no TLS: %d", w.Code)
	}
	for _, c := range []struct{ method, host, path, to string }{
		{"GET", "mail.http.test", "/desk?x=1", "https://mail.http.test:8443/desk?x=1"},
		{"HEAD", "MAIL.HTTP.test.:80", "/", "https://mail.http.test:8443/"},
		{"POST", "mail.http.test", "/login", ""},
		{"GET", "evil.example", "/", ""},
		{"GET", "mail.http.test", "/.well-known/acme-challenge/abc", ""},
		{"GET", "mail.http.test", "//evil.example/", "https://mail.http.test:8443//evil.example/"},
	} {
		r := httptest.NewRequest(c.method, "http://x"+c.path, nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		m.Handler("8443").ServeHTTP(w, r)
		if got := w.Header().Get("Location"); got != c.to || c.to == "" && w.Code < 400 {
			t.Errorf("%s http://%s%s: %d to %q", c.method, c.host, c.path, w.Code, got)
		}
	}
}

func TestARefusedNameIsToldAndTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dns := dnstest.Start(t, dnstest.Records{"mail.refused.test A": {"127.0.0.1"}})
	a := acmetest.Start(t, dns, acmetest.Ports{TLSALPN: 1}) // it asks where nobody listens
	m := h.manager(t, Options{Authority: Authority{Directory: a.Directory, Roots: a.Roots}, Names: []string{"mail.refused.test"}, Solve: TLSALPN, Resolver: dns.Resolver()})
	pages(t, h.ln, m)
	m.Start()
	h.said.until(t, `level=WARN msg="no certificate could be got; it is tried again" name=mail.refused.test`)
	s := m.States()[0]
	if !strings.Contains(s.Trouble, "Failed to connect to 127.0.0.1:1") || s.Tried.IsZero() || s.Chain != nil {
		t.Errorf("what is told: %+v", s)
	}
	h.said.until(t, "acme: will retry")
	closed(t, m) // does not wait for the next attempt
}

func TestACertificateThatDoesNotFitItsKeyIsGotAnew(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	m := h.manager(t, Options{Authority: Authority{Directory: "https://127.0.0.1:1/dir"}, Names: []string{"mail.broken.test"}, Solve: TLSALPN})
	defer closed(t, m)
	issuer := m.config.Issuers[0].IssuerKey()
	for key, text := range map[string]string{certmagic.StorageKeys.SiteCert(issuer, "mail.broken.test"): "half a certificate", certmagic.StorageKeys.SitePrivateKey(issuer, "mail.broken.test"): "another key"} {
		if err := m.storage.Store(t.Context(), key, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if m.kept(t.Context(), "mail.broken.test") {
		t.Error("it is used")
	}
	if m.storage.Exists(t.Context(), certmagic.StorageKeys.CertsSitePrefix(issuer, "mail.broken.test")) {
		t.Error("it is still in the way")
	}
}

func TestADNSThatDoesNotAnswerKeepsNobodyFromAsking(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dns := dnstest.Start(t, nil)
	dns.Fail("mail.away.test")
	m := h.manager(t, Options{Names: []string{"mail.away.test"}, Solve: TLSALPN, Resolver: dns.Resolver()})
	defer closed(t, m)
	if !m.known(t.Context(), "mail.away.test") {
		t.Error("it is waited for, as if it were certain that the name does not exist")
	}
}
