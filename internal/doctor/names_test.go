package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// dnsOf is what a resolver knows: values by "NAME TYPE". A value of "SERVFAIL" is nobody's knowledge.
type dnsOf map[string][]string

func (f dnsOf) Lookup(_ context.Context, name, kind string) ([]string, error) {
	values := f[name+" "+kind]
	if slices.Equal(values, []string{"SERVFAIL"}) {
		return nil, fmt.Errorf("asking 192.0.2.53:53 for %s %s: it answers SERVFAIL", name, kind)
	}
	return values, nil
}

// keysOf are DKIM keys by domain.
type keysOf map[string][]Key

func (k keysOf) Keys(domain string) ([]Key, error) { return k[domain], nil }

// healthy is a DNS that holds all of the house's zone, and its addresses lead back.
func healthy(s Setup, keys keysOf) dnsOf {
	f := dnsOf{"5.113.0.203.in-addr.arpa PTR": {"mail.example.com."}, "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR": {"mail.example.com."}}
	for _, d := range s.Domains {
		for _, r := range s.Zone(d, keys[d.Name]).Records {
			name := strings.TrimSuffix(r.Name, ".")
			if r.Type == "CNAME" {
				f[name+" A"], f[name+" AAAA"] = []string{"203.0.113.5"}, []string{"2001:db8::5"}
				continue
			}
			f[name+" "+r.Type] = append(f[name+" "+r.Type], r.Value)
		}
	}
	return f
}

// patient is a house in order, in whose DNS somebody changes something.
func patient(change func(Setup, dnsOf)) *Doctor {
	s, keys := house(), keysOf{"example.com": {longKey}, "example.org": {{Selector: "autumn", Record: "v=DKIM1; k=ed25519; p=fvRdWSIKDoS79vXX3F0OTBlN6ydwbbnQGgzhNQfgB4Y="}}}
	f := healthy(s, keys)
	change(s, f)
	return New(Options{Setup: s, Keys: keys, Resolver: f})
}

func TestInAHouseInOrderNothingIsToBeMended(t *testing.T) {
	t.Parallel()
	all := patient(func(Setup, dnsOf) {}).names(t.Context())
	if len(all) < 30 {
		t.Errorf("only %d findings: %v", len(all), all)
	}
	for _, f := range all {
		if f.State != OK || f.Mend != "" || f.Subject == "" || f.Text == "" {
			t.Errorf("%+v", f)
		}
	}
}

