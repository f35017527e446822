package stamp

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"runtime"
	"strings"
	"testing"
	"time"

	"chmail/internal/message"
)

func TestACardPutsOnlyWhatItHas(t *testing.T) {
	t.Parallel()
	mail := crlf("CH-Login: mallory@x.test\nFrom: a@x.test\nCh-Chat: off\n\nHello\n")
	for name, c := range map[string]struct {
		card    Card
		verdict string
	}{
		"all":         {aCard(), "body"},
		"none":        {Card{}, "skipped: no card"},
		"login only":  {Card{Login: "a@x.test"}, "header-only: no link"},
		"no port":     {Card{Login: "a@x.test", Host: "chat.x.test", Link: "https://chat.x.test/c/x"}, "body"},
		"null sender": {Card{Login: "a@x.test", Link: "https://chat.x.test/c/x", Keep: "null sender"}, "header-only: null sender"},
		"in play":     {Card{Login: "a@localhost.test", Host: "localhost", Port: 24000, Link: "http://localhost:8080/c/AbCdEfGhIjKlMnOpQrStUv"}, "body"},
	} {
		if s := put(t, mail, c.card); s.Verdict.String() != c.verdict {
			t.Errorf("%s: %s, want %s", name, s.Verdict, c.verdict)
		}
	}
	// The stamp comes below nothing but what mbox put there.
	s := put(t, crlf("From a@x.test Mon\nFrom: a@x.test\n\nHello\n"), aCard())
	if !strings.HasPrefix(string(s.out), "From a@x.test Mon\r\nCH-Login: ") {
		t.Errorf("%s", s.out)
	}
	if s := put(t, crlf("\nHello\n"), aCard()); !strings.HasPrefix(string(s.out), "CH-Login: ") || s.Verdict.Kind != Body {
		t.Errorf("%s", s.out)
	}
}

func TestALoginOutsideASCIIStaysInItsField(t *testing.T) {
	t.Parallel()
	card := aCard()
	card.Login = "j\u00f6rg@xn--bcher-kva.test"
	src := &message.Memory{B: crlf("From: a@x.test\n\nHello\n")}
	tree, err := message.Scan(src)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Plan(src, tree, card)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(r.Splices[0].Ins), "\r\n")
	if !isASCII(line) || message.DecodeText(strings.TrimPrefix(line, "CH-Login: "), 100) != card.Login {
		t.Errorf("%q", line)
	}
}

func TestLinksThatAreNoneArePutNowhere(t *testing.T) {
	t.Parallel()
	for _, l := range []string{
		"", "javascript:alert(1)", "https://", "https:///c/x", "ftp://x.test/", "https://x.test/\r\nBcc: y@z.test", "https://x.test/\"><script>", "https://x.test/<b>", "https://x.test/ y",
		"https://x.test/\u00fc", "https://a@x.test/", "https://x.test/'", "HTTPS://x.test/", "https://x.test/" + strings.Repeat("a", maxLink),
	} {
		src := &message.Memory{B: crlf("From: a@x.test\nContent-Type: text/html\n\nHello\n")}
		tree, err := message.Scan(src)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Plan(src, tree, Card{Login: "a@x.test", Link: l})
		if err != nil || r.Verdict.String() != "header-only: no link" || len(r.Splices) != 1 || string(r.Splices[0].Ins) != "CH-Login: a@x.test\r\n" {
			t.Errorf("%q: %s, %v, %v", l, r.Verdict, r.Splices, err)
		}
	}
}

// decoded returns the text of the only part of a stamped mail.
func (s *stamped) decoded() string {
	p := &s.after.Parts[0]
	return plain(p.Encoding, s.out[p.Body:p.End])
}

