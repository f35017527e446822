package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// Store keeps messages and maildrops.
type Store interface {
	// Put takes the bytes of a message; a large one is on the disk when it returns.
	Put(ctx context.Context, r io.Reader, size int64) (message.Stored, error)
	// Deliver puts a message into these maildrops, within the transaction, and keeps it for so many other holders; it returns its id. A *message.Refusal where there is no room.
	Deliver(tx *sqldb.Tx, m message.Stored, drops []message.Drop, holders int, now time.Time) (int64, error)
	// Discard forgets a message that was not delivered.
	Discard(m message.Stored)
	// Used and Octets tell how many octets a maildrop holds, within a transaction and without one.
	Used(tx *sqldb.Tx, login string) (int64, error)
	Octets(ctx context.Context, login string) (int64, error)
}

// Broker gives mails their cards (R3, R4).
type Broker interface {
	Card(ctx context.Context, login string) (call.Card, error)
	// Latest is the address where a login was seen last, for those who publish it (R4); the zero Addr when that is not known.
	Latest(ctx context.Context, login string) (netip.Addr, error)
	// Wrote tells whether a link is that of a mail of login's, whatever has become of it since.
	Wrote(ctx context.Context, login, link string) (bool, error)
	// Keep stores the card's link, within the transaction that delivers the mail.
	Keep(tx *sqldb.Tx, c call.Card, m message.Summary, now time.Time) error
	// Note remembers a login's mail that goes out without a link, and why (m.Stamp), for its sender to see.
	Note(tx *sqldb.Tx, login string, m message.Summary, now time.Time) error
}

// Owners knows whose an address is.
type Owners interface {
	// Owns tells whether a login may write mail in the name of an address.
	Owns(ctx context.Context, login string, a address.Address) (bool, error)
	// Recipients tells whose maildrops take mail to an address. local is false where that is another host's; there are none where there is no such mailbox here.
	Recipients(ctx context.Context, a address.Address) (logins []string, local bool, err error)
	// Remains tells, within the transaction, whether a login has the account that it had then: it is not gone, and no other's by now.
	Remains(tx *sqldb.Tx, login string, since time.Time) (bool, error)
	// Stands tells, within the transaction, whether an address that leads to others' maildrops led there then: it was no account's.
	Stands(tx *sqldb.Tx, addr string, since time.Time) (bool, error)
}

// Manners knows how people want their mails to be stamped and kept.
type Manners interface {
	Manner(ctx context.Context, login string) (call.Manner, error)
	Box(ctx context.Context, login string) (message.Box, error)
}

// Queue brings mail to other hosts.
type Queue interface {
	// Enqueue takes a mail on, within the transaction that stores it. The queue is one holder of the message.
	Enqueue(tx *sqldb.Tx, out message.Outgoing) error
}

// Database commits: *sqldb.DB.
type Database interface {
	Update(ctx context.Context, f func(*sqldb.Tx) error) error
}

// Options are what an Intake is made from; all but Policy, Queue, Checker, Filter, Tag and Log must be there.
type Options struct {
	DB       Database
	Hostname string // in Received, and of whoever forges our Authentication-Results
	Spool    string // folder for large mails on their way in; made where it is missing, emptied by New
	Store    Store
	Broker   Broker
	Owners   Owners
	Manners  Manners
	Policy   Policy
	Queue    Queue        // nil: mail for other hosts is refused
	Checker  Checker      // nil: where mail comes from is not looked at, and nothing that a stranger writes about chats is believed
	Filter   Filter       // nil: what is in mail from outside is not looked at
	Tag      string       // what goes before the subject of a suspect mail from outside, in printable ASCII; "": nothing
	Log      *slog.Logger // nil: slog.Default()
}

// Intake takes mail in. Its methods may be called by many goroutines.
type Intake struct {
	o     Options
	log   *slog.Logger
	spool *spool
	cards *cards
}

