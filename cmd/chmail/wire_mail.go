package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"chmail/chatd"
	"chmail/config"
	"chmail/internal/account"
	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/mailbox"
	"chmail/internal/message"
	"chmail/internal/terminal"
	"chmail/pop3d"
	"chmail/smtpd"
)

// wireMail builds the way of a mail: in by SMTP, through the one doorway, out by POP3.
func (s *system) wireMail(ctx context.Context) (err error) {
	cfg := s.cfg
	if err = s.wireWay(ctx); err != nil {
		return err
	}
	guard, err := newGuard(cfg, s.log)
	if err != nil {
		return err
	}
	s.smtp = smtpd.New(smtpd.Options{
		Hostname: cfg.Hostname, Log: s.log, TLS: s.keys.mail, MXTLS: s.keys.mx, BareLF: cfg.SMTP.Submission.BareLF == config.Normalise, Relay: !cfg.Relay.Off,
		Accounts: mailLogins{countedLogins{s.accounts, s.figures, "smtp"}, proofs(&s.cfg.SMTP, s.accounts)}, Doorway: s.intake, Presence: s.broker, Watch: smtpFigures{s.figures}, Guard: guard,
		Limits: smtpd.Limits{
			Message: int64(cfg.SMTP.MaxMessage), Recipients: cfg.SMTP.MaxRecipients, Idle: cfg.SMTP.Idle, Conns: cfg.SMTP.Connections, PerNet: cfg.SMTP.PerNetwork,
		},
	})
	s.pop3 = pop3d.New(pop3d.Options{
		Hostname: cfg.Hostname, Log: s.log, TLS: s.keys.mail,
		Accounts: mailLogins{countedLogins{s.accounts, s.figures, "pop3"}, proofs(&s.cfg.SMTP, s.accounts)}, Maildrops: maildrops{s.mail}, Presence: s.broker,
		Limits: pop3d.Limits{Idle: cfg.POP3.Idle, Conns: cfg.POP3.Connections, PerNet: cfg.POP3.PerNetwork},
	})
	return nil
}

// maildrops hands pop3d the store's snapshots under the name that it knows them by.
type maildrops struct{ *mailbox.Store }

// Open takes a snapshot of a login's maildrop.
func (m maildrops) Open(ctx context.Context, login string) (pop3d.Maildrop, error) {
	drop, err := m.Store.Open(ctx, login)
	if err != nil {
		return nil, err // never a typed nil: pop3d would take that for a maildrop
	}
	return drop, nil
}

// wordWriter leaves word for owners who could not be reached (R11): a mail in the thread of the mail that carried the link, in the owner's language.
type wordWriter struct {
	people interface {
		Manner(ctx context.Context, login string) (call.Manner, error)
		Lookup(ctx context.Context, login string) (account.Account, bool, error)
	}
	doorway interface {
		Notify(ctx context.Context, to string, at time.Time, raw io.Reader) error
	}
	archive interface {
		Unread(ctx context.Context, conv string, most int) ([]string, error)
	}
	mails interface {
		Mail(ctx context.Context, login string, link int64) (message.Summary, error)
	}
	name         func(ctx context.Context, login string) (string, error)
	domains      []string // that are delivered here
	relays       bool     // mail goes to other domains as well
	host, origin string   // of the mail server, and of its pages
	log          *slog.Logger
}

func (s *system) words() *wordWriter {
	return &wordWriter{people: s.accounts, doorway: s.intake, archive: chatd.NewArchive(s.db), mails: s.broker, name: s.displayName, domains: s.cfg.Domains, relays: !s.cfg.Relay.Off, host: s.cfg.Hostname, origin: s.site.Origin(), log: s.log}
}

// leave writes one such mail. Where the owner's language cannot be found out, it is in English: a word in another language is better than none.
func (l *wordWriter) leave(ctx context.Context, w call.Word) error {
	manner, err := l.people.Manner(ctx, w.Login)
	if err != nil {
		l.log.Warn("word is left in English, the owner's language is not known", "login", w.Login, "conv", w.Conv, "err", err)
	}
	said, err := l.archive.Unread(ctx, w.Conv, message.MaxSaid+1)
	if err != nil {
		l.log.Warn("word is left without what was said", "login", w.Login, "conv", w.Conv, "err", err)
	}
	notice := message.Notice{
		To: w.Login, Host: l.host, Who: w.Who, Said: said, Calls: w.Calls, About: w.Link.Mail, Link: l.origin + "/desk/c/" + w.Conv, At: w.Last, Language: manner.Language,
	}
	raw, err := notice.Build()
	if err != nil {
		return err
	}
	if err := l.doorway.Notify(ctx, w.Login, w.At, bytes.NewReader(raw)); err != nil {
		return fmt.Errorf("leaving word for %s: %w", w.Login, err)
	}
	return nil
}

// Transcript sends an owner what was said in a conversation, in the thread of the mail that carried its link.
func (l *wordWriter) Transcript(ctx context.Context, t chatd.Transcript) error {
	manner, err := l.people.Manner(ctx, t.Login)
	if err != nil {
		return fmt.Errorf("finding the language of %s: %w", t.Login, err)
	}
	about, err := l.mails.Mail(ctx, t.Login, t.Link)
	if err != nil {
		return err
	}
	if about.Subject == "" {
		about.Subject = t.About
	}
	now := time.Now()
	mail := message.Transcript{
		To: t.Login, Host: l.host, Who: t.Who, About: about, Link: l.origin + "/desk/c/" + t.Conv, At: now, Ended: t.Ended, More: t.More, Language: manner.Language,
	}
	mail.Said, mail.Attach = spoken(t, "owner", l.origin+"/desk/c/"+t.Conv+"/files/"), attached(ctx, t)
	if err := l.hand(ctx, t.Login, now, mail.Write); err != nil {
		return fmt.Errorf("sending %s a transcript: %w", t.Login, err)
	}
	return nil
}

