package mailauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/message"
	"chmail/internal/stamp"

	"github.com/emersion/go-msgauth/dkim"
)

// letter is a mail as it is stored.
const letter = "Received: from submission\r\n\tby mail.example.org\r\nCH-Login: alice@example.org\r\nCH-Link: <https://chat.example.org/c/x>\r\n" +
	"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch,\r\n  at noon\r\nDate: Thu, 26 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n" +
	"List-Unsubscribe: <https://example.org/u/t0ken>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nX-Other: x\r\n\r\nShall we  \r\nmeet?\t\r\n\r\n\r\n"

// signers is a store in which example.org has a key of each kind, with what is published about them.
func signers(t testing.TB) (*Keys, map[string]string) {
	t.Helper()
	s := NewKeys(t.TempDir())
	zone := make(map[string]string)
	for selector, a := range map[string]Algorithm{"r": RSA, "e": Ed25519} {
		k := must(s.New("example.org", selector, a))(t)
		zone[k.Name()] = k.TXT()
	}
	return s, zone
}

// library checks signatures with the library.
func library(t testing.TB, zone map[string]string, mail string) []*dkim.Verification {
	t.Helper()
	v, err := dkim.VerifyWithOptions(strings.NewReader(mail), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return []string{zone[name]}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sign(t testing.TB, s *Keys, mail string) string {
	t.Helper()
	return string(must(s.Sign("example.org", strings.NewReader(mail), int64(len(mail))))(t))
}

func TestAMailIsSignedTwice(t *testing.T) {
	t.Parallel()
	s, zone := signers(t)
	sigs := sign(t, s, letter)
	if strings.Count(sigs, "DKIM-Signature:") != 2 || strings.Index(sigs, "a=rsa-sha256") > strings.Index(sigs, "a=ed25519-sha256") || !strings.HasSuffix(sigs, "\r\n") || strings.Contains(sigs, "l=") {
		t.Errorf("%s", sigs)
	}
	want := "From:From:To:To:Subject:Subject:Date:Date:CH-Login:CH-Login:CH-Host:CH-Port:CH-Link:CH-Link:Message-ID:List-Unsubscribe:List-Unsubscribe-Post"
	if !strings.Contains(strings.ReplaceAll(sigs, "\r\n\t ", ""), "\th="+want+";") {
		t.Errorf("signed is not %s:\n%s", want, sigs)
	}
	for line := range strings.Lines(sigs) {
		if len(line) > 80 { // RFC 5322 2.1.1
			t.Errorf("a line of %d octets: %q", len(line), line)
		}
	}
	for i, v := range library(t, zone, sigs+letter) {
		if v.Err != nil {
			t.Errorf("signature %d: %v", i, v.Err)
		}
	}
}

func TestWhatMayHappenToASignedMailOnItsWay(t *testing.T) {
	t.Parallel()
	s, zone := signers(t)
	signed := sign(t, s, letter) + letter
	for what, c := range map[string]struct {
		mail string
		ok   bool
	}{
		"a trace on top":         {"Received: from elsewhere\r\n" + signed, true},
		"another fold":           {strings.Replace(signed, "Lunch,\r\n  at noon", "Lunch, at\r\n noon", 1), true},
		"blank lines at the end": {signed + "\r\n\r\n", true},
		"an unsigned field":      {strings.Replace(signed, "X-Other: x", "X-Other: y", 1), true},
		"a second From":          {"From: mallory@example.net\r\n" + signed, false},
		"a second Subject":       {"Subject: x\r\n" + signed, false},
		"another Subject":        {strings.Replace(signed, "noon", "one", 1), false},
		"a port":                 {"CH-Port: 1\r\n" + signed, false},
		"a second link":          {"CH-Link: <https://evil.example/>\r\n" + signed, false},
		"another link":           {strings.Replace(signed, "/c/x", "/c/y", 1), false},
		"a longer body":          {signed + "PS\r\n", false},
		"another unsubscription": {strings.Replace(signed, "/u/t0ken", "/u/0ther", 1), false}, // RFC 8058 4
		"no single click":        {strings.Replace(signed, "=One-Click", "=none", 1), false},
	} {
		for i, v := range library(t, zone, c.mail) {
			if (v.Err == nil) != c.ok {
				t.Errorf("%s, signature %d: %v", what, i, v.Err)
			}
		}
	}
}

func TestWithoutAKeyOrAHeaderNothingIsSigned(t *testing.T) {
	t.Parallel()
	s, _ := signers(t)
	if _, err := s.Sign("example.com", strings.NewReader(letter), int64(len(letter))); !errors.Is(err, ErrNoKey) {
		t.Errorf("no key: %v", err)
	}
	if _, err := s.Sign("example.org", strings.NewReader(letter), int64(len(letter))+1); err == nil {
		t.Error("a mail that is shorter than it should be was signed")
	}
	long := strings.Repeat("X: y\r\n", maxHeader/6+1) + letter
	if _, err := s.Sign("example.org", strings.NewReader(long), int64(len(long))); !errors.Is(err, errHeader) {
		t.Errorf("a header without an end: %v", err)
	}
}

// needed says that something is missing without which a test cannot run: a failure where everything must be there.
func needed(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what + ": with CI=true it must be there")
	}
	t.Skip(what)
}

