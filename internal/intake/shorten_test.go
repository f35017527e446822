package intake

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"strings"
	"testing"

	"chmail/internal/message"
)

// leaf is a part as another program decodes it.
type leaf struct{ kind, body string }

// decode reads a mail with the standard library, down to its leaves.
func decode(t testing.TB, raw string) []leaf {
	t.Helper()
	m, body := parse(t, raw)
	return decodePart(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), body)
}

func decodePart(t testing.TB, kind, encoding, body string) (all []leaf) {
	t.Helper()
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		media = "text/plain"
	}
	if strings.HasPrefix(media, "multipart/") {
		r := multipart.NewReader(strings.NewReader(body), params["boundary"])
		for {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(p)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, decodePart(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), string(b))...)
		}
	}
	var r io.Reader = strings.NewReader(body)
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return []leaf{{media, string(b)}}
}

// listed keeps the stamp away from bodies, so that they can be compared.
const listed = "List-Id: <x.test>\nMIME-Version: 1.0\n"

// same checks that a mail is mended so that everything decoded from it is what it was, and returns what is stored.
func (o *office) same(raw string) string {
	o.t.Helper()
	got := o.submit(raw)
	sound(o.t, got)
	was, is := decode(o.t, raw), decode(o.t, got)
	if len(was) != len(is) {
		o.t.Fatalf("%d parts became %d", len(was), len(is))
	}
	for i := range was {
		if was[i] != is[i] {
			o.t.Fatalf("part %d (%s):\n%.3000q\nbecame\n%.3000q", i, was[i].kind, was[i].body, is[i].body)
		}
	}
	o.swept()
	return got
}

func TestLongLinesOfABodyBecomeQuotedPrintable(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, body := range map[string]string{
		"a page in one line":      "<p>" + strings.Repeat("Words and a = sign. ", 300) + "</p>\n",
		"without any space":       strings.Repeat("x", 5000) + "\n",
		"8 bit":                   strings.Repeat("Grüße ", 400) + "\nshort\n",
		"blanks at the end":       strings.Repeat("x", 1200) + " \t \n \n\t\nend ",
		"short lines as well":     "-- \n.\nFrom here\n" + strings.Repeat("y ", 700) + "\n\n\n=\n=3D\n",
		"what looks like an end":  strings.Repeat("--b", 500) + "\n",
		"controls":                "\x01\x7f\x1b\t" + strings.Repeat("z", 999) + "\n",
		"no line end":             strings.Repeat("x", 1200),
		"999 octets, the first":   strings.Repeat("x", 999) + "\n",
		"larger than the memory":  strings.Repeat(strings.Repeat("0123456789 é", 100)+"\n", 200),
		"grows beyond the memory": strings.Repeat("ü", 16<<10) + "\n" + strings.Repeat("é", 10<<10) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, fields := range []string{
				listed, listed + "Content-Type: text/html; charset=utf-8\n", listed + "Content-Type: text/plain\nContent-Transfer-Encoding:\n 8bit\n",
				"Content-Transfer-Encoding: binary\n" + listed, "List-Id: <x.test>\n",
			} {
				raw := letter(fields, body)
				if !strings.HasSuffix(raw, crlf) {
					raw += crlf
				}
				o.t = t
				got := o.same(raw)
				m, _ := parse(t, got)
				if m.Header.Get("Content-Transfer-Encoding") != "quoted-printable" || m.Header.Get("MIME-Version") != "1.0" {
					t.Errorf("the header is %v", m.Header)
				}
				_, quoted, _ := strings.Cut(got, "\r\n\r\n")
				for line := range strings.SplitSeq(quoted, crlf) {
					if len(line) > lineWidth || strings.HasPrefix(line, "-") {
						t.Errorf("a line is %q", line)
					}
				}
			}
		})
	}
}

func TestOnlyThePartWithLongLinesIsChanged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	long := strings.Repeat("0123456789", 120)
	plain := "--b\nContent-Type: text/plain\n\n-- \nAs it was.  \n\n"
	raw := letter(listed+"Content-Type: multipart/mixed; boundary=b\n", "Preamble.\n"+plain+
		"--b\nContent-Type: text/html\nX-Before: 1\nContent-Transfer-Encoding: 7bit\nX-After: 2\n\n"+long+"\n--b \n\n"+long+"--b\n\n"+
		"--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("long ", 400)))+"\n"+
		"--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n"+strings.Repeat("=3D--b ", 300)+"  \nsoft=\n break =  \n"+
		"--b--\nEpilogue.\n")
	raw = strings.ReplaceAll(raw, "--b \r\n\r\n", "")             // a delimiter in the middle of a line only
	raw = strings.ReplaceAll(raw, "break =  \r\n", "break =\r\n") // a soft line break
	got := o.same(raw)
	for _, kept := range []string{wire("Preamble.\n" + plain + "--b\nContent-Type: text/html\nX-Before: 1\nX-After: 2\nContent-Transfer-Encoding: quoted-printable\n\n"), wire("--b--\nEpilogue.\n")} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is not in %q", kept, got)
		}
	}
}

func TestLongLinesInSignedPartsAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 120) + "\n"
	multi := func(kind, rest string) string {
		return letter("MIME-Version: 1.0\nContent-Type: multipart/"+kind+"; boundary=b\n", rest+"--b--\n")
	}
	for name, c := range map[string]struct{ raw, word string }{
		"signed":             {multi("signed", "--b\n\n"+long+"--b\nContent-Type: application/pgp-signature\n\nx\n"), "signed"},
		"deep inside":        {multi("signed", "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\n"+long+"--c--\n--b\nContent-Type: application/pgp-signature\n\nx\n"), "signed"},
		"a header inside":    {multi("signed", "--b\nX: "+strings.Repeat("x ", 600)+"\n\nshort\n--b\nContent-Type: application/pgp-signature\n\nx\n"), "signed"},
		"encrypted":          {multi("encrypted", "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\n\n"+long), "encrypted"},
		"preamble":           {multi("mixed", long+"--b\n\nx\n"), "safely"},
		"epilogue":           {multi("mixed", "--b\n\nx\n--b--\n"+long), "safely"},
		"a mail inside":      {multi("mixed", "--b\nContent-Type: message/rfc822\n\nFrom: x@x.test\n\n"+long), "safely"},
		"without end":        {letter("Content-Type: multipart/mixed; boundary=b\n", "--b\n\n"+long), "safely"},
		"unknown encoding":   {letter("Content-Transfer-Encoding: x-uuencode\n", long), "safely"},
		"two encodings":      {letter("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n", long), "safely"},
		"malformed base64":   {letter("Content-Transfer-Encoding: base64\n", strings.Repeat("abc-", 300)+"\n"), "safely"},
		"malformed quoted":   {letter("Content-Transfer-Encoding: quoted-printable\n", strings.Repeat("=zz ", 300)+"\n"), "safely"},
		"endless blanks":     {letter("Content-Transfer-Encoding: quoted-printable\n", "x"+strings.Repeat(" ", 9000)+"\n"), "safely"},
		"a header of one":    {letter("X: "+strings.Repeat("x", 1200)+"\n", "x\n"), "folded"},
		"a header of blanks": {letter("X: x"+strings.Repeat(" ", 1200)+"\n", "x\n"), "folded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newOffice(t).refused(c.raw, 550, c.word)
		})
	}
}

func TestASignedPartBesideALongLineIsLeftAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	signed := wire("--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\n- x \n--c\nContent-Type: application/pgp-signature\n\nx\n--c--\n\n")
	raw := letter(listed+"Content-Type: multipart/mixed; boundary=b\n", "--b\n\n"+strings.Repeat("x ", 600)+"\n") + signed + "--b--\r\n"
	if got := o.same(raw); !strings.Contains(got, signed) {
		t.Errorf("got %q", got)
	}
}

func TestLongHeaderLinesAreFoldedAtTheirSpaces(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	refs := strings.TrimSpace(strings.Repeat("<0123456789.abcdef@mail.example.com> ", 60))
	to := strings.TrimSuffix(strings.Repeat("\"Some Body\" <somebody@example.com>,  ", 100), ",  ")
	raw := letter("References: "+refs+"\nCc: "+to+"\nX-Space:"+strings.Repeat(" ", 100)+strings.Repeat("y", 950)+"\nX-Wide: x"+strings.Repeat(" ", 1200)+"x\nX-Last: "+strings.Repeat("x ", 500)+"\n", "Hello.\n")
	got := o.submit(raw)
	sound(t, got)
	unfolded := strings.NewReplacer("\r\n ", " ", "\r\n\t", "\t").Replace(got)
	if !strings.Contains(unfolded, raw[:strings.Index(raw, "Hello")]) {
		t.Error("unfolded, the lines are not what they were")
	}
	for line := range strings.SplitSeq(got, crlf) {
		if line != "" && strings.Trim(line, " \t") == "" {
			t.Error("a line of nothing but blanks")
		}
	}
	if o.broker.about.References == "" {
		t.Error("the broker knows no references")
	}

	// In a part, and together with its body.
	got = o.same(letter(listed+"Content-Type: multipart/mixed; boundary=b\n", "--b\nX: "+strings.Repeat("x ", 600)+"\nContent-Transfer-Encoding: 7bit"+strings.Repeat(" ", 1000)+"\n\n"+
		strings.Repeat("z", 1000)+"\n--b--\n"))
	if !strings.Contains(got, "\r\n x") {
		t.Errorf("got %q", got)
	}
}

