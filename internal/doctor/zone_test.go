package doctor

import (
	"flag"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"chmail/internal/autoconfig"
)

var update = flag.Bool("update", false, "write the golden files anew; look at what changed")

// house is a server as the smallest configuration makes it.
func house() Setup {
	d := func(name string) autoconfig.Domain {
		return autoconfig.Domain{
			Name: name, Host: "mail.example.com", STS: autoconfig.STSEnforce,
			POP3: autoconfig.Ports([]int{995}, []int{110}), SMTP: autoconfig.Ports([]int{465}, []int{587}),
		}
	}
	return Setup{
		Host: "mail.example.com", Chat: "chat.example.com", Web: 443, MX: []int{25},
		Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5")},
		Domains:   []autoconfig.Domain{d("example.com"), d("example.org")},
	}
}

// longKey is as long as that of 2048 bits is: longer than one string may be.
var longKey = Key{Selector: "spring", Record: "v=DKIM1; k=rsa; p=" + strings.Repeat("MIIBIjANBgkqhkiG", 25) + "=="}

// parsed reads a zone file as a name server does.
func parsed(t *testing.T, text string) []dns.RR {
	t.Helper()
	var all []dns.RR
	p := dns.NewZoneParser(strings.NewReader(text), "", "zone")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		all = append(all, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatalf("a name server refuses the zone: %v\n%s", err, text)
	}
	return all
}

func TestTheZoneIsWhatSomebodyHasLookedAt(t *testing.T) {
	t.Parallel()
	s := house()
	text := s.Zone(s.Domains[0], []Key{longKey}).String() + "\n" + s.Zone(s.Domains[1], nil).String()
	const file = "testdata/zone.txt"
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("the zone is not what it was:\n%s", text)
	}
}

func TestANameServerReadsTheZoneAndOthersReadWhatWasMeant(t *testing.T) {
	t.Parallel()
	s := house()
	z := s.Zone(s.Domains[0], []Key{longKey, {Selector: "quote", Record: `a "b" \c`}})
	all := parsed(t, z.String())
	if len(all) != len(z.Records) {
		t.Fatalf("%d records of %d", len(all), len(z.Records))
	}
	for i, rr := range all {
		r := z.Records[i]
		if rr.Header().Name != r.Name || dns.TypeToString[rr.Header().Rrtype] != r.Type || value(rr) != r.Value {
			t.Errorf("read as %s\nmeant as %+v", rr, r)
		}
	}
}

func TestOfADomainElsewhereTheServersOwnNamesAreLeftOut(t *testing.T) {
	t.Parallel()
	s := house()
	for _, r := range s.Zone(s.Domains[1], nil).Records {
		if !strings.HasSuffix(r.Name, "example.org.") {
			t.Errorf("the zone of example.org holds %s", r.Name)
		}
	}
}

// find is the value of a record, "" for none.
func find(z Zone, name, kind string) string {
	for _, r := range z.Records {
		if r.Name == name+"." && r.Type == kind {
			return r.Value
		}
	}
	return ""
}

func TestWhatIsNotOfferedIsNotPromised(t *testing.T) {
	t.Parallel()
	s := house()
	s.MX, s.Domains[0].POP3 = nil, autoconfig.Ports([]int{9995}, nil)
	z := s.Zone(s.Domains[0], nil)
	for _, c := range []struct{ name, kind, want string }{
		{"example.com", "MX", ""}, {"example.com", "TXT", "v=spf1 a:mail.example.com ~all"}, {"_mta-sts.example.com", "TXT", ""}, {"_smtp._tls.example.com", "TXT", ""}, {"mta-sts.example.com", "CNAME", ""},
		{"_pop3s._tcp.example.com", "SRV", "0 1 9995 mail.example.com."}, {"_pop3._tcp.example.com", "SRV", "0 0 0 ."}, {"_imaps._tcp.example.com", "SRV", "0 0 0 ."},
		{"_dmarc.example.com", "TXT", "v=DMARC1; p=none; rua=mailto:postmaster@example.com"},
	} {
		if got := find(z, c.name, c.kind); got != c.want {
			t.Errorf("%s %s is %q, want %q", c.name, c.kind, got, c.want)
		}
	}
	if !slices.ContainsFunc(z.Notes, func(n string) bool { return strings.Contains(n, "No DKIM key") }) {
		t.Errorf("that mail is not signed is not said: %q", z.Notes)
	}
}

