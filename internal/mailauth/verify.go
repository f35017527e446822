package mailauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/stamp"

	"github.com/emersion/go-msgauth/dkim"
)

// Result is an outcome as Authentication-Results names it (RFC 8601 2.7).
type Result string

// The results. Not every method has each of them.
const (
	None      Result = "none"      // nothing to check
	Pass      Result = "pass"      // it is so
	Fail      Result = "fail"      // it is not so
	SoftFail  Result = "softfail"  // SPF: probably not
	Neutral   Result = "neutral"   // nothing is said
	Policy    Result = "policy"    // not accepted, whatever it proves
	TempError Result = "temperror" // the DNS failed
	PermError Result = "permerror" // what is published or written cannot be used
)

// Signature is what was found about one DKIM signature (RFC 6376). Texts in it come from strangers.
type Signature struct {
	Result    Result
	Reason    string // for people; "" when it passes
	Domain    string // d=, in lower case
	Selector  string // s=
	Algorithm string // a=
	Bits      int    // of the key; 0 when none was found
	Signed    []string
	Partial   bool   // l= leaves a part of the body uncovered
	Head      string // the first eight characters of b=, to tell signatures apart (RFC 6008)
}

// Options are what a Verifier is made from.
type Options struct {
	Resolver Resolver // nil: net.DefaultResolver
	Mails    int      // that are checked at the same time, most of it waiting for the DNS; the others wait. 0: 512
}

// Verifier checks where mail comes from. Its methods may be called by many goroutines.
type Verifier struct {
	dns   *cache
	slots chan struct{}
}

// NewVerifier makes one.
func NewVerifier(o Options) *Verifier {
	if o.Mails <= 0 {
		o.Mails = 512
	}
	return &Verifier{dns: newCache(o.Resolver), slots: make(chan struct{}, o.Mails)}
}

// enter waits for its turn; leave ends it.
func (v *Verifier) enter(ctx context.Context) error {
	select {
	case v.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to check a mail: %w", ctx.Err())
	}
}

func (v *Verifier) leave() { <-v.slots }

// Verify is DKIM in the words of the stamp: which signatures hold.
func (v *Verifier) Verify(ctx context.Context, src message.Source) ([]stamp.Signature, error) {
	all, err := v.DKIM(ctx, src)
	if err != nil {
		return nil, err
	}
	return forStamp(all), nil
}

// forStamp is what was found in the words of the stamp.
func forStamp(all []Signature) []stamp.Signature {
	sigs := make([]stamp.Signature, 0, len(all))
	for _, s := range all {
		sigs = append(sigs, stamp.Signature{Domain: s.Domain, Valid: s.Result == Pass, Partial: s.Partial, Signed: s.Signed})
	}
	return sigs
}

// DKIM checks the signatures of a mail (CRLF line ends), those on top first, eight at most, fewer of a mail of more than 24 MiB. An error is one of reading, or that ctx ended: whatever is wrong with
// a mail is a result.
func (v *Verifier) DKIM(ctx context.Context, src message.Source) ([]Signature, error) {
	h, err := readHeader(src, src.Size())
	if errors.Is(err, errHeader) {
		return nil, nil // nobody knows what is in it
	} else if err != nil {
		return nil, fmt.Errorf("checking DKIM: %w", err)
	}
	if err := v.enter(ctx); err != nil {
		return nil, err
	}
	defer v.leave()
	return v.signatures(ctx, src, h)
}

func (v *Verifier) signatures(ctx context.Context, src message.Source, h *header) ([]Signature, error) {
	var fields []*field
	limit := looked(src.Size() - h.body)
	for i := range h.fields {
		if h.fields[i].is("DKIM-Signature") && len(fields) < limit {
			fields = append(fields, &h.fields[i])
		}
	}
	if len(fields) == 0 {
		return nil, nil
	}
	all := make([]Signature, len(fields))
	for i, f := range fields {
		all[i] = describe(f)
	}
	reason, err := h.guard(src, fields)
	if err != nil {
		return nil, fmt.Errorf("checking DKIM: %w", err)
	}
	if reason == "" && h.count("From") != 1 {
		reason = "not exactly one From field" // which one a reader sees, nobody knows (RFC 6376 8.15)
	}
	if reason != "" {
		for i := range all {
			all[i].Result, all[i].Reason = Policy, reason
		}
		return all, nil
	}
	k := &keyring{dns: v.dns, ctx: ctx, keys: map[string]*publicKey{}}
	var r io.Reader = feed{io.NewSectionReader(src, 0, src.Size())}
	if h.body == src.Size() { // there may be no blank line, which the library wants
		r = io.MultiReader(r, strings.NewReader("\r\n\r\n"))
	}
	found, err := dkim.VerifyWithOptions(r, &dkim.VerifyOptions{LookupTXT: k.lookup, MaxVerifications: limit})
	switch {
	case err != nil && !errors.Is(err, dkim.ErrTooManySignatures):
		return nil, fmt.Errorf("checking DKIM: %w", err)
	case len(found) != len(all): // a line without a colon is a signature to the library
		for i := range all {
			all[i].Result, all[i].Reason = PermError, "the header cannot be read with certainty"
		}
		return all, nil
	}
	for i := range all {
		k.judge(&all[i], found[i])
	}
	return all, nil
}

