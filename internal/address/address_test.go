package address

import (
	"errors"
	"strings"
	"testing"
)

func TestAddressesAreBroughtIntoOneForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct{ wire, login string }{
		"Alice@Example.COM":            {"Alice@example.com", "alice@example.com"},
		"bob.b+tag@xn--bcher-kva.test": {"bob.b+tag@xn--bcher-kva.test", "bob.b+tag@xn--bcher-kva.test"},
		"bob@Bücher.test":              {"bob@xn--bcher-kva.test", "bob@xn--bcher-kva.test"},
		"ME\u0301@x.test":              {"ME\u0301@x.test", "m\u00e9@x.test"},
		`"a b"@x.test`:                 {`"a b"@x.test`, `"a b"@x.test`},
		`"plain"@x.test`:               {"plain@x.test", "plain@x.test"},
		`"a\"@\\b"@x.test`:             {`"a\"@\\b"@x.test`, `"a\"@\\b"@x.test`},
		"a@[192.0.2.1]":                {"a@[192.0.2.1]", "a@[192.0.2.1]"},
		"a@[ipv6:2001:DB8:0::1]":       {"a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
		"root@my_host.test":            {"root@my_host.test", "root@my_host.test"},
		"user@日本語。test":                {"user@xn--wgv71a119e.test", "user@xn--wgv71a119e.test"},
	} {
		a, err := Parse(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if a.String() != want.wire || a.Login() != want.login {
			t.Errorf("%q: wire %q login %q, want %q and %q", in, a.String(), a.Login(), want.wire, want.login)
		}
	}
}

func TestHostileAddressesAreRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "a", "@", "a@", "@x.test", "a b@x.test", "a@x..test", "a@.test", "a@x.test.", "a@-x.test", "a@x y.test",
		"a\r\nRCPT TO:<b@x.test>@x.test", "a\x00@x.test", "a@x\x00.test", "\"a\r\n\"@x.test", "\"a\x00\"@x.test", `"a@x.test`, `"a\`, `""@x.test`,
		"<a@x.test>", "a@[192.0.2.1", "a@[2001:db8::1]", "a@[IPv6:192.0.2.1]", "a@[IPv6:fe80::1%eth0]", "a@[]",
		"a\u0085@x.test", "a\u202e@x.test", "a\u2028@x.test", "\xff@x.test", "a@x\xff.test",
		strings.Repeat("a", 65) + "@x.test", "a@" + strings.Repeat("b", 64) + ".test", "a@" + strings.Repeat("b.", 127) + "test",
		"a@" + strings.Repeat("ü", 600) + ".test", ".a@x.test", "a.@x.test", "a..b@x.test", "a@xn--\u00fc.test", "a@b@x.test",
	} {
		if a, err := Parse(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q was taken as %q (%v)", in, a, err)
		}
	}
}

func TestPathsFromSMTPSplitAtTheLastAt(t *testing.T) {
	t.Parallel()
	a, err := FromSMTP(`a b>c"@z@B.test`)
	if err != nil || a.String() != `"a b>c\"@z"@b.test` {
		t.Errorf("got %q, %v", a, err)
	}
	if a, err := FromSMTP(""); err != nil || !a.IsZero() || a.String() != "" {
		t.Errorf("null sender: %q, %v", a, err)
	}
	if a, err := FromSMTP("PostMaster"); err != nil || a.Local != "postmaster" || a.Domain != "" || a.String() != "postmaster" {
		t.Errorf("bare postmaster: %q, %v", a, err)
	}
	if a, err := FromSMTP("root"); err == nil {
		t.Errorf("a bare name was taken: %q", a)
	}
}

func TestOnlyUnicodeLocalPartsNeedSMTPUTF8(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"a@bücher.test": true, "ü@x.test": false, "a@x.test": true} {
		if a, err := Parse(in); err != nil || a.IsASCII() != want {
			t.Errorf("%q: IsASCII %v, %v", in, a.IsASCII(), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"alice@example.com", `"a b"@x.test`, `"a\"@\\b"@x.test`, "bob@Bücher.test", "a@[IPv6:2001:db8::1]", "İ@x.test", "ͅΐ@x.test", "a@xn--bcher-kva.test",
		"a\r\n@x.test", "a@b@c", `"`, "ſ@K.test", "Ⅳ@ⅳ.test",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string) (Address, error){Parse, FromSMTP} {
			a, err := parse(s)
			if err != nil || a.IsZero() || a.Domain == "" {
				continue
			}
			wire := a.String()
			if strings.ContainsAny(wire, "\r\n\x00") || len(a.Local) > MaxLocal || len(a.Domain) > MaxDomain {
				t.Fatalf("%q gave %q", s, wire)
			}
			again, err := Parse(wire)
			if err != nil || again != a {
				t.Fatalf("%q: %q read again is %q, %v", s, wire, again, err)
			}
			// Case folding may make a local part longer; what still is an address has one login.
			if l, err := Parse(a.Login()); err == nil && l.Login() != a.Login() {
				t.Fatalf("%q: the login %q has the login %q", s, a.Login(), l.Login())
			}
		}
	})
}

func BenchmarkFromSMTPAndLogin(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		a, err := FromSMTP("alice@example.com")
		if err != nil || a.Login() != "alice@example.com" {
			b.Fatal(a, err)
		}
	}
}
