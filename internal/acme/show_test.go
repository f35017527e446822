package acme

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/caddyserver/certmagic"

	"chmail/internal/acmetest"
	"chmail/internal/dnstest"
)

// TestAProofIsForTheAuthorityAlone: while one is under way, neither a browser that knows the protocol among others is given it, nor is it told on port 80, which is not the
// way that was chosen.
func TestAProofIsForTheAuthorityAlone(t *testing.T) {
	t.Parallel()
	const name = "mail.proof.test"
	h := newHouse(t)
	dns := dnstest.Start(t, dnstest.Records{name + " A": {"127.0.0.1"}})
	a := acmetest.Start(t, dns, acmetest.Ports{TLSALPN: h.port(t)})
	m := h.manager(t, Options{Authority: Authority{Directory: a.Directory, Roots: a.Roots}, Names: []string{name}, Solve: TLSALPN, Resolver: dns.Resolver()})
	web := m.Prove(&tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: m.GetCertificate, NextProtos: []string{"h2", "http/1.1"}})
	given := func(protocols ...string) bool {
		c, err := m.Prove(web).GetConfigForClient(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: protocols})
		return c != nil || err != nil
	}
	var once sync.Once
	looked := make(chan struct{})
	look := func() {
		defer close(looked)
		c, ok := certmagic.GetACMEChallenge(name)
		if !ok || !given("acme-tls/1") {
			t.Error("the authority asks, and there is no answer for it")
		}
		for _, protocols := range [][]string{nil, {"h2"}, {"h2", "acme-tls/1"}, {"acme-tls/1", "http/1.1"}} {
			if given(protocols...) {
				t.Errorf("who offers %v is given the authority's answer", protocols)
			}
		}
		r := httptest.NewRequest("GET", "http://"+name+c.HTTP01ResourcePath(), nil)
		w := httptest.NewRecorder()
		if m.Handler("443").ServeHTTP(w, r); w.Code != http.StatusNotFound {
			t.Errorf("port 80 answers %d %q", w.Code, w.Body)
		}
	}
	answer := web.GetConfigForClient
	web.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, "acme-tls/1") {
			once.Do(look)
		}
		return answer(hello)
	}
	s := &http.Server{TLSConfig: web, ErrorLog: log.New(io.Discard, "", 0)}
	go s.ServeTLS(h.ln, "", "")
	defer s.Close()
	m.Start()
	defer closed(t, m)
	await(t, h, m, name)
	<-looked
}