// realMail returns the mails of the corpus by their paths, with the line ends of the wire.
func realMail(t testing.TB) map[string][]byte {
	t.Helper()
	root := os.Getenv("CHMAIL_CORPUS")
	if root == "" {
		needed(t, "CHMAIL_CORPUS names no folder of mails")
	}
	mails := make(map[string][]byte)
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains([]string{".tsv", ".md", ".source", ".asc", ".pem"}, filepath.Ext(path)) {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(root, path))
		raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
		mails[path] = bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
		return err
	})
	if err != nil || len(mails) == 0 {
		t.Fatalf("%d mails, %v", len(mails), err)
	}
	return mails
}

// dkimpy finds a Python that has the other implementation.
func dkimpy(t testing.TB) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import dkim, nacl").Run() == nil {
			return python
		}
	}
	needed(t, "no Python has dkim and nacl (Debian: python3-dkim, python3-nacl)")
	return ""
}

// stamped is a mail of the corpus as a person here would have sent it; nil when submission would refuse it, or it is older than what reads it.
func stamped(t testing.TB, raw []byte) []byte {
	t.Helper()
	src := &message.Memory{B: raw}
	tree := must(message.Scan(src))(t)
	if h := &tree.Head; h.Stray != (message.Span{}) || h.Off > 0 || h.Count("From") != 1 || bytes.Contains(bytes.ReplaceAll(raw, []byte("\r\n"), nil), []byte("\r")) {
		return nil
	}
	res := must(stamp.Plan(src, tree, stamp.Card{Login: "alice@example.org", Host: "chat.example.org", Port: 24000, Link: "https://chat.example.org/c/" + strings.Repeat("x", 22)}))(t)
	message.SortSplices(res.Splices)
	r, size := message.NewSplicedReader(src, res.Splices)
	b := bytes.NewBuffer(make([]byte, 0, size))
	must(b.ReadFrom(r))(t)
	return b.Bytes()
}

func TestAnotherImplementationVerifiesOurSignatures(t *testing.T) {
	t.Parallel()
	python, mails := dkimpy(t), realMail(t)
	s, zone := signers(t)
	dir, names := t.TempDir(), []string{}
	for path, raw := range mails {
		b := stamped(t, raw)
		if b == nil {
			continue
		}
		sigs := must(s.Sign("example.org", bytes.NewReader(b), int64(len(b))))(t)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d", len(names))), append(sigs, b...), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, path)
	}
	if len(names)*10 < len(mails)*7 {
		t.Errorf("only %d of %d mails could be submitted", len(names), len(mails))
	}
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, must(json.Marshal(zone))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "testdata/verify.py", keys, dir).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != len(names) {
		t.Fatalf("%v: %d lines about %d mails: %.2000s", err, len(lines), len(names), out)
	}
	for i, line := range lines {
		// dkimpy does not read a mail that has blanks before a colon (RFC 5322 4.5.3).
		if !strings.HasSuffix(line, "\tpass\tpass") && !strings.Contains(line, "Unexpected characters in RFC822 header") {
			t.Errorf("%s: %s", names[i], line)
		}
	}
	t.Logf("%d of %d mails", len(names), len(mails))
}

func BenchmarkSign(b *testing.B) {
	s, _ := signers(b)
	old := time.Now().Add(-time.Hour) // as in a running server: until a second has passed, keys are read each time
	if err := os.Chtimes(filepath.Join(s.dir, "example.org"), old, old); err != nil {
		b.Fatal(err)
	}
	for name, size := range map[string]int{"4KiB": 4 << 10, "1MiB": 1 << 20} {
		mail := []byte(letter + strings.Repeat(strings.Repeat("word ", 14)+"\r\n", size/72))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(mail)))
			for b.Loop() {
				if _, err := s.Sign("example.org", bytes.NewReader(mail), int64(len(mail))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAMailIsSignedInTheNameOfItsAuthorsDomain(t *testing.T) {
	t.Parallel()
	s, _ := signers(t)
	for name, c := range map[string]struct{ from, with string }{
		"an address":              {"From: Alice <alice@EXAMPLE.org>\r\n", "d=example.org;"},
		"of two the first":        {"From: alice@example.org, bob@example.net\r\n", "d=example.org;"},
		"another domain":          {"From: alice@sub.example.org\r\n", ""},
		"nobody":                  {"To: alice@example.org\r\n", ""},
		"two fields":              {"From: alice@example.org\r\nFrom: alice@example.org\r\n", ""},
		"an address in a comment": {"From: (alice@example.org) carol@example.net\r\n", ""},
		"a literal":               {"From: alice@[192.0.2.1]\r\n", ""},
		"what cannot be read":     {"From: alice@example.org <\r\n", ""},
	} {
		mail := c.from + "Subject: x\r\n\r\nHello.\r\n"
		fields, err := s.SignAuthor(strings.NewReader(mail), int64(len(mail)))
		if c.with == "" && !errors.Is(err, ErrNoKey) || c.with != "" && (err != nil || strings.Count(string(fields), c.with) != 2) {
			t.Errorf("%s: %v, %s", name, err, fields)
		}
	}
}
