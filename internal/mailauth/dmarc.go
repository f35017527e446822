package mailauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"chmail/internal/address"
	"chmail/internal/message"
)

// DMARC is whether a mail is from the domain that its From field names, and what that domain wants to be done when it is not (RFC 9989).
type DMARC struct {
	Result Result      // None: the domain publishes nothing
	Reason string      // for people
	Author string      // the domain of From; of several the one that decides
	Policy Disposition // what the domain asks for, t= considered; to be applied when Result is Fail, and only then
	Found  string      // the domain whose record that is; "" when there is none
	proved bool        // the very domain has authenticated the mail, so that no policy speaks against it
}

// maxAuthors is how many domains a From field may name; sound mail has one.
const maxAuthors = 4

// DMARC evaluates what SPF and DKIM have found for a From field's value. Of several domains, each is evaluated, and the strictest that fails decides (RFC 9989 11.5).
func (v *Verifier) DMARC(ctx context.Context, from []byte, s SPF, sigs []Signature) DMARC {
	return worst(v.each(ctx, from, s, sigs))
}

// each evaluates every author, one at least.
func (v *Verifier) each(ctx context.Context, from []byte, s SPF, sigs []Signature) []DMARC {
	names := authors(from)
	switch {
	case len(names) == 0:
		return []DMARC{{Result: PermError, Reason: "no domain in From", Policy: Accept}}
	case len(names) > maxAuthors:
		return []DMARC{{Result: Fail, Reason: "too many domains in From", Author: names[0], Policy: Reject}}
	}
	all := make([]DMARC, 0, len(names))
	for _, author := range names {
		all = append(all, v.evaluate(ctx, author, s, sigs))
	}
	return all
}

func worst(all []DMARC) DMARC {
	most := all[0]
	for _, d := range all[1:] {
		if d.weight() > most.weight() {
			most = d
		}
	}
	return most
}

// weight orders evaluations by how much they speak against a mail. What may turn out to be refused stands between what is refused and what is not: a forger, who chooses the other domains,
// must not hide it behind them.
func (d *DMARC) weight() int {
	switch {
	case d.Result == Fail && d.Policy == Reject:
		return 6
	case d.unsure():
		return 5
	case d.doubtful():
		return 4
	case d.Result == Fail:
		return 3
	case d.Result == TempError || d.Result == PermError:
		return 2
	case d.Result == None:
		return 1
	}
	return 0
}

// unsure tells whether the DNS has failed where its answer could speak against the mail.
func (d *DMARC) unsure() bool {
	return d.Result == TempError && !d.proved && (d.Found == "" || d.Policy == Reject)
}

// doubtful tells whether the mail is to be put under suspicion, and be it that the DNS has failed: that is the worst it could come to.
func (d *DMARC) doubtful() bool {
	return d.Policy == Quarantine && (d.Result == Fail || d.Result == TempError && !d.proved)
}

// What a lenient reader could take for the domain of an address, and for blanks within it.
var (
	domainText = regexp.MustCompile(`@[\s"']*([^\s<>(),;:@\\\[\]]+)`)
	dotBlanks  = regexp.MustCompile(`[\s"']*\.[\s"']*`)
)

// authors are the domains of a From field. One that cannot be read with certainty has all that anybody might read in it: to write badly must not be a way around. It has none where that would be
// too much to look for.
func authors(from []byte) []string {
	var all []string
	add := func(domain string) bool {
		d := domainOf(strings.TrimSuffix(domain, "."))
		if d != "" && !slices.Contains(all, d) && len(all) <= maxAuthors {
			all = append(all, d)
		}
		return d != ""
	}
	boxes, err := message.ParseMailboxes(from)
	if err == nil {
		for _, b := range boxes {
			add(b.Address.Domain)
		}
		return all
	}
	if len(from) > maxFrom {
		return nil
	}
	for _, text := range readings(string(from)) {
		if strings.Count(text, "@") > maxAt {
			return nil
		}
		for _, m := range domainText.FindAllStringSubmatch(text, maxAt) {
			domain := m[1][:min(len(m[1]), address.MaxDomain)]
			if i := strings.IndexFunc(domain, notOfName); i >= 0 {
				domain = domain[:i]
			}
			for domain != "" && !(possible(domain) && add(domain)) { // what stands behind it is no part of it
				_, n := utf8.DecodeLastRuneInString(domain)
				domain = domain[:len(domain)-n]
			}
		}
	}
	return all
}

