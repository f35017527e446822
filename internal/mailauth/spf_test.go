package mailauth

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"chmail/internal/address"
	"chmail/internal/dnstest"
)

func TestWhoMaySendForADomain(t *testing.T) {
	t.Parallel()
	chain, voids := dnstest.Records{}, "v=spf1"
	for i := range 12 {
		chain[fmt.Sprintf("c%d.example TXT", i)] = []string{fmt.Sprintf("v=spf1 include:c%d.example -all", i+1)}
		voids += fmt.Sprintf(" a:v%d.example", i)
	}
	chain["c12.example TXT"] = []string{"v=spf1 +all"}
	dns := dnstest.Start(t, chain)
	dns.Set("example.org TXT", "some other text", "v=spf1 ip4:192.0.2.0/28 a:out.example.org mx ?ip4:203.0.113.9 ~ip4:203.0.113.8 -all")
	dns.Set("out.example.org A", "192.0.2.77")
	dns.Set("example.org MX", "10 mx.example.org.")
	dns.Set("mx.example.org AAAA", "2001:db8::25")
	dns.Set("mx.example.org TXT", "v=spf1 a -all")
	dns.Set("two.example TXT", "v=spf1 -all", "v=spf1 +all")
	dns.Set("wrong.example TXT", "v=spf1 ipx:1 -all")
	dns.Set("void.example TXT", voids+" +all")
	dns.Set("big.example TXT", strings.Repeat("x", maxTXT+1), "v=spf1 -all")
	dns.Fail("broken.example")
	v := NewVerifier(Options{Resolver: dns.Resolver()})
	for _, c := range []struct {
		peer, helo, from string
		want             Result
	}{
		{"192.0.2.5", "x", "a@example.org", Pass},
		{"::ffff:192.0.2.5", "x", "a@example.org", Pass},
		{"192.0.2.77", "x", "a@Example.ORG", Pass},
		{"2001:db8::25", "x", `"a@b c"@example.org`, Pass},
		{"203.0.113.9", "x", "a@example.org", Neutral},
		{"203.0.113.8", "x", "a@example.org", SoftFail},
		{"203.0.113.7", "mx.example.org", "a@example.org", Fail},
		{"2001:db8::25", "mx.example.org", "", Pass},
		{"2001:db8::26", "mx.example.org", "", Fail},
		{"192.0.2.5", "[192.0.2.5]", "", None},
		{"192.0.2.5", "localhost", "", None},
		{"192.0.2.5", "bad name;", "", None},
		{"192.0.2.5", "x", "a@absent.example", None},
		{"192.0.2.5", "x", "a@[192.0.2.5]", None},
		{"192.0.2.5", "x", "a@two.example", PermError},
		{"192.0.2.5", "x", "a@wrong.example", PermError},
		{"192.0.2.5", "x", "a@c3.example", Pass},      // nine more to ask
		{"192.0.2.5", "x", "a@c1.example", PermError}, // eleven
		{"192.0.2.5", "x", "a@void.example", PermError},
		{"192.0.2.5", "x", "a@big.example", Fail},
		{"192.0.2.5", "x", "a@broken.example", TempError},
	} {
		from := must(address.FromSMTP(c.from))(t)
		got := v.SPF(t.Context(), netip.MustParseAddr(c.peer), c.helo, from)
		if got.Result != c.want || got.Helo != (c.from == "") {
			t.Errorf("%s, HELO %s, from <%s>: %+v, want %s", c.peer, c.helo, c.from, got, c.want)
		}
	}
	if got := v.SPF(t.Context(), netip.Addr{}, "x", address.Address{Local: "a", Domain: "example.org"}); got.Result != None {
		t.Errorf("from nowhere: %+v", got)
	}
}
