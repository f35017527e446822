package play

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificates are the files of a play instance's own certificate authority and of the one server certificate it signed.
type Certificates struct {
	CA   string // the authority's certificate: what a mail client is told to trust
	Cert string // the server's certificate
	Key  string // the server's private key, mode 0600
}

// lifetime keeps the certificates well under the 398 days that clients accept.
const lifetime = 365 * 24 * time.Hour

// NewCertificates makes an authority and a server certificate for localhost, names and the loopback addresses in dir.
// What is there already and good for another week is kept, so that a mail client that was told to trust it goes on working.
// The authority's key is used once and thrown away: nobody can sign anything else in its name.
func NewCertificates(dir string, names ...string) (Certificates, error) {
	c := Certificates{CA: filepath.Join(dir, "play-ca.pem"), Cert: filepath.Join(dir, "play-cert.pem"), Key: filepath.Join(dir, "play-key.pem")}
	if usable(c) {
		return c, nil
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, fmt.Errorf("making the play authority's key: %w", err)
	}
	ca := template("chmail play authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.MaxPathLenZero = true, true, true
	ca.KeyUsage = x509.KeyUsageCertSign
	ca.PermittedDNSDomainsCritical = true
	ca.PermittedDNSDomains = append([]string{"localhost"}, names...)
	ca.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, {IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)}}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return c, fmt.Errorf("signing the play authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, fmt.Errorf("making the server's key: %w", err)
	}
	leaf := template("localhost")
	leaf.DNSNames = append([]string{"localhost"}, names...)
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return c, fmt.Errorf("signing the server's certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return c, fmt.Errorf("encoding the server's key: %w", err)
	}
	return c, errors.Join(
		writePEM(c.CA, 0o644, "CERTIFICATE", caDER),
		writePEM(c.Cert, 0o644, "CERTIFICATE", leafDER),
		writePEM(c.Key, 0o600, "PRIVATE KEY", keyDER))
}

func template(name string) *x509.Certificate {
	// RFC 5280 4.1.2.2: a positive serial number of at most 20 octets; 16 random ones never meet again.
	var serial [16]byte
	if _, err := rand.Read(serial[:]); err != nil {
		panic(err) // crypto/rand.Read never fails: the runtime ends the program first
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(lifetime),
	}
}

func usable(c Certificates) bool {
	for _, f := range []string{c.CA, c.Cert, c.Key} {
		if _, err := os.Stat(f); err != nil {
			return false
		}
	}
	text, err := os.ReadFile(c.Cert)
	if err != nil {
		return false
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return err == nil && time.Now().Add(7*24*time.Hour).Before(cert.NotAfter)
}

func writePEM(path string, mode fs.FileMode, kind string, der []byte) error {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
