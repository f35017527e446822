package intake

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// Notify delivers a mail of the system's own: null sender, never stamped. raw is read to its end, a whole message with CRLF line ends; an error of it
// leaves nothing. The mail is about something of the moment since: a login that does not exist, or whose account of then has been removed, is a *message.Refusal, as is another
// host's address where no mail goes to other hosts, and a full maildrop for more than small.
func (in *Intake) Notify(ctx context.Context, to string, since time.Time, raw io.Reader) error {
	p, err := in.Prepare(ctx, to, since, raw)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := in.o.DB.Update(ctx, p.Deliver); err != nil {
		return full(fmt.Errorf("committing a notice: %w", err))
	}
	in.log.LogAttrs(ctx, slog.LevelInfo, "notice delivered", slog.String("login", to), slog.Int64("size", p.stored.Size))
	return nil
}

// A Parcel is a mail of the system's own that only waits for the transaction with which it belongs together. To be closed in any case.
type Parcel struct {
	in      *Intake
	mail    *mail
	stored  message.Stored
	skip    int64
	durable bool
}

// Prepare stores a mail as Notify takes it, which is delivered with the transaction in which Deliver is called.
func (in *Intake) Prepare(ctx context.Context, to string, since time.Time, raw io.Reader) (*Parcel, error) {
	a, err := address.Parse(to)
	if err != nil {
		return nil, noLogin.Because(err)
	}
	logins, err := in.logins(ctx, a)
	if err != nil {
		return nil, err
	}
	d, err := in.read(raw)
	if err != nil {
		return nil, fmt.Errorf("reading a notice: %w", err)
	}
	defer d.close(in.log)
	if d.survey.Long {
		return nil, fmt.Errorf("reading a notice: %w", longLine)
	}
	m := &mail{
		env:  &message.Envelope{ID: message.NewID(), To: []address.Address{a}, Drops: [][]string{logins}, Began: since, Received: time.Now(), UTF8: !a.IsASCII()},
		wide: d.survey.High,
	}
	if m.drops, err = in.noticed(ctx, logins, d.src.Size()); err != nil {
		return nil, err
	}
	// Whoever decides by a refusal decides now: in the transaction it would only fail.
	if err := in.o.DB.Update(ctx, func(tx *sqldb.Tx) error { return in.stands(tx, m) }); err != nil {
		return nil, fmt.Errorf("looking whose address %s was: %w", a, err)
	}
	top := message.AppendReturnPath(nil, address.Address{})
	r, size := message.NewSplicedReader(d.src, []message.Splice{{Ins: top}})
	stored, err := in.o.Store.Put(ctx, r, size)
	if err != nil {
		return nil, full(fmt.Errorf("storing a notice: %w", err))
	}
	return &Parcel{in: in, mail: m, stored: stored, skip: int64(len(top))}, nil
}

// stands refuses a mail of the system's own that would come to somebody who had nothing to do with its address when it began: the account behind it was removed, and has a successor, or
// an alias of its name.
func (in *Intake) stands(tx *sqldb.Tx, m *mail) error {
	logins, to := m.env.Drops[0], m.env.To[0].Login()
	if len(logins) == 0 {
		return nil // it goes to another host
	}
	if !slices.Contains(logins, to) {
		if ok, err := in.o.Owners.Stands(tx, to, m.env.Began); err != nil || !ok {
			return cmp.Or(err, error(noMailbox))
		}
	}
	for _, login := range logins {
		if ok, err := in.o.Owners.Remains(tx, login, m.env.Began); err != nil || ok {
			return err
		}
	}
	return noMailbox
}

// logins are those whose maildrops take mail of the system's own to an address; none where it goes to another host.
func (in *Intake) logins(ctx context.Context, a address.Address) ([]string, error) {
	logins, local, err := in.o.Owners.Recipients(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case local && len(logins) > 0: // or a maildrop would come back whose account is gone
		return logins, nil
	case local || in.o.Queue == nil:
		return nil, noLogin
	}
	return nil, nil
}

const (
	// small is what a mail of the system's own may have, in octets, that comes into a full maildrop as well: all notices and reports. They are few, somebody waits for
	// them, and the queue must not wait for room (hazards 38).
	small = 2 << 20
	// beyond is by how many octets such mails may go beyond a quota: whoever sends much that fails, and reads nothing, fills no disk.
	beyond = 64 << 20
)

// noticed are the maildrops that take a mail of the system's own; noRoom where all are full: by more than beyond, or it is not small.
func (in *Intake) noticed(ctx context.Context, logins []string, size int64) (drops []message.Drop, err error) {
	for _, login := range logins {
		more := int64(0)
		if size <= small {
			more = beyond
		}
		room, err := in.room(ctx, login, size, more)
		if err != nil {
			return nil, err
		}
		if room {
			drops = append(drops, message.Drop{Login: login})
		}
	}
	if len(logins) > 0 && len(drops) == 0 {
		return nil, noRoom
	}
	return drops, nil
}

// Deliver delivers the mail, within the transaction. A *message.Refusal says that its recipient's account is gone.
func (p *Parcel) Deliver(tx *sqldb.Tx) error {
	if err := p.in.stands(tx, p.mail); err != nil {
		return err
	}
	if _, err := p.in.deliver(tx, p.mail, p.stored, p.skip); err != nil {
		return err
	}
	tx.AfterCommit(func() { p.durable = true })
	return nil
}

// Close throws away what was not delivered.
func (p *Parcel) Close() {
	if !p.durable {
		p.in.o.Store.Discard(p.stored)
	}
}
