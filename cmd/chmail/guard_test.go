package main

import (
	"strings"
	"testing"

	"chmail/config"
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
