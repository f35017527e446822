// Package dnstest is a name server for tests: it answers on loopback from a map of records, fails and delays where a test wishes it to, and counts what it
// was asked. A name that has no record, and none below it, does not exist (NXDOMAIN, RFC 8020).
package dnstest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Records are a zone as people write it: the key is a name and a type ("example.org MX", "_dmarc.example.org TXT"), each value one record as a zone file has it
// ("10 mx.example.org."). A TXT value is the text itself, of any length; it is cut into strings of 255 octets on the wire.
type Records map[string][]string

// Server is a running name server. Its methods may be called by many goroutines.
type Server struct {
	addr string

	mu        sync.Mutex // guards what follows
	records   Records
	fail      map[string]bool
	delay     map[string]time.Duration
	asked     map[string]int
	validated bool
}

// Start runs a server with these records on a free port of 127.0.0.1, over UDP and TCP, until the test is over.
func Start(t testing.TB, r Records) *Server {
	t.Helper()
	s := &Server{records: Records{}, fail: map[string]bool{}, delay: map[string]time.Duration{}, asked: map[string]int{}}
	for key, values := range r {
		s.Set(key, values...)
	}
	udp, tcp := listen(t)
	s.addr = udp.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}} {
		started := make(chan struct{})
		done := make(chan error, 1)
		server.NotifyStartedFunc = func() { close(started) }
		go func() { done <- server.ActivateAndServe() }()
		select {
		case <-started:
		case err := <-done:
			t.Fatalf("dnstest: %v", err)
		}
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-done
		})
	}
	return s
}

// listen finds a port that is free for both.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("dnstest: %v", err)
		}
		if tcp, err := net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			return udp, tcp
		}
		_ = udp.Close()
	}
	t.Fatal("dnstest: no port is free for both UDP and TCP")
	return nil, nil
}

// Addr is where the server listens, "127.0.0.1:PORT".
func (s *Server) Addr() string { return s.addr }

// Resolver asks this server and no other, in pure Go.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, s.addr)
	}}
}

// Set replaces the records of one key, with none removes them. A record that cannot be read is a panic: the test is wrong.
func (s *Server) Set(key string, values ...string) {
	key = canonical(key)
	for _, v := range values {
		record(key, v)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[key] = values
	if len(values) == 0 {
		delete(s.records, key)
	}
}

// Fail has every question for these keys answered with SERVFAIL. A name alone means all types.
func (s *Server) Fail(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		s.fail[canonical(k)] = true
	}
}

// Mend takes back what Fail and Delay have wished for.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.fail)
	clear(s.delay)
}

// Delay has every question for this key, or name, answered that much later.
func (s *Server) Delay(key string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay[canonical(key)] = d
}

// Validate sets the AD bit in all answers from now on, as a validating resolver does (RFC 4035 3.2.3).
func (s *Server) Validate(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.validated = yes
}

// Asked is how often each key has been asked for, such as "example.org MX".
func (s *Server) Asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.asked)
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	if len(q.Question) == 1 {
		if d := s.answer(m, q.Question[0]); d > 0 {
			time.Sleep(d)
		}
	} else {
		m.Rcode = dns.RcodeFormatError
	}
	size := dns.MinMsgSize
	if o := q.IsEdns0(); o != nil {
		size = int(o.UDPSize())
		m.SetEdns0(o.UDPSize(), o.Do())
	}
	if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
		m.Truncate(size)
	}
	_ = w.WriteMsg(m) // whoever asked may have gone
}

// answer fills in what is known and tells how long to wait with it.
func (s *Server) answer(m *dns.Msg, q dns.Question) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := canonical(q.Name)
	key := name + " " + dns.TypeToString[q.Qtype]
	s.asked[key]++
	m.AuthenticatedData = s.validated
	delay := max(s.delay[name], s.delay[key])
	for range 8 { // CNAMEs in a row
		if s.fail[name] || s.fail[key] {
			m.Rcode, m.Answer = dns.RcodeServerFailure, nil
			return delay
		}
		for _, v := range s.records[key] {
			m.Answer = append(m.Answer, record(key, v))
		}
		alias := s.records[name+" CNAME"]
		if len(s.records[key]) > 0 || len(alias) == 0 {
			break
		}
		m.Answer = append(m.Answer, record(name+" CNAME", alias[0]))
		name = canonical(alias[0])
		key = name + " " + dns.TypeToString[q.Qtype]
	}
	if !s.exists(name) {
		m.Rcode = dns.RcodeNameError
	}
	return delay
}

// exists tells whether the name, or one below it, has any record. The caller holds mu.
func (s *Server) exists(name string) bool {
	for key := range s.records {
		if owner, _, _ := strings.Cut(key, " "); dns.IsSubDomain(name, owner) {
			return true
		}
	}
	return false
}

// canonical is a key in lower case, its name without the final dot.
func canonical(key string) string {
	name, typ, both := strings.Cut(key, " ")
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if !both {
		return name
	}
	return name + " " + strings.ToUpper(typ)
}

// record makes a record of its value.
func record(key, value string) dns.RR {
	name, typ, _ := strings.Cut(key, " ")
	if typ == "TXT" {
		rr := &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}}
		for len(value) > 255 {
			rr.Txt = append(rr.Txt, escape(value[:255]))
			value = value[255:]
		}
		rr.Txt = append(rr.Txt, escape(value))
		return rr
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s 60 IN %s %s", dns.Fqdn(name), typ, value))
	if err != nil || rr == nil {
		panic(fmt.Sprintf("dnstest: %s %q is no record: %v", key, value, err))
	}
	return rr
}

// escape writes a string as a zone file has it, which is how the library keeps it.
func escape(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }
