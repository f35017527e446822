package netutil

import (
	"net/netip"
	"testing"
)

func TestOneSubscriberIsOneNetwork(t *testing.T) {
	t.Parallel()
	for peer, want := range map[string]string{
		"192.0.2.7":         "192.0.2.7/32",
		"::ffff:192.0.2.7":  "192.0.2.7/32",
		"2001:db8:1:2::7":   "2001:db8:1:2::/64",
		"2001:db8:1:2:3::":  "2001:db8:1:2::/64",
		"fe80::1%enp0s31f6": "fe80::/64",
	} {
		if got := Network(netip.MustParseAddr(peer)); got.String() != want {
			t.Errorf("%s counts as %s, want %s", peer, got, want)
		}
	}
	if got := Network(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address counts as %s", got)
	}
}
