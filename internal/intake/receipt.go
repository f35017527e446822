package intake

import (
	"context"
	"errors"
	"strings"

	"chmail/internal/message"
)

// receipt prepares the report that a mail has been delivered to those recipients here of whom its sender wants to be told so (RFC 3461 4.1, 5.2.1), to be delivered in the commit
// that delivers the mail. Of those elsewhere the queue tells. nil: nobody is to be told. No report costs a mail.
func (in *Intake) receipt(ctx context.Context, m *mail) *Parcel {
	env := m.env
	if env.From.IsZero() {
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
	r := message.Report{To: env.From, Host: in.o.Hostname, ID: env.ID, EnvID: env.Params.EnvID, Arrived: env.Received, At: env.Received, About: m.about, Fates: fates, Language: manner.Language,
		Full: strings.EqualFold(env.Params.Ret, "FULL") && m.draft.src.Size() <= maxReceipt}
	raw, err := r.Reader(m.draft.src)
	var p *Parcel
	if err == nil {
		p, err = in.Prepare(ctx, env.From.String(), env.Received, raw)
	}
	if refusal := (*message.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		in.log.Error("intake: a report of a delivery cannot be written", "id", env.ID, "err", err)
	}
	if err != nil {
		return nil
	}
	return p
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
