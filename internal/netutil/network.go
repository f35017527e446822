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
