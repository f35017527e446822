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

func TestOnlyWhatEverybodyReachesIsPublic(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "::ffff:93.184.216.34": true, "127.0.0.1": false, "10.1.2.3": false, "192.168.0.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "::1": false, "::": false, "fe80::1": false, "fd00::1": false, "::ffff:10.0.0.1": false, "224.0.0.1": false, "64:ff9b::a00:1": false, "64:ff9b::5db8:d822": true, "64:ff9b::5db8:d822%eth0": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b::1:5db8:d822": false,
		"2002:a00:1::": false, "198.18.0.1": false, "255.255.255.255": false, "192.88.99.1": false, "::127.0.0.1": false, "::ffff:0:127.0.0.1": false, "fec0::1": false, "100::1": false, "3fff::1": false, "5f00::1": false,
		"2001:10::1": false, "2001:0:a00:1::": false, "64:ff9b:1::1": false, "ff02::1": false, "2001:200::1": true, "2a00:1450:4001::1": true, "fe80::1%eth0": false, "2a00::1%eth0": false,
	} {
		if Public(netip.MustParseAddr(ip)) != want {
			t.Errorf("%s: public is %v", ip, !want)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}
