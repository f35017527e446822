package doctor

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// nameServer answers on loopback from a zone file, by UDP as far as it fits and by TCP; names under "broken." end in SERVFAIL.
func nameServer(t *testing.T, zone string) Server {
	t.Helper()
	records := parsed(t, zone)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { answerFrom(records, w, q) })
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: ln, Handler: handler}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		done := make(chan error, 1)
		go func() { done <- s.ActivateAndServe() }()
		<-up
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			<-done
		})
	}
	return Server{pc.LocalAddr().String()}
}

func answerFrom(records []dns.RR, w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	name, known := q.Question[0].Name, false
	for range 5 { // CNAMEs on the way
		next := ""
		for _, rr := range records {
			if rr.Header().Name != name {
				continue
			}
			known = true
			if c, ok := rr.(*dns.CNAME); ok {
				m.Answer, next = append(m.Answer, rr), c.Target
			} else if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if name = next; next == "" {
			break
		}
	}
	switch {
	case strings.HasSuffix(q.Question[0].Name, "broken."):
		m.Rcode = dns.RcodeServerFailure
	case !known:
		m.Rcode = dns.RcodeNameError
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		m.Truncate(size)
	}
	_ = w.WriteMsg(m) // who asked may have gone
}

func TestTheResolverIsAskedAndNothingElse(t *testing.T) {
	t.Parallel()
	s := house()
	long := strings.Repeat("0123456789", 200) // does not fit into UDP
	server := nameServer(t, s.Zone(s.Domains[0], []Key{longKey}).String()+`
localhost. 60 IN A 203.0.113.9
long.example.com. 60 IN TXT `+quoted(long)+`
odd.example.com. 60 IN TXT "a\"b\\c;d" "\195\164"
5.113.0.203.in-addr.arpa. 60 IN PTR Mail.Example.com.
`)
	for _, c := range []struct {
		name, kind string
		want       []string
	}{
		{"example.com", "MX", []string{"10 mail.example.com."}}, {"mail.example.com", "A", []string{"203.0.113.5"}}, {"mail.example.com", "AAAA", []string{"2001:db8::5"}},
		{"mta-sts.example.com", "A", []string{"203.0.113.5"}}, {"_pop3s._tcp.example.com", "SRV", []string{"0 1 995 mail.example.com."}},
		{"spring._domainkey.example.com", "TXT", []string{longKey.Record}}, {"long.example.com", "TXT", []string{long}}, {"odd.example.com", "TXT", []string{`a"b\c;dä`}},
		{"5.113.0.203.in-addr.arpa", "PTR", []string{"mail.example.com."}}, {"nothing.example.com", "TXT", nil}, {"localhost", "A", []string{"203.0.113.9"}},
	} {
		got, err := server.Lookup(t.Context(), c.name, c.kind)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %q, %v, want %q", c.name, c.kind, got, err, c.want)
		}
	}
	if got, err := server.Lookup(t.Context(), "mail.broken", "A"); err == nil || !strings.Contains(err.Error(), "SERVFAIL") || got != nil {
		t.Errorf("a resolver that cannot find out: %q, %v", got, err)
	}
}

func TestAnAddressOfAResolverIsTakenAsPeopleWriteIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"9.9.9.9": "9.9.9.9:53", "127.0.0.1:5353": "127.0.0.1:5353", "2620:fe::fe": "[2620:fe::fe]:53", "[2620:fe::fe]": "[2620:fe::fe]:53", "[::1]:5353": "[::1]:5353",
	} {
		if got, err := NewServer(text); err != nil || got.Addr != want {
			t.Errorf("%s: %s, %v, want %s", text, got.Addr, err, want)
		}
	}
	for _, text := range []string{"dns.example.com", "9.9.9.9:", "9.9.9", ":53"} {
		if got, err := NewServer(text); err == nil {
			t.Errorf("%q is taken for %s", text, got.Addr)
		}
	}
}
