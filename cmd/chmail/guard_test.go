package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"chmail/config"
	"chmail/internal/doctor"
)

// TestAServerStartsWithEveryListThatTheConfigurationTakes holds two readings of the same text together: what config check lets pass must not keep the server from starting.
func TestAServerStartsWithEveryListThatTheConfigurationTakes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 89)
	for text, fine := range map[string]bool{
		"zen.spamhaus.org": true, "Zen.Spamhaus.ORG": true, "zen.spamhaus.org.": false, "zen.spamhaus.org=2": true, "zen.spamhaus.org=2-11": true, "zen.spamhaus.org=1-255": true, "bücher.example": true, long + "bc": true,
		"zen.spamhaus.org=2-300": false, "zen.spamhaus.org=11-2": false, "zen.spamhaus.org=0-2": false, "zen.spamhaus.org=256": false, "zen.spamhaus.org=+2": false, "zen.spamhaus.org=2-": false,
		"zen.spamhaus.org=-2": false, "zen.spamhaus.org=": false, "zen.spamhaus.org=2-3-4": false, "zen.spamhaus.org= 2": false, "zen.spamhaus.org=1_0": false, "zen": false, "192.0.2.1": false,
		"[192.0.2.1]": false, "": false, "=2": false, "a_b.example": false, long + "bcd": false,
	} {
		cfg, err := config.New(func(c *config.Config) {
			c.Hostname, c.Domains, c.Data, c.TLS.ACME.Agree, c.Chat.URL = "mail.example.com", []string{"example.com"}, t.TempDir(), true, "https://chat.example.com"
			c.SMTP.MX.DNSBL = []string{text}
		})
		if (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "smtp.mx.dnsbl[0] cannot be") {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil {
			continue
		}
		if _, err := newGuard(cfg, nil); err != nil {
			t.Errorf("%q has no fault, and the server does not start: %v", text, err)
		}
	}
}

func TestTheDoctorAsksRspamdAndTheListsAsTheServerDoes(t *testing.T) {
	t.Parallel()
	var there atomic.Bool
	rspamd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if there.Load() && r.URL.Path == "/ping" {
			_, _ = io.WriteString(w, "pong\r\n")
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(rspamd.Close)
	nobody, err := net.ListenPacket("udp", "127.0.0.1:0") // a name server of which nobody hears
	if err != nil {
		t.Fatal(err)
	}
	noError(t, nobody.Close())
	cfg, err := config.New(func(c *config.Config) {
		c.Hostname, c.Domains, c.Data, c.TLS.ACME.Agree, c.Chat.URL = "mail.example.com", []string{"example.com"}, t.TempDir(), true, "https://chat.example.com"
		c.SMTP.MX.DNSBL, c.SMTP.MX.Rspamd.URL, c.SMTP.MX.Rspamd.Required, c.Relay.Resolver = []string{"bl.example.net", "zen.spamhaus.org=2-11"}, rspamd.URL, true, nobody.LocalAddr().String()
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, is := range []bool{true, false} {
		there.Store(is)
		d, done, err := newDoctor(cfg, "chmail.yaml", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
		err = d.Rspamd.Ping(t.Context())
		if (err == nil) != is || !d.Rspamd.Required {
			t.Errorf("rspamd is there: %t; the doctor finds %v", is, err)
		}
		if len(d.Lists) != 2 || d.Lists[1].Name != "zen.spamhaus.org=2-11" {
			t.Fatalf("the lists are %+v", d.Lists)
		}
		if listed, err := d.Lists[1].Has(t.Context(), netip.MustParseAddr("127.0.0.2")); listed || !errors.Is(err, doctor.ErrNoAnswer) || !strings.Contains(err.Error(), "asking zen.spamhaus.org") {
			t.Errorf("without a name server: %t, %v", listed, err)
		}
	}
}
