package mailauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/dnstest"
	"chmail/internal/message"

	"github.com/emersion/go-msgauth/dkim"
)

func source(mail string) message.Source { return &message.Memory{B: []byte(mail)} }

// zone makes records of what is published about keys.
func zone(published map[string]string) dnstest.Records {
	r := dnstest.Records{}
	for name, txt := range published {
		r[name+" TXT"] = []string{txt}
	}
	return r
}

// results writes down what was found, such as "pass policy".
func results(sigs []Signature) string {
	var all []string
	for _, s := range sigs {
		all = append(all, string(s.Result))
	}
	return strings.Join(all, " ")
}

func TestSignaturesAreChecked(t *testing.T) {
	t.Parallel()
	s, published := signers(t)
	mail := sign(t, s, letter) + letter
	v := NewVerifier(Options{Resolver: dnstest.Start(t, zone(published)).Resolver()})
	got := must(v.DKIM(t.Context(), source(mail)))(t)
	if results(got) != "pass pass" || got[0].Domain != "example.org" || got[0].Selector != "r" || got[0].Algorithm != "rsa-sha256" || got[0].Bits != 2048 || len(got[0].Head) != 8 {
		t.Errorf("%+v", got)
	}
	for what, c := range map[string]struct{ mail, want string }{
		"another body":         {mail + "PS", "fail fail"},
		"another subject":      {strings.Replace(mail, "Lunch", "Dinner", 1), "fail fail"},
		"two authors":          {"From: x@example.net\r\n" + mail, "policy policy"},
		"not signed":           {letter, ""},
		"part of the body":     {strings.Replace(mail, " v=1;", " v=1; l=3;", 1), "policy pass"},
		"another selector":     {strings.Replace(mail, " s=r;", " s=q;", 1), "permerror pass"},
		"no tags":              {"DKIM-Signature: x\r\n" + mail, "permerror pass pass"},
		"run out":              {strings.Replace(mail, " v=1;", " v=1; x=1700000000;", 1), "permerror pass"},
		"no colon":             {"DKIM-Signature\r\n" + mail, "permerror permerror"},
		"SHA-1":                {strings.Replace(mail, "rsa-sha256", "rsa-sha1", 1), "permerror pass"},
		"no body":              {strings.Split(letter, "\r\n\r\n")[0] + "\r\n", ""},
		"nothing":              {"", ""},
		"a header without end": {strings.Repeat("X: y\r\n", maxHeader/6+1) + mail, ""},
	} {
		if got := results(must(v.DKIM(t.Context(), source(c.mail)))(t)); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
	words := must(v.Verify(t.Context(), source(mail)))(t)
	if len(words) != 2 || !words[0].Valid || words[0].Domain != "example.org" || words[0].Partial || len(words[0].Signed) == 0 {
		t.Errorf("for the stamp: %+v", words)
	}
}

func TestASignedHeaderWithoutABody(t *testing.T) {
	t.Parallel()
	s, published := signers(t)
	v := NewVerifier(Options{Resolver: dnstest.Start(t, zone(published)).Resolver()})
	for _, end := range []string{"", "\r\n", "\r\n\r\n"} {
		head := strings.Split(letter, "\r\n\r\n")[0] + end
		if got := results(must(v.DKIM(t.Context(), source(sign(t, s, head)+head)))(t)); got != "pass pass" {
			t.Errorf("a header that ends in %q: %s", end, got)
		}
	}
}

func TestWhatIsPublishedAboutAKeyCounts(t *testing.T) {
	t.Parallel()
	s, published := signers(t)
	mail := sign(t, s, letter) + letter
	const name = "r._domainkey.example.org"
	sound := published[name]
	keys := must(s.Signing("example.org"))(t)
	var below strings.Builder
	if err := dkim.Sign(&below, strings.NewReader(letter), &dkim.SignOptions{Domain: "example.org", Selector: "r", Signer: keys[0].signer, Identifier: "x@sub.example.org"}); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		txt  []string
		mail string
		want Result
	}{
		"sound":                   {[]string{sound}, mail, Pass},
		"being tried out":         {[]string{sound + "; t=y"}, mail, Neutral},
		"strict":                  {[]string{sound + "; t=s"}, mail, Pass},
		"of a sub-domain":         {[]string{sound}, below.String(), Pass},
		"strict, of a sub-domain": {[]string{sound + "; t=s"}, below.String(), PermError},
		"twice":                   {[]string{sound, sound}, mail, PermError},
		"not there":               {nil, mail, PermError},
		"revoked":                 {[]string{"v=DKIM1; p="}, mail, PermError},
		"not for mail":            {[]string{sound + "; s=tlsrpt"}, mail, PermError},
		"another hash":            {[]string{sound + "; h=sha512"}, mail, PermError},
		"another kind":            {[]string{published["e._domainkey.example.org"]}, mail, PermError},
		"of another key":          {[]string{must(s.New("other.example", "x", RSA))(t).TXT()}, mail, Fail},
		"too large":               {[]string{strings.Replace(sound, "p=", "p="+strings.Repeat("A", 1200), 1)}, mail, PermError},
		"longer than allowed":     {[]string{sound + "; n=" + strings.Repeat("n", maxTXT)}, mail, PermError},
	} {
		dns := dnstest.Start(t, zone(published))
		dns.Set(name+" TXT", c.txt...)
		v := NewVerifier(Options{Resolver: dns.Resolver()})
		if got := must(v.DKIM(t.Context(), source(c.mail)))(t); got[0].Result != c.want {
			t.Errorf("%s: %+v, want %s", what, got[0], c.want)
		}
	}
	dns := dnstest.Start(t, zone(published))
	dns.Fail(name)
	v := NewVerifier(Options{Resolver: dns.Resolver()})
	if got := results(must(v.DKIM(t.Context(), source(mail)))(t)); got != "temperror pass" {
		t.Errorf("while the DNS fails: %s", got)
	}
	dns.Mend()
	if got := results(must(v.DKIM(t.Context(), source(mail)))(t)); got != "pass pass" {
		t.Errorf("a failure was remembered: %s", got)
	}
}

