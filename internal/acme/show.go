package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
)

// errNone says that a port has no certificate to show yet.
var errNone = errors.New("there is no certificate yet")

// GetCertificate is for the tls.Config of ports that people's programs come to: the certificate of the name that the client asks for, otherwise that of the first name. While there
// is none the handshake fails: a certificate that nobody vouches for would teach people to accept such.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	for _, name := range []string{strings.ToLower(strings.TrimSuffix(hello.ServerName, ".")), m.o.Names[0]} {
		if all := m.cache.AllMatchingCertificates(name); len(all) > 0 {
			cert, err := certmagic.DefaultCertificateSelector(hello, all)
			return &cert.Certificate, err
		}
	}
	return nil, errNone
}

// GetCertificateMX is for port 25: while there is no certificate it shows one that nobody vouches for. Other servers encrypt with any (RFC 7435); those that insist on a
// trusted one, by MTA-STS, come again later.
func (m *Manager) GetCertificateMX(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert, err := m.GetCertificate(hello); err == nil {
		return cert, nil
	}
	return m.temporary()
}

// selfSigned makes the certificate for the time before there is a real one.
func selfSigned(name string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a temporary certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "temporary certificate"}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a temporary certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// once makes it at the first need.
func once(name string) func() (*tls.Certificate, error) {
	return sync.OnceValues(func() (*tls.Certificate, error) { return selfSigned(name) })
}

// Prove makes out of the web port's tls.Config one that answers the authority's question too (TLS-ALPN-01, RFC 8737). Nobody else notices: the protocol is offered to who offers
// nothing else, about a name whose proof is under way.
func (m *Manager) Prove(web *tls.Config) *tls.Config {
	if m.o.Solve != TLSALPN {
		return web
	}
	web = web.Clone()
	answer := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acmez.ACMETLS1Protocol}, GetCertificate: m.config.GetCertificate}
	web.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmez.ACMETLS1Protocol {
			return nil, nil // the usual one
		}
		if _, ok := certmagic.GetACMEChallenge(hello.ServerName); !ok {
			return nil, errors.New("no proof of this name is under way")
		}
		return answer, nil
	}
	return web
}

// challengePath is where the authority asks on port 80 (RFC 8555 8.3).
const challengePath = "/.well-known/acme-challenge/"

// Handler is for port 80: it answers the authority's question (HTTP-01), and leads everybody who asks for one of the names to https, at the port of the pages; "" where
// those have no TLS.
func (m *Manager) Handler(port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(r.Host)
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.TrimSuffix(host, ".")
		if strings.HasPrefix(r.URL.Path, challengePath) {
			if c, ok := certmagic.GetACMEChallenge(host); !ok || m.o.Solve != HTTP || !certmagic.SolveHTTPChallenge(m.zap, w, r, c.Challenge) {
				http.NotFound(w, r)
			}
			return
		}
		switch {
		case port == "":
			http.NotFound(w, r)
		case !m.has(host):
			http.Error(w, "another host is asked for than is here", http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "come by https", http.StatusBadRequest) // what it sends has been read on the way already
		default:
			if port != "443" {
				host = net.JoinHostPort(host, port)
			}
			w.Header().Set("Cache-Control", "no-store")
			http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusMovedPermanently)
		}
	})
}
