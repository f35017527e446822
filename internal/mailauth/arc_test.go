package mailauth

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"

	"chmail/internal/dnstest"

	"github.com/emersion/go-msgauth/dkim"
)

// sealedMail is a mail that another implementation has sealed twice (testdata/seal.py), and a DNS that knows its keys.
func sealedMail(t testing.TB) (mail string, dns *dnstest.Server) {
	t.Helper()
	raw := must(os.ReadFile("testdata/sealed.eml"))(t)
	record := strings.TrimSpace(string(must(os.ReadFile("testdata/sealed.txt"))(t)))
	dns = dnstest.Start(t, dnstest.Records{"one._domainkey.relay.example TXT": {record}, "two._domainkey.relay.example TXT": {record}})
	return string(bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))), dns
}

func TestSealsOfServersOnTheWay(t *testing.T) {
	t.Parallel()
	mail, dns := sealedMail(t)
	v := NewVerifier(Options{Resolver: dns.Resolver()})
	replace := func(old, to string) string {
		t.Helper()
		if !strings.Contains(mail, old) {
			t.Fatalf("%q is not there", old)
		}
		return strings.Replace(mail, old, to, 1)
	}
	second := strings.Index(mail, "ARC-Seal: i=1")
	for what, c := range map[string]struct {
		mail string
		want Result
		says string
	}{
		"as they left it":           {mail, Pass, ""},
		"with a trace on top":       {"Received: from relay\r\n" + mail, Pass, ""},
		"folded otherwise":          {replace("cv=pass; a=", "cv=pass;\r\n\ta="), Pass, ""},
		"only the first":            {mail[second:], Pass, ""},
		"no seal":                   {letter, None, ""},
		"another subject":           {replace("noon", "one"), Fail, "signature 2"},
		"another body":              {mail + "PS", Fail, "the body"},
		"other results":             {replace("i=1; one.relay.example; spf=pass", "i=1; one.relay.example; spf=fail"), Fail, "seal 2"},
		"another seal":              {replace("b=MjMU", "b=MjMV"), Fail, "seal 2"},
		"another first seal":        {replace("b=Aq7e", "b=Aq7f"), Fail, "seal 2"},
		"a set taken out":           {mail[:second], Fail, "set 1 is not whole"},
		"results taken out":         {replace("ARC-Authentication-Results: i=2;", "X: i=2;"), Fail, "set 2 is not whole"},
		"a field twice":             {"ARC-Seal: i=1; cv=none\r\n" + mail, Fail, "twice"},
		"a third that is not whole": {"ARC-Seal: i=3; cv=pass\r\n" + mail, Fail, "set 3"},
		"without a number":          {"ARC-Seal: cv=pass\r\n" + mail, Fail, "without a number"},
		"too many":                  {"ARC-Seal: i=51; cv=pass\r\n" + mail, Fail, "without a number"},
		"it was broken before":      {replace("cv=pass", "cv=fail"), Fail, "says that it was broken"},
		"it begins with pass":       {replace("cv=none", "cv=pass"), Fail, "seal 1"},
		"a seal with h=":            {replace("cv=pass; a=", "cv=pass; h=from; a="), Fail, "h="},
		"part of the body":          {replace("i=2; a=rsa-sha256; c=", "i=2; l=1; a=rsa-sha256; c="), Fail, "l="},
		"run out":                   {replace("i=2; a=rsa-sha256; c=", "i=2; x=1700000000; a=rsa-sha256; c="), Fail, "expired"},
		"another algorithm":         {replace("cv=pass; a=rsa-sha256", "cv=pass; a=rsa-sha1"), Fail, "algorithm"},
	} {
		got := must(v.ARC(t.Context(), source(c.mail)))(t)
		if got.Result != c.want || !strings.Contains(got.Reason, c.says) {
			t.Errorf("%s: %+v, want %s, %q", what, got, c.want, c.says)
		}
	}
	if got := must(v.ARC(t.Context(), source(mail)))(t); got.Sets != 2 || got.Domain != "relay.example" || got.Selector != "two" {
		t.Errorf("%+v", got)
	}
	dns.Set("one._domainkey.relay.example TXT")
	if got := must(NewVerifier(Options{Resolver: dns.Resolver()}).ARC(t.Context(), source(mail)))(t); got.Result != Fail {
		t.Errorf("without the first key: %+v", got)
	}
}

// FuzzCanonical holds our two forms of headers and bodies against the library's: what it signs must verify here.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte("Subject: a  b\n\tc\n X: y\nFrom: z"), []byte("a \n\n\tb  c\n\n \n"), byte(0))
	f.Add([]byte("subject :\n\n"), []byte(""), byte(1))
	f.Add([]byte(""), []byte("\n\n"), byte(2))
	f.Add([]byte("A: b"), []byte("no end"), byte(3))
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := &publicKey{ed25519: key.Public().(ed25519.PublicKey)}
	f.Fuzz(func(t *testing.T, head, body []byte, form byte) {
		crlf := func(b []byte) []byte {
			return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
		}
		head = bytes.Trim(bytes.ReplaceAll(head, []byte("\n\n"), nil), "\n")
		mail := append(append([]byte("From: x\r\n"), crlf(head)...), "\r\nTo: y\r\n\r\n"...)
		mail = append(mail, crlf(body)...)
		forms := []dkim.Canonicalization{dkim.CanonicalizationSimple, dkim.CanonicalizationRelaxed}
		var out bytes.Buffer
		err := dkim.Sign(&out, bytes.NewReader(mail), &dkim.SignOptions{Domain: "example.org", Selector: "s", Signer: key,
			HeaderCanonicalization: forms[form&1], BodyCanonicalization: forms[form>>1&1], HeaderKeys: []string{"From", "Subject", "To", "X", "Subject", "From"}})
		if err != nil {
			t.Skip(err)
		}
		src := source(out.String())
		h, err := readHeader(src, src.Size())
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(h.fields, func(f field) bool { return f.name == "" }) {
			t.Skip("the library takes a line without a colon for a field")
		}
		tags, err := parseTags(string(h.fields[0].value()))
		if err != nil {
			t.Fatal(err)
		}
		headForm, bodyForm, ok := canonicalization(tags)
		sum, err := bodyHash(src, h.body, bodyForm)
		if !ok || err != nil || base64.StdEncoding.EncodeToString(sum) != tags["bh"] {
			t.Errorf("body of %q (%s): %x, %v, want %s", mail, bodyForm, sum, err, tags["bh"])
		}
		sig, _ := base64.StdEncoding.DecodeString(tags["b"])
		data := sha(append(h.picked(tags.list("h"), headForm), canonicalField(withoutSignature(h.fields[0].raw), headForm)...))
		if err := public.verify(tags["a"], data, sig); err != nil {
			t.Errorf("header of %q (%s): %v", mail, headForm, err)
		}
	})
}
