package mailauth

import (
	"strings"
	"testing"

	"chmail/internal/dnstest"
)

func TestPolicyRecords(t *testing.T) {
	t.Parallel()
	for txt, want := range map[string]record{
		"v=DMARC1; p=reject":                            {p: Reject, psd: 'u'},
		"v=DMARC1;p=REJECT;sp=None;np=quarantine":       {p: Reject, sp: Accept, np: Quarantine, psd: 'u'},
		"V = DMARC1 ; P = quarantine ;":                 {p: Quarantine, psd: 'u'},
		"v=DMARC1":                                      {p: Accept, psd: 'u'},
		"v=DMARC1; adkim=s; aspf=s; p=none; psd=n; t=y": {p: Accept, strictDKIM: true, strictSPF: true, psd: 'n', test: true},
		"v=DMARC1; p=reject; pct=5; rf=x; ri=z; unknown=?; psd=maybe; t=2; adkim=q; ;;x;": {p: Reject, psd: 'u'},
		"v=DMARC1; p=reject; p=none":                                {p: Reject, psd: 'u'},
		"v=DMARC1; p=delete; rua=mailto:a@example.org":              {p: Accept, psd: 'u'},
		"v=DMARC1; p=reject; sp=x; rua=x, mailto:a@example.org!10m": {p: Accept, psd: 'u'},
		"v=DMARC1; p=delete":                                        {p: Accept, psd: 'u', void: true},
		"v=DMARC1; p=reject; np=x; rua=mailto:nobody":               {p: Accept, psd: 'u', void: true},
	} {
		if got, ok := parseRecord(txt); !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", txt, got, ok, want)
		}
	}
	for _, txt := range []string{"", "v=DMARC2; p=reject", "v=dmarc1; p=reject", "p=reject; v=DMARC1", "v=spf1 -all", "v=DMARC1 p=reject", "DMARC1", "vv=DMARC1"} {
		if got, ok := parseRecord(txt); ok {
			t.Errorf("%q was read as %+v", txt, got)
		}
	}
}

func TestTheWalkUpTheTree(t *testing.T) {
	t.Parallel()
	dns := dnstest.Start(t, dnstest.Records{"_dmarc.example.com TXT": {"v=DMARC1; p=none"}})
	v := NewVerifier(Options{Resolver: dns.Resolver()})
	met, err := v.walk(t.Context(), "a.b.c.d.e.f.g.h.i.j.mail.example.com") // the example of RFC 9989 4.10
	if err != nil || len(met) != 1 || met[0].domain != "example.com" {
		t.Errorf("%+v, %v", met, err)
	}
	asked := dns.Asked()
	for _, name := range []string{"a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com", "i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com"} {
		if asked["_dmarc."+name+" TXT"] != 1 {
			t.Errorf("%s was asked for %d times", name, asked["_dmarc."+name+" TXT"])
		}
	}
	if len(asked) != maxWalk {
		t.Errorf("asked: %v", asked)
	}
	dns.Set("_dmarc.co.test TXT", "v=DMARC1; p=none; psd=y")
	dns.Set("_dmarc.firm.example.com TXT", "v=DMARC1; p=none; psd=n")
	dns.Set("_dmarc.two.example TXT", "v=DMARC1; p=none", "v=DMARC1; p=reject")
	for domain, want := range map[string]string{
		"a.mail.example.com":   "example.com",
		"example.com":          "example.com",
		"a.firm.example.com":   "firm.example.com",
		"mail.shop.co.test":    "shop.co.test",
		"shop.co.test":         "shop.co.test",
		"co.test":              "co.test",
		"mail.nothing.example": "mail.nothing.example",
		"mail.two.example":     "mail.two.example",
	} {
		met, err := v.walk(t.Context(), domain)
		if got := organisation(domain, met); err != nil || got != want {
			t.Errorf("the organisation of %s: %s, %v; want %s", domain, got, err, want)
		}
	}
}

