package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
	"chmail/internal/stamp"
)

// mail is a mail on its way into the store.
type mail struct {
	env     *message.Envelope
	draft   *draft
	found   *Findings // about a mail from outside
	about   message.Summary
	wish    wish       // of the mail as it came in
	receipt *Parcel    // tells its sender that it was delivered here, where he has asked for that; nil: nothing does
	bottom  []byte     // fields to add below those of the client
	stamp   stamp.Card // what its sender wants; the broker's part of it comes with the card
	noCard  error      // why the broker gave none; nil where it did, or was not to be asked
	unnoted bool       // nothing about it is kept with the broker, which failed
	verdict stamp.Verdict
	drops   []message.Drop
	wide    bool  // it has octets above 127
	anyTLS  bool  // it may go by any connection
	size    int64 // as stored
}

// linkError says that the broker could not keep a link, inside the transaction.
type linkError struct{ cause error }

func (e *linkError) Error() string { return "the link could not be kept: " + e.cause.Error() }
func (e *linkError) Unwrap() error { return e.cause }

// finish stamps a submitted mail with a card, which may be empty, and commits it together with the card's link.
func (in *Intake) finish(ctx context.Context, m *mail, card call.Card) error {
	h := &m.draft.tree.Head
	c := m.stamp
	c.Name, c.Host, c.Port, c.Link = card.Name, card.Host, card.Port, card.URL
	if c.Name == "" {
		c.Name = m.about.FromName
	}
	plan, err := stamp.Plan(m.draft.src, m.draft.tree, c)
	if err != nil {
		return fmt.Errorf("stamping: %w", err)
	}
	m.verdict = plan.Verdict
	if m.noCard != nil {
		m.verdict.Reason = "no card: " + m.noCard.Error()
	}
	m.about.Stamp = m.verdict.String()
	var keep func(*sqldb.Tx) error
	if !m.unnoted {
		keep = func(tx *sqldb.Tx) error { return in.keep(tx, m.env.Login, card, m.about, m.env.Received) }
	}
	return in.store(ctx, m, h, plan.Splices, keep)
}

// keep has the broker keep a link, or that there is none. Whatever goes wrong there is a linkError.
func (in *Intake) keep(tx *sqldb.Tx, login string, card call.Card, about message.Summary, now time.Time) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &linkError{fmt.Errorf("panic: %v", v)}
		}
	}()
	if card.URL == "" {
		err = in.o.Broker.Note(tx, login, about, now)
	} else {
		err = in.o.Broker.Keep(tx, card, about, now)
	}
	if err != nil {
		return &linkError{err}
	}
	return nil
}

// store commits a mail with these splices, the trace fields on top (RFC 5321 4.4), what is missing at the bottom, and without what must not stay.
func (in *Intake) store(ctx context.Context, m *mail, h *message.Header, splices []message.Splice, more func(*sqldb.Tx) error) (err error) {
	top := make([]byte, 0, 512)
	top = message.AppendReturnPath(top, m.env.From)
	top = message.AppendReceived(top, m.env, in.o.Hostname)
	if m.env.Login == "" {
		top = append(append(top, m.found.Field...), m.found.marks()...)
		splices = append(splices, m.found.marked(h, in.o.Tag)...)
	}
	// A "From " line that a mail program left on top is no part of the mail. At one place, what is put in comes before what is cut out.
	all := append(make([]message.Splice, 0, len(splices)+6), message.Splice{Del: h.Off, Ins: top})
	all = append(all, splices...)
	for i := range h.Fields {
		if in.unwanted(h, i, m.env.Login != "") {
			all = append(all, cut(h, i))
		}
	}
	if len(m.bottom) > 0 {
		all = append(all, message.Splice{Off: h.End, Ins: m.bottom})
	}
	message.SortSplices(all)
	m.wide = m.draft.survey.High || slices.ContainsFunc(all, func(s message.Splice) bool { return !message.IsASCII(s.Ins) })
	m.anyTLS = anyTLS(m.env, h)
	if m.receipt = in.receipt(ctx, m, all); m.receipt != nil {
		defer m.receipt.Close()
	}
	m.size, err = in.commit(ctx, m.draft.src, all, m, more)
	return err
}

// commit makes a message durable, with whatever belongs to it, and returns its size. Its bytes are put together in the store's own buffer.
func (in *Intake) commit(ctx context.Context, src message.Source, splices []message.Splice, m *mail, more func(*sqldb.Tx) error) (size int64, err error) {
	r, size := message.NewSplicedReader(src, splices)
	stored, err := in.o.Store.Put(ctx, r, size)
	if err != nil {
		return 0, full(fmt.Errorf("storing a mail: %w", err))
	}
	stored.Stamp = m.about.Stamp
	m.drops = in.drops(ctx, m.env)
	durable := false
	var l left
	defer func() { // a panic in a closure comes out here as well
		if !durable {
			in.o.Store.Discard(stored)
		}
	}()
	err = in.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		var err error
		if l, err = in.deliver(tx, m, stored, int64(len(message.AppendReturnPath(nil, m.env.From)))); err != nil || more == nil {
			return err
		}
		return more(tx)
	})
	if err != nil {
		if r := (*message.Refusal)(nil); errors.As(err, &r) && r.Enhanced == [3]int{4, 2, 2} {
			in.log.Info("intake: a mail is put off, since a maildrop is full", "id", m.env.ID, "err", err)
		}
		return 0, full(fmt.Errorf("committing a mail: %w", err))
	}
	durable = true
	if len(l.gone) > 0 {
		in.log.Warn("intake: a mail goes without those whose accounts were removed meanwhile", "id", m.env.ID, "gone", l.gone)
	}
	if l.noCopy {
		in.log.Warn("intake: a mail goes without a copy for its sender, whose maildrop is full", "id", m.env.ID, "login", m.env.Login)
	}
	return size, nil
}

// deliver puts a stored mail into the maildrops and the queue, within the transaction. Of its octets so many on top are the Return-Path. It returns what was left out.
func (in *Intake) deliver(tx *sqldb.Tx, m *mail, stored message.Stored, skip int64) (l left, err error) {
	drops, l, err := in.remaining(tx, m, stored.Size)
	if err != nil {
		return left{}, err
	}
	out := message.Outgoing{Env: m.env, Size: stored.Size, Skip: skip, EightBit: m.wide, AnyTLS: m.anyTLS}
	for i, logins := range m.env.Drops {
		if len(logins) == 0 {
			out.To = append(out.To, i)
		}
	}
	if len(out.To) == 0 && !slices.ContainsFunc(drops, func(d message.Drop) bool { return !d.Copy }) {
		return left{}, noMailbox
	}
	out.Message, err = in.o.Store.Deliver(tx, stored, drops, min(len(out.To), 1), m.env.Received)
	if err == nil && len(out.To) > 0 {
		err = in.o.Queue.Enqueue(tx, out)
	}
	if err == nil && m.receipt != nil && len(l.gone) == 0 { // or it might tell of somebody who has got nothing
		err = m.receipt.Deliver(tx)
		if refusal := (*message.Refusal)(nil); errors.As(err, &refusal) {
			err = nil // whoever would be told is gone, which is known before anything is written, and costs no mail
		}
	}
	return l, err
}
