package mailauth

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"chmail/internal/address"
)

// Algorithm is the kind of a DKIM key, as k= names it.
type Algorithm string

// The algorithms (RFC 6376 3.3, RFC 8463).
const (
	RSA     Algorithm = "rsa"
	Ed25519 Algorithm = "ed25519"
)

const (
	rsaBits = 2048
	minRSA  = 1024 // bits (RFC 8301 3.2)
	maxRSA  = 4096 // bits, also of the keys of others: what lies beyond costs its reader too much
)

// ErrNoKey says that a domain has no key that signs.
var ErrNoKey = errors.New("no DKIM key")

// A Key is one private key of a domain. Each has a selector of its own, since a selector's record holds one key (RFC 6376 3.6.2.2).
type Key struct {
	Domain, Selector string // the domain in lower-case A-labels
	Algorithm        Algorithm
	Signs            bool // false: published only, on its way in or out
	signer           crypto.Signer
}

// Name is where the record is published: SELECTOR._domainkey.DOMAIN (RFC 6376 3.6.2.1).
func (k *Key) Name() string { return k.Selector + "._domainkey." + k.Domain }

// TXT is the text of that record (RFC 6376 3.6.1).
func (k *Key) TXT() string {
	var public []byte
	switch p := k.signer.Public().(type) {
	case ed25519.PublicKey:
		public = p // as it is (RFC 8463 4.2)
	default:
		der, err := x509.MarshalPKIXPublicKey(p)
		if err != nil {
			return "" // an RSA key can always be written
		}
		public = der
	}
	return "v=DKIM1; k=" + string(k.Algorithm) + "; p=" + base64.StdEncoding.EncodeToString(public)
}

// Quoted writes a TXT value as a zone file wants it: strings of at most 255 octets in quotes (RFC 1035 3.3).
func Quoted(txt string) string {
	var b strings.Builder
	for i := 0; i == 0 || i < len(txt); i += 255 {
		if i > 0 {
			b.WriteByte(' ')
		}
		piece := txt[i:min(i+255, len(txt))]
		b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(piece) + `"`)
	}
	return b.String()
}

// Keys is the folder with the private keys: DOMAIN/SELECTOR.rsa.pem or .ed25519.pem, and DOMAIN/signing, which names the selectors that sign. To change a key without
// a gap: New, publish its record, Use, and Retire the old one when no mail that it has signed is on its way any more. Its methods may be called by many
// goroutines; another process may change the folder meanwhile.
type Keys struct {
	dir string

	mu     sync.Mutex // guards loaded, and changes to the folder by this process
	loaded map[string]loaded
}

type loaded struct {
	keys    []*Key
	changed time.Time // of the domain's folder
}

// NewKeys is the store in a folder, which need not exist yet.
func NewKeys(dir string) *Keys { return &Keys{dir: dir, loaded: map[string]loaded{}} }

const signingFile = "signing"

var selectorForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// folder is that of a domain, whose canonical form it returns as well.
func (s *Keys) folder(domain string) (dir, canonical string, err error) {
	canonical, err = address.ParseDomain(domain)
	if err != nil {
		return "", "", err
	}
	if strings.HasPrefix(canonical, "[") || !filepath.IsLocal(canonical) {
		return "", "", fmt.Errorf("%q is no domain that can have keys", domain)
	}
	return filepath.Join(s.dir, canonical), canonical, nil
}

