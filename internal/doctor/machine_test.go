package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"chmail/internal/autoconfig"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-9000 * time.Hour), NotAfter: time.Now().Add(9000 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}}
	a.cert.Raw, a.key = a.sign(t, a.cert, nil)
	return a
}

// sign makes a certificate, by the authority itself where parent is nil.
func (a authority) sign(t *testing.T, c, parent *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func (a authority) pool(t *testing.T) *x509.CertPool {
	t.Helper()
	c, err := x509.ParseCertificate(a.cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	p.AddCert(c)
	return p
}

// certificate is one for names that has had so much of 100 days, in a file.
func (a authority) certificate(t *testing.T, had time.Duration, names ...string) (file string, pair tls.Certificate) {
	t.Helper()
	begin := time.Now().Add(-had)
	der, key := a.sign(t, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: begin, NotAfter: begin.Add(100 * 24 * time.Hour), DNSNames: names}, a.cert)
	file = filepath.Join(t.TempDir(), "fullchain.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// all are the names that a house with one domain needs a certificate for.
func allNames() []string {
	return []string{"mail.example.com", "chat.example.com", "mta-sts.example.com", "autoconfig.example.com", "autodiscover.example.com"}
}

// oneDomain is the house with its first domain alone.
func oneDomain() Setup {
	s := house()
	s.Domains = s.Domains[:1]
	return s
}

func TestACertificateIsJudgedByTimeTrustAndNames(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	a := newAuthority(t)
	for name, c := range map[string]struct {
		had   time.Duration
		names []string
		roots *x509.CertPool
		want  State
		says  string
	}{
		"in order":           {10 * day, allNames(), a.pool(t), OK, "holds until"},
		"not renewed":        {85 * day, allNames(), a.pool(t), Warn, "runs out in 14 days"},
		"nearly over":        {99 * day, allNames(), a.pool(t), Fail, "runs out in 23 hours"},
		"over":               {101 * day, allNames(), a.pool(t), Fail, "ran out on"},
		"from the future":    {-day, allNames(), a.pool(t), Fail, "does not hold before"},
		"of nobody's":        {10 * day, allNames(), x509.NewCertPool(), Fail, "other servers will not deliver"},
		"not for the chat":   {10 * day, append([]string{"mail.example.com"}, allNames()[2:]...), a.pool(t), Fail, "does not stand for chat.example.com"},
		"without the policy": {10 * day, append([]string{"autoconfig.example.com", "autodiscover.example.com"}, allNames()[:2]...), a.pool(t), Warn, "does not stand for mta-sts.example.com"},
		"for mail alone":     {10 * day, allNames()[:3], a.pool(t), Warn, "autoconfig.example.com, autodiscover.example.com"},
	} {
		file, _ := a.certificate(t, c.had, c.names...)
		d := New(Options{Setup: oneDomain(), Files: Files{Cert: file}, Roots: c.roots, Listeners: []Listener{{Kind: ListenWeb, TLS: true}}})
		all := d.certificate(t.Context())
		found := false
		for _, f := range all {
			if strings.Contains(f.Text, "is not trusted") && name != "of nobody's" {
				t.Errorf("%s: %+v", name, f)
			}
			found = found || strings.Contains(f.Text, c.says) && f.State == c.want && (f.Mend == "") == (f.State == OK)
		}
		if !found || Worst(all) != c.want {
			t.Errorf("%s: want %s, %q: %+v", name, c.want, c.says, all)
		}
	}
	d := New(Options{Setup: oneDomain(), Files: Files{Cert: filepath.Join(t.TempDir(), "none.pem")}})
	if all := d.certificate(t.Context()); len(all) != 1 || all[0].State != Fail {
		t.Errorf("no file: %+v", all)
	}
	if os.Geteuid() == 0 {
		return // root reads everything
	}
	closed, _ := a.certificate(t, time.Hour, allNames()...)
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	if all := New(Options{Setup: oneDomain(), Files: Files{Cert: closed}}).certificate(t.Context()); len(all) != 1 || !strings.Contains(all[0].Mend, "chown") {
		t.Errorf("a file for root alone: %+v", all)
	}
}

// talk is what a port says at each step: it answers the lines that it knows, and changes to TLS after STARTTLS or STLS where it has a certificate.
type talk struct {
	greeting string
	answers  map[string]string
	tls      *tls.Config
	implicit bool
}

// listener is a port of this test, served until it ends.
func (s talk) listener(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return ln.Addr().String()
}

func (s talk) serve(c net.Conn) {
	defer c.Close()
	if s.implicit {
		c = tls.Server(c, s.tls)
	}
	// Errors here are the other side's, who has gone; what the test expects it finds out there.
	_, _ = io.WriteString(c, s.greeting)
	buf := make([]byte, 1024)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		line := strings.TrimSpace(string(buf[:n]))
		_, _ = io.WriteString(c, s.answers[line])
		if (line == "STARTTLS" || line == "STLS") && strings.Contains("2+", s.answers[line][:1]) {
			secure := tls.Server(c, s.tls)
			if secure.Handshake() != nil {
				return
			}
			c = secure
		}
	}
}

func TestEachPortIsSpokenToInItsOwnProtocol(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	file, pair := a.certificate(t, time.Hour, allNames()...)
	_, other := a.certificate(t, time.Hour, allNames()...)
	mine, others := &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{Certificates: []tls.Certificate{other}}
	smtp := map[string]string{"EHLO localhost": "250-mail.example.com\r\n250 STARTTLS\r\n", "STARTTLS": "220 go\r\n"}
	for name, c := range map[string]struct {
		talk talk
		kind string
		want State
		says string
	}{
		"submission":               {talk{"220 mail.example.com ESMTP\r\n", smtp, mine, false}, ListenSMTP, OK, "answers"},
		"submissions":              {talk{"220 mail.example.com ESMTP\r\n", nil, mine, true}, ListenSMTP, OK, "answers"},
		"POP3":                     {talk{"+OK ready\r\n", map[string]string{"STLS": "+OK go\r\n"}, mine, false}, ListenPOP3, OK, "answers"},
		"POP3S":                    {talk{"+OK ready\r\n", nil, mine, true}, ListenPOP3, OK, "answers"},
		"pages":                    {talk{"", nil, mine, true}, ListenWeb, OK, "answers"},
		"pages without TLS":        {talk{"", nil, nil, false}, ListenWeb, OK, "answers"},
		"another certificate":      {talk{"220 mail.example.com ESMTP\r\n", smtp, others, false}, ListenSMTP, Warn, "another certificate"},
		"another program":          {talk{"SSH-2.0-OpenSSH\r\n", nil, nil, false}, ListenPOP3, Fail, "otherwise than a POP3 server"},
		"a busy server":            {talk{"421 later\r\n", nil, nil, false}, ListenSMTP, Fail, `421 "later"`},
		"no STARTTLS":              {talk{"220 mail.example.com ESMTP\r\n", map[string]string{"EHLO localhost": "250 ok\r\n", "STARTTLS": "502 no\r\n"}, nil, false}, ListenSMTP, Fail, "answers STARTTLS with"},
		"no STLS":                  {talk{"+OK ready\r\n", map[string]string{"STLS": "-ERR no\r\n"}, nil, false}, ListenPOP3, Fail, "does not change to TLS"},
		"plain text where TLS was": {talk{"220 mail.example.com ESMTP\r\n", smtp, nil, false}, ListenSMTP + " TLS", Fail, "TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, tlsToo := strings.CutSuffix(c.kind, " TLS")
			d := New(Options{Setup: oneDomain(), Files: Files{Cert: file}, Dial: new(net.Dialer).DialContext, Listeners: []Listener{
				{Key: "some.listen", Addr: c.talk.listener(t), Kind: kind, TLS: c.talk.implicit || tlsToo},
			}})
			all := d.ports(t.Context())
			if len(all) != 1 || all[0].State != c.want || !strings.Contains(all[0].Text, c.says) || !strings.Contains(all[0].Subject, "some.listen 127.0.0.1:") || (all[0].Mend == "") != (c.want == OK) {
				t.Errorf("want %s, %q: %+v", c.want, c.says, all)
			}
		})
	}
}

func TestWhereNothingListensTheServerDoesNotRun(t *testing.T) {
	t.Parallel()
	refused := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	a := newAuthority(t)
	file, pair := a.certificate(t, time.Hour, allNames()...)
	listeners := []Listener{{Key: "smtp.mx.listen", Addr: ":25", Kind: ListenSMTP}, {Key: "pop3.listen", Addr: ":110", Kind: ListenPOP3}}
	d := New(Options{Setup: oneDomain(), Files: Files{Cert: file, Config: "here.yaml"}, Dial: refused, Listeners: listeners})
	if all := d.ports(t.Context()); len(all) != 1 || all[0].State != Fail || !strings.Contains(all[0].Mend, "chmail serve --config here.yaml") {
		t.Errorf("none listens: %+v", all)
	}
	there := talk{"+OK ready\r\n", map[string]string{"STLS": "+OK go\r\n"}, &tls.Config{Certificates: []tls.Certificate{pair}}, false}.listener(t)
	d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "127.0.0.1:110" { // where one asks of a port that listens everywhere
			return refused(ctx, network, addr)
		}
		return new(net.Dialer).DialContext(ctx, network, there)
	}
	if all := d.ports(t.Context()); len(all) != 2 || all[0].State != Fail || all[0].Text != "nothing listens" || all[1].State != OK {
		t.Errorf("one of two listens: %+v", all)
	}
}