func TestWhatIsWrongInTheDNSIsFoundAndHowToMendItIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key     string // what somebody has changed …
		to      []string
		subject string // … and where it shows
		state   State
		says    string
		mend    string
	}{
		{"example.com MX", nil, "example.com MX", Fail, "does not come here", "put into the zone: example.com. MX 10 mail.example.com."},
		{"example.com MX", []string{"10 mx.old.example."}, "example.com MX", Fail, "goes elsewhere: 10 mx.old.example.", "put into the zone"},
		{"example.com MX", []string{"10 mail.example.com.", "20 mx.old.example."}, "example.com MX", Warn, "elsewhere too", "take out"},
		{"example.com MX", []string{"5 mail.example.com."}, "example.com MX", OK, "5 mail.example.com.", ""},
		{"example.com MX", []string{"SERVFAIL"}, "example.com MX", Fail, "SERVFAIL", "--resolver"},
		{"mail.example.com A", []string{"192.168.1.2"}, "mail.example.com", Fail, "no address of the Internet", "public address"},
		{"mail.example.com A", []string{"100.64.0.9"}, "mail.example.com", Fail, "no address of the Internet", "public address"},
		{"mail.example.com A", []string{"203.0.113.77"}, "mail.example.com", Warn, "not among this server's public addresses, 203.0.113.5", "--address"},
		{"5.113.0.203.in-addr.arpa PTR", nil, "203.0.113.5", Fail, "leads back to no name", "(PTR) to mail.example.com"},
		{"5.113.0.203.in-addr.arpa PTR", []string{"host-5.provider.example."}, "203.0.113.5", Fail, "does not lead to it", "(PTR) to mail.example.com"},
		{"5.113.0.203.in-addr.arpa PTR", []string{"chat.example.com."}, "203.0.113.5", Warn, "calls itself mail.example.com", "or set hostname to chat.example.com"},
		{"5.113.0.203.in-addr.arpa PTR", []string{"SERVFAIL"}, "203.0.113.5 PTR", Fail, "SERVFAIL", "DNSSEC"},
		{"spring._domainkey.example.com TXT", nil, "spring._domainkey.example.com TXT", Fail, "cannot be verified", `TXT "v=DKIM1; k=rsa; p=`},
		{"spring._domainkey.example.com TXT", []string{"v=DKIM1; p="}, "spring._domainkey.example.com TXT", Fail, "withdrawn", "put into the zone"},
		{"spring._domainkey.example.com TXT", []string{"v=DKIM1; k=rsa; p=MIIB"}, "spring._domainkey.example.com TXT", Fail, "another key", "put into the zone"},
		{"spring._domainkey.example.com TXT", []string{strings.Replace(longKey.Record, "k=rsa; p=MII", "p=MII ", 1)}, "spring._domainkey.example.com TXT", OK, "is there", ""},
		{"spring._domainkey.example.com TXT", []string{longKey.Record, "v=DKIM1; p="}, "spring._domainkey.example.com TXT", Fail, "several records", "leave one"},
		{"spring._domainkey.example.com TXT", []string{strings.Replace(longKey.Record, "k=rsa", "k=ed25519", 1)}, "spring._domainkey.example.com TXT", Fail, "another key", "put into the zone"},
		{"_dmarc.example.com TXT", nil, "_dmarc.example.com TXT", Warn, "anybody can write", "v=DMARC1; p=quarantine"},
		{"_dmarc.example.com TXT", []string{"v=DMARC1; p=none"}, "_dmarc.example.com TXT", OK, "only watched", ""},
		{"_dmarc.example.com TXT", []string{"v=DMARC1; p=none", "v=DMARC1; p=reject"}, "_dmarc.example.com TXT", Fail, "2 records", "leave one"},
		{"_dmarc.example.com TXT", []string{"v=DMARC10; p=none"}, "_dmarc.example.com TXT", Warn, "there is none", "put into"},
		{"_mta-sts.example.com TXT", []string{"v=STSv1; id=1"}, "_mta-sts.example.com TXT", Warn, "another policy", "v=STSv1; id="},
		{"_mta-sts.example.com TXT", nil, "_mta-sts.example.com TXT", Warn, "without TLS", "v=STSv1; id="},
		{"mta-sts.example.com A", []string{"203.0.113.77"}, "mta-sts.example.com CNAME", Warn, "leads to 203.0.113.77", "CNAME chat.example.com."},
		{"_smtp._tls.example.com TXT", nil, "_smtp._tls.example.com TXT", Warn, "there is none", "v=TLSRPTv1"},
		{"_pop3s._tcp.example.com SRV", []string{"10 5 995 mail.example.com."}, "_pop3s._tcp.example.com SRV", OK, "995", ""},
		{"_pop3s._tcp.example.com SRV", []string{"0 1 993 mail.example.com."}, "_pop3s._tcp.example.com SRV", Warn, "leads elsewhere", "0 1 995 mail.example.com."},
		{"_pop3s._tcp.example.com SRV", nil, "_pop3s._tcp.example.com SRV", Warn, "there is none", "0 1 995 mail.example.com."},
		{"_imap._tcp.example.com SRV", nil, "_imap._tcp.example.com SRV", OK, "not offered", ""},
		{"_imap._tcp.example.com SRV", []string{"0 1 143 old.example."}, "_imap._tcp.example.com SRV", Warn, "not offered here, but", "0 0 0 ."},
		{"example.com TXT", nil, "example.com TXT", Warn, "there is none", "v=spf1"},
		{"example.com TXT", []string{"v=spf1 ip4:198.51.100.0/24 -all", "other=1"}, "example.com TXT", Fail, "does not let this server send", "v=spf1"},
		{"example.com TXT", []string{"v=spf1 include:other.example -all"}, "example.com TXT", Warn, "depends on what is not followed here, include:other.example: ", "a:mail.example.com"},
		{"example.com TXT", []string{"v=spf1 a -all"}, "example.com TXT", Warn, "depends on what is not followed here, a: ", "a:mail.example.com"},
		{"example.com MX", nil, "example.com TXT", Fail, "does not let this server send: v=spf1 mx ~all (example.com has no MX)", "put into the zone: example.com. MX 10 mail.example.com.; or add a:mail.example.com to the record"},
		{"example.com MX", []string{"0 ."}, "example.com TXT", Fail, "(example.com has no MX)", "or add a:mail.example.com"},
		{"example.com MX", []string{"10 mx.old.example."}, "example.com TXT", Fail, "(the MX of example.com leads elsewhere)", "or add a:mail.example.com"},
		{"example.com MX", []string{"10 chat.example.com."}, "example.com TXT", OK, "v=spf1 mx ~all", ""},
		{"example.com MX", []string{"SERVFAIL"}, "example.com TXT", Warn, "depends on what is not followed here, mx: ", "a:mail.example.com"},
		{"example.com TXT", []string{"v=spf1 +all"}, "example.com TXT", Warn, "everybody", "v=spf1"},
		{"example.com TXT", []string{"v=spf1 mx -all", "v=spf1 a -all"}, "example.com TXT", Fail, "2 records", "leave one"},
	} {
		d := patient(func(_ Setup, f dnsOf) { f[c.key] = c.to })
		all := d.names(t.Context())
		i := slices.IndexFunc(all, func(f Finding) bool { return f.Subject == c.subject })
		if i < 0 {
			t.Errorf("%s → %q: nothing is said of %s", c.key, c.to, c.subject)
			continue
		}
		if f := all[i]; f.State != c.state || !strings.Contains(f.Text, c.says) || !strings.Contains(f.Mend, c.mend) || (f.State == OK) != (f.Mend == "") {
			t.Errorf("%s → %q: %+v\nwant %s, %q, %q", c.key, c.to, f, c.state, c.says, c.mend)
		}
	}
}

