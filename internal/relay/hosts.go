package relay

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/netutil"
)

// Resolver is what the relay asks of the DNS; *net.Resolver and *DNS are Resolvers. Names come with a final dot. What does not exist is a
// *net.DNSError with IsNotFound.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// host is a candidate: a name, or an address where the destination is one.
type host struct {
	name       string // lower case, without a final dot; of an address literal the address
	preference uint16
	listed     bool       // in an MX record; a domain without one is its own mail server
	addr       netip.Addr // of an address literal
	fixed      bool       // from the configuration: its address may be private
}

// hosts are the servers of a domain in the order in which they are to be tried (RFC 5321 5.1). secure tells
// whether DNSSEC vouches for the list.
func (r *Relay) hosts(ctx context.Context, domain string) (list []host, secure bool, fail *delivery.Verdict) {
	if ip, ok := literal(domain); ok {
		return []host{{name: ip.String(), addr: ip}}, false, nil
	}
	if _, err := address.ParseDomain(domain); err != nil || strings.HasPrefix(domain, "[") {
		return nil, false, failure(5, 1, 2, "the domain cannot be written")
	}
	mx, secure, err := r.lookupMX(ctx, domain+".")
	switch {
	case len(mx) == 1 && mx[0].Host == ".":
		return nil, secure, failure(5, 1, 10, domain+" takes no mail (null MX)") // RFC 7505
	case len(mx) > 0: // net gives the good ones of a list with an error about the others
		list, fail = r.usable(domain, mx)
		return list, secure, fail
	case err != nil && !notFound(err):
		return nil, false, failure(4, 4, 3, "the mail servers of "+domain+" cannot be looked up")
	}
	return []host{{name: domain}}, secure, nil
}

// usable brings MX records into their order, those of equal preference at random, and leaves out what cannot be a mail server for others (hazards 29 and 30):
// an address where a name belongs, this computer's own names, and of its own place in the list all that comes behind (RFC 5321 5.1).
func (r *Relay) usable(domain string, mx []*net.MX) ([]host, *delivery.Verdict) {
	var list []host
	own := false
	limit := uint32(1 << 16)
	for _, m := range mx {
		name := strings.ToLower(strings.TrimSuffix(m.Host, "."))
		if name == strings.ToLower(r.o.Name) {
			own = true
			limit = min(limit, uint32(m.Pref))
			continue
		}
		if canonical, err := address.ParseDomain(name); err != nil || canonical[0] == '[' || !isPublicName(name) {
			continue
		}
		list = append(list, host{name: name, preference: m.Pref, listed: true})
	}
	list = slices.DeleteFunc(list, func(h host) bool { return uint32(h.preference) >= limit })
	rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	slices.SortStableFunc(list, func(a, b host) int { return cmp.Compare(a.preference, b.preference) })
	switch {
	case len(list) > 0:
		return list[:min(len(list), r.o.MaxHosts)], nil
	case own:
		return nil, errLoop(domain)
	}
	return nil, failure(5, 4, 4, "no MX of "+domain+" is a mail server on the Internet")
}

func errLoop(domain string) *delivery.Verdict {
	return failure(5, 4, 6, "the mail servers of "+domain+" are this server, which does not know the domain")
}

// isPublicName tells whether a host name can be that of a mail server: no address, and not this computer.
func isPublicName(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	return name != "localhost" && name != "localhost.localdomain" && !strings.HasSuffix(name, ".localhost")
}

// literal reads an address literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]". An IPv4 address written as an IPv6 one is itself.
func literal(domain string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(domain, "[")
	if !ok {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(strings.TrimPrefix(strings.TrimSuffix(inner, "]"), "IPv6:"))
	return ip.Unmap(), err == nil && ip.Zone() == ""
}

// addresses are those of a host in the order in which they are to be tried: IPv6 and IPv4 by turns, so that a network that one of the two does not reach costs little. own tells that the
// host is this computer; secure, that DNSSEC vouches for the addresses.
func (r *Relay) addresses(ctx context.Context, h host) (list []netip.Addr, own, secure bool, fail *delivery.Verdict) {
	all := []netip.Addr{h.addr}
	if !h.addr.IsValid() {
		ips, sure, err := r.lookupAddr(ctx, h.name+".")
		if err != nil {
			return nil, false, false, r.unresolved(h, err)
		}
		secure, all = sure, all[:0]
		for _, ip := range ips {
			if a, ok := netip.AddrFromSlice(ip.IP); ok && ip.Zone == "" {
				all = append(all, a.Unmap())
			}
		}
	}
	var six, four []netip.Addr
	for _, a := range all {
		switch {
		case h.fixed || r.o.AnyAddress:
		case r.o.Own(a):
			return nil, true, false, errLoop(h.name)
		case !netutil.Public(a):
			continue
		}
		if a.Is6() && r.o.NoIPv6 {
			continue
		}
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			list = append(list, six[i])
		}
		if i < len(four) {
			list = append(list, four[i])
		}
	}
	if len(list) == 0 {
		return nil, false, false, failure(5, 4, 4, h.name+" has no address on the Internet")
	}
	return list, false, secure, nil
}

func (r *Relay) unresolved(h host, err error) *delivery.Verdict {
	switch {
	case !notFound(err) || h.fixed:
		return failure(4, 4, 3, "the address of "+h.name+" cannot be looked up")
	case !h.listed:
		return failure(5, 1, 2, h.name+" does not exist, or has no mail server")
	}
	return failure(5, 4, 4, "the mail server "+h.name+" does not exist")
}

func notFound(err error) bool {
	dns := (*net.DNSError)(nil)
	return errors.As(err, &dns) && dns.IsNotFound
}