func TestFieldsThatGoMayBeAsLongAsTheyLike(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	got := o.submit("From " + strings.Repeat("x", 1000) + "\r\n" +
		letter("Bcc: "+strings.Repeat("a@x.test,", 200)+"a@x.test\nCH-Link: "+strings.Repeat("x", 2000)+"\n", "Hello.\n"))
	sound(t, got)
	if strings.Contains(got, "x.test") || strings.Contains(got, "xxx") || !strings.Contains(got, token) {
		t.Errorf("got %q", got)
	}
}

func TestAMendedMailIsStampedToo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, n := range []int{1, 100} {
		body := strings.Repeat(strings.Repeat("0123456789 ", 120)+"\n", n)
		got := o.submit(letter("", body))
		sound(t, got)
		if all := decode(t, got); len(all) != 1 || !strings.HasPrefix(all[0].body, wire(body)) || strings.Count(all[0].body, token) != 1 {
			t.Errorf("got %.500q", got)
		}
	}
	o.swept()
}

// Not parallel: what others allocate would count.
func TestALargeMailIsMendedInLittleMemory(t *testing.T) {
	o := newOffice(t)
	raw := letter(listed, strings.Repeat(strings.Repeat("0123456789", 150)+"\n", 20<<10)) // 30 MB
	d, err := o.read(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close(o.Intake.log)
	took := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			short, err := o.shorten(d)
			if err != nil {
				b.Fatal(err)
			}
			short.close(o.Intake.log)
		}
	})
	if took.AllocedBytesPerOp() > 2<<20 {
		t.Errorf("%d octets of memory for one mail", took.AllocedBytesPerOp())
	}
}

// Each way of writing lines anew keeps what is decoded, whatever the bytes.
func FuzzRecode(f *testing.F) {
	for _, s := range []string{
		"", "a", "a b\r\n", strings.Repeat("x", 80) + "\r\n", "=\r\nx", "=3D=3d-- \t\r\n-", strings.Repeat(" ", 80) + "x", strings.Repeat("=C3=BC", 30) + "=\r\n-- \r\n",
		strings.Repeat("-", 200), "\t\r\n \r\n", strings.Repeat("a", 75) + "=", strings.Repeat("a", 74) + "  =20", strings.Repeat("QUJD", 40) + "QQ==\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = wire(strings.NewReplacer("\r", "", "\x00", "").Replace(s))
		quoted := func(s string) (string, error) {
			b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(s)))
			return string(b), err
		}
		encoded := recoded(t, encodeQuoted, s)
		if got, err := quoted(encoded); err != nil || got != s {
			t.Fatalf("%q became %q, %v", s, got, err)
		}
		narrow(t, encoded, s)
		if was, err := quoted(s); err == nil {
			again := recoded(t, rewrapQuoted, s)
			if is, err := quoted(again); again != "" && (err != nil || is != was) {
				t.Fatalf("%q as %q became %q as %q, %v", was, s, is, again, err)
			}
			narrow(t, again, s)
		}
		if was, err := base64.StdEncoding.DecodeString(s); err == nil {
			again := recoded(t, rewrapBase64, s)
			if is, err := base64.StdEncoding.DecodeString(again); err != nil || !bytes.Equal(is, was) {
				t.Fatalf("%q became %q", s, again)
			}
			narrow(t, again, s)
		}
	})
}

// recoded is what recode makes of s; "" when it refuses.
func recoded(t *testing.T, recode func(*bufio.Writer, *bufio.Reader) error, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := recode(w, bufio.NewReader(strings.NewReader(s))); err != nil {
		var r *message.Refusal
		if !errors.As(err, &r) {
			t.Fatal(err)
		}
		return ""
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// narrow checks the lines of an encoded body; one that begins with a hyphen was there before.
func narrow(t *testing.T, encoded, was string) {
	t.Helper()
	for line := range strings.SplitSeq(encoded, crlf) {
		if len(line) > lineWidth || strings.HasPrefix(line, "-") && !strings.Contains(crlf+was, crlf+"-") {
			t.Fatalf("%q has the line %q", encoded, line)
		}
	}
}