func TestADomainWhoseMailDoesNotComeInIsTold(t *testing.T) {
	t.Parallel()
	const here, elsewhere = "10 mail.example.com.", "10 mx.other.example."
	for _, c := range []struct {
		inside  bool
		to      []string
		subject string
		state   State
		says    string
		mend    string
	}{
		{true, nil, "example.com MX", Warn, "does not come here: smtp.mx.listen is on this computer alone (127.0.0.1:25)", "put into the zone: example.com. MX 10 mail.example.com."},
		{true, []string{elsewhere}, "example.com MX", Warn, "does not come here", "pass port 25"},
		{true, []string{here}, "example.com MX", Warn, "arrives only where port 25 is passed on", "from outside"},
		{true, []string{"SERVFAIL"}, "example.com MX", Fail, "SERVFAIL", "--resolver"},
		{false, []string{here}, "example.com MX", Fail, "smtp.mx.listen opens no port there", "let the MX lead"},
		{false, []string{elsewhere}, "example.com MX", OK, "none is taken here: smtp.mx.listen opens no port; it goes elsewhere: 10 mx.other.example.", ""},
		{false, nil, "example.com MX", OK, "none is taken here", ""},
		{true, []string{"0 1 1587 mail.example.com."}, "_submission._tcp.example.com SRV", OK, "on this computer alone (127.0.0.1:587)", ""},
		{true, []string{"0 1 587 mx.other.example."}, "_submission._tcp.example.com SRV", Warn, "not offered here", "0 0 0 ."},
		{false, []string{"0 1 1587 mail.example.com."}, "_submission._tcp.example.com SRV", Warn, "not offered here", "0 0 0 ."},
		{true, nil, "_submission._tcp.example.com SRV", OK, "not offered", ""},
	} {
		s, keys := behind(), keysOf{"example.com": {longKey}}
		if !c.inside {
			s.Inside = nil
		}
		f := healthy(s, keys)
		f[c.subject] = c.to
		all := New(Options{Setup: s, Keys: keys, Resolver: f}).names(t.Context())
		i := slices.IndexFunc(all, func(f Finding) bool { return f.Subject == c.subject })
		if i < 0 || all[i].State != c.state || !strings.Contains(all[i].Text, c.says) || !strings.Contains(all[i].Mend, c.mend) || (c.state == OK) != (all[i].Mend == "") {
			t.Errorf("inside %t, %s → %q: %+v\nwant %s, %q, %q", c.inside, c.subject, c.to, all, c.state, c.says, c.mend)
		}
	}
}

