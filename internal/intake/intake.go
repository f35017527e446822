package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
	"chmail/internal/stamp"
)

// Store keeps messages and maildrops.
type Store interface {
	// Put takes the bytes of a message; a large one is on the disk when it returns.
	Put(ctx context.Context, r io.Reader, size int64) (message.Stored, error)
	// Deliver puts a message into the maildrops of these logins, within the transaction.
	Deliver(tx *sqldb.Tx, m message.Stored, drops []string, now time.Time) error
	// Discard forgets a message that was not delivered.
	Discard(m message.Stored)
}

// Broker gives mails their cards (R3, R4).
type Broker interface {
	Card(ctx context.Context, login string) (call.Card, error)
	// Keep stores the card's link, within the transaction that delivers the mail.
	Keep(tx *sqldb.Tx, c call.Card, m message.Summary, now time.Time) error
}

// Owners knows whose an address is.
type Owners interface {
	// Owns tells whether a login may write mail in the name of an address.
	Owns(ctx context.Context, login string, a address.Address) (bool, error)
}

// Options are what an Intake is made from; all but Log must be there.
type Options struct {
	DB       *sqldb.DB
	Hostname string // in Received, and of whoever forges our Authentication-Results
	Spool    string // folder for large mails on their way in; made where it is missing, emptied by New
	Store    Store
	Broker   Broker
	Owners   Owners
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
	if o.DB == nil || o.Store == nil || o.Broker == nil || o.Owners == nil || o.Hostname == "" {
		return nil, errors.New("the intake needs a database, a host name, a store, a broker and somebody who knows the owners of addresses")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	sp, err := openSpool(o.Spool)
	if err != nil {
		return nil, err
	}
	return &Intake{o: o, log: o.Log, spool: sp, cards: &cards{broker: o.Broker, log: o.Log}}, nil
}

// Submit takes the mail of an authenticated person (R41): nil means that it is durable. A *message.Refusal may be told to the client; any other
// error is ours, and temporary. r yields the mail with CRLF line ends; an error of r comes back wrapped.
func (in *Intake) Submit(ctx context.Context, env *message.Envelope, r io.Reader) error {
	d, err := in.read(r)
	if err != nil {
		return err
	}
	defer d.close(in.log)
	if err := d.check(); err != nil {
		return err
	}
	from, err := in.author(ctx, env, &d.tree.Head)
	if err != nil {
		return err
	}
	if err := in.shorten(d); err != nil {
		return err
	}
	h := &d.tree.Head
	sum := message.Summarise(h, from, len(env.To), env.Received)
	edits, err := complete(h, &sum, from[0].Address.Domain, env.Received)
	if err != nil {
		return err
	}
	card := in.cards.get(ctx, env.Login)
	result, err := stamp.Plan(d.src, d.tree, stampCard(env, card, &sum))
	if err != nil {
		return fmt.Errorf("stamping: %w", err)
	}
	edits = append(edits, result.Splices...)
	stored, err := in.put(ctx, env, d, edits)
	if err != nil {
		return err
	}
	err = in.commit(ctx, stored, env.Drops, env.Received, func(tx *sqldb.Tx) error {
		if card.URL == "" {
			return nil
		}
		return in.o.Broker.Keep(tx, card, sum, env.Received)
	})
	if err != nil {
		return err
	}
	in.log.Info("mail submitted", "id", env.ID, "login", env.Login, "recipients", len(env.To), "size", stored.Size,
		"stamp", string(result.Verdict.Kind), "reason", result.Verdict.Reason)
	return nil
}

func stampCard(env *message.Envelope, c call.Card, sum *message.Summary) stamp.Card {
	s := stamp.Card{Login: env.Login, Name: c.Name, Host: c.Host, Port: c.Port, Link: c.URL}
	if s.Name == "" {
		s.Name = sum.FromName
	}
	if env.From.IsZero() {
		s.Keep = "null sender"
	}
	return s
}

// Accept takes a mail from outside, with the answers of Submit. It gets no card, and its body is never touched.
func (in *Intake) Accept(ctx context.Context, env *message.Envelope, r io.Reader) error {
	d, err := in.read(r)
	if err != nil {
		return err
	}
	defer d.close(in.log)
	if err := d.check(); err != nil {
		return err
	}
	if d.survey.Long {
		return longLine
	}
	h := &d.tree.Head
	edits := stamp.Strip(h)
	for i := range h.Fields {
		// What claims to be our own finding must be ours (RFC 8601 5).
		if host, ok := message.AuthServ(h.Value(i)); h.Is(i, "Authentication-Results") && (!ok || strings.EqualFold(host, in.o.Hostname)) {
			edits = append(edits, cut(h, i))
		}
	}
	stored, err := in.put(ctx, env, d, edits)
	if err != nil {
		return err
	}
	if err := in.commit(ctx, stored, env.Drops, env.Received, nil); err != nil {
		return err
	}
	in.log.Info("mail accepted", "id", env.ID, "peer", env.Peer, "recipients", len(env.To), "size", stored.Size)
	return nil
}

// Notify delivers a mail of the system's own to a login: null sender, never stamped. raw is a whole message with CRLF line ends.
func (in *Intake) Notify(ctx context.Context, to string, raw []byte) error {
	top := message.AppendReturnPath(nil, address.Address{})
	src := &message.Memory{B: raw}
	r, size := message.NewSplicedReader(src, []message.Splice{{Ins: top}})
	stored, err := in.o.Store.Put(ctx, r, size)
	if err != nil {
		return fmt.Errorf("storing a notice: %w", err)
	}
	if err := in.commit(ctx, stored, []string{to}, time.Now(), nil); err != nil {
		return err
	}
	in.log.Info("notice delivered", "login", to, "size", stored.Size)
	return nil
}

// put applies the edits, puts the trace fields on top (RFC 5321 4.4), and stores the outcome.
func (in *Intake) put(ctx context.Context, env *message.Envelope, d *draft, edits []message.Splice) (message.Stored, error) {
	h := &d.tree.Head
	top := make([]byte, 0, 320)
	top = message.AppendReturnPath(top, env.From)
	top = message.AppendReceived(top, env, in.o.Hostname)
	// A "From " line that a mail program left on top is no part of the mail.
	all := append(make([]message.Splice, 0, len(edits)+4), message.Splice{Off: 0, Del: h.Off, Ins: top})
	for i := range h.Fields {
		if h.Is(i, "Return-Path") {
			all = append(all, cut(h, i))
		}
	}
	all = append(all, edits...)
	message.SortSplices(all)
	if err := message.CheckSplices(d.src.Size(), all); err != nil {
		return message.Stored{}, fmt.Errorf("editing a mail: %w", err)
	}
	r, size := message.NewSplicedReader(d.src, all)
	stored, err := in.o.Store.Put(ctx, r, size)
	if err != nil {
		return stored, full(fmt.Errorf("storing a mail: %w", err))
	}
	return stored, nil
}

// commit makes a message durable, with whatever belongs to it.
func (in *Intake) commit(ctx context.Context, m message.Stored, drops []string, now time.Time, more func(*sqldb.Tx) error) error {
	err := in.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := in.o.Store.Deliver(tx, m, drops, now); err != nil {
			return err
		}
		if more == nil {
			return nil
		}
		return more(tx)
	})
	if err != nil {
		in.o.Store.Discard(m)
		return full(fmt.Errorf("committing a mail: %w", err))
	}
	return nil
}
