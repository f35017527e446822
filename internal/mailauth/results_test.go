package mailauth

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"chmail/internal/address"
	"chmail/internal/dnstest"
	"chmail/internal/message"

	"github.com/emersion/go-msgauth/authres"
)

func sha(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

func TestWhatWasFoundIsOneField(t *testing.T) {
	t.Parallel()
	s, published := signers(t)
	mail := sign(t, s, letter) + letter
	dns := dnstest.Start(t, zone(published))
	dns.Set("example.org TXT", "v=spf1 ip4:192.0.2.1 -all")
	dns.Set("_dmarc.example.org TXT", "v=DMARC1; p=reject")
	v := NewVerifier(Options{Resolver: dns.Resolver()})
	env := &message.Envelope{From: address.Address{Local: "alice", Domain: "example.org"}, Peer: netip.MustParseAddr("192.0.2.1"), Helo: "mx.example.org"}
	r := must(v.Check(t.Context(), env, source(mail)))(t)
	want := "Authentication-Results: mail.example.net;\r\n" +
		"\tspf=pass smtp.mailfrom=alice@example.org;\r\n" +
		"\tdkim=pass header.d=example.org header.s=r header.a=rsa-sha256\r\n" +
		"\theader.b=B1;\r\n" +
		"\tdkim=pass header.d=example.org header.s=e header.a=ed25519-sha256\r\n" +
		"\theader.b=B2;\r\n" +
		"\tdmarc=pass header.from=example.org policy.dmarc=reject\r\n"
	got := string(r.Field("mail.example.net"))
	for i, b := range []string{"B1", "B2"} {
		value := r.DKIM[i].Head
		if strings.ContainsAny(value, "/=") {
			value = `"` + value + `"`
		}
		want = strings.Replace(want, b, value, 1)
	}
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	env = &message.Envelope{Peer: netip.MustParseAddr("192.0.2.9"), Helo: "example.org"}
	r = must(v.Check(t.Context(), env, source(strings.Replace(letter, "alice@example.org>\r\nTo", "alice@sub.example.org>\r\nTo", 1))))(t)
	got = strings.Join(strings.Fields(string(r.Field("mail.example.net"))), " ")
	if got != `Authentication-Results: mail.example.net; spf=fail reason="matched all" smtp.helo=example.org; dkim=none; dmarc=fail header.from=sub.example.org policy.dmarc=reject` {
		t.Errorf("%s", got)
	}
	chain, dns2 := sealedMail(t)
	r = must(NewVerifier(Options{Resolver: dns2.Resolver()}).Check(t.Context(), env, source(chain)))(t)
	if got := string(r.Field("mail.example.net")); !strings.HasSuffix(got, ";\r\n\tarc=pass header.d=relay.example header.s=two\r\n") {
		t.Errorf("%s", got)
	}
}

// FuzzField puts texts of strangers into the field: nothing of it becomes another result, a line or a field.
func FuzzField(f *testing.F) {
	f.Add("no such record", "example.org", "a@example.org")
	f.Add("x\"; dkim=pass header.d=bank.test\r\nX: y", "e\r\nFrom: x", `"a\"; spf=pass"@example.org`)
	f.Add(strings.Repeat("x", 2000), strings.Repeat("é", 300), "(")
	f.Fuzz(func(t *testing.T, reason, value, from string) {
		r := &Results{SPF: SPF{Result: Fail, Reason: reason, Domain: value}, from: from,
			DKIM:  []Signature{{Result: PermError, Reason: reason, Domain: value, Selector: from, Algorithm: reason, Head: value}},
			DMARC: DMARC{Result: TempError, Reason: from, Author: value, Found: value, Policy: Accept}, ARC: Chain{Result: Fail, Reason: reason, Domain: from, Selector: value}}
		field := string(r.Field("mail.example.net"))
		for i, line := range strings.Split(strings.TrimSuffix(field, "\r\n"), "\r\n") {
			if len(line) > 998 || i > 0 && !strings.HasPrefix(line, "\t") || i == 0 && line != "Authentication-Results: mail.example.net;" {
				t.Errorf("line %d: %q", i, line)
			}
			if strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
				t.Errorf("line %d cannot be printed: %q", i, line)
			}
		}
		// An own reading: outside of strings, semicolons divide results.
		depth, parts := false, []string{""}
		for i := 0; i < len(field); i++ {
			switch c := field[i]; {
			case depth && c == '\\':
				i++
			case c == '"':
				depth = !depth
			case !depth && c == ';':
				parts = append(parts, "")
			case !depth:
				parts[len(parts)-1] += string(c)
			}
		}
		var methods []string
		for _, p := range parts[1:] {
			m, _, _ := strings.Cut(strings.TrimSpace(p), " ")
			methods = append(methods, strings.TrimSpace(strings.SplitN(m, "\r", 2)[0]))
		}
		if got := strings.Join(methods, " "); depth || got != "spf=fail dkim=permerror dmarc=temperror arc=fail" {
			t.Errorf("%q reads as %s", field, got)
		}
	})
}

