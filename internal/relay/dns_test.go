package relay

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"chmail/internal/dnstest"

	"github.com/miekg/dns"
)

// nameServer answers from a zone file on this computer's loopback. A name that begins with "servfail" has no answer; with "huge", one that goes by TCP only; with
// "unsigned", one that DNSSEC does not vouch for; with "noaaaa", no answer about IPv6.
type nameServer struct {
	zone  []dns.RR
	asked atomic.Int32
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.asked.Add(1)
	question := q.Question[0]
	r := new(dns.Msg)
	r.SetReply(q)
	name := strings.TrimPrefix(question.Name, "_25._tcp.")
	r.AuthenticatedData = q.AuthenticatedData && !strings.HasPrefix(name, "unsigned")
	switch {
	case strings.HasPrefix(name, "servfail"), strings.HasPrefix(name, "noaaaa") && question.Qtype == dns.TypeAAAA:
		r.Rcode = dns.RcodeServerFailure
	case strings.HasPrefix(name, "huge") && w.LocalAddr().Network() == "udp":
		r.Truncated = true
	case strings.HasPrefix(name, "other"):
		r.Question[0].Name = "else.example."
	default:
		s.answer(r, question.Name, question.Qtype)
		if len(r.Answer) == 0 {
			r.Rcode = dns.RcodeNameError
		}
	}
	_ = w.WriteMsg(r)
}

func (s *nameServer) answer(r *dns.Msg, name string, kind uint16) {
	for _, rr := range s.zone {
		if !strings.EqualFold(rr.Header().Name, name) {
			continue
		}
		if c, ok := rr.(*dns.CNAME); ok && len(r.Answer) < 12 {
			r.Answer = append(r.Answer, rr)
			s.answer(r, c.Target, kind)
		} else if rr.Header().Rrtype == kind {
			r.Answer = append(r.Answer, rr)
		}
	}
}

func startNameServer(t *testing.T, zone string) (*nameServer, string) {
	t.Helper()
	s := &nameServer{}
	for line := range strings.Lines(zone) {
		rr, err := dns.NewRR(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		s.zone = append(s.zone, rr)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, srv := range []*dns.Server{{Listener: l, Handler: s}, {PacketConn: p, Handler: s}} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		go func() { _ = srv.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = srv.Shutdown() })
	}
	return s, l.Addr().String()
}

const zoneFile = `example.org. 60 IN MX 10 mx.example.org.
null.example. 60 IN MX 0 .
mx.example.org. 60 IN A 192.0.2.1
mx.example.org. 60 IN AAAA 2001:db8::1
unsigned.example. 60 IN A 192.0.2.2
noaaaa.example. 60 IN A 192.0.2.3
huge.example. 60 IN TXT "v=STSv1; " "id=1"
_25._tcp.mx.example.org. 60 IN TLSA 3 1 1 0102
alias.example. 60 IN CNAME mx.example.org.
loop.example. 60 IN CNAME loop.example.`

func TestWhatNameServersSay(t *testing.T) {
	t.Parallel()
	_, address := startNameServer(t, zoneFile)
	// The first server is not there, so that the second is asked.
	for validates, d := range map[bool]*DNS{true: NewDNS([]string{"127.0.0.1:1", address}, true), false: NewDNS([]string{address}, false)} {
		say := func(what any, secure bool, err error) string {
			kind := ""
			if err != nil {
				kind = " failed"
				if notFound(err) {
					kind = " not found"
				}
			}
			return fmt.Sprintf("%v %v%s", what, secure, kind)
		}
		got := map[string]string{}
		for _, name := range []string{"example.org.", "null.example.", "servfail.example.", "nowhere.example.", "other.example."} {
			mx, secure, err := d.SecureMX(t.Context(), name)
			var list []net.MX
			for _, m := range mx {
				list = append(list, *m)
			}
			got["MX "+name] = say(list, secure, err)
		}
		for _, name := range []string{"mx.example.org.", "unsigned.example.", "noaaaa.example.", "alias.example.", "loop.example.", "nowhere.example.", "servfail.example."} {
			ips, secure, err := d.SecureIPAddr(t.Context(), name)
			got["IP "+name] = say(ips, secure, err)
		}
		txt, err := d.LookupTXT(t.Context(), "huge.example.")
		got["TXT"] = say(txt, false, err)
		for _, name := range []string{"mx.example.org.", "Alias.example.", "loop.example.", "servfail.example.", "nowhere.example."} {
			names, err := d.SecureNames(t.Context(), name, true)
			got["names "+name] = say(names, true, err)
			names, err = d.SecureNames(t.Context(), name, false)
			got["names "+name+", unsigned"] = say(names, true, err)
		}
		tlsa, secure, err := d.LookupTLSA(t.Context(), 25, "mx.example.org.")
		got["TLSA"] = say(tlsa, secure, err)
		yes := fmt.Sprint(validates)
		noaaaa := "[{192.0.2.3 }] false failed" // the kind that is missing may be suppressed
		unsigned := "[Alias.example.] true"
		if !validates {
			unsigned = "[] true"
			noaaaa = "[{192.0.2.3 }] false"
		}
		for what, want := range map[string]string{
			"MX example.org.": "[{mx.example.org. 10}] " + yes, "MX null.example.": "[{. 0}] " + yes, "MX servfail.example.": "[] false failed", "MX nowhere.example.": "[] " + yes + " not found",
			"MX other.example.": "[] false failed", "IP mx.example.org.": "[{192.0.2.1 } {2001:db8::1 }] " + yes, "IP unsigned.example.": "[{192.0.2.2 }] false", "IP noaaaa.example.": noaaaa,
			"IP alias.example.": "[{192.0.2.1 } {2001:db8::1 }] " + yes, "IP loop.example.": "[] false failed", "IP nowhere.example.": "[] " + yes + " not found", "IP servfail.example.": "[] false failed",
			"names mx.example.org.": "[mx.example.org.] true", "names mx.example.org., unsigned": "[] true", "names Alias.example.": "[mx.example.org. Alias.example.] true",
			"names Alias.example., unsigned": unsigned, "names loop.example.": "[loop.example.] true", "names servfail.example.": "[] true failed", "names servfail.example., unsigned": "[] true failed",
			"names nowhere.example.": "[nowhere.example.] true", "names nowhere.example., unsigned": "[] true",
			"TXT": "[v=STSv1; id=1] false", "TLSA": "[{3 1 1 [1 2]}] " + yes,
		} {
			if got[what] != want {
				t.Errorf("%s: %s, want %s", what, got[what], want)
			}
		}
	}
}

