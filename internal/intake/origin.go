package intake

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
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
	Unclear    bool              // there is a From field, and nobody can tell with certainty which domain it names
	Ours       bool              // it is refused since that domain is one of ours, whose people submit their mail elsewhere
	Suspect    string            // why the mail is to be marked, in a word of printable ASCII: "dmarc=quarantine"; "": it is not
	Summary    string            // for the log: "spf=pass dkim=pass dmarc=pass"
}

// checkTime is how long a mail waits for what is found out about it. Its client waits too, ten minutes (RFC 5321 4.5.3.2.6).
const checkTime = 10 * time.Second

// look finds out where a mail comes from. Trouble with that costs no mail: it is to be brought again, or a forger would only have to see to trouble.
func (in *Intake) look(ctx context.Context, env *message.Envelope, src message.Source) (*Findings, error) {
	if in.o.Checker == nil {
		// Whoever sorts by these fields finds that nothing was checked, not what a stranger would like him to find (RFC 8601 2.2).
		return &Findings{Field: []byte("Authentication-Results: " + in.o.Hostname + "; none\r\n"), Summary: "none"}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	found, err := in.ask(ctx, env, src)
	if err != nil {
		return nil, unsure.Because(message.Reason(err.Error()))
	}
	return found, nil
}

// ask is Check. A mail that breaks it is taken, and marked: it would otherwise be offered again and again.
func (in *Intake) ask(ctx context.Context, env *message.Envelope, src message.Source) (found *Findings, err error) {
	defer func() {
		if v := recover(); v != nil {
			in.log.Error("intake: a mail breaks what checks it", "id", env.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			found = &Findings{Field: []byte("Authentication-Results: " + in.o.Hostname + "; spf=temperror; dkim=temperror; dmarc=temperror\r\n"), Summary: "temperror", Suspect: "not checked"}
			err = nil
		}
	}()
	return in.o.Checker.Check(ctx, env, src)
}

// forged is the answer to a mail that its author's domain disowns.
func forged(f *Findings) *message.Refusal {
	if f.Unclear {
		return unclearFrom
	}
	if f.Ours {
		return notByUs.Because(fmt.Errorf("%s is ours: %s", f.Reject, f.Summary))
	}
	r := *notTheirs
	r.Text = fmt.Sprintf(r.Text, f.Reject)
	return r.Because(fmt.Errorf("the policy of %s (DMARC): %s", f.Reject, f.Summary))
}

// spamFields are those by which mail programs sort out what a server thinks little of; SpamAssassin's, which most of them know.
var spamFields = []string{"X-Spam-Flag", "X-Spam-Status"}

// marks are the fields that go on top of a suspect mail.
func (f *Findings) marks() []byte {
	if f.Suspect == "" {
		return nil
	}
	return []byte(spamFields[0] + ": YES\r\n" + spamFields[1] + ": Yes, " + f.Suspect + "\r\n")
}

// marked are the changes to the header of a suspect mail below them: another server's fields of the same names say nothing any more, and the subject has the tag, if there
// is one.
func (f *Findings) marked(h *message.Header, tag string) (all []message.Splice) {
	if f.Suspect == "" {
		return nil
	}
	tagged := tag == ""
	for i := range h.Fields {
		switch {
		case slices.ContainsFunc(spamFields, func(name string) bool { return h.Is(i, name) }):
			all = append(all, cut(h, i))
		case !tagged && h.Is(i, "Subject"):
			tagged = true
			all = append(all, message.Splice{Off: h.Off + int64(h.Fields[i].Colon+1), Ins: []byte(" " + tag)})
		}
	}
	return all
}

// unbelieved takes out the CH fields of a mail from outside for which its sender's domain does not vouch.
func (m *mail) unbelieved(h *message.Header) []message.Splice {
	if h.Stray != (message.Span{}) {
		return stamp.Strip(h) // of a header that readers take differently, nobody can say what was signed
	}
	return stamp.StripUnsigned(h, m.found.Signatures)
}