// hostile are mails that cost much to check: some keep the library busy for seconds or minutes (hazards, D1 to D3).
func hostile() map[string]string {
	sig := func(c, h string) string {
		return "DKIM-Signature: v=1; a=rsa-sha256; c=" + c + "; d=example.org; s=r; bh=AAAA; b=AAAA; h=" + h + "\r\n"
	}
	from := "From: x@example.org\r\n"
	folded := func(n int) string { return "X: y\r\n" + strings.Repeat(" x\r\n", n/4) }
	var chain strings.Builder
	for n := range maxSets {
		fmt.Fprintf(&chain, "ARC-Seal: i=%[1]d; cv=pass; a=rsa-sha256; d=example.org; s=r; b=AAAA\r\nARC-Message-Signature: i=%[1]d; a=rsa-sha256; d=example.org; s=r; h=from:%[2]s; bh=AAAA; b=AAAA\r\n"+
			"ARC-Authentication-Results: i=%[1]d; %[2]s\r\n", n+1, strings.Repeat("x:", 1000))
	}
	return map[string]string{
		"D1, a field of 250 KiB in folds":    sig("relaxed/relaxed", "From") + from + folded(250<<10) + "\r\nbody",
		"D1, not signed":                     from + folded(250<<10) + "\r\nbody",
		"D1, a header of 4 MiB":              sig("relaxed/relaxed", "From") + from + folded(4<<20) + "\r\nbody",
		"D1, many folded fields":             sig("relaxed/relaxed", "From") + from + strings.Repeat(folded(12<<10), 20) + "\r\nbody",
		"D1, just allowed":                   sig("relaxed/relaxed", "From") + from + folded(15<<10) + "\r\nbody",
		"D2, 4 MiB of blank lines":           sig("relaxed/simple", "From") + from + "\r\n" + strings.Repeat("\r\n", 2<<20) + "body",
		"D2, eight signatures":               strings.Repeat(sig("relaxed/simple", "From"), 8) + from + "\r\n" + strings.Repeat("\r\n", 2<<20) + "body",
		"D2, simple by default":              sig("", "From") + from + "\r\n" + strings.Repeat("\r\n", 2<<20) + "body",
		"D2, relaxed":                        sig("relaxed/relaxed", "From") + from + "\r\n" + strings.Repeat("\r\n", 1<<20) + "body",
		"D2, tags that cannot be read":       strings.Replace(sig("relaxed/simple", "From"), "v=1;", "v=1; =x;", 1) + from + "\r\n" + strings.Repeat("\r\n", 2<<20) + "body",
		"ARC, all it may have":               chain.String() + from + strings.Repeat("X: y\r\n", 900) + "\r\n" + strings.Repeat("\r\n", 2<<20) + "body",
		"ARC, many fields":                   strings.Repeat("ARC-Seal: i=1; cv=none\r\n", 10000) + from + "\r\nbody",
		"D3, many names and fields":          sig("relaxed/relaxed", strings.Repeat("From:", 20000)+"x") + from + strings.Repeat("X: y\r\n", 900) + "\r\nbody",
		"D3, many fields":                    sig("relaxed/relaxed", "From") + from + strings.Repeat("X: y\r\n", 30000) + "\r\nbody",
		"D3, many signatures":                strings.Repeat(sig("relaxed/relaxed", "From:"+strings.Repeat("X:", 90)), 800) + from + "\r\nbody",
		"D3, many names in a void signature": strings.Replace(sig("relaxed/relaxed", strings.Repeat("From:", 20000)+"x"), "v=1;", "v=1; =x;", 1) + from + strings.Repeat("X: y\r\n", 900) + "\r\nbody",
	}
}

