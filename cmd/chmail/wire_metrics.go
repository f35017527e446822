package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"chmail/chbroker"
	"chmail/config"
	"chmail/internal/account"
	"chmail/internal/acme"
	"chmail/internal/mailauth"
	"chmail/internal/message"
	"chmail/internal/metrics"
	"chmail/internal/netutil"
	"chmail/internal/queue"
	"chmail/internal/scram"
	"chmail/internal/webpush"
	"chmail/smtpd"
)

// metricsPage answers GET /metrics.
func (s *system) metricsPage() http.Handler {
	return s.figures.Handler(metrics.Options{Version: thisBuild().Version, Now: s.figuresNow, Log: s.log})
}

// figuresNow reads what the rooms have counted themselves.
func (s *system) figuresNow(ctx context.Context) metrics.Now {
	pop, chat := s.pop3.Stats(), s.chat.Stats()
	n := metrics.Now{
		Conns: map[string]netutil.Stats{
			"submission": s.smtp.Connections(smtpd.Submission), "submissions": s.smtp.Connections(smtpd.Submissions), "mx": s.smtp.Connections(smtpd.MX),
			"pop3": s.pop3.Connections(false), "pop3s": s.pop3.Connections(true), "web": s.pages.Stats(), "chat": chat.Conns,
		},
		POP3: metrics.POP3{Sessions: pop.Sessions, Messages: pop.Retrieved, Octets: pop.Octets, Deleted: pop.Deleted},
		Chat: metrics.Chat{Readers: chat.Readers, Desks: chat.Desks, Terminals: chat.Terminals, Ports: chat.Ports, Messages: chat.Messages, Files: chat.Files},
		Disk: s.diskNow(),
	}
	n.Maps.Answer, n.Maps.Failures = s.broker.MapsStats()
	if q, err := s.queue.Stats(ctx, time.Now()); err != nil {
		s.log.Warn("metrics: the queue cannot be counted", "err", err)
	} else {
		n.Queue = &metrics.Queue{Waiting: q.Waiting, Active: q.Active, Held: q.Held, Due: q.Due, Logins: q.Logins, Lines: q.Lines}
		if !q.Oldest.IsZero() {
			n.Queue.Oldest = time.Since(q.Oldest)
		}
	}
	n.Expires, n.Missing = s.keys.figures(s.cfg.Hostname, s.site.Hostname())
	return n
}

// diskNow asks for the space where the data is; nil where this system does not tell.
func (s *system) diskNow() *metrics.Disk {
	space, err := diskSpace(s.cfg.Data)
	if err != nil {
		return nil
	}
	d := &metrics.Disk{Free: space.Free, Size: space.Size}
	for _, file := range []string{s.data.database(), s.data.database() + "-wal"} {
		if info, err := os.Stat(file); err == nil { // the log comes and goes
			d.Database += uint64(max(0, info.Size()))
		}
	}
	return d
}

// figures are when certificates run out, and how many are missing: that of the mail server, that of the chat, where it has TLS, and the others.
func (k *certificates) figures(mail, chat string) (expires map[string]time.Time, missing map[string]int) {
	if k.chat == nil {
		chat = ""
	}
	if k.acme != nil {
		return managedFigures(k.acme.States(), mail, chat)
	}
	expires = make(map[string]time.Time)
	if cert, err := k.mail.GetCertificate(&tls.ClientHelloInfo{ServerName: mail}); err == nil { // one file for all names
		if expires["mail"] = ends(cert.Certificate); chat != "" {
			expires["chat"] = expires["mail"]
		}
	}
	return expires, nil
}

