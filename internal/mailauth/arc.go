package mailauth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"chmail/internal/message"
)

// Chain is what was found about the seals that servers on the way have put on a mail (ARC, RFC 8617): Pass when none of them is broken and the mail is as the last
// of them left it. It proves what they wrote, not that they are to be believed.
type Chain struct {
	Result           Result // None, Pass or Fail
	Reason           string // for people
	Sets             int    // how many servers have sealed it
	Domain, Selector string // of the last
	said             string // by the last of what it found: the value of its field, where the chain passes
	unknown          bool   // it fails for a key that the DNS did not give
}

// maxSets is how many sets a chain may have (RFC 8617 4.2.1).
const maxSets = 50

// arcSet is what one server has added.
type arcSet struct {
	results, signature, seal *field
	s                        tags // of the seal
}

// ARC checks the seals of a mail (CRLF line ends). An error is one of reading, or that ctx ended.
func (v *Verifier) ARC(ctx context.Context, src message.Source) (Chain, error) {
	h, err := readHeader(src, src.Size())
	if errors.Is(err, errHeader) {
		return Chain{Result: None}, nil
	} else if err != nil {
		return Chain{}, fmt.Errorf("checking ARC: %w", err)
	}
	if err := v.enter(ctx); err != nil {
		return Chain{}, err
	}
	defer v.leave()
	return v.chain(ctx, src, h)
}

// errBroken says what is wrong with a chain.
type errBroken struct{ reason string }

func (e *errBroken) Error() string { return e.reason }

func broken(format string, args ...any) error { return &errBroken{fmt.Sprintf(format, args...)} }

// chain checks in the order of RFC 8617 5.2. The first fault ends it.
func (v *Verifier) chain(ctx context.Context, src message.Source, h *header) (Chain, error) {
	sets, err := h.sets()
	c := Chain{Result: Pass, Sets: len(sets)}
	if err == nil && len(sets) == 0 {
		c.Result = None
		return c, nil
	}
	k := &keyring{dns: v.dns, ctx: ctx}
	if err == nil {
		last := sets[len(sets)-1]
		c.Domain, c.Selector = domainOf(last.s["d"]), strings.ToLower(last.s["s"])
		err = k.message(src, h, last.signature, len(sets))
	}
	for n := len(sets); n > 0 && err == nil; n-- {
		err = k.seal(sets[:n])
	}
	if e := (*errBroken)(nil); errors.As(err, &e) {
		c.Result, c.Reason, c.unknown, err = Fail, e.reason, k.failed, nil // RFC 8617 has no result for a DNS that fails
	} else if err == nil {
		c.said = string(sets[len(sets)-1].results.value())
	}
	return c, err
}

// sets finds the sets of a header and sees that they are whole: numbered from 1 without a gap, three fields each, and each seal vouching for those before it.
func (h *header) sets() ([]arcSet, error) {
	found := map[int]*arcSet{}
	for i := range h.fields {
		f := &h.fields[i]
		var place func(*arcSet) **field
		switch {
		case f.is("ARC-Authentication-Results"):
			place = func(s *arcSet) **field { return &s.results }
		case f.is("ARC-Message-Signature"):
			place = func(s *arcSet) **field { return &s.signature }
		case f.is("ARC-Seal"):
			place = func(s *arcSet) **field { return &s.seal }
		default:
			continue
		}
		n, ok := instance(f)
		if !ok {
			return nil, broken("a set without a number")
		}
		if found[n] == nil {
			found[n] = &arcSet{}
		}
		at := place(found[n])
		if *at != nil {
			return nil, broken("set %d has a field twice", n)
		}
		*at = f
	}
	var sets []arcSet
	for n := 1; n <= len(found); n++ {
		s := found[n]
		if s == nil || s.results == nil || s.signature == nil || s.seal == nil {
			return nil, broken("set %d is not whole", n)
		}
		var err error
		if s.s, err = parseTags(string(s.seal.value())); err != nil {
			return nil, broken("seal %d: %v", n, err)
		}
		sets = append(sets, *s)
	}
	for i := len(sets) - 1; i >= 0; i-- {
		switch cv, _ := sets[i].s["cv"]; {
		case cv == "fail":
			return sets, broken("seal %d says that it was broken", i+1)
		case (cv != "none" || i > 0) && (cv != "pass" || i == 0):
			return sets, broken("seal %d does not say what stands below it", i+1)
		}
	}
	return sets, nil
}

