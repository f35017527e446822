package mailauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chmail/internal/message"
	"chmail/internal/stamp"
)

// Results is all that was found about where a mail from outside comes from.
type Results struct {
	SPF   SPF
	DKIM  []Signature
	DMARC DMARC
	ARC   Chain
	from  string // envelope sender, as it can be written; "" for the null sender
	// authors are the evaluations of all of them, of which DMARC is the one that decides.
	authors []DMARC
	// nameless says that there is a From field whose domain nobody can tell.
	nameless bool
}

// policyTime is what is left of the time for DMARC, at most, when everything else is known.
const policyTime = 3 * time.Second

// checkTime bounds what is found out about one mail; name servers of strangers are part of it.
const checkTime = 30 * time.Second

// Check finds out where a mail comes from: src is the mail as it came (CRLF line ends), before anything is put on top. An error is one of reading, or that ctx ended
// while the mail waited for its turn; whatever is wrong with a mail, or with the DNS, is a result.
func (v *Verifier) Check(ctx context.Context, env *message.Envelope, src message.Source) (*Results, error) {
	if err := v.enter(ctx); err != nil {
		return nil, err
	}
	defer v.leave()
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	r := &Results{}
	if env.From.IsASCII() {
		r.from = env.From.String()
	}
	h, err := readHeader(src, src.Size())
	if errors.Is(err, errHeader) {
		h, err = &header{body: src.Size()}, nil // nobody knows what is in it
	}
	if err != nil {
		return nil, fmt.Errorf("checking a mail: %w", err)
	}
	// What the author's domain asks for is found out meanwhile, and remembered: name servers of strangers, whom a forger chooses, must not use up the time for that.
	policy := apart(func() DMARC { return v.DMARC(ctx, h.from(), SPF{}, nil) }, DMARC{})
	if err := v.authenticate(ctx, r, env, src, h); err != nil {
		return nil, fmt.Errorf("checking a mail: %w", err)
	}
	<-policy
	r.authors = v.each(ctx, h.from(), r.SPF, r.DKIM)
	r.DMARC = worst(r.authors)
	r.nameless = r.DMARC.Author == "" && unclear(h.from())
	return r, nil
}

// authenticate finds out what SPF, DKIM and ARC say, in all but the last part of the time.
func (v *Verifier) authenticate(ctx context.Context, r *Results, env *message.Envelope, src message.Source, h *header) error {
	until, _ := ctx.Deadline()
	ctx, cancel := context.WithDeadline(ctx, until.Add(-min(policyTime, time.Until(until)/3)))
	defer cancel()
	asked := apart(func() SPF { return v.SPF(ctx, env.Peer, env.Helo, env.From) }, SPF{Result: TempError, Reason: "an error of this server"})
	var err error
	if r.DKIM, err = v.signatures(ctx, src, h); err == nil {
		r.ARC, err = v.chain(ctx, src, h)
	}
	r.SPF = <-asked
	return err
}

// apart does something in a goroutine of its own. Where that panics, what comes back is otherwise: whoever waits for it guards only his own.
func apart[T any](do func() T, otherwise T) <-chan T {
	c := make(chan T, 1)
	go func() {
		found := otherwise
		defer func() {
			if p := recover(); p != nil {
				found = otherwise
			}
			c <- found
		}()
		found = do()
	}()
	return c
}

// from is the values of all From fields, as one: of two, each may be the one that a reader sees.
func (h *header) from() []byte {
	var all [][]byte
	for i := range h.fields {
		if h.fields[i].is("From") {
			all = append(all, bytes.TrimRight(h.fields[i].value(), "\r\n"))
		}
	}
	return bytes.Join(all, []byte(","))
}

// Stamped are the DKIM signatures in the words of the stamp.
func (r *Results) Stamped() []stamp.Signature { return forStamp(r.DKIM) }

// Disowned is the domain that has a mail like this refused (DMARC); "" when none does.
func (r *Results) Disowned() string {
	if r.DMARC.Result == Fail && r.DMARC.Policy == Reject {
		return r.DMARC.Author
	}
	return ""
}

// Unsure tells whether the DNS has to be asked again before anybody can say that the author's domain does not have this mail refused.
func (r *Results) Unsure() bool { return r.DMARC.unsure() }

// Nameless tells whether the From field names no domain that all readers would find in it.
func (r *Results) Nameless() bool { return r.nameless }

// Doubted is the domain that has a mail like this put under suspicion (DMARC: quarantine); "" when none does.
func (r *Results) Doubted() string {
	if r.DMARC.doubtful() {
		return r.DMARC.Author
	}
	return ""
}

// Unproved are the domains of authors of whom nothing shows that the mail comes from there, whatever they ask for; not those of whom something does, or of whom nobody could find out.
func (r *Results) Unproved() (all []string) {
	for _, d := range r.authors {
		if d.Author != "" && d.Result != Pass && d.Result != TempError && !d.proved && !r.open(d.Author) {
			all = append(all, d.Author)
		}
	}
	return all
}

// open tells whether the DNS has failed where its answer could have proved that a mail is from a domain. Of another's, whom a forger chooses, it may fail as it likes.
func (r *Results) open(domain string) bool {
	failed := func(result Result, of string) bool {
		return result == TempError && (near(of, domain) || near(domain, of))
	}
	return failed(r.SPF.Result, r.SPF.Domain) || slices.ContainsFunc(r.DKIM, func(s Signature) bool { return failed(s.Result, s.Domain) })
}

// String is all of it in a few words: "spf=pass dkim=pass dmarc=fail". Of several signatures, one that passes counts.
func (r *Results) String() string {
	return fmt.Sprintf("spf=%s dkim=%s dmarc=%s", r.SPF.Result, r.Signed(), r.DMARC.Result)
}

// Signed is the result of all DKIM signatures in one word: of several, one that passes counts.
func (r *Results) Signed() Result {
	signed := None
	for _, s := range r.DKIM {
		if signed != Pass {
			signed = s.Result
		}
	}
	return signed
}

// Field is the Authentication-Results field of this server (RFC 8601 2.2), folded, with its line end. host is its authserv-id, the name under which forged ones
// are taken out of mail that comes in.
func (r *Results) Field(host string) []byte {
	w := &fieldWriter{}
	w.b.WriteString("Authentication-Results: " + host)
	identity := "mailfrom"
	value := r.from
	if r.SPF.Helo {
		identity, value = "helo", r.SPF.Domain
	} else if value == "" {
		value = r.SPF.Domain
	}
	w.method("spf", r.SPF.Result, r.SPF.Reason)
	w.property("smtp."+identity, value)
	for _, s := range r.DKIM {
		w.method("dkim", s.Result, s.Reason)
		w.property("header.d", s.Domain)
		w.property("header.s", s.Selector)
		w.property("header.a", s.Algorithm)
		w.property("header.b", s.Head)
	}
	if len(r.DKIM) == 0 {
		w.method("dkim", None, "")
	}
	w.method("dmarc", r.DMARC.Result, r.DMARC.Reason)
	w.property("header.from", r.DMARC.Author)
	if r.DMARC.Found != "" {
		w.property("policy.dmarc", string(r.DMARC.Policy))
	}
	if r.ARC.Result != None && r.ARC.Result != "" {
		w.method("arc", r.ARC.Result, r.ARC.Reason)
		w.property("header.d", r.ARC.Domain)
		w.property("header.s", r.ARC.Selector)
	}
	w.b.WriteString("\r\n")
	return w.b.Bytes()
}

const (
	foldAt    = 78  // octets of a line, where that can be (RFC 5322 2.1.1)
	maxReason = 120 // octets
	maxValue  = 320 // octets; an address fits
)

// fieldWriter writes one method a line, properties folded. Nothing that it is given can end a string, a line or the field.
type fieldWriter struct {
	b    bytes.Buffer
	line int // where the line begins
}

// method begins the result of a method.
func (w *fieldWriter) method(name string, r Result, reason string) {
	if r == "" {
		r = None
	}
	w.b.WriteByte(';')
	w.fold()
	w.b.WriteString(name + "=" + string(r))
	if reason != "" {
		w.word(`reason=` + quote(reason, maxReason))
	}
}

// property adds one; nothing for an empty value.
func (w *fieldWriter) property(name, value string) {
	if value == "" {
		return
	}
	if len(value) > maxValue || strings.IndexFunc(value, notToken) >= 0 {
		value = quote(value, maxValue)
	}
	w.word(name + "=" + value)
}

func (w *fieldWriter) word(s string) {
	if w.b.Len()-w.line+1+len(s) > foldAt {
		w.fold()
	} else {
		w.b.WriteByte(' ')
	}
	w.b.WriteString(s)
}

func (w *fieldWriter) fold() {
	w.b.WriteString("\r\n")
	w.line = w.b.Len()
	w.b.WriteByte('\t')
}

// notToken tells what cannot stand without quotes: a token of RFC 2045 5.1, or an address.
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>,;:\"/[]?=`, r)
}

// quote is a quoted string (RFC 5322 3.2.4) of what can be printed.
func quote(s string, limit int) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < min(len(s), limit); i++ {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7f:
			b.WriteByte('?')
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
