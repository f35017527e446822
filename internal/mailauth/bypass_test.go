package mailauth

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
)

// forgers is a DNS in which the names of evil.test never get an answer, and the bank's do at once.
type forgers struct{ txt map[string]string }

var absent = &net.DNSError{Err: "no such host", IsNotFound: true}

func (f forgers) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if strings.Contains(name, "evil.test") {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if txt, ok := f.txt[strings.TrimSuffix(name, ".")]; ok {
		return []string{txt}, nil
	}
	return nil, absent
}
func (forgers) LookupMX(context.Context, string) ([]*net.MX, error)        { return nil, absent }
func (forgers) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) { return nil, absent }
func (forgers) LookupAddr(context.Context, string) ([]string, error)       { return nil, absent }

// fromEvil is a mail's envelope whose sender's SPF record takes for ever.
func fromEvil(t *testing.T) *message.Envelope {
	t.Helper()
	from, err := address.Parse("x@evil.test")
	if err != nil {
		t.Fatal(err)
	}
	return &message.Envelope{From: from, Helo: "mail.evil.test", Peer: netip.MustParseAddr("192.0.2.1")}
}

func TestSlowNameServersOfAForgerDoNotHideThePolicy(t *testing.T) {
	t.Parallel()
	sum, err := bodyHash(source("hello\r\n"), 0, "relaxed")
	if err != nil {
		t.Fatal(err)
	}
	bh := base64.StdEncoding.EncodeToString(sum)
	sealed := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=evil.test; s=a; h=from; bh=" + bh + "; b=AAAA\r\n" +
		"ARC-Authentication-Results: i=1; x; none\r\nARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=evil.test; s=b; h=from; bh=" + bh + "; b=AAAA\r\n" +
		"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=evil.test; s=c; b=AAAA\r\n"
	for _, fields := range []string{"", sealed} {
		synctest.Test(t, func(t *testing.T) {
			v := NewVerifier(Options{Resolver: forgers{map[string]string{"_dmarc.bank.test": "v=DMARC1; p=reject"}}})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r, err := v.Check(ctx, fromEvil(t), source(fields+"From: ceo@bank.test\r\n\r\nhello\r\n"))
			if err != nil || r.Disowned() != "bank.test" {
				t.Errorf("%v: %v, %+v", err, r, r.DMARC)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // his own domain's policy nobody knows
		v := NewVerifier(Options{Resolver: forgers{}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if r, err := v.Check(ctx, fromEvil(t), source("From: ceo@evil.test\r\n\r\nhello\r\n")); err != nil || !r.Unsure() {
			t.Errorf("%v, %+v", err, r)
		}
	})
}

func TestASelectorThatIsNoNameIsNoTroubleOfTheDNS(t *testing.T) {
	t.Parallel()
	v := NewVerifier(Options{Resolver: forgers{map[string]string{"_dmarc.bank.test": "v=DMARC1; p=reject"}}})
	env := &message.Envelope{Helo: "other.test", Peer: netip.MustParseAddr("192.0.2.1")}
	for _, selector := range []string{"a..b", ".", strings.Repeat("x", 64), "a."} {
		_, _, err := (&keyring{dns: newCache(failing{}), ctx: t.Context()}).find(selector + "._domainkey.bank.test")
		var d *net.DNSError
		if err == nil || errors.As(err, &d) {
			t.Errorf("%.10s: %v", selector, err)
		}
		mail := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=bank.test; s=" + selector + "; h=from; bh=AAAA; b=AAAA\r\nFrom: ceo@bank.test\r\n\r\nhello\r\n"
		r, err := v.Check(t.Context(), env, source(mail))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.DKIM) != 1 || r.DKIM[0].Result == TempError || r.Disowned() != "bank.test" {
			t.Errorf("%.10s: %+v", selector, r.DKIM)
		}
	}
}

// failing is a DNS that is asked for nothing that makes sense.
type failing struct{ forgers }

func (failing) LookupTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{Err: "bad name", IsTemporary: true}
}

func TestABadlyWrittenFromNamesWhatAReaderMaySee(t *testing.T) {
	t.Parallel()
	for _, from := range []string{
		"ceo@bank.test", "'ceo@bank.test'", "ceo@bank.test!", "ceo@bank.test/", "ceo@bank.test\x01", `ceo@"bank.test"`, "=?utf-8?q?ceo=40bank.test?=", "Ceo <ceo@\u200bbank.test>",
		"<ceo@bank . test>", "ceo@ba\u00adnk.test", "ceo\uff20bank.test", "<ceo@(x)bank.test>", "ceo@bank(x).test <", "<ceo@bank.test", "ceo@bank.test. <", "<@evil.test:ceo@bank.test", "ceo @ bank.test <",
		"=?utf-8?b?Y2VvQGJhbmsudGVzdA==?= <", "ceo@bank.test\xff", `ceo@bank\.test`, `ceo\@bank.test`, `ceo@bank.test\.evil.test`, `ceo@\bank.test`,
		"\"CEO (Bank\" <ceo@bank.test> \")\" <x@evil.test>", `CEO \( <ceo@bank.test> \) <x@evil.test>`,
		`ceo@bank.test" .evil.test`, `"CEO" <ceo@bank.test .evil.test>`, "ceo@bank.test .x <x@evil.test>",
		"ceo@bank.test(a)x", "ceo@((a)b)bank.test x@evil.test", `ceo@(\))bank.test <`, "=?utf-8?q?ceo=40bank.test?=x", "=?utf-8?q?ceo=40b?=ank.test", "x=?utf-8?q?ceo=40?=bank.test <x@evil.test",
	} {
		if got := authors([]byte(from)); !strings.Contains(" "+strings.Join(got, " ")+" ", " bank.test ") {
			t.Errorf("%q: %v", from, got)
		}
	}
	for from, is := range map[string]bool{"ceo at bank": true, strings.Repeat("@! ", 100) + "x@evil.test <ceo@bank.test": true, "x@evil.test <" + strings.Repeat("x", maxFrom) + "ceo@bank.test": true, "ceo@": true, "<>": true, "ceo@[192.0.2.1]": true, "Nobody:;": false, "": false, " ": false} {
		h := &header{}
		h.fields = append(h.fields, field{name: "From", raw: []byte("From: " + from + "\r\n")})
		if len(authors(h.from())) == 0 && unclear(h.from()) != is || len(authors(h.from())) > 0 {
			t.Errorf("%q: %v, unclear %t", from, authors(h.from()), unclear(h.from()))
		}
	}
}

// TestALongFromCostsLittle has From fields in which there is much to look for; each is looked through twice.
func TestALongFromCostsLittle(t *testing.T) { // not in parallel: it holds a clock
	for _, part := range []string{"@" + strings.Repeat("é!", 125) + " ", "@xn--" + strings.Repeat("9", 240) + " ", "@(", ". ", "ﷺ", "=?utf-8?q?a?= ", "@\\a ", "=?utf-8?q?\\(a)?=x("} {
		for _, n := range []int{maxFrom/len(part) - 1, 200 << 10 / len(part)} {
			from, best := []byte(strings.Repeat(part, n)+"<"), time.Hour
			for tries := 0; tries < 5 && best >= 25*time.Millisecond*slowdown; tries++ {
				began := time.Now()
				authors(from)
				best = min(best, time.Since(began))
			}
			if best >= 25*time.Millisecond*slowdown {
				t.Errorf("%d times %.10q: %v", n, part, best)
			}
		}
	}
}

func TestAMailOfWhiteSpaceTakesNoMemory(t *testing.T) { // not in parallel: it looks at the heap
	for name, line := range map[string]string{"blank lines": "\r\n", "lines of a space": " \r\n"} {
		signature := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=bank.test; s=r; bh=AAAA; b=AAAA; h=From\r\n"
		mail := source(strings.Repeat(signature, maxSignatures) + "From: x@bank.test\r\n\r\n" + strings.Repeat(line, 16<<20/len(line)) + "x\r\n")
		v := NewVerifier(Options{Resolver: forgers{}})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sigs, err := v.DKIM(t.Context(), mail)
		runtime.ReadMemStats(&after)
		if err != nil || results(sigs) != strings.TrimSpace(strings.Repeat("policy ", maxSignatures)) {
			t.Errorf("%s: %v, %v", name, results(sigs), err)
		}
		if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 8 {
			t.Errorf("%s: %d MiB were taken", name, mib)
		}
	}
}

func TestAMailWhoseFromNamesNobodyIsFoundOut(t *testing.T) {
	t.Parallel()
	v := NewVerifier(Options{Resolver: forgers{}})
	for from, want := range map[string]bool{"From: Ceo <ceo@>\r\n": true, "From: ceo at bank\r\n": true, "From: ceo@bank.test\r\n": false, "From: Nobody:;\r\n": false, "": false} {
		env := &message.Envelope{Helo: "other.test", Peer: netip.MustParseAddr("192.0.2.1")}
		r, err := v.Check(t.Context(), env, source(from+"Subject: x\r\n\r\nhello\r\n"))
		if err != nil || r.Nameless() != want {
			t.Errorf("%q: nameless %t, %v", from, r.Nameless(), err)
		}
	}
}
