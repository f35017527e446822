package message

import (
	"errors"
	"net/mail"
	"strings"
	"testing"
)

func TestWhoAMailIsFrom(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a@x.test":                                     "|a@x.test",
		" Alice <A@X.test> ":                           "Alice|A@x.test",
		"\"Liddell, Alice\" <a@x.test>":                "Liddell, Alice|a@x.test",
		"\"A \\\"the\\\" B\" <a@x.test>":               `A "the" B|a@x.test`,
		"John Q. Public <a@x.test>":                    "John Q. Public|a@x.test",
		"=?utf-8?q?J=C3=B6rg?= <a@x.test>":             "=?utf-8?q?J=C3=B6rg?=|a@x.test",
		"Jörg <a@x.test>":                              "Jörg|a@x.test",
		"<a@x.test>":                                   "|a@x.test",
		"a@x.test (Alice)":                             "|a@x.test",
		"(x) Alice (y (z)) <(p)a(q)@(r)x.test(s)> (t)": "Alice|a@x.test",
		"\"a b\"@x.test":                               `|"a b"@x.test`,
		"<\"a@b\"@x.test>":                             `|"a@b"@x.test`,
		"a@[192.0.2.1]":                                "|a@[192.0.2.1]",
		"ü@bücher.test":                                "|ü@xn--bcher-kva.test",
		"Alice\r\n <a@x.test>":                         "Alice|a@x.test",
		"\"A\" \"B\" C <a@x.test>":                     "A B C|a@x.test",
		"\"\" <a@x.test>":                              "|a@x.test",
		"A <a@x.test>, b@y.test":                       "A|a@x.test |b@y.test",
	} {
		got, err := ParseMailboxes([]byte(in))
		var all []string
		for _, m := range got {
			all = append(all, m.Name+"|"+m.Address.String())
		}
		if s := strings.Join(all, " "); err != nil || s != want {
			t.Errorf("%q: %q, %v, want %q", in, s, err, want)
		}
	}
}

func TestFromThatTwoReadersTakeDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", " ", "Alice", "Alice <>", "<a@x.test", "a@x.test>", "a@x.test b@y.test", "a@x.test, ", ", a@x.test", "a@x.test,,b@y.test",
		"Friends: a@x.test, b@y.test;", "undisclosed-recipients:;", "a@x.test; b@y.test", "<@relay.test:a@x.test>", "Doe, John <a@x.test>",
		"b@y.test <a@x.test>", "Alice <a@x.test> <b@y.test>", "Alice <a@x.test> b", "\"Alice <a@x.test>", "a@x.test (b", "a@x.test\x00", "a\x00@x.test",
		"a@x..test", "a@", "@x.test", "a b@x.test", "a@x.test@y.test", "<a@x.test\r\n", "a\\b@x.test", "[a]@x.test", "Al\x01ice <a@x.test>",
		strings.Repeat("a@x.test,", maxMailboxes) + "a@x.test", "\"a\"b@x.test", "a\"b\"@x.test",
	} {
		if got, err := ParseMailboxes([]byte(in)); !errors.Is(err, ErrAddressList) {
			t.Errorf("%q was taken as %v (%v)", in, got, err)
		}
	}
}

// Whatever our parser accepts, the standard library's sees the same addresses in it: nobody is taken for somebody else.
func FuzzParseMailboxes(f *testing.F) {
	for _, s := range []string{
		"a@x.test", "Alice <a@x.test>, \"B, C\" <b@y.test>", "a@x.test (x)", "<\"a@b\"@x.test>", "G: a@x.test;", "a@[192.0.2.1]", "\"\\\"\" <a@x.test>",
		"(x) Alice (y (z)) <(p)a(q)@(r)x.test(s)> (t)", "=?utf-8?q?a=2C?= <a@x.test>", "ü <a@x.test>", "a.b@x.test", "\r\n a@x.test\r\n ,\r\n b@y.test",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseMailboxes([]byte(s))
		if err != nil {
			if !errors.Is(err, ErrAddressList) {
				t.Fatalf("%q: %v is no ErrAddressList", s, err)
			}
			return
		}
		want, err := mail.ParseAddressList(Unfold([]byte(s)))
		if err != nil {
			return // more lenient than ours in places, stricter in others
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %d addresses, the standard library sees %d", s, len(got), len(want))
		}
		for i, m := range got {
			local, domain := want[i].Address, ""
			if at := strings.LastIndexByte(local, '@'); at >= 0 {
				local, domain = local[:at], local[at+1:]
			}
			if m.Address.Local != local || strings.IndexByte(domain, '[') < 0 && isLower(domain) && !strings.Contains(domain, "--") && m.Address.Domain != domain {
				t.Fatalf("%q: %q, the standard library sees %q", s, m.Address, want[i].Address)
			}
		}
	})
}

func isLower(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 || s[i] >= 'A' && s[i] <= 'Z' {
			return false
		}
	}
	return true
}