func TestTheHostWithoutAddressIsMissed(t *testing.T) {
	t.Parallel()
	d := patient(func(_ Setup, f dnsOf) {
		delete(f, "chat.example.com A")
		delete(f, "chat.example.com AAAA")
	})
	all := d.names(t.Context())
	if !slices.ContainsFunc(all, func(f Finding) bool { return f.Subject == "chat.example.com" && f.State == Fail }) {
		t.Errorf("a chat host without address is not missed: %v", all)
	}
}

func TestAPolicyAboveTheDomainHolds(t *testing.T) {
	t.Parallel()
	d := patient(func(Setup, dnsOf) {})
	d.Setup.Domains[0].Name = "mail.corp.example.net"
	f := d.Resolver.(dnsOf)
	f["_dmarc.example.net TXT"] = []string{"v=DMARC1; p=reject"}
	var found Finding
	for _, x := range d.names(t.Context()) {
		if x.Subject == "_dmarc.mail.corp.example.net TXT" {
			found = x
		}
	}
	if found.State != OK || !strings.Contains(found.Text, "that of example.net holds") {
		t.Errorf("%+v", found)
	}
}

func TestAKeyThatDoesNotSignNowBreaksNothing(t *testing.T) {
	t.Parallel()
	d := patient(func(Setup, dnsOf) {})
	d.Keys = keysOf{"example.com": {longKey, {Selector: "next", Record: "v=DKIM1; k=rsa; p=QQ==", Idle: true}}, "example.org": {{Selector: "next", Record: "v=DKIM1; k=rsa; p=QQ==", Idle: true}}}
	all := d.names(t.Context())
	for subject, says := range map[string]string{"next._domainkey.example.com TXT": "does not sign now", "example.org DKIM": "no key signs"} {
		i := slices.IndexFunc(all, func(f Finding) bool { return f.Subject == subject })
		if i < 0 || all[i].State != Warn || !strings.Contains(all[i].Text, says) {
			t.Errorf("%s: want %q: %+v", subject, says, all)
		}
	}
	if slices.ContainsFunc(all, func(f Finding) bool { return f.Subject == "example.com DKIM" }) {
		t.Error("a domain with a key that signs is told that none does")
	}
}

func TestADomainWithoutKeyIsToldThatItsMailIsNotSigned(t *testing.T) {
	t.Parallel()
	d := patient(func(Setup, dnsOf) {})
	d.Keys = keysOf{}
	n := 0
	for _, f := range d.names(t.Context()) {
		if strings.Contains(f.Text, "not signed") && f.State == Warn && f.Mend != "" {
			n++
		}
	}
	if n != len(d.Setup.Domains) {
		t.Errorf("%d domains were told, of %d", n, len(d.Setup.Domains))
	}
}

// silent is a resolver that nobody reaches.
type silent struct{ asked int }

func (s *silent) Lookup(_ context.Context, name, kind string) ([]string, error) {
	s.asked++
	return nil, fmt.Errorf("asking for %s %s: %w", name, kind, ErrNoAnswer)
}

func TestAResolverThatDoesNotAnswerIsAskedOnce(t *testing.T) {
	t.Parallel()
	d, s := patient(func(Setup, dnsOf) {}), new(silent)
	d.Resolver = s
	all := d.names(t.Context())
	if len(all) != 1 || all[0].State != Fail || !strings.Contains(all[0].Mend, "--resolver") || s.asked != 1 {
		t.Errorf("asked %d times: %+v", s.asked, all)
	}
}

// tiring is a resolver that keeps silent after its first answer.
type tiring struct{ silent }

func (s *tiring) Lookup(ctx context.Context, name, kind string) ([]string, error) {
	if s.asked == 0 {
		s.asked++
		return []string{"203.0.113.5"}, nil
	}
	return s.silent.Lookup(ctx, name, kind)
}

func TestAResolverThatFallsSilentIsLeftAlone(t *testing.T) {
	t.Parallel()
	d, s := patient(func(Setup, dnsOf) {}), new(tiring)
	d.Resolver = s
	all := d.names(t.Context())
	if s.asked != 1+giveUpAfter {
		t.Errorf("asked %d times", s.asked)
	}
	if len(all) < 20 || Worst(all) != Fail {
		t.Errorf("what was not looked at is not said: %+v", all)
	}
}

