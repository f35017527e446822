package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestACheckedConfigurationIsOneThatAServerStartsWith(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		names  []string
		until  time.Duration
		status int
		out    string
		errs   string
	}{
		"sound":                {[]string{"mail.example.com", "chat.example.com"}, time.Hour, statusDone, ": no faults\n", ""},
		"run out":              {[]string{"mail.example.com", "chat.example.com"}, -time.Hour, statusDone, ": no other faults. A server starts with it", "tls.cert has expired"},
		"for another":          {[]string{"mail.example.com"}, time.Hour, statusUsage, "", `does not stand for "chat.example.com"`},
		"for another, run out": {[]string{"mail.example.com"}, -time.Hour, statusUsage, "", `does not stand for "chat.example.com"`},
		"none":                 {nil, time.Hour, statusUsage, "", "does not exist"},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "chmail.yaml")
		files := map[string][]byte{"chmail.yaml": []byte("hostname: mail.example.com\ndomains: [example.com]\ndata: data\ntls: {cert: c.pem, key: k.pem}\nchat: {url: https://chat.example.com}\n")}
		if c.names != nil {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			from := time.Now().Add(-48 * time.Hour)
			template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: c.names, NotBefore: from, NotAfter: time.Now().Add(c.until)}
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			private, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			files["c.pem"], files["k.pem"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, errs, status := chmail(t, "", "config", "check", file)
		if status != c.status || !strings.Contains(out, c.out) || (out == "") != (c.out == "") || !strings.Contains(errs, c.errs) || (errs == "") != (c.errs == "") {
			t.Errorf("%s: status %d\n%s%s", name, status, out, errs)
		}
	}
}
