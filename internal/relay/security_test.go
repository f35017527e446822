package relay

import "testing"

func TestHowAConnectionIsProtected(t *testing.T) {
	t.Parallel()
	for want, c := range map[Security]struct {
		d       demand
		version string
	}{
		Plain:    {demand{tls: true, verify: true}, ""}, // which is not used then
		StartTLS: {demand{}, "TLS1.3"},
		Verified: {demand{tls: true, verify: true}, "TLS1.2"},
		STS:      {demand{tls: true, verify: true, sts: true}, "TLS1.3"},
		DANE:     {demand{tls: true, sts: true, tlsa: []TLSA{{}}}, "TLS1.3"},
	} {
		if got := c.d.security(c.version); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
