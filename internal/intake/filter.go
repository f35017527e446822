package intake

import (
	"context"

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

// sift asks the filter about a mail that has passed all else.
func (in *Intake) sift(ctx context.Context, m *mail) error {
	if in.o.Filter == nil {
		return nil
	}
	j, why := in.o.Filter.Judge(ctx, m.env, m.draft.src)
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
