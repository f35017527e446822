package netutil

import "net/netip"

// Network is what limits count by: one IPv4 address, or the IPv6 /64 that one subscriber has. All peers without an address share the zero Prefix.
func Network(peer netip.Addr) netip.Prefix {
	peer = peer.Unmap().WithZone("")
	bits := 64
	if peer.Is4() {
		bits = 32
	}
	p, err := peer.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// Public tells whether an address is one that everybody may reach, and not this computer's or its network's own (SSRF), nor one behind which another stands (6to4, Teredo, NAT64 of a
// network's own). That which NAT64 has for an IPv4 address everywhere (RFC 6052 2.1) is as public as that: where there is no IPv4, the DNS names hosts so (DNS64). The older ranges for documentation, which
// lead nowhere, count as public.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if b := ip.As16(); ip.Zone() == "" && netip.MustParsePrefix("64:ff9b::/96").Contains(ip) {
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" {
		return false
	}
	if ip.Is6() && !netip.MustParsePrefix("2000::/3").Contains(ip) {
		return false // nothing else is given to anybody (RFC 4291 2.4, IANA)
	}
	for _, p := range special() {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// special are ranges that netip counts as global unicast and that are not public (IANA's special-purpose registries).
func special() [9]netip.Prefix {
	return [...]netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"),
	}
}
