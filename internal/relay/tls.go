package relay

import (
	"crypto/tls"
)

// demand is what a connection to a host must be before a mail goes over it. The zero demand is met by any.
type demand struct {
	tls    bool   // without TLS no mail goes
	verify bool   // nor without a certificate for the host's name by somebody whom we trust
	safe   bool   // the host's name comes from where nobody can have forged it (RFC 8689 4.2.1)
	by     string // who demands it
}

// verified tells whether a connection that meets the demand is one to the host that was meant.
func (d *demand) verified() bool { return d.tls && d.verify }

// demand is what the mail and the destination demand of a connection to h.
func (w *way) demand(h host) demand {
	// A domain that is its own mail server, an address and a host of the configuration have no name that the DNS could have forged.
	d := demand{safe: !h.listed}
	switch {
	case w.smart != nil && (w.smart.TLS != TLSOpportunistic || w.smart.Login != ""):
		d.tls, d.verify, d.by = true, true, "the configuration"
	case w.m.RequireTLS:
		d.tls, d.verify, d.by = true, true, "the mail (REQUIRETLS)"
	}
	return d
}

// tlsConfig is how the handshake with t is made. Versions before 1.2 are used by nobody any more (RFC 8996).
func (r *Relay) tlsConfig(t target) *tls.Config {
	return &tls.Config{
		ServerName:         t.host.name,
		MinVersion:         tls.VersionTLS12,
		RootCAs:            r.o.Roots,
		InsecureSkipVerify: !t.demand.verify, // opportunistic: whoever answers, nobody else reads along
	}
}
