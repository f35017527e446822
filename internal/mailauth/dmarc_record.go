package mailauth

import (
	"context"
	"strings"
)

// Disposition is what a domain wants to be done with mail that is not its own (RFC 9989 4.7, p=).
type Disposition string

// The dispositions, from mild to strict.
const (
	Accept     Disposition = "none"
	Quarantine Disposition = "quarantine"
	Reject     Disposition = "reject"
)

// record is a DMARC policy record (RFC 9989 4.7). Empty dispositions are not given.
type record struct {
	p, sp, np             Disposition
	strictDKIM, strictSPF bool
	psd                   byte // 'y', 'n', or 'u'
	test                  bool // t=y
	void                  bool // it says what it wants in words that nobody knows, and to nobody
}

// parseRecord reads a record. ok is false when it is none: its first tag must be v=DMARC1. Of the rest, what is unknown or wrong counts as not there (RFC 9989 4.8), except
// that a disposition which cannot be read makes it ask for none, or for nothing at all when it names nobody to report to (RFC 9989 4.10.1).
func parseRecord(txt string) (r record, ok bool) {
	r.psd = 'u'
	first, rest, _ := strings.Cut(txt, ";")
	name, version, _ := strings.Cut(first, "=")
	if !strings.EqualFold(trim(name), "v") || trim(version) != "DMARC1" {
		return r, false
	}
	seen := map[string]bool{}
	wrong, reports := false, false
	disposition := func(value string) Disposition {
		d := Disposition(value)
		if d != Accept && d != Quarantine && d != Reject {
			wrong = true
			return ""
		}
		return d
	}
	for piece := range strings.SplitSeq(rest, ";") {
		name, value, is := strings.Cut(piece, "=")
		name, value = strings.ToLower(trim(name)), strings.ToLower(trim(value))
		if !is || seen[name] {
			continue
		}
		seen[name] = true
		switch name {
		case "p":
			r.p = disposition(value)
		case "sp":
			r.sp = disposition(value)
		case "np":
			r.np = disposition(value)
		case "adkim":
			r.strictDKIM = value == "s"
		case "aspf":
			r.strictSPF = value == "s"
		case "psd":
			if value == "y" || value == "n" {
				r.psd = value[0]
			}
		case "t":
			r.test = value == "y"
		case "rua":
			reports = reportURI(value)
		}
	}
	if wrong {
		r.p, r.sp, r.np = Accept, "", ""
		r.void = !reports
	}
	if r.p == "" {
		r.p = Accept
	}
	return r, true
}

// trim takes away the white space around a tag or a value.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// reportURI tells whether one of the addresses in rua= can be read.
func reportURI(list string) bool {
	for uri := range strings.SplitSeq(list, ",") {
		scheme, to, ok := strings.Cut(trim(uri), ":")
		if ok && scheme != "" && to != "" && (scheme != "mailto" || strings.Contains(to, "@")) {
			return true
		}
	}
	return false
}

// mild is one level below (t=y, RFC 9989 4.7).
func (d Disposition) mild() Disposition {
	if d == Reject {
		return Quarantine
	}
	return Accept
}

// step is a record that a walk has met.
type step struct {
	domain string
	record
}

// maxWalk is how many questions a walk asks at most (RFC 9989 4.10).
const maxWalk = 8

// walk goes up from a domain and returns the records that it meets, the lowest first (RFC 9989 4.10). With an error of the DNS come those met before it.
func (v *Verifier) walk(ctx context.Context, domain string) ([]step, error) {
	var met []step
	for n, at := 0, domain; n < maxWalk && at != ""; n++ {
		r, ok, err := v.published(ctx, at)
		if err != nil {
			return met, err
		}
		if ok {
			met = append(met, step{at, r})
			if r.psd != 'u' {
				break
			}
		}
		at = above(at)
		for n == 0 && strings.Count(at, ".") >= maxWalk-1 {
			at = above(at) // a long name is cut to seven labels
		}
	}
	return met, nil
}

// above is the domain one label up; "" at the top.
func above(domain string) string {
	_, up, _ := strings.Cut(domain, ".")
	return up
}

// published is the one record of a domain; with several there is none.
func (v *Verifier) published(ctx context.Context, domain string) (r record, ok bool, err error) {
	txts, err := v.dns.LookupTXT(ctx, "_dmarc."+domain)
	if err != nil {
		if notFound(err) {
			err = nil
		}
		return r, false, err
	}
	for _, txt := range txts {
		if one, is := parseRecord(txt); is {
			if ok {
				return record{}, false, nil
			}
			r, ok = one, true
		}
	}
	return r, ok, nil
}

// organisation is the organizational domain of where a walk began (RFC 9989 4.10.2).
func organisation(from string, met []step) string {
	for _, s := range met {
		switch {
		case s.psd == 'n':
			return s.domain
		case s.psd == 'y' && s.domain != from:
			below := strings.TrimSuffix(from, "."+s.domain)
			return below[strings.LastIndexByte(below, '.')+1:] + "." + s.domain
		}
	}
	if len(met) > 0 {
		return met[len(met)-1].domain
	}
	return from
}