func TestHostileMailCostsLittle(t *testing.T) { // not in parallel: it holds a clock
	_, published := signers(t)
	v := NewVerifier(Options{Resolver: dnstest.Start(t, zone(published)).Resolver()})
	limit := 50 * time.Millisecond * slowdown
	for what, mail := range hostile() {
		best := time.Hour // of ten, or of three where each takes long: the machine may be busy with something else
		first := time.Now()
		for n := 0; n < 10 && (n < 3 || time.Since(first) < time.Second); n++ {
			began := time.Now()
			sigs := must(v.DKIM(t.Context(), source(mail)))(t)
			seals := must(v.ARC(t.Context(), source(mail)))(t)
			best = min(best, time.Since(began))
			if strings.Contains(what, "just allowed") && results(sigs) == string(Policy) {
				t.Errorf("%s: %+v", what, sigs)
			}
			if strings.Contains(results(sigs), "pass") || seals.Result == Pass {
				t.Errorf("%s: %s, ARC %s", what, results(sigs), seals.Result)
			}
			if best < limit {
				break
			}
		}
		if best >= limit {
			t.Errorf("%s: %v", what, best)
		}
	}
}

// TestOfALargeMailFewerSignaturesAreLookedAt: each has the whole body hashed once more.
func TestOfALargeMailFewerSignaturesAreLookedAt(t *testing.T) {
	t.Parallel()
	for body, want := range map[int64]int{0: 8, 1: 8, 24 << 20: 8, 25 << 20: 7, 48 << 20: 4, 96 << 20: 2, 1 << 40: 1} {
		if got := looked(body); got != want {
			t.Errorf("%d octets: %d, want %d", body, got, want)
		}
	}
	signature := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=none; bh=AAAA; b=AAAA; h=From\r\n"
	v := NewVerifier(Options{Resolver: &counting{}})
	mail := strings.Repeat(signature, maxSignatures) + "From: x@example.org\r\n\r\n" + strings.Repeat("text\r\n", 40<<20/6)
	if got := results(must(v.DKIM(t.Context(), source(mail)))(t)); got != "permerror permerror permerror permerror" {
		t.Error(got)
	}
}

// counting is a DNS in memory that counts questions. It asks nobody, so that a bubble's time runs.
type counting struct {
	txt   map[string][]string
	asked atomic.Int64
	wait  time.Duration
}

func (c *counting) LookupTXT(ctx context.Context, name string) ([]string, error) {
	c.asked.Add(1)
	select {
	case <-time.After(c.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if txt, ok := c.txt[strings.TrimSuffix(name, ".")]; ok {
		return slices.Clone(txt), nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (c *counting) LookupMX(context.Context, string) ([]*net.MX, error) { return nil, io.EOF }
func (c *counting) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return nil, io.EOF
}
func (c *counting) LookupAddr(context.Context, string) ([]string, error) { return nil, io.EOF }

func TestAnswersAreRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dns := &counting{txt: map[string][]string{"example.org": {"x"}, "large.example": {strings.Repeat("x", 3000), strings.Repeat("y", 3000), strings.Repeat("z", 5000)}}}
		c := newCache(dns)
		ask := func(name string, want int64) {
			t.Helper()
			_, _ = c.LookupTXT(t.Context(), name)
			if n := dns.asked.Swap(0); n != want {
				t.Errorf("%s: asked %d times, want %d", name, n, want)
			}
		}
		ask("example.org", 1)
		ask("Example.ORG.", 0)
		ask("absent.example", 1)
		ask("absent.example", 0)
		ask("large.example", 1)
		ask("large.example", 1)
		if all, _ := c.LookupTXT(t.Context(), "large.example"); len(all) != 2 {
			t.Errorf("%d large records", len(all))
		}
		time.Sleep(absentTime + 1)
		dns.asked.Store(0)
		ask("absent.example", 1)
		ask("example.org", 0)
		time.Sleep(knownTime)
		ask("example.org", 1)
		for i := range 3 * maxKnown {
			_, _ = c.LookupTXT(t.Context(), fmt.Sprintf("%d.example", i))
		}
		if len(c.known) > maxKnown {
			t.Errorf("%d answers are kept", len(c.known))
		}
	})
}

func TestASilentNameServerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := signers(t)
		mail := sign(t, s, letter) + letter
		v := NewVerifier(Options{Resolver: &counting{wait: time.Hour}, Mails: 1})
		began := time.Now()
		if got := results(must(v.DKIM(t.Context(), source(mail)))(t)); got != "temperror temperror" || time.Since(began) > lookupTime {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		// While one mail is being checked, the next waits, and no longer than its own context says.
		done := make(chan struct{})
		go func() {
			defer close(done)
			must(v.DKIM(t.Context(), source(mail)))(t)
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.DKIM(ctx, source(mail)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("out of turn: %v", err)
		}
		<-done
	})
}