func TestThePolicyThatIsServedIsTheConfigurations(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	file, pair := a.certificate(t, time.Hour, allNames()...)
	served := string(oneDomain().Domains[0].STSPolicy())
	for name, c := range map[string]struct {
		status int
		body   string
		roots  *x509.CertPool
		want   State
		says   string
		mend   string
	}{
		"the configuration's": {200, served, a.pool(t), OK, "mode enforce", ""}, "an older one": {200, strings.Replace(served, "enforce", "testing", 1), a.pool(t), Fail, "another MTA-STS policy", "restart"},
		"none": {421, "", a.pool(t), Fail, "not served: 421", "restart"}, "elsewhere": {302, "", a.pool(t), Fail, "not served: 302", "restart"},
		"from whom nobody trusts": {200, served, x509.NewCertPool(), Fail, "unknown authority", "said of the certificate above"},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "mta-sts.example.com" || r.URL.Path != autoconfig.STSPath {
				t.Errorf("%s: asked for https://%s%s", name, r.Host, r.URL.Path)
			}
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})}
		go server.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}}))
		d := New(Options{Setup: oneDomain(), Files: Files{Cert: file}, Roots: c.roots, Dial: new(net.Dialer).DialContext, Listeners: []Listener{{Kind: ListenWeb, Addr: ln.Addr().String(), TLS: true}}})
		if all := d.policies(t.Context()); len(all) != 1 || all[0].State != c.want || !strings.Contains(all[0].Text, c.says) || !strings.Contains(all[0].Mend, c.mend) {
			t.Errorf("%s: want %s, %q, %q: %+v", name, c.want, c.says, c.mend, all)
		}
		server.Close()
		if all := d.policies(t.Context()); len(all) != 1 || !strings.Contains(all[0].Mend, "said of the port above") {
			t.Errorf("nobody listens any more: %+v", all)
		}
	}
}

