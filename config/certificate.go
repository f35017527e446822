package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"
)

// certificate checks that the files are there, belong together, and stand for every name under which this server is reached.
func (v *validation) certificate() {
	t := &v.c.TLS
	if v.acme() {
		return
	}
	certOK := v.given("tls.cert", t.Cert, "tls: {cert: fullchain.pem, key: privkey.pem}` or `tls: {acme: {agree: true}}")
	keyOK := v.given("tls.key", t.Key, "tls: {cert: fullchain.pem, key: privkey.pem}")
	begin := len(v.all)
	defer func() { v.inFiles(begin) }()
	var cert, key []byte
	if certOK {
		t.Cert = v.absolute(t.Cert)
		cert, certOK = v.pemFile("tls.cert", t.Cert)
	}
	if keyOK {
		t.Key = v.absolute(t.Key)
		key, keyOK = v.pemFile("tls.key", t.Key)
	}
	if !certOK {
		return
	}
	leaf := firstCertificate(cert)
	if leaf == nil {
		v.add("tls.cert", "name the PEM file that begins with -----BEGIN CERTIFICATE-----", "%s holds no certificate", v.path("tls.cert", t.Cert))
		return
	}
	v.covers(leaf)
	if !keyOK {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		what := "%s holds no private key that can be used"
		if strings.Contains(err.Error(), "does not match") || strings.Contains(err.Error(), "type does not match") {
			what = "%s is not the key of the certificate in tls.cert"
		}
		v.add("tls.key", "name the unencrypted PEM file with the certificate's private key", what, v.path("tls.key", t.Key))
	}
}

// inFiles notes that the faults from one on are about the files of the certificate, or of who gives it.
func (v *validation) inFiles(from int) {
	for i := range v.all[from:] {
		v.all[from+i].Certificate = true
	}
}

func (v *validation) pemFile(key, path string) ([]byte, bool) {
	text, err := readFile(path)
	if err != nil {
		right := "name the right file; a relative path counts from the folder of this file"
		if errors.Is(err, errClosed) { // as certbot leaves it, for root alone
			right = "let the server's user read it (chown); where another program renews it, its hook can put a copy that is his to where tls names it"
		}
		v.add(key, right, "%s %s", v.path(key, path), err)
	}
	return text, err == nil
}

// firstCertificate is the server's own certificate; nil when there is none.
func firstCertificate(text []byte) *x509.Certificate {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil
		}
		if block.Type == "CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil
			}
			return cert
		}
	}
}

// covers checks the certificate's time and names.
func (v *validation) covers(leaf *x509.Certificate) {
	const layout = "2 January 2006 15:04 MST"
	before := len(v.all)
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		v.add("tls.cert", "renew it", "has expired, on %s", leaf.NotAfter.UTC().Format(layout))
	case now.Before(leaf.NotBefore):
		v.add("tls.cert", "check the computer's clock", "is not valid before %s", leaf.NotBefore.UTC().Format(layout))
	}
	for i := range v.all[before:] {
		v.all[before+i].Expired = true
	}
	stands := "no name at all"
	names := leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) > 0 {
		stands = strings.Join(names[:min(len(names), 8)], ", ")
	}
	for _, n := range []struct{ key, name string }{{"hostname", v.c.Hostname}, {"chat.url", v.chatHost()}} {
		if n.name != "" && v.fine(n.key) && leaf.VerifyHostname(n.name) != nil {
			v.add("tls.cert", "get a certificate for all the names", "does not stand for %s, the host of %s; it stands for %s", v.show(n.key, n.name), n.key, stands)
		}
	}
}

// chatHost is the host that the certificate has to stand for; "" where the chat goes without TLS.
func (v *validation) chatHost() string {
	if v.web == nil || v.web.Scheme != "https" {
		return ""
	}
	return v.web.Hostname()
}
