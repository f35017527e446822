package config

import (
	"net/url"
	"slices"
	"strings"

	"chmail/internal/address"
)

// acme checks how certificates are got from an authority, and tells whether they are: then none is needed in a file.
func (v *validation) acme() bool {
	a := &v.c.TLS.ACME
	if !v.fine("tls.acme.agree") {
		return true
	}
	if !a.Agree {
		if _, set := v.at["tls.acme"]; set && v.c.TLS.Cert == "" && v.c.TLS.Key == "" {
			v.add("tls.acme.agree", "read the terms of the authority, and write `agree: true` if you agree; or name certificate files in tls.cert and tls.key",
				"is not true, so that no certificate can be asked for")
			return true
		}
		return false
	}
	for _, file := range []struct{ key, is string }{{"tls.cert", v.c.TLS.Cert}, {"tls.key", v.c.TLS.Key}} {
		if file.is != "" {
			v.add(file.key, "keep one of the two", "is set, though certificates come from tls.acme")
		}
	}
	v.directory()
	if a.Email != "" && v.fine("tls.acme.email") {
		if _, err := address.Parse(a.Email); err != nil {
			v.add("tls.acme.email", "write a full mail address such as postmaster@example.com", "cannot be %s%s", v.show("tls.acme.email", a.Email), v.why("tls.acme.email", err))
		}
	}
	v.authorities("tls.acme.ca", &a.CA)
	if may := []string{ByTLSALPN, ByHTTP}; v.fine("tls.acme.challenge") && !slices.Contains(may, a.Challenge) {
		v.add("tls.acme.challenge", "choose one of "+strings.Join(may, ", "), "cannot be %s", v.show("tls.acme.challenge", a.Challenge))
	}
	if v.web != nil && v.web.Scheme != "https" && v.fine("tls.acme.challenge") && a.Challenge == ByTLSALPN {
		v.add("tls.acme.challenge", "choose http, or give chat.url https", "cannot be tls-alpn while chat.url is http: the web port is where the authority asks")
	}
	v.public()
	return true
}

// public checks that a public authority may give a certificate for the hostname: nobody can prove a name that is for private use (RFC 6761, RFC 6762, RFC 8375, RFC 9476).
func (v *validation) public() {
	name := v.c.Hostname
	if v.c.TLS.ACME.Directory != letsEncrypt || !v.fine("hostname") || name == "" {
		return
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == name || slices.Contains([]string{"localhost", "local", "internal", "test", "example", "invalid", "lan", "home", "arpa", "onion", "alt"}, last) {
		v.add("hostname", "choose a name in a domain of yours, or name certificate files in tls.cert and tls.key", "cannot be %s with tls.acme: no public authority gives a certificate for it", v.show("hostname", name))
	}
}

// directory checks the URL without showing one that holds a password.
func (v *validation) directory() {
	const key, right = "tls.acme.directory", "write for instance " + letsEncrypt
	if !v.fine(key) {
		return
	}
	is := v.c.TLS.ACME.Directory
	shown := v.show(key, is)
	if strings.Contains(is, "@") {
		shown = "the URL that it is" // a password may stand in it
	}
	if u, err := url.Parse(is); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		v.add(key, right, "cannot be %s: it has to be an https URL", shown)
	}
}

// authorities checks a PEM file of certificates that are to be trusted; "" is none.
func (v *validation) authorities(key string, path *string) {
	if *path == "" || !v.fine(key) {
		return
	}
	*path = v.absolute(*path)
	before := len(v.all)
	defer func() {
		if v.inFiles(before); len(v.all) > before {
			*path = "" // for those who go on all the same (LoadTolerant), and ask nobody
		}
	}()
	text, ok := v.pemFile(key, *path)
	if ok && firstCertificate(text) == nil {
		v.add(key, "name the PEM file that begins with -----BEGIN CERTIFICATE-----", "%s holds no certificate", v.path(key, *path))
	}
}