func TestWhatBecomesOfAMailIsFoundInItsResults(t *testing.T) {
	t.Parallel()
	is := func(r Result, d Disposition) DMARC {
		return DMARC{Result: r, Policy: d, Author: "bank.test", Found: "bank.test"}
	}
	host := func(r Result) SPF { return SPF{Result: r, Domain: "bank.test"} }
	signature := []Signature{{Result: Fail, Domain: "bank.test"}, {Result: Pass, Domain: "bank.test"}, {Result: Pass, Domain: "evil.test"}}
	for what, c := range map[string]struct {
		results Results
		want    string // by whom it is disowned, doubted; whose it does not prove to be; whether to ask again
	}{
		"refused by the domain":     {Results{DMARC: is(Fail, Reject)}, "bank.test - bank.test false"},
		"quarantined by the domain": {Results{DMARC: is(Fail, Quarantine)}, "- bank.test bank.test false"},
		"the domain asks nothing":   {Results{DMARC: is(Fail, Accept)}, "- - bank.test false"},
		"from there":                {Results{DMARC: is(Pass, Reject)}, "- - - false"},
		"a faulty record":           {Results{DMARC: is(PermError, Accept)}, "- - bank.test false"},
		"no record, its own host":   {Results{SPF: host(Pass), DMARC: DMARC{Result: None, Author: "bank.test"}}, "- - - false"},
		"no record, signed":         {Results{DKIM: signature, DMARC: DMARC{Result: None, Author: "bank.test"}}, "- - - false"},
		"no record, from elsewhere": {Results{SPF: SPF{Result: Pass, Domain: "evil.test"}, DKIM: signature[2:], DMARC: DMARC{Result: None, Author: "bank.test"}}, "- - bank.test false"},
		"no record, a host unknown": {Results{SPF: host(TempError), DMARC: DMARC{Result: None, Author: "bank.test"}}, "- - - false"},
		"another host is unknown":   {Results{SPF: SPF{Result: TempError, Domain: "evil.test"}, DMARC: DMARC{Result: None, Author: "bank.test"}}, "- - bank.test false"},
		"a signature is unknown":    {Results{DKIM: []Signature{{Result: TempError, Domain: "mail.bank.test"}}, DMARC: DMARC{Result: None, Author: "bank.test"}}, "- - - false"},
		"nobody knows the policy":   {Results{DMARC: DMARC{Result: TempError, Policy: Accept, Author: "bank.test"}}, "- - - true"},
		"nobody knows the signer":   {Results{DMARC: is(TempError, Reject)}, "- - - true"},
		"... but nothing is asked":  {Results{DMARC: is(TempError, Accept)}, "- - - false"},
	} {
		or := func(s string) string {
			if s == "" {
				return "-"
			}
			return s
		}
		r := &c.results
		r.DMARC.proved = exactly(r.DMARC.Author, r.SPF, r.DKIM)
		r.authors = []DMARC{r.DMARC}
		if got := fmt.Sprintf("%s %s %s %t", or(r.Disowned()), or(r.Doubted()), or(strings.Join(r.Unproved(), "+")), r.Unsure()); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}

func TestTheLibraryReadsTheField(t *testing.T) {
	t.Parallel()
	r := &Results{SPF: SPF{Result: Pass, Domain: "example.org"}, from: "a@example.org", DKIM: []Signature{{Result: Fail, Reason: "body hash did not verify", Domain: "example.org", Selector: "s", Algorithm: "rsa-sha256", Head: "abc/def+"}},
		DMARC: DMARC{Result: Pass, Author: "example.org", Found: "example.org", Policy: Quarantine}}
	host, all, err := authres.Parse(message.Unfold(r.Field("mail.example.net")[len("Authentication-Results:"):]))
	if err != nil || host != "mail.example.net" || len(all) != 3 {
		t.Fatalf("%s, %d results, %v", host, len(all), err)
	}
	if d, ok := all[1].(*authres.DKIMResult); !ok || d.Value != authres.ResultFail || d.Domain != "example.org" {
		t.Errorf("%+v", all[1])
	}
}

func TestRealMailIsChecked(t *testing.T) {
	t.Parallel()
	v := NewVerifier(Options{Resolver: dnstest.Start(t, nil).Resolver()})
	seals := 0
	for path, raw := range realMail(t) {
		env := &message.Envelope{From: address.Address{Local: "a", Domain: "example.org"}, Peer: netip.MustParseAddr("192.0.2.1")}
		r, err := v.Check(t.Context(), env, &message.Memory{B: raw})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		// Their keys are not published here, but the hash of the body is compared before anybody asks for one.
		if r.ARC.Result == Fail && !strings.Contains(r.ARC.Reason, "no such record") {
			t.Errorf("%s: %+v", path, r.ARC)
		}
		seals += r.ARC.Sets
	}
	t.Logf("%d seals", seals)
}

// FuzzMail checks whatever comes: it ends, and nothing passes that nobody has signed.
func FuzzMail(f *testing.F) {
	f.Add([]byte(letter))
	for _, mail := range hostile() {
		if len(mail) < 8<<10 {
			f.Add([]byte(mail))
		}
	}
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=r; h=from; bh=; b=; c=simple/relaxed\r\nFrom: x@example.org\r\n\r\nbody"))
	f.Add([]byte("ARC-Seal: i=1; cv=none; a=ed25519-sha256; d=example.org; s=r; b=AAAA\r\nARC-Message-Signature: i=1; a=ed25519-sha256; d=example.org; s=r; h=from; bh=; b=\r\nARC-Authentication-Results: i=1; x\r\nFrom: x\r\n\r\n"))
	v := NewVerifier(Options{Resolver: &counting{txt: map[string][]string{"r._domainkey.example.org": {"v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}}})
	f.Fuzz(func(t *testing.T, mail []byte) {
		env := &message.Envelope{From: address.Address{Local: "a", Domain: "example.org"}, Peer: netip.MustParseAddr("192.0.2.1")}
		r, err := v.Check(t.Context(), env, &message.Memory{B: mail})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.DKIM) > maxSignatures || r.ARC.Result == "" || r.DMARC.Result == "" {
			t.Errorf("%+v", r)
		}
		for _, s := range r.DKIM {
			if s.Result == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