// managedFigures are figures of certificates from an authority. It goes by what each name has, since for a name that has none the ports show another's.
func managedFigures(all []acme.State, mail, chat string) (expires map[string]time.Time, missing map[string]int) {
	expires, missing = make(map[string]time.Time), make(map[string]int)
	own := false // the chat has a name of its own
	for _, s := range all {
		use := "other"
		switch s.Name {
		case mail:
			use = "mail"
		case chat:
			use, own = "chat", true
		}
		block, _ := pem.Decode(s.Chain)
		switch {
		case block != nil:
			if until := ends([][]byte{block.Bytes}); expires[use].IsZero() || until.Before(expires[use]) { // of the others, the one that runs out first
				expires[use] = until
			}
		case s.Unknown && use == "other" && !strings.HasPrefix(s.Name, "mta-sts."): // many let mail programs find their settings in another way
		default:
			missing[use]++
		}
	}
	if chat != "" && !own {
		expires["chat"] = expires["mail"]
	}
	return expires, missing
}

// ends is when the first certificate of a chain runs out; zero when it cannot be read.
func ends(chain [][]byte) time.Time {
	if len(chain) == 0 {
		return time.Time{}
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// smtpFigures counts for smtpd.
type smtpFigures struct{ *metrics.Metrics }

// Taken implements smtpd.Watch.
func (f smtpFigures) Taken(p smtpd.Profile, octets int64, here, elsewhere int) {
	f.SMTP.Mails.Add(string(p), 1)
	f.SMTP.Octets.Add(string(p), int(octets))
	f.SMTP.Recipients.Add(string(p), "here", here)
	f.SMTP.Recipients.Add(string(p), "elsewhere", elsewhere)
}

// Refused implements smtpd.Watch.
func (f smtpFigures) Refused(p smtpd.Profile, _ string, r *message.Refusal) {
	class := "5xx"
	if r.Code < 500 {
		class = "4xx"
	}
	f.SMTP.Refused.Add(string(p), reason(r), class, 1)
}

// reason is what a refusal is about (RFC 3463 3), in one of few words.
func reason(r *message.Refusal) string {
	if r.Code == 535 {
		return "password"
	}
	switch r.Enhanced[1] {
	case 1:
		return "address"
	case 2:
		return "mailbox"
	case 3:
		return "system"
	case 4:
		return "route"
	case 5:
		return "protocol"
	case 6:
		return "content"
	case 7:
		return "policy"
	}
	return ""
}

// countedLogins are the accounts as one protocol asks for them.
type countedLogins struct {
	*account.Accounts
	figures  *metrics.Metrics
	protocol string
}

// Authenticate checks a password, and counts how that went.
func (c countedLogins) Authenticate(ctx context.Context, user, password string, peer netip.Addr) (login string, ok bool, err error) {
	login, ok, err = c.Accounts.Authenticate(ctx, user, password, peer)
	c.count(ctx, ok, err)
	return login, ok, err
}

func (c countedLogins) count(ctx context.Context, ok bool, err error) {
	outcome := "ok"
	var refusal *message.Refusal
	switch {
	case errors.As(err, &refusal):
		outcome = "refused"
	case err != nil && ctx.Err() != nil: // the client has gone, or the server stops
		return
	case err != nil:
		outcome = "trouble"
	case !ok:
		outcome = "wrong"
	}
	c.figures.Logins.Add(c.protocol, outcome, 1)
}

// mailLogins are the accounts as mail clients know them: app passwords count, and a password can be proved.
type mailLogins struct {
	countedLogins
	offer func(ctx context.Context) (scram.Offer, error)
}

// Offer tells which proofs clients are offered.
func (m mailLogins) Offer(ctx context.Context) (scram.Offer, error) { return m.offer(ctx) }

// proofs are what clients are offered, by the configuration.
func proofs(c *config.SMTP, accounts interface {
	Proving(ctx context.Context) (bool, error)
}) func(ctx context.Context) (scram.Offer, error) {
	most := scram.Unbound
	if c.SCRAMPlus {
		most = scram.Bound
	}
	return func(ctx context.Context) (scram.Offer, error) {
		switch c.SCRAM {
		case config.SCRAMOff:
			return scram.Nothing, nil
		case config.SCRAMAlways:
			return most, nil
		}
		if some, err := accounts.Proving(ctx); err != nil || !some {
			return scram.Nothing, err
		}
		return most, nil
	}
}

// Authenticate checks a password of either kind.
func (m mailLogins) Authenticate(ctx context.Context, user, password string, peer netip.Addr) (login string, ok bool, err error) {
	login, ok, err = m.AuthenticateClient(ctx, user, password, peer)
	m.count(ctx, ok, err)
	return login, ok, err
}

// Version names what a session rests on.
func (m mailLogins) Version(ctx context.Context, login string) (version string, ok bool, err error) {
	return m.ClientVersion(ctx, login)
}

// Prove looks at a proof (SCRAM).
func (m mailLogins) Prove(ctx context.Context, user string, peer netip.Addr, fits func(scram.Keys) bool) (login string, ok bool, err error) {
	login, ok, err = m.Accounts.Prove(ctx, user, peer, fits)
	m.count(ctx, ok, err)
	return login, ok, err
}

// timedSigner notes how long signing takes.
type timedSigner struct {
	signer
	figures *metrics.Metrics
}

// Sign implements queue.Signer.
func (t timedSigner) Sign(ctx context.Context, m message.Source) ([]byte, error) {
	began := time.Now()
	fields, err := t.signer.Sign(ctx, m)
	switch {
	case err != nil:
		t.figures.Relay.Unsigned.Add("", 1)
	case fields != nil:
		t.figures.Relay.Signed.Took(began)
	}
	return fields, err
}

// tried counts what became of attempts to reach other hosts.
func tried(m *metrics.Metrics) func(queue.Tried) {
	return func(t queue.Tried) {
		m.Relay.Attempts.Add("delivered", t.Delivered)
		m.Relay.Attempts.Add("deferred", t.Deferred)
		m.Relay.Attempts.Add("failed", t.Failed)
		if t.Took > 0 {
			m.Relay.Took.Add(t.Took)
		}
		for _, r := range t.Reports {
			m.Relay.Reports.Add(string(r), 1)
		}
	}
}

// checked counts what was found about a mail from outside.
func checked(m *metrics.Metrics, r *mailauth.Results) {
	m.Checked.Add("spf", string(cmp.Or(r.SPF.Result, mailauth.None)), 1)
	m.Checked.Add("dkim", string(r.Signed()), 1)
	m.Checked.Add("dmarc", string(cmp.Or(r.DMARC.Result, mailauth.None)), 1)
	m.Checked.Add("arc", string(cmp.Or(r.ARC.Result, mailauth.None)), 1)
}

// committed counts commits.
func committed(m *metrics.Metrics) func(int, time.Duration, error) {
	return func(changes int, took time.Duration, err error) {
		if err != nil {
			m.DB.Failed.Add("", 1)
			return
		}
		m.DB.Took.Add(took)
		m.DB.Shared.Add(changes)
	}
}

// calls counts calls.
func calls(m *metrics.Metrics) chbroker.Watch {
	return chbroker.Watch{Call: func(o chbroker.Outcome) { m.Calls.Add(string(o), 1) }, Rang: m.Rang.Add}
}

// pushed counts messages to browsers.
func pushed(m *metrics.Metrics) func(error) {
	return func(err error) {
		outcome := "sent"
		switch {
		case errors.Is(err, webpush.ErrGone):
			outcome = "gone"
		case err != nil:
			outcome = "failed"
		}
		m.Pushes.Add(outcome, 1)
	}
}

// answered counts requests on the web port.
func answered(m *metrics.Metrics) func(int) {
	return func(status int) {
		switch status / 100 {
		case 1:
			m.Web.Add("1xx", 1)
		case 2:
			m.Web.Add("2xx", 1)
		case 3:
			m.Web.Add("3xx", 1)
		case 4:
			m.Web.Add("4xx", 1)
		case 5:
			m.Web.Add("5xx", 1)
		default:
			m.Web.Add("none", 1)
		}
	}
}
