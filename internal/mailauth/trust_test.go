package mailauth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"chmail/internal/address"
	"chmail/internal/dnstest"
	"chmail/internal/message"
)

// sealBy puts a set on a mail as the servers of a domain would that have one key. What seals are is proved by another implementation's (TestSealsOfServersOnTheWay).
func sealBy(t *testing.T, key ed25519.PrivateKey, mail, domain, results string, n int) string {
	t.Helper()
	sign := func(data []byte) string {
		hash := sha256.Sum256(data)
		return base64.StdEncoding.EncodeToString(ed25519.Sign(key, hash[:]))
	}
	src := source(mail)
	h := must(readHeader(src, src.Size()))(t)
	body := must(bodyHash(src, h.body, "relaxed"))(t)
	signature := fmt.Sprintf("ARC-Message-Signature: i=%d; a=ed25519-sha256; c=relaxed/relaxed; d=%s; s=arc; h=from:subject; bh=%s; b=", n, domain, base64.StdEncoding.EncodeToString(body))
	signature += sign(append(h.picked([]string{"from", "subject"}, "relaxed"), canonicalField([]byte(signature), "relaxed")...))
	cv := "none"
	if n > 1 {
		cv = "pass"
	}
	set := fmt.Sprintf("ARC-Seal: i=%d; cv=%s; a=ed25519-sha256; d=%s; s=arc; b=\r\n%s\r\nARC-Authentication-Results: i=%d; %s; %s\r\n", n, cv, domain, signature, n, "mx."+domain, results)
	src = source(set + mail)
	h = must(readHeader(src, src.Size()))(t)
	sets, err := h.sets()
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for i, s := range sets {
		data = append(append(append(append(data, relaxed(s.results.raw)...), "\r\n"...), relaxed(s.signature.raw)...), "\r\n"...)
		if data = append(data, relaxed(s.seal.raw)...); i < n-1 {
			data = append(data, "\r\n"...)
		}
	}
	return strings.Replace(set, "s=arc; b=\r\n", "s=arc; b="+sign(data)+"\r\n", 1) + mail
}

// TestAForwarderThatIsBelievedVouchesForAMail that it has changed: its author's domain disowns what is left of it.
func TestAForwarderThatIsBelievedVouchesForAMail(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	record := "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	dns := dnstest.Start(t, dnstest.Records{"arc._domainkey.list.test TXT": {record}, "arc._domainkey.other.test TXT": {record}, "_dmarc.author.test TXT": {"v=DMARC1; p=reject"}})
	v := NewVerifier(Options{Resolver: dns.Resolver()})
	const mail, good = "From: ann@author.test\r\nSubject: [list] News\r\n\r\nNews.\r\n-- \r\nThe list\r\n", "spf=fail; dmarc=pass (p=reject dis=none) header.from=author.test"
	one := func(results string) string { return sealBy(t, key, mail, "list.test", results, 1) }
	for what, c := range map[string]struct {
		mail    string
		sealers []string
		want    bool
	}{
		"believed":                          {one(good), []string{"x.test", "list.test"}, true},
		"nobody is believed":                {one(good), nil, false},
		"another is believed":               {one(good), []string{"other.test"}, false},
		"it was no pass there either":       {one("spf=pass; dmarc=fail header.from=author.test"), []string{"list.test"}, false},
		"of another author":                 {one("dmarc=pass header.from=else.test"), []string{"list.test"}, false},
		"changed since":                     {strings.Replace(one(good), "News.", "Pay.", 1), []string{"list.test"}, false},
		"not sealed":                        {"ARC-Authentication-Results: i=1; mx.list.test; " + good + "\r\n" + mail, []string{"list.test"}, false},
		"sealed again by somebody":          {sealBy(t, key, one(good), "other.test", "arc=pass; "+good, 2), []string{"list.test"}, false},
		"sealed again by who is believed":   {sealBy(t, key, sealBy(t, key, mail, "other.test", "dmarc=fail", 1), "list.test", good, 2), []string{"list.test"}, true},
		"and only said so by who is before": {sealBy(t, key, sealBy(t, key, mail, "other.test", good, 1), "list.test", "arc=pass", 2), []string{"list.test"}, false},
	} {
		env := &message.Envelope{From: must(address.Parse("list@list.test"))(t), Helo: "mx.list.test", Peer: netip.MustParseAddr("192.0.2.1")}
		r := must(v.Check(t.Context(), env, source(c.mail)))(t)
		if r.Disowned() != "author.test" {
			t.Errorf("%s: %s", what, r)
		}
		if r.Vouched(c.sealers) != c.want {
			t.Errorf("%s: vouched %v, want %v; %+v", what, !c.want, c.want, r.ARC)
		}
	}
}

func TestWhatAnotherServerHasFoundOfTheAuthor(t *testing.T) {
	t.Parallel()
	for results, want := range map[string]string{
		"mx.a.test; dmarc=pass header.from=b.test":                                          "b.test",
		"mx.a.test 1;\r\n\tspf=pass;\r\n\tDMARC = Pass (p=NONE)\r\n\theader.From = B.test;": "b.test",
		`mx.a.test; dmarc=pass reason="a; dmarc=fail" header.from="b.test"`:                 "b.test",
		"mx.a.test; dmarc=pass header.from=ann@bücher.test":                                 "xn--bcher-kva.test",
		"mx.a.test; dmarc=fail header.from=b.test":                                          "",
		"mx.a.test; dmarc=pass":                                                             "",
		"mx.a.test; dmarc=pass header.from=b.test; dmarc=fail header.from=c.test":           "",
		"mx.a.test; dmarc=pass header.from=b.test header.from=c.test":                       "",
		"mx.a.test; (dmarc=pass header.from=b.test)":                                        "",
		`mx.a.test; spf=fail reason="x; dmarc=pass header.from=b.test"`:                     "",
		`mx.a.test; dmarc=pass header.from=b.test reason="no end`:                           "",
		"mx.a.test; dmarc=pass header.from=b.test (no end":                                  "",
		`mx.a.test; spf=pass smtp.mailfrom=x";" dmarc=pass header.from=b.test`:              "",
		"mx.a.test; dmarc/1=pass header.from=b.test":                                        "",
		"dmarc=pass header.from":                                                            "",
		"":                                                                                  "",
	} {
		if got, ok := authorFound(results); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", results, got, ok, want)
		}
	}
}

func FuzzAuthorFound(f *testing.F) {
	for _, s := range []string{"mx; dmarc=pass header.from=b.test", `mx; a=b reason="\";" (c (d) \)) ; dmarc=pass header.from=x`, `"`, "(", `\`, "dmarc=pass header.from=;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, results string) {
		domain, ok := authorFound(results)
		if !ok {
			return
		}
		if d, err := address.ParseDomain(domain); err != nil || d != domain {
			t.Errorf("%q: %q is no domain in its canonical form (%v)", results, domain, err)
		}
		if again, ok := authorFound(results + "; dmarc=fail"); ok {
			t.Errorf("%q and a failure: %q", results, again)
		}
	})
}
