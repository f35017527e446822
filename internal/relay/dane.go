package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"chmail/internal/delivery"
)

// TLSA is a record that says which certificate a server has (RFC 6698 2.1).
type TLSA struct {
	Usage    uint8 // 2: of an authority (DANE-TA), 3: of the server (DANE-EE)
	Selector uint8 // 0: the whole certificate, 1: its public key
	Matching uint8 // 0: as it is, 1: SHA-256, 2: SHA-512
	Data     []byte
}

// usable tells whether mail can go by the record. Usages 0 and 1 name authorities that mail servers have not agreed on (RFC 7672 3.1.3).
func (t *TLSA) usable() bool {
	size := map[uint8]int{1: sha256.Size, 2: sha512.Size}[t.Matching]
	return (t.Usage == 2 || t.Usage == 3) && t.Selector <= 1 && t.Matching <= 2 && len(t.Data) > 0 && (size == 0 || len(t.Data) == size)
}

func (t *TLSA) matches(c *x509.Certificate) bool {
	b := c.Raw
	if t.Selector == 1 {
		b = c.RawSubjectPublicKeyInfo
	}
	switch t.Matching {
	case 1:
		sum := sha256.Sum256(b)
		b = sum[:]
	case 2:
		sum := sha512.Sum512(b)
		b = sum[:]
	}
	return bytes.Equal(b, t.Data)
}

// errDANE says that no record fits the server's certificates.
var errDANE = errors.New("the server's certificate is none that its domain has named (DANE)")

// verifyDANE holds the certificates that a server has shown, its own first, against usable records. Its own needs no more than to be named: neither name nor
// time in it matter (RFC 7672 3.1.1). One that a named authority has signed must be valid, for one of the names (3.1.2, 3.2.2).
func verifyDANE(shown []*x509.Certificate, records []TLSA, names []string) error {
	if len(shown) == 0 {
		return errDANE
	}
	authorities, others := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for i := range records {
		r := &records[i]
		if r.Usage == 3 && r.matches(shown[0]) {
			return nil
		}
		if r.Usage != 2 {
			continue
		}
		for _, c := range shown[1:] {
			if r.matches(c) {
				authorities.AddCert(c)
				found = true
			}
		}
		if r.Selector == 0 && r.Matching == 0 { // the record is the certificate; the server need not show it
			if c, err := x509.ParseCertificate(r.Data); err == nil {
				authorities.AddCert(c)
				found = true
			}
		}
	}
	if !found {
		return errDANE
	}
	for _, c := range shown[1:] {
		others.AddCert(c)
	}
	err := errDANE
	for _, name := range names {
		if name == "" { // which Verify takes for any
			continue
		}
		if _, err = shown[0].Verify(x509.VerifyOptions{DNSName: name, Roots: authorities, Intermediates: others}); err == nil {
			return nil
		}
	}
	return err
}

// dane adds to d what the TLSA records of a host demand, where DNSSEC vouches for all that leads to them (RFC 7672 2.2). secure tells whether it does for its addresses. When they cannot be looked up the host gets no mail: somebody
// may not want us to see them.
func (w *way) dane(ctx context.Context, h host, secure bool, d *demand) *delivery.Verdict {
	v, ok := w.r.o.Resolver.(Validator)
	if !ok {
		return nil
	}
	names, err := v.SecureNames(ctx, h.name+".", secure)
	if err != nil {
		return failure(4, 4, 3, "the name of "+h.name+" cannot be looked up")
	}
	for _, name := range names {
		base := strings.ToLower(strings.TrimSuffix(name, "."))
		records, secure, err := v.LookupTLSA(ctx, w.port(), base+".")
		if err != nil && !notFound(err) {
			return failure(4, 4, 3, "the TLSA records of "+base+" cannot be looked up")
		}
		if !secure || len(records) == 0 {
			continue
		}
		d.tls, d.by, d.names = true, "the TLSA records of "+base+" (DANE)", []string{base, h.name, w.domain}
		if d.tlsa = slices.DeleteFunc(records, func(t TLSA) bool { return !t.usable() }); len(d.tlsa) > 0 {
			d.base = base
		}
		return nil
	}
	return nil
}