// hand delivers a mail while it is being written: of a large one no more than a piece is in memory.
func (l *wordWriter) hand(ctx context.Context, to string, at time.Time, write func(io.Writer) error) error {
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		err := errors.New("writing the mail ended by a panic")
		defer func() {
			if p := recover(); p != nil {
				l.log.Error("panic while a mail was written", "to", to, "panic", p, "stack", string(debug.Stack()))
			}
			w.CloseWithError(err) // which never fails; whoever reads hears of the error
		}()
		err = write(w)
	}()
	err := l.doorway.Notify(ctx, to, at, r)
	_ = r.Close() // never fails: who writes is not waited for by a reader who has gone
	<-written
	return err
}

// attached are the files that go along with a mail.
func attached(ctx context.Context, t chatd.Transcript) (all []message.Attachment) {
	for _, f := range t.Attach {
		all = append(all, message.Attachment{Name: f.Name, Type: f.Type, Body: func(w io.Writer) error { return f.Send(ctx, w) }})
	}
	return all
}

// Colleague finds an account by its login, in any spelling.
func (l *wordWriter) Colleague(ctx context.Context, login string) (chatd.Colleague, error) {
	a, ok, err := l.people.Lookup(ctx, strings.TrimSpace(login))
	if err != nil {
		return chatd.Colleague{}, err
	}
	if !ok || !a.HasPassword { // nobody could sign in to come
		return chatd.Colleague{}, chatd.ErrNoColleague
	}
	return chatd.Colleague{Login: a.Login, Name: a.Name}, nil
}

// Invite tells a login that another has invited him: by whom alone, the rest is shown at his desk.
func (l *wordWriter) Invite(ctx context.Context, to, from string) error {
	manner, err := l.people.Manner(ctx, to)
	if err != nil {
		l.log.Warn("an invitation is told in English, the language is not known", "login", to, "err", err)
	}
	mail := message.Invitation{To: to, From: l.domains[0], Host: l.host, By: from, Link: l.origin + "/desk", At: time.Now(), Language: manner.Language}
	raw, err := mail.Build()
	if err != nil {
		return err
	}
	return l.bring(ctx, to, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}

// spoken is what was said, of which one side's is the reader's own. Files are found under an address, unless that is "".
func spoken(t chatd.Transcript, mine, files string) (all []message.Said) {
	along := make(map[string]bool)
	for _, f := range t.Attach {
		along[f.ID] = true
	}
	for _, e := range t.Entries {
		said := message.Said{At: e.At, Mine: e.From == mine, Text: e.Text}
		if e.From == "guest" {
			said.Name = chatd.GuestCalled(e.Name, e.Who)
		}
		if e.File != nil {
			said.File, said.Text, said.Size, said.Attached = e.Text, "", terminal.Octets(e.File.Size), along[e.File.ID]
			if files != "" {
				said.Link = files + e.File.ID
			}
		}
		all = append(all, said)
	}
	return all
}

// Reaches tells whether mail can be brought to an address: where none goes to other hosts, only within our domains.
func (l *wordWriter) Reaches(to string) bool {
	a, err := address.Parse(to)
	return err == nil && (l.relays || l.ours(a))
}

// ours tells whether an address is in a domain that is delivered here.
func (l *wordWriter) ours(a address.Address) bool {
	return slices.ContainsFunc(l.domains, func(d string) bool { return strings.EqualFold(d, a.Domain) })
}

// Code brings a code to an address that a visitor has left.
func (l *wordWriter) Code(ctx context.Context, to, code, language string) error {
	mail := message.Code{To: to, From: l.domains[0], Host: l.host, Code: code, At: time.Now(), Language: language}
	return l.bring(ctx, to, func(w io.Writer) error {
		raw, err := mail.Build()
		if err != nil {
			return err
		}
		_, err = w.Write(raw)
		return err
	})
}

// Answer brings a visitor what the owner has said, or the whole conversation, at the address that he has proved.
func (l *wordWriter) Answer(ctx context.Context, to, language string, t chatd.Transcript) error {
	about, err := l.mails.Mail(ctx, t.Login, t.Link)
	if err != nil {
		return err
	}
	if about.Subject == "" {
		about.Subject = t.About
	}
	name, err := l.name(ctx, t.Login)
	if err != nil {
		return fmt.Errorf("finding the name of %s: %w", t.Login, err)
	}
	mail := message.Transcript{
		To: to, Host: l.host, Who: name, About: about, At: time.Now(), More: t.More, Language: language, For: t.Login, New: !t.Whole, Attach: attached(ctx, t),
	}
	files := ""
	if t.Token != "" {
		files = l.origin + "/c/" + t.Token + "/files/"
	}
	mail.Said = spoken(t, "visitor", files)
	return l.bring(ctx, to, mail.Write)
}

// bring delivers a mail of the server's own to an address as its owner may have typed it: "Bob@example.com" is the login bob@example.com.
func (l *wordWriter) bring(ctx context.Context, to string, write func(io.Writer) error) error {
	a, err := address.Parse(to)
	if err != nil {
		return fmt.Errorf("bringing mail to a visitor: %w", err)
	}
	if l.ours(a) { // a login has one spelling; how another host spells its mailboxes is its affair
		to = a.Login()
	} else {
		to = a.String()
	}
	if err := l.hand(ctx, to, time.Now(), write); err != nil {
		return fmt.Errorf("bringing mail to a visitor: %w", err)
	}
	return nil
}
