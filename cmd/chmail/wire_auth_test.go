package main

import (
	"net/netip"
	"strings"
	"testing"

	"chmail/config"
	"chmail/internal/address"
	"chmail/internal/dnstest"
	"chmail/internal/mailauth"
	"chmail/internal/message"
	"chmail/internal/metrics"
)

func TestWhoWritesFromOutsideInOurNameIsMarkedOrRefused(t *testing.T) {
	t.Parallel()
	dns := dnstest.Start(t, dnstest.Records{"ours.test TXT": {"v=spf1 ip4:192.0.2.7 -all"}})
	const here, there, itself = "192.0.2.7", "198.51.100.9", "127.0.0.1"
	for _, c := range []struct {
		own, peer, from string
		suspect, refuse bool
	}{
		{config.OwnMark, there, "boss@ours.test", true, false},
		{config.OwnRefuse, there, "boss@ours.test", true, true},
		{config.OwnAccept, there, "boss@ours.test", false, false},
		{config.OwnRefuse, here, "boss@ours.test", false, false}, // SPF has this host
		{config.OwnRefuse, itself, "boss@ours.test", false, false},
		{config.OwnRefuse, there, "boss@theirs.test", false, false},
	} {
		check := checker{mailauth.NewVerifier(mailauth.Options{Resolver: dns.Resolver()}), "mx.ours.test", []string{"ours.test"}, c.own, metrics.New()}
		from, err := address.Parse(c.from)
		if err != nil {
			t.Fatal(err)
		}
		f, err := check.Check(t.Context(), &message.Envelope{From: from, Helo: "x.test", Peer: netip.MustParseAddr(c.peer)}, strings.NewReader("From: "+c.from+"\r\n\r\nPay.\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if (f.Suspect != "") != c.suspect || f.Ours != c.refuse || (f.Reject != "") != c.refuse {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}