// describe reads what a signature says about itself.
func describe(f *field) Signature {
	t, err := parseTags(string(f.value()))
	if err != nil {
		return Signature{}
	}
	s := Signature{Domain: domainOf(t["d"]), Selector: strings.ToLower(t["s"]), Algorithm: strings.ToLower(t["a"]), Head: t["b"][:min(8, len(t["b"]))]}
	_, s.Partial = t["l"]
	return s
}

// domainOf is a domain in canonical form; "" when it is none.
func domainOf(s string) string {
	d, err := address.ParseDomain(s)
	if err != nil || strings.HasPrefix(d, "[") {
		return ""
	}
	return d
}

// judge takes the library's finding into s, and adds what it does not look at.
func (k *keyring) judge(s *Signature, v *dkim.Verification) {
	s.Signed = v.HeaderKeys
	key := k.keys[strings.ToLower(s.Selector+"._domainkey."+s.Domain)]
	if key != nil {
		s.Bits = key.bits()
	}
	switch err := v.Err; {
	case s.Partial:
		// Who may add text to a mail says what he likes in another's name (RFC 6376 8.2).
		s.Result, s.Reason = Policy, "l= leaves a part of the body unsigned"
	case dkim.IsTempFail(err):
		s.Result, s.Reason = TempError, plainReason(err)
	case dkim.IsPermFail(err):
		s.Result, s.Reason = PermError, plainReason(err)
	case err != nil:
		s.Result, s.Reason = Fail, plainReason(err)
	case key == nil || s.Domain == "" || !strings.EqualFold(domainOf(v.Domain), s.Domain):
		s.Result, s.Reason = PermError, "its tags cannot be read with certainty"
	case key.testing:
		s.Result, s.Reason = Neutral, "the key is being tried out (t=y)" // no better than unsigned (RFC 6376 3.6.1)
	case key.strict && !strings.EqualFold(v.Identifier[strings.LastIndexByte(v.Identifier, '@')+1:], v.Domain):
		s.Result, s.Reason = PermError, "i= is of a domain below, which the key does not allow (t=s)"
	default:
		s.Result = Pass
	}
}

func plainReason(err error) string { return strings.TrimPrefix(err.Error(), "dkim: ") }

// keyring is where the library gets the keys for one mail. Its signatures are checked at the same time.
type keyring struct {
	dns *cache
	ctx context.Context

	mu   sync.Mutex // guards keys while the library works
	keys map[string]*publicKey
	// failed says that the DNS did, for seals, which are checked one after the other.
	failed bool
}

// lookup hands out what is published under a name, unless it is a key that must not be used.
func (k *keyring) lookup(name string) ([]string, error) {
	key, txt, err := k.find(name)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[strings.ToLower(name)] = key
	return []string{txt}, nil
}

// find returns the key of a name. An error of the DNS is a *net.DNSError.
func (k *keyring) find(name string) (*publicKey, string, error) {
	if len(name) > address.MaxDomain || slices.ContainsFunc(strings.Split(name, "."), func(label string) bool { return label == "" || len(label) > 63 }) {
		return nil, "", errors.New("the name of the key is none that the DNS has") // or the DNS would be said to have failed
	}
	txts, err := k.dns.LookupTXT(k.ctx, name)
	if err != nil {
		if d := (*net.DNSError)(nil); errors.As(err, &d) && d.IsNotFound {
			return nil, "", errors.New("no such record")
		}
		return nil, "", err
	}
	if len(txts) != 1 {
		return nil, "", fmt.Errorf("%d key records", len(txts)) // RFC 6376 3.6.2.2
	}
	key, err := parseKey(txts[0])
	return key, txts[0], err
}