func TestPortsThatOthersDoNotLookForAreNoted(t *testing.T) {
	t.Parallel()
	s := house()
	s.MX, s.Web, s.Addresses = []int{2525}, 8443, nil
	z := s.Zone(s.Domains[0], []Key{longKey})
	for _, words := range []string{"port 25 only", "port 443", "--address"} {
		if !strings.Contains(strings.Join(z.Notes, "\n"), words) {
			t.Errorf("nothing is said of %s: %q", words, z.Notes)
		}
	}
	if got := find(z, "_autodiscover._tcp.example.com", "SRV"); got != "0 1 8443 chat.example.com." {
		t.Errorf("autodiscover is at %q", got)
	}
}

func TestANameWithAddressesGetsNoCNAMEBeside(t *testing.T) {
	t.Parallel()
	s := house()
	s.Chat = "autoconfig.example.com"
	z := s.Zone(s.Domains[0], nil)
	if got := find(z, "autoconfig.example.com", "CNAME"); got != "" {
		t.Errorf("a CNAME beside addresses: %s", got)
	}
	if got := find(z, "mta-sts.example.com", "CNAME"); got != "autoconfig.example.com." {
		t.Errorf("mta-sts leads to %q", got)
	}
	s.Chat = "203.0.113.5"
	for _, r := range s.Zone(s.Domains[0], nil).Records {
		if r.Type == "CNAME" || strings.Contains(r.Value, "203.0.113.5.") {
			t.Errorf("a name that leads to an address as if it were a name: %+v", r)
		}
	}
}

func TestOneHostForMailAndChatIsNamedOnce(t *testing.T) {
	t.Parallel()
	s := house()
	s.Host, s.Chat = "example.com", "example.com"
	seen := make(map[string]bool)
	for _, r := range s.Zone(s.Domains[0], nil).Records {
		key := r.Name + r.Type + r.Value
		if r.Type == "TXT" {
			key = r.Name + strings.Fields(r.Value)[0] // two SPF records at one name are none (RFC 7208 4.5)
		}
		if seen[key] {
			t.Errorf("%+v stands twice", r)
		}
		seen[key] = true
	}
}

// behind is the house behind a gateway: its ports for mail and submission are on loopback.
func behind() Setup {
	s := house()
	s.MX, s.Domains = nil, s.Domains[:1]
	s.Domains[0].SMTP, s.Domains[0].POP3 = autoconfig.Ports([]int{465}, nil), autoconfig.Ports([]int{995}, nil)
	s.Inside = []Listener{
		{Key: mxKey, Addr: "127.0.0.1:25", Kind: ListenSMTP}, {Key: "smtp.submission.listen", Addr: "127.0.0.1:587", Kind: ListenSMTP}, {Key: "pop3.listen", Addr: "127.0.0.1:110", Kind: ListenPOP3},
		{Key: "pop3.listen_tls", Addr: "127.0.0.1:995", Kind: ListenPOP3, TLS: true}, // beside one that others reach
	}
	return s
}

func TestWhatIsOnThisComputerAloneIsNotLeftOutInSilence(t *testing.T) {
	t.Parallel()
	z := behind().Zone(behind().Domains[0], []Key{longKey})
	if len(z.Notes) != 4 || !strings.Contains(z.Notes[1], "MTA-STS") {
		t.Errorf("%d notes: %q", len(z.Notes), z.Notes)
	}
	for _, want := range []string{
		"smtp.mx.listen is on this computer alone (127.0.0.1:25). If port 25 of a public address is passed on to it, add: example.com. MX 10 mail.example.com.",
		"_submission is said not to be offered: it is on this computer alone (127.0.0.1:587).", "write: _pop3._tcp.example.com. SRV 10 1 PORT mail.example.com.",
		`With the MX add: _mta-sts.example.com. TXT "v=STSv1; id=` + behind().Domains[0].STSID() + `"; mta-sts.example.com. CNAME chat.example.com.; _smtp._tls.example.com. TXT "v=TLSRPTv1; rua=mailto:postmaster@example.com".`,
	} {
		if !strings.Contains(strings.Join(z.Notes, "\n"), want) {
			t.Errorf("%q is not said: %q", want, z.Notes)
		}
	}
	s := house()
	s.MX = nil
	if z := s.Zone(s.Domains[0], []Key{longKey}); len(z.Notes) != 1 || !strings.Contains(z.Notes[0], "smtp.mx.listen opens no port") {
		t.Errorf("no port at all: %q", z.Notes)
	}
}
