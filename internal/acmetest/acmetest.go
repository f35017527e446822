// Package acmetest is an authority for tests that gives certificates by ACME: Pebble, which Let's Encrypt makes for that. It asks back as a real one does, but at ports of
// the test's choice, of the addresses that the test's name server has.
package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"

	"chmail/internal/dnstest"
)

// Authority is a running one.
type Authority struct {
	Directory string         // URL
	Roots     *x509.CertPool // who vouches for the directory's web server
	CA        []byte         // the same in PEM
	Issued    *x509.CertPool // who vouches for the certificates that it gives

	server *httptest.Server
}

// Ports are where an authority asks back; 0: nowhere.
type Ports struct {
	HTTP    int // HTTP-01
	TLSALPN int // TLS-ALPN-01
}

// Start runs one until the test is over.
func Start(t testing.TB, dns *dnstest.Server, ports Ports) *Authority {
	t.Helper()
	if err := os.Setenv("PEBBLE_VA_NOSLEEP", "1"); err != nil { // otherwise it waits up to 5 s before it asks
		t.Fatal(err)
	}
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	front := wfe.New(quiet, store, va.New(quiet, ports.HTTP, ports.TLSALPN, false, dns.Addr(), store), issuer, []string{"authority.test"}, false, false, 0, 0)
	a := &Authority{server: httptest.NewTLSServer(front.Handler())}
	t.Cleanup(a.server.Close)
	a.Directory, a.Roots = a.server.URL+wfe.DirectoryPath, x509.NewCertPool()
	a.Roots.AddCert(a.server.Certificate())
	a.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})

	management := httptest.NewServer(front.ManagementHandler())
	defer management.Close()
	resp, err := http.Get(management.URL + wfe.RootCertPath + "0")
	if err != nil {
		t.Fatalf("acmetest: %v", err)
	}
	defer resp.Body.Close()
	root, err := io.ReadAll(resp.Body)
	if a.Issued = x509.NewCertPool(); err != nil || !a.Issued.AppendCertsFromPEM(root) {
		t.Fatalf("acmetest: the root: %v, %.200q", err, root)
	}
	return a
}

// Stop ends it before the test is over: nobody gets anything of it any more.
func (a *Authority) Stop() { a.server.Close() }
