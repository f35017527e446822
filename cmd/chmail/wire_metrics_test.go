package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chmail/chbroker"
	"chmail/config"
	"chmail/internal/acme"
	"chmail/internal/mailauth"
	"chmail/internal/message"
	"chmail/internal/metrics"
	"chmail/internal/queue"
	"chmail/internal/relay"
	"chmail/internal/scram"
	"chmail/internal/webpush"
	"chmail/smtpd"
)

// TestWhatTheRoomsSayHasItsOwnFigure: no word of a room's is counted as "other", and each where it belongs.
func TestWhatTheRoomsSayHasItsOwnFigure(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	watch := smtpFigures{m}
	for _, p := range []smtpd.Profile{smtpd.Submission, smtpd.Submissions, smtpd.MX} {
		watch.Taken(p, 1000, 2, 1)
		for subject := 1; subject <= 7; subject++ { // RFC 3463 3
			watch.Refused(p, "RCPT", message.Refuse(550, [3]int{5, subject, 1}, "no"))
			watch.Refused(p, "RCPT", message.Refuse(451, [3]int{4, subject, 1}, "not now"))
		}
		watch.Refused(p, "AUTH", message.Refuse(535, [3]int{5, 7, 8}, "wrong login or password"))
	}
	tried(m)(queue.Tried{Delivered: 3, Deferred: 2, Failed: 1, Took: 1, Reports: []message.Action{message.Failed, message.Delayed, message.Relayed}})
	for _, r := range []mailauth.Result{mailauth.None, mailauth.Pass, mailauth.Fail, mailauth.SoftFail, mailauth.Neutral, mailauth.Policy, mailauth.TempError, mailauth.PermError} {
		checked(m, &mailauth.Results{SPF: mailauth.SPF{Result: r}, DKIM: []mailauth.Signature{{Result: r}}, DMARC: mailauth.DMARC{Result: r}})
	}
	for _, s := range []relay.Security{relay.Plain, relay.StartTLS, relay.Verified, relay.STS, relay.DANE} {
		m.Relay.Connections.Add(string(s), 1)
	}
	for _, o := range []chbroker.Outcome{chbroker.CallBegun, chbroker.CallAnswered, chbroker.CallDeclined, chbroker.CallMissed, chbroker.CallUnverified} {
		calls(m).Call(o)
	}
	for _, status := range []int{0, 101, 204, 302, 404, 503} {
		answered(m)(status)
	}
	for _, err := range []error{nil, errors.New("no"), fmt.Errorf("telling a browser: %w", webpush.ErrGone)} {
		pushed(m)(err)
	}
	committed(m)(3, 1, nil)
	committed(m)(3, 1, errors.New("disk full"))
	for _, outcome := range []error{nil, message.Refuse(421, [3]int{4, 7, 0}, "too many"), errors.New("database")} {
		c := countedLogins{nil, m, "web"}
		c.count(context.Background(), outcome == nil, outcome)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	countedLogins{nil, m, "web"}.count(gone, false, gone.Err())

	w := httptest.NewRecorder()
	m.Handler(metrics.Options{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	got := make(map[string]bool)
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSpace(line)
		got[line] = true
		if strings.Contains(line, `"other"`) && !strings.HasSuffix(line, " 0") {
			t.Errorf("counted as something else: %s", line)
		}
	}
	for _, want := range []string{
		`chmail_mails_taken_bytes_total{port="mx"} 1000`, `chmail_mail_recipients_total{port="submissions",where="here"} 2`, `chmail_mail_recipients_total{port="mx",where="elsewhere"} 1`,
		`chmail_smtp_refused_total{class="5xx",port="mx",reason="mailbox"} 1`, `chmail_smtp_refused_total{class="4xx",port="submission",reason="system"} 1`,
		`chmail_smtp_refused_total{class="5xx",port="mx",reason="password"} 1`, `chmail_relay_recipients_total{outcome="delivered"} 3`, `chmail_reports_total{kind="delayed"} 1`,
		`chmail_relay_attempt_seconds_count 1`, `chmail_mail_checks_total{method="dkim",result="permerror"} 1`, `chmail_mail_checks_total{method="arc",result="none"} 8`,
		`chmail_relay_connections_total{security="dane"} 1`, `chmail_calls_total{outcome="unverified"} 1`, `chmail_web_requests_total{status="5xx"} 1`, `chmail_web_requests_total{status="none"} 1`,
		`chmail_push_total{outcome="gone"} 1`, `chmail_push_total{outcome="failed"} 1`, `chmail_db_commit_changes_sum 3`, `chmail_db_commit_failures_total 1`,
		`chmail_logins_total{outcome="ok",protocol="web"} 1`, `chmail_logins_total{outcome="refused",protocol="web"} 1`, `chmail_logins_total{outcome="trouble",protocol="web"} 1`,
	} {
		if !got[want] {
			t.Errorf("%s is not shown", want)
		}
	}
}

// chainUntil is a certificate that runs out then.
func chainUntil(t *testing.T, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestAMissingCertificateIsInTheFigures, though the ports show another name's for it.
func TestAMissingCertificateIsInTheFigures(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2027, 1, n, 0, 0, 0, 0, time.UTC) }
	has := func(name string, n int) acme.State { return acme.State{Name: name, Chain: chainUntil(t, day(n))} }
	lacks := func(name string) acme.State { return acme.State{Name: name, Trouble: "connection refused"} }
	unknown := func(name string) acme.State { return acme.State{Name: name, Unknown: true} }
	const mail, chat = "mail.example.com", "chat.example.com"
	for name, c := range map[string]struct {
		all     []acme.State
		chat    string
		expires map[string]int
		missing map[string]int
	}{
		"all there":                       {[]acme.State{has(mail, 5), has(chat, 6), has("mta-sts.example.com", 9), has("autoconfig.example.com", 7), has("autodiscover.example.com", 8)}, chat, map[string]int{"mail": 5, "chat": 6, "other": 7}, nil},
		"the mail server's alone":         {[]acme.State{has(mail, 5), lacks(chat), lacks("mta-sts.example.com"), lacks("autoconfig.example.com")}, chat, map[string]int{"mail": 5}, map[string]int{"chat": 1, "other": 2}},
		"none":                            {[]acme.State{lacks(mail), lacks(chat)}, chat, nil, map[string]int{"mail": 1, "chat": 1}},
		"not in the DNS":                  {[]acme.State{unknown(mail), unknown(chat), unknown("mta-sts.example.com"), unknown("autoconfig.example.com"), unknown("autodiscover.example.com")}, chat, nil, map[string]int{"mail": 1, "chat": 1, "other": 1}},
		"one name for both":               {[]acme.State{has(mail, 5)}, mail, map[string]int{"mail": 5, "chat": 5}, nil},
		"none of the one name for both":   {[]acme.State{lacks(mail)}, mail, nil, map[string]int{"mail": 1}},
		"a chat without TLS":              {[]acme.State{has(mail, 5)}, "", map[string]int{"mail": 5}, nil},
		"a chat whose host is an address": {[]acme.State{has(mail, 5)}, "192.0.2.1", map[string]int{"mail": 5, "chat": 5}, nil},
	} {
		expires, missing := managedFigures(c.all, mail, c.chat)
		for _, use := range []string{"mail", "chat", "other"} {
			want := time.Time{}
			if n := c.expires[use]; n > 0 {
				want = day(n)
			}
			if !expires[use].Equal(want) || missing[use] != c.missing[use] {
				t.Errorf("%s: %s runs out at %v and %d are missing, want %v and %d", name, use, expires[use], missing[use], want, c.missing[use])
			}
		}
	}
}

func TestACertificateInFilesIsInTheFigures(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(writeConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	k, err := loadCertificates(cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	k.chat = k.mail // whatever the example has
	expires, missing := k.figures(cfg.Hostname, "chat.example.com")
	if until := expires["mail"]; time.Until(until) < time.Hour || !expires["chat"].Equal(until) || len(expires) != 2 || len(missing) != 0 {
		t.Errorf("%v, %v", expires, missing)
	}
	k.chat = nil
	if expires, _ := k.figures(cfg.Hostname, "chat.example.com"); len(expires) != 1 {
		t.Errorf("a chat without TLS: %v", expires)
	}
}

// asked is whether somebody wants SCRAM.
type asked bool

func (a asked) Proving(context.Context) (bool, error) { return bool(a), nil }

func TestProofsAreOfferedAsTheConfigurationSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scram    string
		plus     bool
		somebody asked
		want     scram.Offer
	}{
		{config.SCRAMAsked, true, false, scram.Nothing}, {config.SCRAMAsked, true, true, scram.Bound}, {config.SCRAMAsked, false, true, scram.Unbound},
		{config.SCRAMAlways, true, false, scram.Bound}, {config.SCRAMAlways, false, false, scram.Unbound}, {config.SCRAMOff, true, true, scram.Nothing},
	} {
		got, err := proofs(&config.SMTP{SCRAM: c.scram, SCRAMPlus: c.plus}, c.somebody)(t.Context())
		if err != nil || got != c.want {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}