func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	if _, err := NewDNS(nil, false).LookupMX(t.Context(), "example.org."); err == nil || notFound(err) {
		t.Errorf("without a name server: %v", err)
	}
}

// TestADomainIsFoundThroughNameServers goes the whole way from a domain to the addresses of its servers.
func TestADomainIsFoundThroughNameServers(t *testing.T) {
	t.Parallel()
	_, address := startNameServer(t, zoneFile)
	o := Options{Resolver: NewDNS([]string{address}, true), Own: nobody}
	for destination, want := range map[string]struct {
		dialled []string
		verdict string
	}{
		"example.org":      {[]string{"[2001:db8::1]:25", "192.0.2.1:25"}, "mx.example.org [192.0.2.1]: 4.4.1 no connection: connection refused (temporary)"},
		"null.example":     {nil, "5.1.10 null.example takes no mail (null MX)"},
		"servfail.example": {nil, "4.4.3 the mail servers of servfail.example cannot be looked up (temporary)"},
		"nowhere.example":  {nil, "5.1.2 nowhere.example does not exist, or has no mail server"},
	} {
		if dialled, v := tried(t, o, destination); !slices.Equal(dialled, want.dialled) || told(v) != want.verdict {
			t.Errorf("%s: %v, %s", destination, dialled, told(v))
		}
	}
}

func TestWhereAnAddressLeadsBackTo(t *testing.T) {
	t.Parallel()
	s := dnstest.Start(t, dnstest.Records{"1.2.0.192.in-addr.arpa PTR": {"mail.example.org."}})
	d := NewDNS([]string{s.Addr()}, false)
	if names, err := d.LookupAddr(t.Context(), "192.0.2.1"); err != nil || len(names) != 1 || names[0] != "mail.example.org." {
		t.Errorf("%v, %v", names, err)
	}
	for _, none := range []string{"192.0.2.2", "no address"} {
		if names, err := d.LookupAddr(t.Context(), none); !notFound(err) {
			t.Errorf("%s: %v, %v", none, names, err)
		}
	}
}

// TestWhatATXTRecordSays holds what we read against what Go's own resolver reads.
func TestWhatATXTRecordSays(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`v=spf1 -all`, `say "yes"`, `C:\dir\065 ends in \`, "gr\u00fc\u00dfe\ttab \x00\xff", `\"`, ``} {
		s := dnstest.Start(t, dnstest.Records{"example.org TXT": {text}})
		got, err := NewDNS([]string{s.Addr()}, false).LookupTXT(t.Context(), "example.org.")
		want, errs := s.Resolver().LookupTXT(t.Context(), "example.org.")
		if err != nil || errs != nil || len(want) != 1 || want[0] != text || !slices.Equal(got, want) {
			t.Errorf("%q is read as %q, %v; by Go as %q, %v", text, got, err, want, errs)
		}
	}
}

func TestWhatIsNoNameIsNotThere(t *testing.T) {
	t.Parallel()
	s, address := startNameServer(t, zoneFile)
	for _, name := range []string{"a..b.example.", "..example.", strings.Repeat("x", 64) + ".example.", strings.Repeat("x.", 130), ".example.org."} {
		if _, err := NewDNS([]string{address}, false).LookupTXT(t.Context(), name); !notFound(err) {
			t.Errorf("%.20s: %v", name, err)
		}
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
}

func TestWhereAliasesLeadInWhateverOrderTheyStand(t *testing.T) {
	t.Parallel()
	cname := func(from, to string) dns.RR {
		return &dns.CNAME{Hdr: dns.RR_Header{Name: from, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: to}
	}
	address := &dns.A{Hdr: dns.RR_Header{Name: "c.example.", Rrtype: dns.TypeA, Class: dns.ClassINET}}
	for name, answer := range map[string][]dns.RR{
		"in order":       {cname("a.example.", "b.example."), cname("B.example.", "c.example."), address},
		"the last first": {cname("b.example.", "c.example."), address, cname("a.example.", "b.example.")},
	} {
		if got := aliased("a.example.", answer); got != "c.example." {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := aliased("a.example.", []dns.RR{cname("a.example.", "b.example."), cname("b.example.", "a.example.")}); got != "a.example." {
		t.Errorf("in a circle: %s", got)
	}
}
