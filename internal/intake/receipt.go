package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"chmail/internal/message"
)

// receipt prepares the report that a mail has been delivered to those recipients here of whom its sender wants to be told so (RFC 3461 4.1, 5.2.1), to be delivered in the commit
// that delivers the mail. What comes back is the mail as it is delivered, with these splices: who was to get it blind is named to nobody. Of those elsewhere the queue tells. nil: nobody is
// to be told, or he has no room for it: it was asked for, and nobody waits for it. No report costs a mail.
func (in *Intake) receipt(ctx context.Context, m *mail, splices []message.Splice) *Parcel {
	env := m.env
	if env.From.IsZero() || env.Login == "" {
		return nil
	}
	var fates []message.Fate
	for i, p := range env.Params.Rcpt {
		if i < len(env.Drops) && len(env.Drops[i]) > 0 && wantsSuccess(p.Notify) {
			fates = append(fates, message.Fate{Address: env.To[i], ORcpt: p.ORcpt, Action: message.Delivered, Status: "2.0.0", Tried: env.Received})
		}
	}
	if len(fates) == 0 {
		return nil
	}
	manner, err := in.o.Manners.Manner(ctx, env.Login)
	if err != nil {
		in.log.Warn("intake: a report is written in English, its reader's language is not known", "id", env.ID, "err", err)
	}
	r := message.Report{To: env.From, Host: in.o.Hostname, ID: env.ID, EnvID: env.Params.EnvID, Arrived: env.Received, At: env.Received, About: m.about, Fates: fates, Language: manner.Language}
	delivered, size := message.NewSplicedReader(m.draft.src, splices)
	r.Full = strings.EqualFold(env.Params.Ret, "FULL") && size <= maxReceipt && !env.Params.RequireTLS // RFC 8689 5
	p, err := in.receiptOf(ctx, m, &r, delivered)
	if refusal := (*message.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		in.log.Error("intake: a report of a delivery cannot be written", "id", env.ID, "err", err)
	}
	if err != nil {
		return nil
	}
	return p
}

// receiptOf prepares a report with what is read of a mail.
func (in *Intake) receiptOf(ctx context.Context, m *mail, r *message.Report, delivered io.Reader) (*Parcel, error) {
	limit := int64(message.MaxHeader)
	if r.Full {
		limit = maxReceipt
	}
	back, err := io.ReadAll(io.LimitReader(delivered, limit))
	if err != nil {
		return nil, fmt.Errorf("reading the mail: %w", err)
	}
	back = back[len(message.AppendReturnPath(nil, m.env.From)):]
	raw, err := r.Reader(&message.Memory{B: back})
	if err != nil {
		return nil, err
	}
	p, err := in.Prepare(ctx, m.env.From.String(), m.env.Received, raw)
	if err != nil {
		return nil, err
	}
	for _, d := range p.mail.drops {
		if room, err := in.Room(ctx, d.Login, p.stored.Size, false); err != nil || !room {
			p.Close()
			return nil, cmp.Or(err, error(noRoom))
		}
	}
	return p, nil
}

// maxReceipt is how large a mail may be, in octets, to come back whole.
const maxReceipt = 1 << 20

func wantsSuccess(notify string) bool {
	for one := range strings.SplitSeq(notify, ",") {
		if strings.EqualFold(one, "SUCCESS") {
			return true
		}
	}
	return false
}
