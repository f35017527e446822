package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// folder is where an administrator has put his files: fullchain.pem and privkey.pem for the names of the minimal configuration, and
// some that do not fit.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	now := time.Now()
	certificate(t, dir, "fullchain.pem", "privkey.pem", now.Add(90*24*time.Hour), "mail.example.com", "chat.example.com")
	certificate(t, dir, "other.pem", "other-key.pem", now.Add(90*24*time.Hour), "www.example.com", "*.example.net")
	certificate(t, dir, "old.pem", "old-key.pem", time.Date(2020, 1, 2, 3, 4, 0, 0, time.UTC), "mail.example.com", "chat.example.com")
	certificate(t, dir, "local.pem", "local-key.pem", now.Add(90*24*time.Hour), "localhost")
	certificate(t, dir, "authority.pem", "authority-key.pem", now.Add(90*24*time.Hour), "ca.example.com")
	write(t, filepath.Join(dir, "note.txt"), "no certificate")
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func certificate(t testing.TB, dir, certFile, keyFile string, until time.Time, names ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, certFile), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, keyFile), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
}

// environment is what ${VAR} finds in the tests.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"HOST": "mail.example.com", "SECRET": "hunter2", "EMPTY": "", "LONG": "20d", "PORTS": "33000-33100", "BADHOST": "hunter2 hunter2", "N": "hunter2",
	}[name]
	return v, ok
}