func TestAServerForThisComputerAloneHasNoDNS(t *testing.T) {
	t.Parallel()
	d := patient(func(Setup, dnsOf) {})
	d.Setup.Host = "localhost"
	if all := d.names(t.Context()); len(all) != 1 || all[0].State != Skip {
		t.Errorf("%+v", all)
	}
}

func TestWhomARecordLetsSend(t *testing.T) {
	t.Parallel()
	here := []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5")}
	q := spfAsked{name: "example.com", host: "mail.example.com", addresses: here, mx: here, mxKnown: true}
	for record, want := range map[string]spfAnswer{
		"v=spf1 mx -all": spfYes, "V=SPF1 MX -ALL": spfYes, "v=spf1 +mx ~all": spfYes, "v=spf1 a:mail.example.com -all": spfYes, "v=spf1 mx:example.com -all": spfYes,
		"v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::5 -all": spfYes, "v=spf1 ip4:203.0.113.5 -all": spfNo, "v=spf1 -mx all": spfEverybody, "v=spf1 -mx ?all": spfNo,
		"v=spf1 -a/24 -all": spfNo, "v=spf1": spfNo, "v=spf1 -all": spfNo, "v=spf1 a -all": spfUnknown, "v=spf1 redirect=_spf.other.example": spfUnknown, "v=spf1 include:x.example ip4:203.0.113.5 -all": spfUnknown,
		"v=spf1 ip4:999.0.0.1 ip4:203.0.113.5/99 ip4: -all": spfNo, "v=spf1 all": spfEverybody, "v=spf1 " + strings.Repeat("ip4:192.0.2.1 ", maxTerms) + "mx": spfUnknown,
	} {
		if got, open := permits(record, q); got != want || (len(open) > 0) != (want == spfUnknown) {
			t.Errorf("%q: %d, %q, want %d", record, got, open, want)
		}
	}
	q.mx = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	if got, _ := permits("v=spf1 mx -all", q); got != spfNo {
		t.Errorf("mx of a domain whose mail goes elsewhere: %d", got)
	}
	q.mxKnown = false
	if got, open := permits("v=spf1 mx -all", q); got != spfUnknown || len(open) != 1 || open[0] != "mx" {
		t.Errorf("mx of a domain of which nobody knows where its mail goes: %d, %q", got, open)
	}
}

// FuzzTheDNS holds that whatever strangers write into the DNS is judged in lines of their own, and that what is not ours is never well.
func FuzzTheDNS(f *testing.F) {
	f.Add("v=spf1 ip4:203.0.113.5/32 include:%{i}._spf.example.com ~all", "0 1 995 mail.example.com.")
	f.Add("v=DMARC1; p=", "10")
	f.Add("v=STSv1;id", "")
	f.Fuzz(func(t *testing.T, txt, other string) {
		d := patient(func(_ Setup, known dnsOf) {
			for key := range known {
				if strings.HasSuffix(key, "TXT") {
					known[key] = []string{txt}
				} else {
					known[key] = []string{other}
				}
			}
		})
		for _, f := range d.names(t.Context()) {
			if f.State != OK && f.Mend == "" {
				t.Errorf("nothing mends %+v", f)
			}
			if f.State == OK && strings.HasSuffix(f.Subject, "_domainkey.example.com TXT") && tags(txt)["p"] != tags(longKey.Record)["p"] {
				t.Errorf("another key is taken for ours: %q", txt)
			}
		}
	})
}

func TestTheZoneAsItIsPrintedSatisfiesTheDoctorThroughARealResolver(t *testing.T) {
	t.Parallel()
	d := patient(func(Setup, dnsOf) {})
	zone := "5.113.0.203.in-addr.arpa. 60 IN PTR mail.example.com.\n5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 IN PTR mail.example.com.\n"
	for _, domain := range d.Setup.Domains {
		keys, err := d.Keys.Keys(domain.Name)
		if err != nil {
			t.Fatal(err)
		}
		zone += d.Setup.Zone(domain, keys).String()
	}
	d.Resolver = nameServer(t, zone)
	for _, f := range d.names(t.Context()) {
		if f.State != OK {
			t.Errorf("%+v", f)
		}
	}
}