func TestTheClockAndRedis(t *testing.T) {
	t.Parallel()
	d := New(Options{})
	for _, c := range []struct {
		clock Clock
		err   error
		want  State
	}{{Clock{Kept: true, Error: time.Millisecond}, nil, OK}, {Clock{}, nil, Warn}, {Clock{}, ErrUnknown, Skip}} {
		d.Clock = func() (Clock, error) { return c.clock, c.err }
		if all := d.clock(t.Context()); len(all) != 1 || all[0].State != c.want || (all[0].Mend == "") != (c.want != Warn) {
			t.Errorf("%+v, %v: %+v", c.clock, c.err, all)
		}
	}
	if all := d.redis(t.Context()); len(all) != 1 || all[0].State != OK || !strings.Contains(all[0].Text, "memory") {
		t.Errorf("no Redis is configured: %+v", all)
	}
	for err, want := range map[error]State{nil: OK, errors.New("connection refused"): Fail} {
		d.Redis = func(context.Context) error { return err }
		if all := d.redis(t.Context()); len(all) != 1 || all[0].State != want || (all[0].Mend == "") != (want == OK) {
			t.Errorf("Redis says %v: %+v", err, all)
		}
	}
}

func TestWhatStrangersWriteIsCutShort(t *testing.T) {
	t.Parallel()
	d := patient(func(_ Setup, f dnsOf) {
		f["_dmarc.example.com TXT"] = []string{"v=DMARC1; p=reject; " + strings.Repeat("ü", 5000)}
	})
	d.Files, d.Clock = Files{Cert: filepath.Join(t.TempDir(), "none"), Data: filepath.Join(t.TempDir(), "none")}, func() (Clock, error) { return Clock{}, ErrUnknown }
	n := 0
	d.Examine(t.Context(), func(f Finding) {
		n++
		if len(f.Text) > maxText+len("…") || !utf8.ValidString(f.Text) {
			t.Errorf("%d octets: %+v", len(f.Text), f)
		}
	})
	if n < 30 {
		t.Errorf("%d findings", n)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	d.Examine(ended, func(f Finding) { t.Errorf("told to stop, and goes on: %+v", f) })
}
