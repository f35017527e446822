package doctor

import (
	"context"
	"fmt"
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
	q := spfAsked{name: name, host: d.Setup.Host, addresses: addresses}
	var hosts []string
	hosts, q.mx, q.mxKnown = d.behindMX(ctx, name)
	switch answer, open := permits(there[0], q); answer {
	case spfNo:
		f.State, f.Text = Fail, "it does not let this server send: "+there[0]
		d.withoutMX(f, name, there[0], hosts)
	case spfUnknown:
		f.State, f.Text = Warn, fmt.Sprintf("whether it lets this server send depends on what is not followed here, %s: %s", strings.Join(open, " "), there[0])
		f.Mend = "make sure that it does, or add a:" + d.Setup.Host + " to it"
	case spfEverybody:
		f.State, f.Text = Warn, "it lets everybody send: "+there[0]
	}
}

// withoutMX says of a record that would let this server send if only the MX led here that it is not the record that is missing.
func (d *Doctor) withoutMX(f *Finding, name, record string, hosts []string) {
	relies := func(term string) bool {
		term = strings.TrimPrefix(term, "+")
		return term == "mx" || term == "mx:"+name
	}
	if !slices.ContainsFunc(strings.Fields(strings.ToLower(record)), relies) {
		return
	}
	f.Mend = "add a:" + d.Setup.Host + " to the record"
	why := "the MX of " + name + " leads elsewhere"
	if len(hosts) == 0 {
		why = name + " has no MX"
	}
	f.Text += " (" + why + ")"
	if len(d.Setup.MX) > 0 {
		f.Mend = fmt.Sprintf("put into the zone: %s. MX 10 %s.; or %s", name, d.Setup.Host, f.Mend)
	}
}

// maxMX is how many hosts of an MX are looked at, as verifiers do (RFC 7208 4.6.4).
const maxMX = 10

// behindMX are the hosts that mail for a name is brought to and their addresses; false where nobody could tell.
func (d *Doctor) behindMX(ctx context.Context, name string) (hosts []string, addresses []netip.Addr, known bool) {
	mx, err := d.lookup(ctx, name, "MX")
	if err != nil {
		return nil, nil, false
	}
	for _, v := range mx[:min(len(mx), maxMX)] {
		_, host, _ := strings.Cut(v, " ")
		if host = strings.TrimSuffix(host, "."); host == "" { // it takes no mail (RFC 7505)
			continue
		}
		there, err := d.addresses(ctx, host)
		if err != nil {
			return nil, nil, false
		}
		hosts, addresses = append(hosts, host), append(addresses, there...)
	}
	return hosts, addresses, true
}

// spfAsked is whom a record is asked about.
type spfAsked struct {
	name, host string
	addresses  []netip.Addr // of the host
	mx         []netip.Addr // of the name's MX
	mxKnown    bool
}

type spfAnswer int

const (
	spfNo spfAnswer = iota
	spfYes
	spfUnknown
	spfEverybody
)

// permits reads a record (RFC 7208 5) as far as that goes without further questions: whether it lets all addresses of a host send. open is what would have to be followed where that is not known.
func permits(record string, q spfAsked) (answer spfAnswer, open []string) {
	var networks []netip.Prefix
	all := false
	for i, term := range strings.Fields(strings.ToLower(record)) {
		if i == 0 || strings.ContainsAny(term[:1], "-~?") { // the version, and what is not let
			continue
		}
		if i > maxTerms {
			open = append(open, "all that it has")
			break
		}
		term = strings.TrimPrefix(term, "+")
		what, arg, _ := strings.Cut(term, ":")
		switch {
		case term == "all":
			return spfEverybody, nil
		case term == "a" && q.name == q.host, term == "a:"+q.host:
			all = true
		case (term == "mx" || term == "mx:"+q.name) && q.mxKnown:
			for _, ip := range q.mx {
				networks = append(networks, netip.PrefixFrom(ip, ip.BitLen()))
			}
		case what == "ip4" || what == "ip6":
			if p, ok := network(arg); ok {
				networks = append(networks, p)
			}
		case what == "include", what == "exists", what == "ptr", what == "a", what == "mx", strings.HasPrefix(term, "redirect="), strings.Contains(term, "/"):
			open = append(open, term)
		}
	}
	switch {
	case all || allIn(q.addresses, networks):
		return spfYes, nil
	case len(open) > 0:
		return spfUnknown, open
	}
	return spfNo, nil
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
