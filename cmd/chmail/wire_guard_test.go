package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/config"
	"chmail/internal/dnstest"
	"chmail/internal/intake"
	"chmail/internal/message"
	"chmail/internal/metrics"
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

func TestWhatRspamdSaysIsDone(t *testing.T) {
	t.Parallel()
	if f := newFilter(&config.Config{}, metrics.New(), slog.Default()); f != nil {
		t.Errorf("without an rspamd there is %v", f)
	}
	var action string
	rspamd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Password") != "sesame" || r.Header.Get("MTA-Name") != "mail.ours.test" {
			t.Errorf("asked with %v", r.Header)
		}
		fmt.Fprintf(w, `{"action": %q, "score": 7.25}`, action)
	}))
	t.Cleanup(rspamd.Close)
	c := &config.Config{Hostname: "mail.ours.test"}
	c.SMTP.MX.Rspamd = config.Rspamd{URL: rspamd.URL, Password: "sesame", Within: time.Minute}
	figures := metrics.New()
	judge := func() (intake.Judgement, string) {
		return newFilter(c, figures, slog.New(slog.DiscardHandler)).Judge(t.Context(), &message.Envelope{Peer: netip.MustParseAddr("192.0.2.7")}, strings.NewReader("Subject: x\r\n\r\ny\r\n"))
	}
	for does, want := range map[string]intake.Judgement{"no action": intake.Take, "greylist": intake.Take, "add header": intake.Suspect, "soft reject": intake.Later, "reject": intake.Refuse} {
		action = does
		if j, why := judge(); j != want || why != "rspamd score 7.2" {
			t.Errorf("%s: %v, %q", does, j, why)
		}
	}
	rspamd.Close()
	for required, want := range map[bool]intake.Judgement{false: intake.Take, true: intake.Later} {
		c.SMTP.MX.Rspamd.Required = required
		if j, _ := judge(); j != want {
			t.Errorf("without an answer, required %v: %v", required, j)
		}
	}
	page := httptest.NewRecorder()
	figures.Handler(metrics.Options{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(page.Body.String(), "\nchmail_rspamd_failures_total 2\n") {
		t.Errorf("the figures have:\n%s", page.Body)
	}
}