// instance is the number of a set, i=, which must come first in results and may stand anywhere else (RFC 8617 4.1).
func instance(f *field) (int, bool) {
	for piece := range bytes.SplitSeq(f.value(), []byte(";")) {
		name, value, _ := strings.Cut(string(piece), "=")
		if strings.TrimSpace(name) == "i" {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			return n, err == nil && n >= 1 && n <= maxSets
		}
		if f.is("ARC-Authentication-Results") {
			break
		}
	}
	return 0, false
}

// message checks that the mail is as a set's signature says: a DKIM signature in all but its name and its number (RFC 8617 4.1.2).
func (k *keyring) message(src message.Source, h *header, f *field, n int) error {
	t, err := parseTags(string(f.value()))
	if err != nil {
		return broken("signature %d: %v", n, err)
	}
	head, body, ok := canonicalization(t)
	names := t.list("h")
	_, partial := t["l"]
	switch {
	case !ok:
		return broken("signature %d: unknown canonicalization", n)
	case partial:
		return broken("signature %d: l= leaves a part of the body unsigned", n)
	case !slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, "From") }):
		return broken("signature %d does not cover From", n)
	case slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, "ARC-Seal") }):
		return broken("signature %d covers a seal", n) // RFC 8617 4.1.2
	case ranOut(t):
		return broken("signature %d has expired", n)
	}
	want, err := base64.StdEncoding.DecodeString(t["bh"])
	if err != nil {
		return broken("signature %d: %v", n, err)
	}
	got, err := bodyHash(src, h.body, body)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return broken("the body is not as server %d left it", n)
	}
	data := append(h.picked(names, head), canonicalField(withoutSignature(f.raw), head)...)
	if err := k.check(t, data); err != nil {
		return broken("signature %d: %v", n, err)
	}
	return nil
}

// ranOut tells whether x= lies behind us (RFC 6376 3.5).
func ranOut(t tags) bool {
	x, ok := t["x"]
	if !ok {
		return false
	}
	at, err := strconv.ParseInt(x, 10, 64)
	return err != nil || time.Now().Unix() > at
}

// seal checks the last of these sets' seals, which covers all of them (RFC 8617 5.1.1).
func (k *keyring) seal(sets []arcSet) error {
	n := len(sets)
	t := sets[n-1].s
	if _, ok := t["h"]; ok {
		return broken("seal %d has h=", n) // RFC 8617 4.1.3
	}
	var data []byte
	for i, s := range sets {
		data = append(append(data, relaxed(s.results.raw)...), "\r\n"...)
		data = append(append(data, relaxed(s.signature.raw)...), "\r\n"...)
		if i < n-1 {
			data = append(append(data, relaxed(s.seal.raw)...), "\r\n"...)
		} else {
			data = append(data, relaxed(withoutSignature(s.seal.raw))...)
		}
	}
	if err := k.check(t, data); err != nil {
		return broken("seal %d: %v", n, err)
	}
	return nil
}

// check verifies b= over data with the key that d= and s= name.
func (k *keyring) check(t tags, data []byte) error {
	sig, err := base64.StdEncoding.DecodeString(t["b"])
	if err != nil || len(sig) == 0 {
		return errors.New("no signature in it")
	}
	domain := domainOf(t["d"])
	if domain == "" || t["s"] == "" {
		return errors.New("nobody's")
	}
	key, _, err := k.find(t["s"] + "._domainkey." + domain)
	if err != nil {
		k.failed = errors.As(err, new(*net.DNSError))
		return err
	}
	hash := sha256.Sum256(data)
	return key.verify(t["a"], hash[:], sig)
}
