package relay

import (
	"context"
	"crypto/tls"

	"chmail/internal/delivery"
)

// demand is what a connection to a host must be before a mail goes over it. The zero demand is met by any.
type demand struct {
	tls    bool     // without TLS no mail goes
	verify bool     // nor without a certificate for the host's name by somebody whom we trust
	tlsa   []TLSA   // where there are any, they decide about the certificate instead
	base   string   // the name under which they are, which is asked for in the handshake then (RFC 7672 8.1)
	names  []string // for which it may be then
	safe   bool     // the host's name comes from where nobody can have forged it (RFC 8689 4.2.1)
	by     string   // who demands it
	sts    bool     // it is the domain's policy
}

// Security is how a connection to another host is protected.
type Security string

// The kinds, each better than the one before it.
const (
	Plain    Security = "none"
	StartTLS Security = "starttls" // encrypted; who the host is was not asked
	Verified Security = "verified" // to a host with a certificate for its name, as the mail or the configuration demands
	STS      Security = "sts"      // the same, as its domain's policy demands (MTA-STS)
	DANE     Security = "dane"     // to a host with the certificate that the DNS vouches for
)

// security is that of a connection of this TLS version, "" for none.
func (d *demand) security(version string) Security {
	switch {
	case version == "":
		return Plain
	case len(d.tlsa) > 0:
		return DANE
	case d.sts:
		return STS
	case d.verify:
		return Verified
	}
	return StartTLS
}

// verified tells whether a connection that meets the demand is one to the host that was meant.
func (d *demand) verified() bool { return d.tls && (d.verify || len(d.tlsa) > 0) }

// demand is what the mail and the destination demand of a connection to h. secure tells whether DNSSEC vouches for its addresses.
func (w *way) demand(ctx context.Context, h host, secure bool) (demand, *delivery.Verdict) {
	// A domain that is its own mail server, an address and a host of the configuration have no name that the DNS could have forged.
	d := demand{safe: !h.listed || w.secure, base: h.name}
	enforced := w.policy != nil && w.policy.Mode == ModeEnforce // never of a mail that may go by any: its policy is not asked for
	if enforced {
		if !w.policy.Allows(h.name) {
			return d, failure(4, 7, 5, h.name+" is no mail server that "+w.domain+" has named in its policy (MTA-STS)")
		}
		d.safe = true
	}
	switch {
	case enforced:
		d.sts = true
		d.tls, d.verify, d.by = true, true, "the policy of "+w.domain+" (MTA-STS)"
	case w.smart != nil && (w.smart.TLS != TLSOpportunistic || w.smart.Login != ""):
		d.tls, d.verify, d.by = true, true, "the configuration"
	case w.m.RequireTLS:
		d.tls, d.verify, d.by = true, true, "the mail (REQUIRETLS)"
	}
	if w.secure && !h.addr.IsValid() && !w.m.AnyTLS {
		if fail := w.dane(ctx, h, secure, &d); fail != nil {
			return d, fail
		}
	}
	if w.m.RequireTLS && !d.safe { // then a certificate would say nothing
		return d, failure(5, 7, 30, "nothing vouches for "+h.name+" as the mail server of "+w.domain+", as the mail demands (REQUIRETLS)")
	}
	return d, nil
}

// tlsConfig is how the handshake with t is made. Versions before 1.2 are used by nobody any more (RFC 8996).
func (r *Relay) tlsConfig(t target) *tls.Config {
	cfg := &tls.Config{
		ServerName:         t.demand.base,
		MinVersion:         tls.VersionTLS12,
		RootCAs:            r.o.Roots,
		InsecureSkipVerify: !t.demand.verify, // opportunistic: whoever answers, nobody else reads along
	}
	if len(t.demand.tlsa) > 0 {
		cfg.InsecureSkipVerify = true // in favour of what follows
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			return verifyDANE(s.PeerCertificates, t.demand.tlsa, t.demand.names)
		}
	}
	return cfg
}
