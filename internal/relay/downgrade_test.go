package relay

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chmail/internal/message"
)

// leaves are the contents of all parts that are no multipart, decoded, with their types.
func leaves(t *testing.T, raw []byte) (list []string) {
	t.Helper()
	tree, err := message.Scan(&message.Memory{B: raw})
	if err != nil {
		t.Fatal(err)
	}
	for i := range tree.Parts {
		p := &tree.Parts[i]
		content := raw[p.Body:p.End]
		switch {
		case p.Multipart():
			continue
		case p.Media.Type == "message/rfc822":
			list = append(list, leaves(t, content)...)
			continue
		case p.Encoding == "quoted-printable":
			if content, err = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(content))); err != nil {
				t.Fatal(err)
			}
		case p.Encoding == "base64":
			content, _ = io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(content)))
		}
		list = append(list, p.Media.Type+" "+p.Media.Charset+"\n"+string(content))
	}
	return list
}

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

const mixed = `From: alice@example.com
Subject: hi
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b
Content-Transfer-Encoding: 8bit

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße, and a line with a blank at its end 
.
From here = there
--b
Content-Type: image/png
Content-Transfer-Encoding: binary

ÿØÿ
--b

ascii only
--b
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Subject: inner
Content-Type: text/html; charset=utf-8
MIME-Version: 1.0

<p>ü</p>
--b--
`

func TestAMailIsTheSameInSevenBits(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"many parts":    mixed,
		"one part":      "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n\nEnde",
		"no MIME":       "Subject: x\n\nGrüße\n",
		"an attachment": "MIME-Version: 1.0\nContent-Type: application/octet-stream\n\n" + strings.Repeat("ü", 100) + "\n",
		"long lines":    "MIME-Version: 1.0\nContent-Type: text/plain\n\n" + strings.Repeat("ü ", 400) + "\n",
		"ascii":         "Subject: x\n\nhi\n",
	} {
		raw := crlf(in)
		r, size, err := SevenBit(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out, _ := io.ReadAll(io.NewSectionReader(r, 0, size))
		if got, want := strings.Join(leaves(t, out), "\n--\n"), strings.Join(leaves(t, raw), "\n--\n"); got != want || !isASCII(out) {
			t.Errorf("%s became\n%s\nwhich reads\n%q\nwant\n%q", name, out, got, want)
		}
		if eight, err := look(make([]byte, 64), nil, bytes.NewReader(out), size); eight || err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for line := range strings.Lines(string(out)) {
			if len(line) > 78 {
				t.Errorf("%s: a line of %d octets", name, len(line))
			}
		}
		if name == "ascii" && !bytes.Equal(out, raw) {
			t.Errorf("a mail in seven bits became %q", out)
		}
		if name == "no MIME" && !strings.Contains(string(out), "Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n") {
			t.Errorf("a mail without MIME became %q", out)
		}
	}
}

func TestWhatCannotBeConvertedIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"a header":          "Subject: grüße\n\nhi\n",
		"a part's header":   strings.Replace(mixed, "Content-Type: image/png", "Content-Type: image/png; name=ü", 1),
		"signed":            strings.Replace(mixed, "multipart/mixed", "multipart/signed", 1),
		"encrypted":         strings.Replace(mixed, "multipart/mixed", "multipart/encrypted", 1),
		"encoded already":   "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nü\n",
		"an unknown code":   "MIME-Version: 1.0\nContent-Transfer-Encoding: x-uuencode\n\nü\n",
		"message/global":    "MIME-Version: 1.0\nContent-Type: message/global\n\nSubject: ü\n\n",
		"a preamble":        strings.Replace(mixed, "\n\n--b", "\n\nfür alte Programme\n--b", 1),
		"no certain form":   strings.Replace(mixed, "boundary=b", "boundary=b; boundary=c", 1),
		"messages in depth": strings.Repeat("Content-Type: message/rfc822\n\n", 12) + "Subject: x\n\nü\n",
	} {
		raw := crlf(in)
		if r, size, err := SevenBit(bytes.NewReader(raw), int64(len(raw))); !errors.Is(err, ErrNotConvertible) {
			out, _ := io.ReadAll(io.NewSectionReader(r, 0, size))
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if _, _, err := SevenBit(bytes.NewReader(nil), 10); !errors.Is(err, errStored) {
		t.Errorf("a mail that cannot be read: %v", err)
	}
	if _, _, err := SevenBit(bytes.NewReader(nil), maxDowngrade+1); !errors.Is(err, ErrNotConvertible) {
		t.Errorf("a mail beyond all bounds: %v", err)
	}
}

// checkSevenBit converts any message and holds the copy against it; false when it cannot be converted.
func checkSevenBit(t *testing.T, raw []byte) bool {
	t.Helper()
	r, size, err := SevenBit(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		if !errors.Is(err, ErrNotConvertible) {
			t.Fatalf("%q: %v", raw, err)
		}
		return false
	}
	out, _ := io.ReadAll(io.NewSectionReader(r, 0, size))
	if isASCII(raw) {
		if !bytes.Equal(raw, out) {
			t.Fatalf("%q needed nothing and became %q", raw, out)
		}
		return true
	}
	got, want := leaves(t, out), leaves(t, raw)
	if len(got) != len(want) || !isASCII(out) {
		t.Fatalf("%q became %q: %d parts, want %d", raw, out, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%q became %q: a part reads %q, want %q", raw, out, got[i], want[i])
		}
	}
	return true
}

func FuzzSevenBit(f *testing.F) {
	f.Add(string(crlf(mixed)))
	f.Add("Subject: x\r\n\r\nü\r\n")
	f.Add("Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nü")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := look(make([]byte, 64), nil, strings.NewReader(s), int64(len(s))); err == nil { // no other is ever converted
			checkSevenBit(t, []byte(s))
		}
	})
}

// TestRealMailIsTheSameInSevenBits converts every mail of $CHMAIL_CORPUS that holds eight bits.
func TestRealMailIsTheSameInSevenBits(t *testing.T) {
	t.Parallel()
	root := os.Getenv("CHMAIL_CORPUS")
	if root == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("CHMAIL_CORPUS is not set: CI reads real mail")
		}
		t.Skip("CHMAIL_CORPUS names no folder of mails")
	}
	eight, converted := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".eml" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || isASCII(raw) {
			return err
		}
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
		raw = bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
		eight++
		if checkSevenBit(t, raw) {
			converted++
		}
		return nil
	})
	if err != nil || eight == 0 || converted == 0 {
		t.Fatalf("%d of %d mails, %v", converted, eight, err)
	}
	t.Logf("%d of %d mails with eight bits converted", converted, eight)
}
