package doctor

import "net/netip"

// Public tells whether an address is one of the Internet: what is private, shared by a carrier's customers (RFC 6598), or good on one link only is not.
func Public(a netip.Addr) bool {
	carrier := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate() && !carrier.Contains(a.Unmap())
}
