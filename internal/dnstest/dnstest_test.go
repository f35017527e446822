package dnstest

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheServerAnswersFromItsMap(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(`k=rsa; "p"\ `, 400)
	s := Start(t, Records{
		"example.org MX":        {"20 b.example.org.", "10 a.example.org."},
		"a.example.org A":       {"192.0.2.1"},
		"a.example.org AAAA":    {"2001:db8::1"},
		"www.example.org CNAME": {"a.example.org."},
		"example.org TXT":       {"v=spf1 -all", long},
		"broken.example.org A":  {"192.0.2.2"},
	})
	s.Fail("broken.example.org")
	r, ctx := s.Resolver(), t.Context()
	if mx, err := r.LookupMX(ctx, "example.org"); err != nil || len(mx) != 2 || mx[0].Host != "a.example.org." {
		t.Errorf("MX: %v, %v", mx, err)
	}
	if ips, err := r.LookupHost(ctx, "www.example.org"); err != nil || len(ips) != 2 || !slices.Contains(ips, "192.0.2.1") {
		t.Errorf("through a CNAME: %v, %v", ips, err)
	}
	if txt, err := r.LookupTXT(ctx, "Example.ORG"); err != nil || !slices.Equal(txt, []string{"v=spf1 -all", long}) {
		t.Errorf("TXT: %q, %v", txt, err)
	}
	var dnsErr *net.DNSError
	if _, err := r.LookupHost(ctx, "nobody.example.org"); !errors.As(err, &dnsErr) || !dnsErr.IsNotFound {
		t.Errorf("a name that is not there: %v", err)
	}
	if _, err := r.LookupHost(ctx, "broken.example.org"); !errors.As(err, &dnsErr) || !dnsErr.IsTemporary {
		t.Errorf("a server that fails: %v", err)
	}
	s.Mend()
	if _, err := r.LookupHost(ctx, "broken.example.org"); err != nil {
		t.Errorf("mended: %v", err)
	}
	s.Set("broken.example.org A")
	if _, err := r.LookupHost(ctx, "broken.example.org"); !errors.As(err, &dnsErr) || !dnsErr.IsNotFound {
		t.Errorf("taken out: %v", err)
	}
	if n := s.Asked()["example.org MX"]; n != 1 {
		t.Errorf("MX was asked for %d times", n)
	}
}

func TestWhoWaitsTooLongGetsNoAnswer(t *testing.T) {
	t.Parallel()
	s := Start(t, Records{"slow.example TXT": {"x"}})
	s.Delay("slow.example", 200*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if txt, err := s.Resolver().LookupTXT(ctx, "slow.example"); err == nil {
		t.Errorf("an answer in time: %v", txt)
	}
}