func TestANameIsWrittenOnlyWhereItCanBeCarried(t *testing.T) {
	t.Parallel()
	const name = "Zoë \u202e\"O'Neil\" <script>"
	card := aCard()
	card.Name = name
	for _, c := range []struct{ head, body, want string }{
		{"text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit", "x\n", "Chat with Zoë \"O'Neil\" <script> about this mail:"},
		{"text/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable", "x\n", "Chat with Zoë \"O'Neil\" <script> about this mail:"},
		{"text/plain; charset=utf-8\nContent-Transfer-Encoding: base64", "eA==\n", "Chat with Zoë \"O'Neil\" <script> about this mail:"},
		{"text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit", "x\n", "Chat with the sender about this mail:"},
		{"text/plain; charset=us-ascii\nContent-Transfer-Encoding: 8bit", "x\n", "Chat with the sender about this mail:"},
		{"text/plain", "x\n", "Chat with the sender about this mail:"},
		{"text/html; charset=us-ascii", "x\n", ">Chat with Zo&#235; &#34;O&#39;Neil&#34; &#60;script&#62;<"},
	} {
		s := put(t, crlf("From: a@x.test\nContent-Type: "+c.head+"\n\n"+c.body), card)
		if got := s.decoded(); strings.Count(got, c.want) != 1 {
			t.Errorf("%s: %q", c.head, got)
		}
	}
	card.Name = strings.Repeat("very long name ", 20)
	s := put(t, crlf("From: a@x.test\n\nx\n"), card)
	for line := range strings.SplitSeq(s.decoded(), "\r\n") {
		if len(line) > 78 {
			t.Errorf("a line of %d: %q", len(line), line)
		}
	}
}

func TestTheLineStandsApartFromTheText(t *testing.T) {
	t.Parallel()
	chat := "Chat with Alice Liddell about this mail:\n" + link
	for in, want := range map[string]string{
		"":                     chat + "\n",
		"\n":                   "\n" + chat + "\n",
		"x\n":                  "x\n\n" + chat + "\n",
		"x\n\n":                "x\n\n" + chat + "\n",
		"x":                    "x\n\n" + chat + "\n",
		"x\n\n-- \nAlice\n":    "x\n\n" + chat + "\n\n-- \nAlice\n",
		"-- \nAlice\n":         chat + "\n\n-- \nAlice\n",
		"x\n-- ":               "x\n\n" + chat + "\n\n-- ",
		"x\n-- \n> quoted\n":   "x\n-- \n> quoted\n\n" + chat + "\n",
		"x\n--\nAlice\n":       "x\n--\nAlice\n\n" + chat + "\n",
		"x\n --\u0020\nno\n":   "x\n -- \nno\n\n" + chat + "\n",
		"x -- \nno signature":  "x -- \nno signature\n\n" + chat + "\n",
		"-- \n\n\n":            chat + "\n\n-- \n\n\n",
		"x\n-- \n-- \nAlice\n": "x\n-- \n-- \nAlice\n\n" + chat + "\n",
		"x\n-- \n" + strings.Repeat("line\n", maxSigLines+1): "x\n-- \n" + strings.Repeat("line\n", maxSigLines+1) + "\n" + chat + "\n",
		"x\n-- \n" + strings.Repeat("long ", maxSignature/5): "x\n-- \n" + strings.Repeat("long ", maxSignature/5) + "\n\n" + chat + "\n",
		strings.Repeat("x\n", 5*2048) + "-- \nAlice\n":       strings.Repeat("x\n", 5*2048) + "\n" + chat + "\n\n-- \nAlice\n",
		strings.Repeat("x", 5*2048-3) + "-- \nno signature":  strings.Repeat("x", 5*2048-3) + "-- \nno signature\n\n" + chat + "\n",
	} {
		for _, code := range []string{"7bit", "8bit", "quoted-printable", "base64"} {
			raw := crlf(in)
			switch code {
			case "base64":
				raw = wrapped(raw, 76)
			case "quoted-printable":
				raw = toQuoted(t, raw)
			}
			s := put(t, append(crlf("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: "+code+"\n\n"), raw...), aCard())
			if got := strings.ReplaceAll(s.decoded(), "\r\n", "\n"); got != want || s.Verdict.Kind != Body {
				t.Errorf("%s, %q: %s\n%q\n%q", code, in, s.Verdict, got, want)
			}
		}
	}
}

