package intake

import (
	"context"
	"slices"

	"chmail/internal/address"
	"chmail/internal/message"
)

// Judgement is what a Filter wants to be done with a mail.
type Judgement int

// The judgements.
const (
	Take    Judgement = iota
	Suspect           // it is taken, and marked
	Later             // it is to be brought again
	Refuse
)

// Filter looks at what is in a mail from outside, as rspamd does.
type Filter interface {
	// Judge tells what is to be done with a mail, and in a word of printable ASCII why: "rspamd score 7.5".
	Judge(ctx context.Context, env *message.Envelope, src message.Source) (j Judgement, why string)
}

// sift asks the filter about a mail that has passed all else. What is for the postmaster alone is never refused for what it looks like: the refusal says that whoever means it may write to him.
func (in *Intake) sift(ctx context.Context, m *mail) error {
	if in.o.Filter == nil {
		return nil
	}
	j, why := in.o.Filter.Judge(ctx, m.env, m.draft.src)
	if j == Refuse && !slices.ContainsFunc(m.env.To, func(a address.Address) bool { return !a.IsPostmaster() }) {
		j = Suspect
	}
	switch j {
	case Refuse:
		return spam.Because(message.Reason(why))
	case Later:
		return doubted.Because(message.Reason(why))
	case Suspect:
		if m.found.Suspect != "" {
			why = m.found.Suspect + "; " + why
		}
		m.found.Suspect = why
	}
	return nil
}
