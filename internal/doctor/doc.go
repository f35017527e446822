// Package doctor knows what has to be in the DNS for a server to stand on the Internet, and looks whether that and everything else around a server is as it has to be: the zone,
// the name that its address leads back to, the certificate, the ports, the clock, Redis, the disk and the data folder. Each finding is one line, with one line
// that says how to mend it. It changes nothing, and asks nobody but the resolver that it is given and this computer itself.
package doctor

import (
	"context"
	"net/netip"
	"strings"

	"chmail/internal/autoconfig"
)

// A Setup is what a server's configuration says. Names are lower-case A-labels without a final dot.
type Setup struct {
	Host      string              // what the server calls itself: the MX names it
	Chat      string              // host of the pages, where the documents of mail clients lie too; may be an address
	Web       int                 // port of the pages as others see it
	MX        []int               // ports on which mail from other hosts is taken; empty: none is
	Inside    []Listener          // ports for mail, and for its clients, that are on this computer alone: others reach them only where somebody passes theirs on
	Addresses []netip.Addr        // under which others reach this server; empty: not known
	Domains   []autoconfig.Domain // whose mail is delivered here
}

// A Key is one of the keys by which a domain's mail is signed (RFC 6376), as its other half is published.
type Key struct {
	Selector string // the record is at SELECTOR._domainkey.DOMAIN
	Record   string // text of the TXT record: "v=DKIM1; k=rsa; p=…"
	Idle     bool   // it does not sign now: it is published on its way in or out
}

// Keys knows the DKIM keys of this server.
type Keys interface {
	// Keys are those of a domain, also those that stand ready for a rotation; none is no error.
	Keys(domain string) ([]Key, error)
}

// A Resolver looks names up.
type Resolver interface {
	// Lookup is what the DNS has at an absolute name (without its final dot) of a type: A, AAAA, MX, TXT, SRV or PTR. A CNAME on the way is followed. Each value is as
	// a zone file has it, names in it with their final dot; a TXT record is one text, without quotes. Nothing there is no error; an error means that nobody knows.
	Lookup(ctx context.Context, name, kind string) ([]string, error)
}

// mxKey is the key of the listeners on which mail from other hosts is taken.
const mxKey = "smtp.mx.listen"

// inside are the addresses of those listeners on this computer alone that fit; "" where there is none.
func (s Setup) inside(fits func(Listener) bool) string {
	var all []string
	for _, l := range s.Inside {
		if fits(l) {
			all = append(all, l.Addr)
		}
	}
	return strings.Join(all, ", ")
}

// insideMX are those for mail from other hosts.
func (s Setup) insideMX() string { return s.inside(func(l Listener) bool { return l.Key == mxKey }) }

// insideService are those of what an SRV record names: mail clients' POP3 or submission, in TLS from the first octet on or later.
func (s Setup) insideService(record string) string {
	kind, secure := ListenSMTP, strings.HasPrefix(record, "_pop3s.") || strings.HasPrefix(record, "_submissions.")
	switch {
	case strings.HasPrefix(record, "_pop3"):
		kind = ListenPOP3
	case !strings.HasPrefix(record, "_submission"):
		return ""
	}
	return s.inside(func(l Listener) bool { return l.Kind == kind && l.TLS == secure && l.Key != mxKey })
}
