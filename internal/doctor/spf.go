package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strings"
)

// maxTerms bounds what is read of an SPF record; nobody's has so many, and verifiers stop at ten that need a question (RFC 7208 4.6.4).
const maxTerms = 100

// spf looks whether the domain's record lets this server send. It is no verification: what lies behind include and redirect is not followed.
func (d *Doctor) spf(ctx context.Context, f *Finding, r Record, there []string) {
	there = tagged(there, "v=spf1")
	without := "receivers cannot tell who may send mail of the domain"
	if r.Use == useHELO {
		without = "bounces, which have no other sender, are vouched for by nothing"
	}
	text(f, "SPF", there, without)
	if f.State != OK {
		return
	}
	name := strings.TrimSuffix(r.Name, ".")
	addresses, err := d.addresses(ctx, d.Setup.Host)
	if err != nil || len(addresses) == 0 {
		return // that is told of the host
	}
	mx, err := d.lookup(ctx, name, "MX")
	here := err == nil && slices.ContainsFunc(mx, func(v string) bool { return strings.HasSuffix(v, " "+d.Setup.Host+".") })
	switch permits(there[0], spfAsked{name: name, host: d.Setup.Host, mx: here, addresses: addresses}) {
	case spfNo:
		f.State, f.Text = Fail, "it does not let this server send: "+there[0]
	case spfUnknown:
		f.State, f.Text = Warn, "whether it lets this server send lies behind an include or a redirect, which is not followed here: "+there[0]
		f.Mend = "make sure that it does, or add a:" + d.Setup.Host + " to it"
	case spfEverybody:
		f.State, f.Text = Warn, "it lets everybody send: "+there[0]
	}
}

// spfAsked is whom a record is asked about.
type spfAsked struct {
	name, host string
	mx         bool // the name's MX is the host
	addresses  []netip.Addr
}

type spfAnswer int

const (
	spfNo spfAnswer = iota
	spfYes
	spfUnknown
	spfEverybody
)

// permits reads a record (RFC 7208 5) as far as that goes without questions: whether it lets all addresses of a host send.
func permits(record string, q spfAsked) spfAnswer {
	var networks []netip.Prefix
	all, unknown := false, false
	for i, term := range strings.Fields(strings.ToLower(record)) {
		if i == 0 || strings.ContainsAny(term[:1], "-~?") { // the version, and what is not let
			continue
		}
		if i > maxTerms {
			return spfUnknown
		}
		term = strings.TrimPrefix(term, "+")
		what, arg, _ := strings.Cut(term, ":")
		switch {
		case term == "all":
			return spfEverybody
		case term == "mx" && q.mx, term == "mx:"+q.name && q.mx, term == "a" && q.name == q.host, term == "a:"+q.host:
			all = true
		case what == "ip4" || what == "ip6":
			if p, ok := network(arg); ok {
				networks = append(networks, p)
			}
		case what == "include", what == "exists", what == "ptr", what == "a", what == "mx", strings.HasPrefix(term, "redirect="), strings.Contains(term, "/"):
			unknown = true
		}
	}
	switch {
	case all || allIn(q.addresses, networks):
		return spfYes
	case unknown:
		return spfUnknown
	}
	return spfNo
}

func allIn(addresses []netip.Addr, networks []netip.Prefix) bool {
	for _, ip := range addresses {
		if !slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return false
		}
	}
	return true
}

// network reads an address with or without the length of a prefix.
func network(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(ip.WithZone(""), ip.BitLen()), true
}