func TestAFlowingLineDoesNotSwallowTheBlankLine(t *testing.T) {
	t.Parallel()
	head := "Content-Type: text/plain; charset=utf-8; format=flowed\n\n"
	s := put(t, crlf(head+"it flows \non \n"), aCard())
	if got := s.decoded(); !strings.HasPrefix(got, "it flows \r\non \r\n\r\n\r\nChat with") {
		t.Errorf("%q", got)
	}
	for line := range strings.SplitSeq(s.decoded()[len("it flows \r\non \r\n"):], "\r\n") {
		if strings.HasSuffix(line, " ") || strings.HasPrefix(line, " ") || strings.HasPrefix(line, ">") {
			t.Errorf("the line %q flows, is stuffed or quoted", line)
		}
	}
}

// toQuoted encodes as the standard library does.
func toQuoted(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := quotedprintable.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A part of many megabytes is worked on with a few kilobytes of memory. Not in parallel: the others would be counted in.
func TestLargePartsTakeNoMemory(t *testing.T) {
	const size = 8 << 20
	text := bytes.Repeat([]byte("An ordinary line of an ordinary mail, with = signs.\r\n"), size/53)
	page := append(append([]byte("<html><body>"), bytes.Repeat([]byte("<p class=x>An ordinary line</p>\r\n"), size/33)...), "</body></html>"...)
	for name, body := range map[string][]byte{
		"text/plain\n": text,
		"text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n": toQuoted(t, text),
		"text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n":           wrapped(text, 76),
		"text/html\n": page,
		"text/html\nContent-Transfer-Encoding: quoted-printable\n": toQuoted(t, page),
		"text/html\nContent-Transfer-Encoding: base64\n":           wrapped(page, 76),
	} {
		msg := append(crlf("Content-Type: "+name+"\n"), body...)
		src := bytes.NewReader(msg)
		tree, err := message.Scan(src)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		r, err := Plan(src, tree, aCard())
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		if err != nil || r.Verdict.Kind != Body {
			t.Fatalf("%s: %s, %v", name, r.Verdict, err)
		}
		if kib := (after.TotalAlloc - before.TotalAlloc) >> 10; kib > 200 || took > 20*time.Second {
			t.Errorf("%q: %d KiB allocated, %v", name, kib, took)
		} else {
			t.Logf("%q: %d KiB allocated, %v", name, kib, took)
		}
	}
}

func TestAReadErrorIsAnError(t *testing.T) {
	t.Parallel()
	msg := append(crlf("Content-Type: text/plain\n\n"), bytes.Repeat([]byte("x\r\n"), 100_000)...)
	tree, err := message.Scan(bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Plan(broken{bytes.NewReader(msg)}, tree, aCard()); err == nil {
		t.Errorf("%+v", r)
	}
}

type broken struct{ *bytes.Reader }

func (broken) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestALineOfQuotedPrintableThatIsFullGrowsNoLonger(t *testing.T) {
	t.Parallel()
	for pad := range 10 {
		body := strings.Repeat("x", 76-12-pad) + "=0D=0A=0D=0A"
		s := put(t, crlf("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"+body), aCard())
		if s.Verdict.Kind != Body {
			t.Errorf("%d: %s", pad, s.Verdict)
		}
		for line := range strings.SplitSeq(string(s.out), "\r\n") {
			if len(line) > 76 {
				t.Errorf("%d: a line of %d: %q", pad, len(line), line)
			}
		}
	}
}

// The line end before a delimiter belongs to it, also when there was none before.
func TestAnEmptyPageGetsItsButtonOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"7bit", "quoted-printable", "base64"} {
		for _, kind := range []string{"html", "plain"} {
			s := put(t, crlf("Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/"+kind+"\nContent-Transfer-Encoding: "+code+"\n\n--b--\n"), aCard())
			if p := &s.after.Parts[1]; s.Verdict.String() != "body" || kind == "html" && !strings.HasSuffix(plain(code, s.out[p.Body:p.End]), "</table>\r\n") {
				t.Errorf("%s, %s: %s, %q", kind, code, s.Verdict, s.out)
			}
		}
	}
}
