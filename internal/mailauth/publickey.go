package mailauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// tags are the tags of a signature or a record (RFC 6376 3.2), white space in values left out.
type tags map[string]string

// parseTags reads a tag list; a tag that occurs twice, or a piece that is none, makes it void. Order and unknown tags do not matter.
func parseTags(s string) (tags, error) {
	t := tags{}
	for piece := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(piece, "=")
		name = strings.TrimSpace(name)
		switch _, twice := t[name]; {
		case !ok && name == "":
			continue
		case !ok || name == "":
			return nil, errors.New("not a list of tags")
		case twice:
			return nil, errors.New("a tag occurs twice")
		}
		t[name] = strings.Join(strings.Fields(value), "")
	}
	return t, nil
}

// list is a value that is a list separated by colons.
func (t tags) list(name string) []string { return strings.Split(t[name], ":") }

// publicKey is the key of a record (RFC 6376 3.6.1).
type publicKey struct {
	rsa     *rsa.PublicKey
	ed25519 ed25519.PublicKey
	testing bool // t=y: whoever publishes it does not vouch for it yet
	strict  bool // t=s: i= must not be of a domain below
}

// parseKey reads a key record and refuses keys that are too small to prove anything (RFC 8301 3.2) or too large to be worth the time.
func parseKey(txt string) (*publicKey, error) {
	t, err := parseTags(txt)
	if err != nil {
		return nil, fmt.Errorf("key record: %w", err)
	}
	switch v, ok := t["v"]; {
	case ok && v != "DKIM1":
		return nil, errors.New("key record: not of version DKIM1")
	case t["p"] == "":
		return nil, errors.New("key record: no key, or one that was revoked")
	}
	if _, ok := t["h"]; ok && !slices.Contains(t.list("h"), "sha256") {
		return nil, errors.New("key record: not for SHA-256")
	}
	if s := t.list("s"); t["s"] != "" && !slices.Contains(s, "*") && !slices.Contains(s, "email") {
		return nil, errors.New("key record: not for mail")
	}
	k := &publicKey{testing: slices.Contains(t.list("t"), "y"), strict: slices.Contains(t.list("t"), "s")}
	raw, err := base64.StdEncoding.DecodeString(t["p"])
	if err != nil {
		return nil, fmt.Errorf("key record: %w", err)
	}
	switch t["k"] {
	case "", string(RSA):
		k.rsa, err = parseRSA(raw)
		return k, err
	case string(Ed25519):
		if len(raw) != ed25519.PublicKeySize {
			return nil, errors.New("key record: not 32 octets for Ed25519")
		}
		k.ed25519 = raw
		return k, nil
	}
	return nil, errors.New("key record: unknown kind of key")
}

// parseRSA reads a key in either of the forms in use (RFC 6376 erratum 3017).
func parseRSA(raw []byte) (*rsa.PublicKey, error) {
	if len(raw) > maxRSA/8+64 {
		return nil, fmt.Errorf("key record: more than %d bits", maxRSA)
	}
	key, err := x509.ParsePKIXPublicKey(raw)
	if err != nil {
		if key, err = x509.ParsePKCS1PublicKey(raw); err != nil {
			return nil, fmt.Errorf("key record: %w", err)
		}
	}
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("key record: not an RSA key")
	}
	if n := k.N.BitLen(); n < minRSA || n > maxRSA {
		return nil, fmt.Errorf("key record: %d bits", n)
	}
	return k, nil
}

// bits is the size of the key.
func (k *publicKey) bits() int {
	if k.rsa != nil {
		return k.rsa.N.BitLen()
	}
	return 256
}

// verify checks a signature over a SHA-256 hash. algorithm is that of the signature's a=.
func (k *publicKey) verify(algorithm string, hash, sig []byte) error {
	switch {
	case algorithm == "rsa-sha256" && k.rsa != nil:
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, hash, sig)
	case algorithm == "ed25519-sha256" && k.ed25519 != nil:
		if ed25519.Verify(k.ed25519, hash, sig) {
			return nil
		}
		return errors.New("signature does not match")
	}
	return errors.New("the key is not for this algorithm")
}
