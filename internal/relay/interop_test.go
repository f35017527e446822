package relay

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"chmail/internal/delivery"
)

// books is a server by another hand (go-smtp) that writes down what it is given.
type books struct {
	mu   sync.Mutex
	said []string
}

func (b *books) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, fmt.Sprintf(format, args...))
}

func (b *books) NewSession(*smtp.Conn) (smtp.Session, error) { return (*bookkeeper)(b), nil }

type bookkeeper books

func (b *bookkeeper) Mail(from string, o *smtp.MailOptions) error {
	(*books)(b).note("MAIL %s %s utf8=%v requiretls=%v ret=%s envid=%s", from, o.Body, o.UTF8, o.RequireTLS, o.Return, o.EnvelopeID)
	return nil
}

func (b *bookkeeper) Rcpt(to string, o *smtp.RcptOptions) error {
	(*books)(b).note("RCPT %s %v %s %s", to, o.Notify, o.OriginalRecipientType, o.OriginalRecipient)
	if strings.HasPrefix(to, "no") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	return nil
}

func (b *bookkeeper) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	(*books)(b).note("DATA %q", text)
	return err
}

func (b *bookkeeper) Reset()        {}
func (b *bookkeeper) Logout() error { return nil }

// TestAServerByAnotherHandUnderstands sends three mails over one line with TLS to go-smtp.
func TestAServerByAnotherHandUnderstands(t *testing.T) {
	t.Parallel()
	ca, b := newAuthority(t), &books{}
	srv := smtp.NewServer(b)
	srv.Domain, srv.TLSConfig = "smart.example.net", ca.server("smart.example.net")
	srv.EnableSMTPUTF8, srv.EnableDSN, srv.EnableREQUIRETLS = true, true, true
	srv.ReadTimeout, srv.WriteTimeout = time.Minute, time.Minute
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	r := New(Options{
		Name: "relay.example.com", Roots: ca.pool(), Resolver: &zone{ip: map[string][]string{"smart.example.net.": {"127.0.0.1"}}},
		Smarthosts: map[string]Smarthost{"out": {Host: "smart.example.net", Port: uint16(l.Addr().(*net.TCPAddr).Port)}},
	})
	mails := []delivery.Mail{
		mailOf(t, "to bob@example.org NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.org\nto no@example.org\nfrom <>\nret HDRS\nenvid Q1\nrequiretls\n\n.x\n..\n\nüber\n"),
		mailOf(t, "to no@example.org\n\nSubject: x\n\n"),
		mailOf(t, "to \"a@b\"@example.org\nfrom jürgen@example.com\nutf8\n\nSubject: ü\n\n"),
	}
	line, err := r.Open(t.Context(), "smarthost:out", mails[0])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mails {
		verdicts, again := line.Send(t.Context(), m)
		for i := range verdicts {
			got = append(got, strings.TrimPrefix(told(&verdicts[i]), "smart.example.net [127.0.0.1]: "))
		}
		if !again {
			t.Error("the line has ended")
		}
	}
	line.Close()
	const ok, no = "250 2.0.0 OK: queued (TLS1.3)", "550 5.1.1 no such user (TLS1.3)"
	want := strings.Join([]string{ok, no, no, ok}, "\n")
	if g := strings.Join(got, "\n"); g != want {
		t.Errorf("verdicts:\n%s\nwant:\n%s", g, want)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	want = strings.Join([]string{
		`MAIL  8BITMIME utf8=false requiretls=true ret=HDRS envid=Q1`,
		`RCPT bob@example.org [SUCCESS FAILURE] RFC822 bob@example.org`, `RCPT no@example.org []  `, `DATA ".x\r\n..\r\n\r\nüber\r\n"`,
		`MAIL alice@example.com  utf8=false requiretls=false ret= envid=`, `RCPT no@example.org []  `,
		`MAIL jürgen@example.com 8BITMIME utf8=true requiretls=false ret= envid=`, `RCPT a@b@example.org []  `, `DATA "Subject: ü\r\n\r\n"`,
	}, "\n")
	if g := strings.Join(b.said, "\n"); g != want {
		t.Errorf("it heard\n%s\nwant\n%s", g, want)
	}
}
