package intake

import (
	"context"
	"fmt"
	"time"

	"chmail/internal/message"
	"chmail/internal/stamp"
)

// Checker finds out where mail from outside comes from.
type Checker interface {
	// Check looks at a mail as it came, and is done when ctx ends: what could not be looked up by then is a temporary error among what it has found. An error: nothing was found.
	Check(ctx context.Context, env *message.Envelope, src message.Source) (*Findings, error)
}

// Findings are what a Checker has found out about a mail.
type Findings struct {
	Field      []byte            // Authentication-Results, folded, with its line end
	Signatures []stamp.Signature // of DKIM
	Reject     string            // the domain in From that has mail refused which is not its own, and this is none (DMARC); "" otherwise
	Summary    string            // for the log: "spf=pass dkim=pass dmarc=pass"
}

// checkTime is how long a mail waits for what is found out about it. Its client waits too, ten minutes (RFC 5321 4.5.3.2.6).
const checkTime = 10 * time.Second

// look finds out where a mail comes from. Trouble with that costs no mail: it is taken, and says that nothing is known.
func (in *Intake) look(ctx context.Context, env *message.Envelope, src message.Source) *Findings {
	if in.o.Checker == nil {
		// Whoever sorts by these fields finds that nothing was checked, not what a stranger would like him to find (RFC 8601 2.2).
		return &Findings{Field: []byte("Authentication-Results: " + in.o.Hostname + "; none\r\n"), Summary: "none"}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	found, err := in.ask(ctx, env, src)
	if err == nil {
		return found
	}
	in.log.Warn("intake: where a mail comes from could not be found out", "id", env.ID, "err", err)
	return &Findings{Field: []byte("Authentication-Results: " + in.o.Hostname + "; spf=temperror; dkim=temperror; dmarc=temperror\r\n"), Summary: "temperror"}
}

// ask is Check, whose panic is an error: a mail that breaks it would otherwise be offered again and again.
func (in *Intake) ask(ctx context.Context, env *message.Envelope, src message.Source) (found *Findings, err error) {
	defer func() {
		if v := recover(); v != nil {
			found, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	return in.o.Checker.Check(ctx, env, src)
}

// forged is the answer to a mail that its author's domain disowns.
func forged(f *Findings) *message.Refusal {
	return notTheirs.Because(fmt.Errorf("the policy of %s (DMARC): %s", f.Reject, f.Summary))
}

// unbelieved takes out the CH fields of a mail from outside for which its sender's domain does not vouch.
func (m *mail) unbelieved(h *message.Header) []message.Splice {
	if h.Stray != (message.Span{}) {
		return stamp.Strip(h) // of a header that readers take differently, nobody can say what was signed
	}
	return stamp.StripUnsigned(h, m.found.Signatures)
}
