package main

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/config"
	"chmail/internal/dnstest"
)

func TestWhatStandsBeforePort25IsWhatTheAdministratorWants(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	for own, want := range map[string][]string{config.OwnAccept: nil, config.OwnMark: nil, config.OwnRefuse: {"ours.test"}} {
		c := &config.Config{Domains: []string{"ours.test"}}
		c.SMTP.MX.Own, c.SMTP.MX.PerMinute = own, 7
		g, err := newGuard(c, quiet)
		if err != nil || !slices.Equal(g.Domains, want) || g.Rate != 7 || g.Delay != time.Second || g.Listed != nil {
			t.Errorf("own_domains: %s: %+v, %v", own, g, err)
		}
	}
	dns := dnstest.Start(t, dnstest.Records{"7.2.0.192.one.test A": {"127.0.0.4"}, "8.2.0.192.one.test A": {"127.0.0.9"}})
	c := &config.Config{}
	c.SMTP.MX.DNSBL, c.Relay.Resolver = []string{"one.test=2-8"}, dns.Addr()
	g, err := newGuard(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for peer, want := range map[string]string{"192.0.2.7": "one.test", "192.0.2.8": "", "192.0.2.9": ""} {
		if got := g.Listed(t.Context(), netip.MustParseAddr(peer)); got != want {
			t.Errorf("%s is on the list %q, want %q", peer, got, want)
		}
	}
	c.SMTP.MX.DNSBL = append(c.SMTP.MX.DNSBL, "no list")
	if _, err := newGuard(c, quiet); err == nil || !strings.Contains(err.Error(), "smtp.mx.dnsbl") {
		t.Errorf("a faulty list: %v", err)
	}
}
