package e2e

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// standing makes a server as it stands on the Internet: under names of its own, on every address, with a certificate that this test's programs trust and a DKIM key.
func standing(t *testing.T) *server {
	t.Helper()
	s := newServer(t, "")
	s.trust = certificates(t, s.dir, "mail.example.com", "chat.example.com", "mta-sts.example.com", "autoconfig.example.com", "autodiscover.example.com")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("hostname: localhost", "hostname: mail.example.com", "https://localhost:", "https://chat.example.com:", `"127.0.0.1:`, `":`).Replace(string(text))
	if err := os.WriteFile(s.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := s.chmail(t, "", "dkim", "new", "example.com", "--selector", "spring"); code != 0 {
		t.Fatal(errs)
	}
	return s
}

// nameServer answers from a zone file, by UDP and TCP, until the test ends. CNAMEs are followed.
func nameServer(t *testing.T, zone string) string {
	t.Helper()
	var records []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(zone), "", "zone")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatalf("%v in the zone\n%s", err, zone)
	}
	var find func(name string, kind uint16) []dns.RR
	find = func(name string, kind uint16) (all []dns.RR) {
		for _, rr := range records {
			if c, ok := rr.(*dns.CNAME); ok && rr.Header().Name == name {
				return append(append(all, rr), find(c.Target, kind)...)
			}
			if rr.Header().Name == name && rr.Header().Rrtype == kind {
				all = append(all, rr)
			}
		}
		return all
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up, done := make(chan struct{}), make(chan error, 1)
	server := &dns.Server{PacketConn: udp, NotifyStartedFunc: func() { close(up) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = find(q.Question[0].Name, q.Question[0].Qtype)
		_ = w.WriteMsg(m) // who asked may have gone
	})}
	go func() { done <- server.ActivateAndServe() }()
	<-up
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return udp.LocalAddr().String()
}

// finding is one of the doctor's.
type finding struct{ State, Check, Subject, Text, Mend string }

// examine runs the doctor, who trusts the server's certificate, and returns what he found and his exit status.
func (s *server) examine(t *testing.T, resolver string) ([]finding, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), "doctor", "--config", s.config, "--resolver", resolver, "--address", "203.0.113.5", "--json")
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+filepath.Join(s.dir, "cert.pem"))
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	var all []finding
	if err := json.Unmarshal([]byte(out.String()), &all); err != nil {
		t.Fatalf("%v:\n%s%s", err, out.String(), errs.String())
	}
	return all, cmd.ProcessState.ExitCode()
}

func TestWhoPublishesThePrintedZoneHearsFromTheDoctorThatAllIsWell(t *testing.T) {
	t.Parallel()
	s := standing(t)
	s.start(t)
	if _, errs, code := s.chmail(t, "a password for the postmaster\n", "account", "passwd", "postmaster@example.com"); code != 0 {
		t.Fatal(errs)
	}
	zone, errs, code := s.chmail(t, "", "dns", "print", "--address", "203.0.113.5")
	if code != 0 {
		t.Fatalf("dns print: exit %d: %s", code, errs)
	}
	zone += "5.113.0.203.in-addr.arpa. 60 IN PTR mail.example.com.\n"
	all, code := s.examine(t, nameServer(t, zone))
	seen := make(map[string]int)
	for _, f := range all {
		if f.Check == "clock" || f.Check == "disk" { // this computer's own affair
			continue
		}
		if f.State != "ok" {
			t.Errorf("%+v", f)
		}
		seen[f.Check]++
	}
	if code != 0 || seen["port"] != 6 || seen["policy"] != 1 || seen["dns"] < 15 || seen["address"] != 3 {
		t.Errorf("exit %d, findings %v", code, seen)
	}
	without := regexp.MustCompile(`(?m)^example\.com\..* MX .*$`).ReplaceAllString(zone, "")
	if all, code = s.examine(t, nameServer(t, without)); code != 1 {
		t.Errorf("without an MX: exit %d, want 1", code)
	}
	for _, f := range all {
		if f.State == "fail" && (f.Subject != "example.com MX" && f.Subject != "example.com TXT" || !strings.Contains(f.Mend, "MX 10 mail.example.com.")) {
			t.Errorf("%+v", f)
		}
	}
}