func TestWhatADomainWantsIsFound(t *testing.T) {
	t.Parallel()
	dns := dnstest.Start(t, dnstest.Records{
		"_dmarc.bank.test TXT":     {"v=DMARC1; p=reject; sp=quarantine; np=reject"},
		"news.bank.test A":         {"192.0.2.1"},
		"_dmarc.own.bank.test TXT": {"v=DMARC1; p=none; sp=reject"},
		"_dmarc.strict.test TXT":   {"v=DMARC1; p=reject; adkim=s; aspf=s"},
		"_dmarc.trying.test TXT":   {"v=DMARC1; p=reject; t=y"},
		"_dmarc.void.test TXT":     {"v=DMARC1; p=delete"},
		"_dmarc.gov.test TXT":      {"v=DMARC1; p=none; np=reject; psd=y"},
		"tax.gov.test MX":          {"10 mx.gov.test."},
		"_dmarc.broken.test TXT":   {"v=DMARC1; p=reject"},
	})
	dns.Set("_dmarc.firm.bank.test TXT", "v=DMARC1; p=none; psd=n")  // an organisation of its own
	dns.Set("_dmarc.sites.bank.test TXT", "v=DMARC1; p=none; psd=y") // each name below is somebody else's
	dns.Fail("_dmarc.below.broken.test")
	dns.Fail("_dmarc.flaky.bank.test")
	v := NewVerifier(Options{Resolver: dns.Resolver()})
	pass := func(domain string) Signature { return Signature{Result: Pass, Domain: domain} }
	for _, c := range []struct {
		what, from string
		spf        SPF
		sigs       []Signature
		want       string // result, policy, where it was found
	}{
		{"its own signature", "a@bank.test", SPF{}, []Signature{pass("bank.test")}, "pass reject bank.test"},
		{"its own host", "a@bank.test", SPF{Result: Pass, Domain: "bank.test"}, nil, "pass reject bank.test"},
		{"a host of a sub-domain", "a@bank.test", SPF{Result: Pass, Domain: "bounce.bank.test"}, nil, "pass reject bank.test"},
		{"a signature of the domain above", "a@news.bank.test", SPF{}, []Signature{pass("bank.test")}, "pass quarantine bank.test"},
		{"from two sub-domains", "a@news.bank.test", SPF{}, []Signature{pass("x.bank.test")}, "pass quarantine bank.test"},
		{"nothing", "a@bank.test", SPF{}, nil, "fail reject bank.test"},
		{"a stranger's signature", "a@bank.test", SPF{Result: Pass, Domain: "evil.test"}, []Signature{pass("evil.test"), pass("notbank.test"), pass("test")}, "fail reject bank.test"},
		{"a signature of an organisation of its own below", "a@bank.test", SPF{}, []Signature{pass("firm.bank.test"), pass("x.firm.bank.test")}, "fail reject bank.test"},
		{"the host of one", "a@bank.test", SPF{Result: Pass, Domain: "bounce.firm.bank.test"}, nil, "fail reject bank.test"},
		{"somebody's site below", "a@bank.test", SPF{Result: Pass, Domain: "evil.sites.bank.test"}, []Signature{pass("evil.sites.bank.test")}, "fail reject bank.test"},
		{"an organisation below, by its own host", "a@mail.firm.bank.test", SPF{Result: Pass, Domain: "x.firm.bank.test"}, nil, "pass none firm.bank.test"},
		{"an organisation below, by the one above", "a@mail.firm.bank.test", SPF{Result: Pass, Domain: "bank.test"}, []Signature{pass("bank.test")}, "fail none firm.bank.test"},
		{"nobody knows whose a signature below is", "a@bank.test", SPF{}, []Signature{pass("flaky.bank.test")}, "temperror reject bank.test"},
		{"nobody knows whose a host below is", "a@bank.test", SPF{Result: Pass, Domain: "x.flaky.bank.test"}, nil, "temperror reject bank.test"},
		{"the same, but another signature holds", "a@bank.test", SPF{Result: Pass, Domain: "x.flaky.bank.test"}, []Signature{pass("bank.test")}, "pass reject bank.test"},
		{"a signature that fails", "a@bank.test", SPF{Result: SoftFail, Domain: "bank.test"}, []Signature{{Result: Fail, Domain: "bank.test"}, {Result: Policy, Domain: "bank.test"}}, "fail reject bank.test"},
		{"a sub-domain", "a@news.bank.test", SPF{}, nil, "fail quarantine bank.test"},
		{"a sub-domain that is not there", "a@login.bank.test", SPF{}, nil, "fail reject bank.test"},
		{"a sub-domain with its own", "a@own.bank.test", SPF{}, nil, "fail none own.bank.test"},
		{"a sub-domain with its own, signed above", "a@own.bank.test", SPF{}, []Signature{pass("bank.test")}, "pass none own.bank.test"},
		{"strict, exactly", "a@strict.test", SPF{}, []Signature{pass("strict.test")}, "pass reject strict.test"},
		{"strict, a sub-domain", "a@strict.test", SPF{Result: Pass, Domain: "x.strict.test"}, []Signature{pass("x.strict.test")}, "fail reject strict.test"},
		{"being tried out", "a@trying.test", SPF{}, nil, "fail quarantine trying.test"},
		{"a policy that cannot be read", "a@void.test", SPF{}, nil, "permerror none void.test"},
		{"no policy", "a@plain.example", SPF{Result: Pass, Domain: "plain.example"}, nil, "none none "},
		{"below a public suffix", "a@tax.gov.test", SPF{}, nil, "fail none gov.test"},
		{"not there, below a public suffix", "a@taxes.gov.test", SPF{}, nil, "fail reject gov.test"},
		{"another below that public suffix", "a@tax.gov.test", SPF{}, []Signature{pass("evil.gov.test")}, "fail none gov.test"},
		{"the DNS fails", "a@below.broken.test", SPF{}, nil, "temperror none "},
		{"the DNS failed for its key", "a@bank.test", SPF{}, []Signature{{Result: TempError, Domain: "bank.test"}}, "temperror reject bank.test"},
		{"the DNS failed for a stranger's key", "a@bank.test", SPF{}, []Signature{{Result: TempError, Domain: "evil.test"}}, "fail reject bank.test"},
		{"two authors", "a@evil.test, b@bank.test", SPF{}, []Signature{pass("evil.test")}, "fail reject bank.test"},
		{"many authors", "a@a.test, a@b.test, a@c.test, a@d.test, a@e.test, a@f.test", SPF{}, nil, "fail reject "},
		{"in capitals, with a name", `"Bank" <A@BANK.test>`, SPF{}, nil, "fail reject bank.test"},
		{"badly written", "ceo@bank.test <x@evil.test>", SPF{}, []Signature{pass("evil.test")}, "fail reject bank.test"},
		{"written badly but honestly", "a@bank.test <a@bank.test>", SPF{}, []Signature{pass("bank.test")}, "pass reject bank.test"},
		{"no author", "undisclosed:;", SPF{}, nil, "permerror none "},
	} {
		d := v.DMARC(t.Context(), []byte(c.from), c.spf, c.sigs)
		if got := string(d.Result) + " " + string(d.Policy) + " " + d.Found; got != c.want {
			t.Errorf("%s: %s (%+v), want %s", c.what, got, d, c.want)
		}
	}
}

func FuzzPolicyRecord(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; rua=mailto:a@example.org; t=y; psd=n")
	f.Add("v=DMARC1;;=;p==;p=none\x00")
	f.Fuzz(func(t *testing.T, txt string) {
		r, ok := parseRecord(txt)
		if !ok {
			return
		}
		for _, d := range []Disposition{r.p, r.sp, r.np} {
			if d != "" && d != Accept && d != Quarantine && d != Reject {
				t.Errorf("%q: disposition %q", txt, d)
			}
		}
		if r.p == "" || r.void && r.p != Accept || !strings.ContainsRune("ynu", rune(r.psd)) {
			t.Errorf("%q: %+v", txt, r)
		}
		if again, ok := parseRecord(txt + " ; unknown=x"); !ok || again != r {
			t.Errorf("%q: an unknown tag makes it %+v, %v", txt, again, ok)
		}
	})
}