// New makes a key and keeps it, durably, in a file that only this user reads. The first of its kind signs at once; a later one when Use says so. A selector
// is one label of lower-case letters, digits and hyphens that no other key of the domain has; that it is taken satisfies fs.ErrExist.
func (s *Keys) New(domain, selector string, a Algorithm) (*Key, error) {
	dir, domain, err := s.folder(domain)
	if err != nil {
		return nil, fmt.Errorf("making a DKIM key: %w", err)
	}
	if !selectorForm.MatchString(selector) {
		return nil, fmt.Errorf("making a DKIM key: %q is no selector: lower-case letters, digits and hyphens, at most 63", selector)
	}
	k := &Key{Domain: domain, Selector: selector, Algorithm: a}
	switch a {
	case RSA:
		k.signer, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case Ed25519:
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("%q is no algorithm: rsa or ed25519", a)
	}
	if err != nil {
		return nil, fmt.Errorf("making a DKIM key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	others, err := s.read(domain)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(others, func(o *Key) bool { return o.Selector == selector }) {
		return nil, fmt.Errorf("making a DKIM key: selector %s of %s: %w", selector, domain, fs.ErrExist)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, fmt.Errorf("making a DKIM key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a DKIM key: %w", err)
	}
	if err := keep(filepath.Join(dir, selector+"."+string(a)+".pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, fmt.Errorf("making a DKIM key: %w", err)
	}
	if !slices.ContainsFunc(others, func(o *Key) bool { return o.Algorithm == a && o.Signs }) {
		k.Signs = true
		return k, s.sign(dir, append(others, k))
	}
	return k, nil
}

// Use has a selector sign, in place of the one of its kind that has signed until now.
func (s *Keys) Use(domain, selector string) error {
	dir, domain, err := s.folder(domain)
	if err != nil {
		return fmt.Errorf("choosing a DKIM key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.read(domain)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k *Key) bool { return k.Selector == selector })
	if i < 0 {
		return fmt.Errorf("choosing a DKIM key: %w: selector %s of %s", ErrNoKey, selector, domain)
	}
	for _, k := range keys {
		if k.Algorithm == keys[i].Algorithm {
			k.Signs = k == keys[i]
		}
	}
	return s.sign(dir, keys)
}

// Retire removes a key for good. One that signs is refused: Use another first.
func (s *Keys) Retire(domain, selector string) error {
	dir, domain, err := s.folder(domain)
	if err != nil {
		return fmt.Errorf("retiring a DKIM key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.read(domain)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k *Key) bool { return k.Selector == selector })
	if i < 0 {
		return fmt.Errorf("retiring a DKIM key: %w: selector %s of %s", ErrNoKey, selector, domain)
	}
	if keys[i].Signs {
		return fmt.Errorf("retiring a DKIM key: selector %s of %s signs mail: choose another first", selector, domain)
	}
	if err := os.Remove(filepath.Join(dir, selector+"."+string(keys[i].Algorithm)+".pem")); err != nil {
		return fmt.Errorf("retiring a DKIM key: %w", err)
	}
	return nil
}

// Domains are those that have keys, sorted.
func (s *Keys) Domains() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing DKIM keys: %w", err)
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name())
		}
	}
	return all, nil
}

// List returns all keys of a domain, those that sign first; none is no error.
func (s *Keys) List(domain string) ([]*Key, error) {
	_, domain, err := s.folder(domain)
	if err != nil {
		return nil, fmt.Errorf("listing DKIM keys: %w", err)
	}
	return s.read(domain)
}

// settled is how old a folder's time must be before it is a proof that nothing has changed since: file systems count in ticks.
const settled = time.Second

// Signing returns the keys of a domain that sign, RSA first; ErrNoKey when there are none. They are kept in memory until the folder changes.
func (s *Keys) Signing(domain string) ([]*Key, error) {
	dir, domain, err := s.folder(domain)
	if err != nil {
		return nil, fmt.Errorf("loading DKIM keys: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w for %s", ErrNoKey, domain)
	} else if err != nil {
		return nil, fmt.Errorf("loading DKIM keys: %w", err)
	}
	if l, ok := s.loaded[domain]; ok && l.changed.Equal(info.ModTime()) {
		return l.keys, nil
	}
	keys, err := s.read(domain)
	if err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, func(k *Key) bool { return !k.Signs })
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w for %s", ErrNoKey, domain)
	}
	if time.Since(info.ModTime()) > settled {
		s.loaded[domain] = loaded{keys, info.ModTime()}
	}
	return keys, nil
}

// Holds tells whether signature fields, as Sign returns them, are made with keys that are still there. Those of a retired key are no good any more: the mail is signed anew.
func (s *Keys) Holds(signatures []byte) bool {
	h, err := readHeader(bytes.NewReader(signatures), int64(len(signatures)))
	if err != nil {
		return false
	}
	for i := range h.fields {
		sig := describe(&h.fields[i])
		dir, _, err := s.folder(sig.Domain)
		kind, _, _ := strings.Cut(sig.Algorithm, "-")
		if err != nil || !selectorForm.MatchString(sig.Selector) || kind != string(RSA) && kind != string(Ed25519) {
			return false
		}
		if _, err := os.Stat(filepath.Join(dir, sig.Selector+"."+kind+".pem")); err != nil {
			return false
		}
	}
	return len(h.fields) > 0
}

// read loads all keys of a domain in canonical form.
func (s *Keys) read(domain string) ([]*Key, error) {
	dir := filepath.Join(s.dir, domain)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("loading DKIM keys: %w", err)
	}
	signing, err := os.ReadFile(filepath.Join(dir, signingFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("loading DKIM keys: %w", err)
	}
	chosen := strings.Fields(string(signing))
	var keys []*Key
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), ".pem")
		selector, kind, both := strings.Cut(stem, ".")
		if !ok || !both || kind != string(RSA) && kind != string(Ed25519) {
			continue
		}
		k := &Key{Domain: domain, Selector: selector, Algorithm: Algorithm(kind), Signs: slices.Contains(chosen, selector)}
		if k.signer, err = private(filepath.Join(dir, e.Name()), k.Algorithm); err != nil {
			return nil, fmt.Errorf("loading DKIM keys: %w", err)
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b *Key) int {
		if a.Signs != b.Signs {
			if a.Signs {
				return -1
			}
			return 1
		}
		return cmp.Or(-cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(a.Selector, b.Selector)) // rsa before ed25519
	})
	return keys, nil
}

// private reads one key: PKCS #8, or PKCS #1 as other servers have it.
func private(path string, a Algorithm) (crypto.Signer, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return nil, fmt.Errorf("%s holds no key that can be read: %w", path, err)
		}
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if a == RSA && k.N.BitLen() >= minRSA && k.N.BitLen() <= maxRSA {
			return k, nil
		}
	case ed25519.PrivateKey:
		if a == Ed25519 {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%s holds no %s key that others accept", path, a)
}

// sign writes down which of these keys sign.
func (s *Keys) sign(dir string, keys []*Key) error {
	var b bytes.Buffer
	for _, k := range keys {
		if k.Signs {
			b.WriteString(k.Selector + "\n")
		}
	}
	if err := keep(filepath.Join(dir, signingFile), b.Bytes()); err != nil {
		return fmt.Errorf("choosing DKIM keys: %w", err)
	}
	return nil
}

// keep writes a file that is there whole, on the disk, or not at all.
func keep(path string, b []byte) error {
	temp := path + ".new"
	_ = os.Remove(temp) // what a crash has left
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return err
	}
	return syncFolder(filepath.Dir(path))
}
