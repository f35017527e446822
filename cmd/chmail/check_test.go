package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
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

// What root can read, the server's user may not: its start would be the first to tell.
func TestACheckByAnotherThanTheServersUserSaysSo(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	if _, errs, status := chmail(t, "", "config", "check", file); status != statusDone || errs != "" {
		t.Fatalf("before the first start: status %d, %q", status, errs)
	}
	data, owner := filepath.Join(filepath.Dir(file), "data"), "root"
	var err error
	if os.Geteuid() == 0 {
		owner = "'#54321'"
		err = errors.Join(os.Mkdir(data, 0o700), os.Chown(data, 54321, 54321))
	} else {
		err = os.Symlink("/", data)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := "belongs to " + owner + ", as whom the server runs. Whether that one can read it: sudo -u " + owner + " chmail config check " + file + "\n"
	if out, errs, status := chmail(t, "", "config", "check", file); status != statusDone || !strings.HasSuffix(out, ": no faults\n") || !strings.HasSuffix(errs, want) {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}