// notOfName tells what stands in no domain.
func notOfName(r rune) bool {
	return r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
}

// possible tells, at little cost, what is too long for a domain: a label has at most 63 letters, however they are written.
func possible(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		if utf8.RuneCountInString(label) > 63 {
			return false
		}
	}
	return true
}

// What a From field may be that cannot be read and is looked through all the same. Where it is more, nobody can tell whom it names.
const (
	maxFrom = 8 << 10 // octets
	maxAt   = 50      // at signs
)

// encodedWord is one wherever it stands (RFC 2047): many readers decode it within a word as well, which they should not.
var encodedWord = regexp.MustCompile(`=\?[^?\s]{1,40}\?[BbQq]\?[^?]*\?=`)

// readings are what readers may make of a From field that is written badly: encoded words decoded or not, where they may stand or anywhere, as words of their own or parts of one; a backslash
// as one that quotes; comments as nothing, as a blank, or as words.
func readings(from string) []string {
	alone := encodedWord.ReplaceAllString(from, " $0 ")
	within := encodedWord.ReplaceAllStringFunc(from, func(word string) string { return message.DecodeText(word, maxFrom) })
	var raw, all []string
	for _, text := range []string{from, message.DecodeText(from, maxFrom), message.DecodeText(alone, maxFrom), within} {
		raw = append(raw, text, strings.ReplaceAll(text, `\`, ""))
	}
	slices.Sort(raw)
	for _, text := range slices.Compact(raw) { // most are the same, and what comes now costs more
		text = visible(text)
		forms := []string{text} // brackets may be quoted, and begin no comment
		if strings.Contains(text, "(") {
			for _, between := range []string{"", " "} {
				forms = append(forms, withoutComments(text, between, false), withoutComments(text, between, true))
			}
		}
		for _, form := range forms {
			all = append(all, form)
			if glued := dotBlanks.ReplaceAllString(form, "."); glued != form {
				all = append(all, glued)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// visible is a text in the form in which the eye sees it: without controls and what has no width, and with the forms of one letter made one.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == utf8.RuneError {
			return -1
		}
		return r
	}, norm.NFKC.String(text))
}

// withoutComments is a text with something in the place of each comment, which may hold others (RFC 5322 3.2.2). One that does not end is none. strings: none begins within a string,
// though not every reader knows that.
func withoutComments(text, between string, strings bool) string {
	var out []byte
	var open []int // where the comments begin in out that stand open
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && (len(open) > 0 || quoted) && i+1 < len(text): // what it quotes ends neither
			out = append(out, c, text[i+1])
			i++
		case c == '"' && strings && len(open) == 0:
			quoted = !quoted
			out = append(out, c)
		case c == '(' && !quoted:
			open = append(open, len(out))
			out = append(out, c)
		case c == ')' && len(open) > 0:
			out = append(out[:open[len(open)-1]], between...)
			open = open[:len(open)-1]
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

// unclear tells whether a From field says something, but not whom it is from. A group without members says that there is nobody (RFC 6854).
func unclear(from []byte) bool {
	return len(bytes.TrimSpace(from)) > 0 && !nobody.Match(from)
}

var nobody = regexp.MustCompile(`^[^:<>@]*:\s*;\s*$`)

// evaluate does so for one domain.
func (v *Verifier) evaluate(ctx context.Context, author string, s SPF, sigs []Signature) DMARC {
	d := DMARC{Result: None, Author: author, Policy: Accept}
	d.proved = exactly(author, s, sigs)
	met, err := v.walk(ctx, author)
	if own := len(met) > 0 && met[0].domain == author && !met[0].void; own && (d.proved || err != nil) {
		d.Found, d.Policy = author, met[0].p // whatever is published above
		if met[0].test {
			d.Policy = d.Policy.mild()
		}
		if d.Result = Pass; !d.proved {
			d.Result, d.Reason = TempError, err.Error() // somebody of the same organisation may have
		}
		return d
	}
	if err != nil {
		return d.failed(err)
	}
	org := organisation(author, met)
	r := decisive(author, org, met)
	if r == nil {
		return d
	}
	d.Found = r.domain
	if r.void {
		d.Result, d.Reason = PermError, "the policy cannot be read"
		return d
	}
	if d.Policy, err = v.policy(ctx, author, r); err != nil {
		return d.failed(err)
	}
	if d.Result, err = v.aligned(ctx, author, org, r, s, sigs); err != nil {
		d.Reason = err.Error() // what the domain asks for is known all the same
	}
	return d
}

func (d DMARC) failed(err error) DMARC {
	return DMARC{Result: TempError, Reason: err.Error(), Author: d.Author, Policy: Accept, proved: d.proved}
}

// exactly tells whether the very domain has authenticated the mail.
func exactly(author string, s SPF, sigs []Signature) bool {
	return s.Result == Pass && s.Domain == author || slices.ContainsFunc(sigs, func(g Signature) bool { return g.Result == Pass && g.Domain == author })
}

// decisive is the record that applies to a domain: its own, its organisation's, or that of the public suffix (RFC 9989 4.10.1); nil when there is none.
func decisive(author, org string, met []step) *step {
	for _, domain := range []string{author, org} {
		if i := slices.IndexFunc(met, func(s step) bool { return s.domain == domain }); i >= 0 {
			return &met[i]
		}
	}
	if i := slices.IndexFunc(met, func(s step) bool { return s.psd == 'y' }); i >= 0 {
		return &met[i]
	}
	return nil
}

// policy is what a record asks for of mail from this domain.
func (v *Verifier) policy(ctx context.Context, author string, r *step) (Disposition, error) {
	p := r.p
	if r.domain != author {
		if r.sp != "" {
			p = r.sp
		}
		if r.np != "" {
			there, err := v.exists(ctx, author)
			if err != nil {
				return "", err
			}
			if !there {
				p = r.np
			}
		}
	}
	if r.test {
		p = p.mild()
	}
	return p, nil
}

// exists tells whether a domain is there (RFC 9989 3.2.13). A Resolver does not tell a name without records from one that does not exist, so one is taken to exist
// that has an address, an MX or a TXT record.
func (v *Verifier) exists(ctx context.Context, domain string) (bool, error) {
	_, ipErr := v.dns.LookupIPAddr(ctx, domain)
	if ipErr == nil {
		return true, nil
	}
	_, mxErr := v.dns.LookupMX(ctx, domain)
	_, txtErr := v.dns.LookupTXT(ctx, domain)
	if mxErr == nil || txtErr == nil {
		return true, nil
	}
	for _, err := range []error{ipErr, mxErr, txtErr} {
		if !notFound(err) {
			return false, fmt.Errorf("asking whether %s exists: %w", domain, err)
		}
	}
	return false, nil
}

// aligned tells whether one who has authenticated the mail is of the author's organisation, or the author himself where the record wants that (RFC 9989 4.4).
func (v *Verifier) aligned(ctx context.Context, author, org string, r *step, s SPF, sigs []Signature) (Result, error) {
	if exactly(author, s, sigs) {
		return Pass, nil
	}
	var candidates []string
	add := func(domain string) {
		if near(domain, org) && !slices.Contains(candidates, domain) {
			candidates = append(candidates, domain)
		}
	}
	if s.Result == Pass && !r.strictSPF {
		add(s.Domain)
	}
	for _, g := range sigs {
		if g.Result == Pass && !r.strictDKIM {
			add(g.Domain)
		}
	}
	var failed error
	for _, domain := range candidates {
		met, err := v.walk(ctx, domain)
		if err != nil {
			failed = errors.Join(failed, err)
		} else if organisation(domain, met) == org {
			return Pass, nil
		}
	}
	// While the DNS fails, a mail that could have passed has not failed (RFC 9989 5.3.6).
	unknown := failed != nil || s.Result == TempError && near(s.Domain, org) ||
		slices.ContainsFunc(sigs, func(g Signature) bool { return g.Result == TempError && near(g.Domain, org) })
	if unknown {
		return TempError, failed
	}
	return Fail, nil
}

// near tells whether a domain could be of an organisation.
func near(domain, org string) bool { return domain == org || strings.HasSuffix(domain, "."+org) }
