package stamp

import (
	"io"
	"strings"
	"testing"

	"chmail/internal/message"
)

func TestOnlyWhatItsOwnDomainSignedIsBelieved(t *testing.T) {
	t.Parallel()
	const fields = "CH-Login: alice@example.com\nCH-Host: chat.example.com\nCH-Port: 24001\nCH-Link: <https://chat.example.com/c/x>\n"
	signed := []string{"From", "ch-login", "CH-Host", "Ch-Port", "CH-LINK", "CH-Login", "Subject"}
	good := Signature{Domain: "example.com", Valid: true, Signed: signed}
	with := func(change func(*Signature)) []Signature {
		s := good
		change(&s)
		return []Signature{s}
	}
	for name, c := range map[string]struct {
		fields string
		sigs   []Signature
		stays  string
	}{
		"its own domain":             {fields, []Signature{good}, fields},
		"in capitals":                {strings.ToUpper(fields[:27]) + fields[27:], with(func(s *Signature) { s.Domain = "EXAMPLE.com" }), strings.ToUpper(fields[:27]) + fields[27:]},
		"among others":               {fields, append(with(func(s *Signature) { s.Domain = "list.test" }), good), fields},
		"nobody":                     {fields, nil, ""},
		"another domain":             {fields, with(func(s *Signature) { s.Domain = "example.net" }), ""},
		"a domain above":             {strings.ReplaceAll(fields, "@example", "@sub.example"), []Signature{good}, ""},
		"two signatures":             {fields, append(with(func(s *Signature) { s.Signed = []string{"From", "CH-Login"} }), good), fields},
		"not the sender":             {fields, with(func(s *Signature) { s.Signed = signed[1:] }), ""},
		"a login outside ASCII":      {strings.Replace(fields, "alice@example.com", "=?utf-8?q?j=C3=B6rg?=@example.com", 1), []Signature{good}, strings.Replace(fields, "alice@example.com", "=?utf-8?q?j=C3=B6rg?=@example.com", 1)},
		"in another's name":          {strings.ReplaceAll(fields, "@example.com", "@evil.test"), with(func(s *Signature) { s.Domain = "evil.test" }), ""},
		"a domain below":             {fields, with(func(s *Signature) { s.Domain = "sub.example.com" }), ""},
		"not valid":                  {fields, with(func(s *Signature) { s.Valid = false }), ""},
		"a part of the body":         {fields, with(func(s *Signature) { s.Partial = true }), ""},
		"not the login":              {fields, with(func(s *Signature) { s.Signed = []string{"From", "CH-Host", "CH-Link"} }), ""},
		"not the link":               {fields, with(func(s *Signature) { s.Signed = []string{"From", "CH-Login", "CH-Host"} }), fields[:strings.Index(fields, "CH-Port")]},
		"a login added on top":       {"CH-Login: mallory@example.com\n" + fields, []Signature{good}, ""},
		"a link added on top":        {"CH-Link: <https://evil.test/c/x>\n" + fields, []Signature{good}, fields[:strings.Index(fields, "CH-Link")]},
		"an unknown field":           {fields + "CH-Other: x\n", []Signature{good}, fields},
		"an unreadable login":        {strings.Replace(fields, "alice@", "alice", 1), []Signature{good}, ""},
		"no login":                   {fields[strings.Index(fields, "CH-Host"):], []Signature{good}, ""},
		"nothing that says anything": {"Subject: x\n", nil, "Subject: x\n"},
	} {
		src := &message.Memory{B: crlf("Received: x\n" + c.fields + "From: Alice <alice@example.com>\n\nHello\n")}
		tree, err := message.Scan(src)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := message.NewSplicedReader(src, StripUnsigned(&tree.Head, c.sigs))
		got, err := io.ReadAll(r)
		if want := string(crlf("Received: x\n" + c.stays + "From: Alice <alice@example.com>\n\nHello\n")); err != nil || string(got) != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, want)
		}
	}
}