// New makes an intake and sweeps the spool: what lies there was never acknowledged.
func New(o Options) (*Intake, error) {
	if o.DB == nil || o.Store == nil || o.Broker == nil || o.Owners == nil || o.Manners == nil || o.Hostname == "" {
		return nil, errors.New("the intake needs a database, a host name, a store, a broker and somebody who knows the owners of addresses and their settings")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	sp, err := openSpool(o.Spool)
	if err != nil {
		return nil, err
	}
	return &Intake{o: o, log: o.Log, spool: sp, cards: &cards{broker: o.Broker, budget: cardBudget, log: o.Log}}, nil
}

// Submit takes the mail of an authenticated person (R41): nil means that it is durable. A *message.Refusal may be told to the client; any other
// error is ours, and temporary. r yields the mail with CRLF line ends; an error of r comes back wrapped.
func (in *Intake) Submit(ctx context.Context, env *message.Envelope, r io.Reader) error {
	d, err := in.read(r)
	if err != nil {
		return err
	}
	defer d.close(in.log)
	if err := d.check(&d.tree.Head); err != nil {
		return err
	}
	from, err := in.author(ctx, env.Login, &d.tree.Head)
	if err != nil {
		return err
	}
	own := wishOf(&d.tree.Head) // before the fields of ours that a client has written are taken out
	if d.survey.Long {
		short, err := in.shorten(d)
		if err != nil {
			return err
		}
		defer short.close(in.log)
		d = short
	}
	m := &mail{env: env, draft: d, wish: own, about: message.Summarise(&d.tree.Head, from, len(env.To), env.Received)}
	m.bottom = missing(&d.tree.Head, &m.about, from[0].Address.Domain, env.Received)
	var card call.Card
	card, m.noCard = in.card(ctx, m)
	err = in.finish(ctx, m, card)
	var broken *linkError
	if errors.As(err, &broken) { // no chat feature may cost a mail
		m.noCard = broken
		in.cards.note(env.Login, withoutLink, broken)
		m.unnoted = true
		err = in.finish(ctx, m, call.Card{})
	}
	if err != nil {
		return err
	}
	in.log.LogAttrs(ctx, slog.LevelInfo, "mail submitted", slog.String("id", env.ID), slog.String("login", env.Login), slog.String("to", names(env.To)), slog.String("message_id", m.about.MessageID),
		slog.Int64("size", m.size), slog.String("stamp", string(m.verdict.Kind)), slog.String("reason", m.verdict.Reason))
	return nil
}

// Accept takes a mail from outside, with the answers of Submit. It gets no card, and its body is never touched.
func (in *Intake) Accept(ctx context.Context, env *message.Envelope, r io.Reader) error {
	d, err := in.read(r)
	if err != nil {
		return err
	}
	defer d.close(in.log)
	h := lenient(&d.tree.Head)
	if err := d.check(h); err != nil {
		return err
	}
	if d.survey.Long {
		return longLine
	}
	found, err := in.look(ctx, env, d.src)
	if err != nil {
		return err
	}
	m := &mail{env: env, draft: d, found: found}
	if m.found.Reject != "" || m.found.Unclear {
		return forged(m.found)
	}
	if err := in.sift(ctx, m); err != nil {
		return err
	}
	if err := in.store(ctx, m, h, m.unbelieved(h), nil); err != nil {
		return err
	}
	in.log.LogAttrs(ctx, slog.LevelInfo, "mail accepted", slog.String("id", env.ID), slog.Any("peer", env.Peer), slog.String("from", env.From.String()), slog.String("to", names(env.To)),
		slog.String("message_id", message.DecodeText(h.Get("Message-ID"), 200)),
		slog.Int64("size", m.size), slog.String("auth", m.found.Summary), slog.String("marked", m.found.Suspect))
	return nil
}

// maxNamed is how many recipients of a mail are named in the log.
const maxNamed = 10

// names writes recipients for the log: an administrator is asked whether a mail from A to B has arrived.
func names(to []address.Address) string {
	if len(to) == 1 {
		return to[0].String()
	}
	var b strings.Builder
	for i, a := range to[:min(len(to), maxNamed)] {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.String())
	}
	if more := len(to) - maxNamed; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}
