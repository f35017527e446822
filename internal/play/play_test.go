package play

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestEveryPortMovesWithTheBase(t *testing.T) {
	t.Parallel()
	p, err := PortsFrom(DefaultBase)
	if err != nil {
		t.Fatal(err)
	}
	if p.Submission != 2587 || p.Submissions != 2465 || p.POP3 != 2110 || p.POP3S != 2995 || p.MX != 2525 || p.Web != 8080 ||
		p.ChatFirst != 24000 || p.ChatLast != 24099 {
		t.Errorf("the README's ports are not what base 2000 gives: %+v", p)
	}
	for _, base := range []int{0, 913, 4000, 10669, 40000, -1} {
		if _, err := PortsFrom(base); err == nil || !strings.Contains(err.Error(), "--port-base") {
			t.Errorf("base %d: %v, want an error that names --port-base", base, err)
		}
	}
	for _, base := range []int{914, 10668} {
		if _, err := PortsFrom(base); err != nil {
			t.Errorf("base %d: %v", base, err)
		}
	}
}

func TestABusyPortIsNamedWithTheWayOut(t *testing.T) {
	t.Parallel()
	p, busy := freePlan(t)
	ln, err := net.Listen("tcp", Addr(p.POP3))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	err = p.Free()
	if err == nil || !strings.Contains(err.Error(), "POP3 with STLS") || !strings.Contains(err.Error(), "--port-base") || busy != nil {
		t.Errorf("Free() = %v, want the POP3 port named with its way out", err)
	}
}

// freePlan finds a plan none of whose ports is taken on this machine.
func freePlan(t *testing.T) (Ports, error) {
	t.Helper()
	for base := 3000; base < 9000; base += 7 {
		p, err := PortsFrom(base)
		if err != nil {
			t.Fatal(err)
		}
		if p.Free() == nil {
			return p, nil
		}
	}
	t.Fatal("no free plan of ports on this machine")
	return Ports{}, nil
}

func TestAMailClientThatTrustsTheAuthorityTrustsTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := NewCertificates(dir, Domain)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := trustFile(c.CA)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", Domain} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: trust.RootCAs}); err != nil {
			t.Errorf("the certificate does not stand for %s: %v", name, err)
		}
	}
	if pair.Leaf.NotAfter.Before(time.Now().Add(90 * 24 * time.Hour)) {
		t.Errorf("the certificate ends %v, too soon for a kept instance", pair.Leaf.NotAfter)
	}
	again, err := NewCertificates(dir, Domain)
	if err != nil {
		t.Fatal(err)
	}
	second, err := tls.LoadX509KeyPair(again.Cert, again.Key)
	if err != nil {
		t.Fatal(err)
	}
	if !second.Leaf.Equal(pair.Leaf) {
		t.Error("a second start made new certificates: a mail client once set up would stop working")
	}
	if info, err := os.Stat(c.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v (%v), want 0600", info.Mode(), err)
	}
}

func TestAKeptInstanceKeepsItsPasswords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := LoadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	first.Link, first.Sent = "http://localhost:8080/c/x", time.Now()
	if err := first.Save(dir); err != nil {
		t.Fatal(err)
	}
	second, err := LoadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if second.Sender != first.Sender || second.Reader != first.Reader || second.Link != first.Link {
		t.Errorf("after a restart: %+v, want %+v", second, first)
	}
	first.Sent = time.Now().Add(-29 * 24 * time.Hour)
	if err := first.Save(dir); err != nil {
		t.Fatal(err)
	}
	if old, err := LoadState(dir); err != nil || old.Link != "" {
		t.Errorf("a link about to expire is printed again: %q (%v)", old.Link, err)
	}
	if other, _ := LoadState(t.TempDir()); other.Sender.Password == first.Sender.Password || len(other.Sender.Password) < 16 {
		t.Error("passwords of two instances are not random")
	}
}
