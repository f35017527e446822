package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestEachCertificateFromAnAuthorityIsJudged(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	a := newAuthority(t)
	chain := func(had time.Duration, name string) []byte {
		file, _ := a.certificate(t, had, name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		m          Managed
		want       State
		says, mend string
	}{
		"in order":           {Managed{Name: "mail.example.com", Chain: chain(10*day, "mail.example.com")}, OK, "holds until", ""},
		"not renewed":        {Managed{Name: "mail.example.com", Chain: chain(85*day, "mail.example.com")}, Warn, "runs out in 14 days", "port 443"},
		"cannot be renewed":  {Managed{Name: "mail.example.com", Chain: chain(70*day, "mail.example.com"), Trouble: "connection refused", Tried: at}, Warn, "no newer one could be got: connection refused (26 November 2026 12:00 UTC)", "port 443"},
		"none of the host":   {Managed{Name: "mail.example.com", Trouble: "connection refused", Tried: at}, Fail, "there is none yet: connection refused (26 November", "port 443"},
		"none of a document": {Managed{Name: "mta-sts.example.com", Trouble: "the DNS has no address of it", Tried: at}, Warn, "there is none yet: the DNS has no address", "chmail dns print"},
		"just started":       {Managed{Name: "chat.example.com"}, Fail, "there is none yet", "tried again"},
		"broken":             {Managed{Name: "mail.example.com", Chain: []byte("no PEM")}, Fail, "holds no certificate", ""},
	} {
		d := New(Options{Setup: oneDomain(), Roots: a.pool(t), Managed: func(context.Context) ([]Managed, error) { return []Managed{c.m}, nil }})
		all := d.certificate(t.Context())
		if f := all[0]; f.State != c.want || !strings.Contains(f.Text, c.says) || !strings.Contains(f.Mend, c.mend) || Worst(all) != c.want || f.Subject != c.m.Name {
			t.Errorf("%s: %+v", name, all)
		}
	}
	d := New(Options{Setup: oneDomain(), Managed: func(context.Context) ([]Managed, error) { return nil, errors.New("no server runs") }})
	if all := d.certificate(t.Context()); len(all) != 1 || all[0].State != Skip || !strings.Contains(all[0].Text, "no server runs") || d.leaf(t.Context(), "mail.example.com") != nil {
		t.Errorf("while no server runs: %+v", all)
	}
}

func TestAPortThatHasNoCertificateYetIsToldFromAFaultyOne(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	_, pair := a.certificate(t, time.Hour, "mail.example.com")
	none := func(context.Context) ([]Managed, error) { return []Managed{{Name: "mail.example.com"}}, nil }
	smtp := map[string]string{"EHLO localhost": "250 mail\r\n", "STARTTLS": "220 go\r\n", "QUIT": "221 bye\r\n"}
	for says, c := range map[string]struct {
		tls  *tls.Config
		want State
	}{
		"refuses TLS: there is no certificate yet":                           {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}, Fail},
		"shows a certificate that nobody vouches for: there is no other yet": {&tls.Config{Certificates: []tls.Certificate{pair}}, Warn},
	} {
		l := Listener{Key: "smtp.mx.listen", Kind: ListenSMTP, Addr: talk{"220 mail.example.com ESMTP\r\n", smtp, c.tls, false}.listener(t)}
		d := New(Options{Setup: oneDomain(), Managed: none, Listeners: []Listener{l}, Dial: new(net.Dialer).DialContext})
		if all := d.ports(t.Context()); len(all) != 1 || all[0].State != c.want || all[0].Text != says || !strings.Contains(all[0].Mend, "above") {
			t.Errorf("want %s, %q: %+v", c.want, says, all)
		}
	}
}
