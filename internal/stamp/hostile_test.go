package stamp

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"chmail/internal/message"
)

// Whatever is repeated ten thousand times, a mail of 128 KiB takes milliseconds; work that is quadratic in the number of lines, tags or lines of ours takes seconds.
func TestHostileMailsTakeNoLongerThanOthers(t *testing.T) {
	t.Parallel()
	const size = 128 << 10
	many := func(s string) []byte { return []byte(strings.Repeat(s, size/len(s))) }
	old := "Chat with A about this mail:\r\nhttps://chat.example.com/c/0123456789_-abcdefghij\r\n"
	button := string((&words{name: "A", link: link}).button())
	for kind, bodies := range map[string][][]byte{
		"text/plain": {
			many("-- \r\n"), many("> \r\n"), many("x\r\n> y\r\n"), many("On 1 May 2026, B <b@x> wrote:\r\n> y\r\n\r\n"), many("\r\n"), many(old), many("x"), many("-----Original Message-----\r\nFrom: a\r\n"),
			many("________________________\r\n"), many(":\r\n"), many("Bob wrote\r\n> y\r\n\r\n"), many("=3D="), many("=\r\n"), many("eHh4"), many("e\r\n"), many("\x1b$B\x1b(B"), many("-----BEGIN PGP"),
		},
		"text/html": {
			many("<div class=gmail_quote>"), many("<div class=gmail_quote>x</div>"), many("<blockquote type=cite>"), many("</div>"), many("<table class=chmail-link><a href=x>"), many(button),
			many("<!--"), many("<!-- -->"), many("<style>"), many("<style></style>"), many("<a b='"), many("<a b=c "), many("<"), many("</body>"), many("<span class=gmail_signature_prefix>-- </span>"),
			many("<p><b>From:</b>"), many("<div id=divRplyFwdMsg></div>"), many("&nbsp;"), many("x<br>"), many("<td>"), many("<pre class=moz-signature>"), many("<font hidden>"), many("<p hidden><a hidden>"), many("<form hidden>"), many("<hr id=zwchr>"),
			many("-----Original Message-----<br>From: a<br>"), many("<object>"),
		},
	} {
		for _, body := range bodies {
			for _, charset := range map[bool][]string{true: {"iso-2022-jp"}, false: {"utf-8"}}[body[0] == 0x1b || body[0] == '-'] {
				for _, code := range []string{"8bit", "quoted-printable", "base64"} {
					raw := body
					if code == "base64" && !bytes.Equal(body, many("eHh4")) {
						raw = wrapped(body, 76)
					}
					src := &message.Memory{B: append(crlf("Content-Type: "+kind+"; charset="+charset+"\nContent-Transfer-Encoding: "+code+"\n\n"), raw...)}
					began := time.Now()
					tree, err := message.Scan(src)
					if err != nil {
						t.Fatal(err)
					}
					r, err := Plan(src, tree, aCard())
					if err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > 2*time.Second {
						t.Errorf("%s, %s, %s, %.40q …: %v (%s)", kind, charset, code, body, took, r.Verdict)
					}
				}
			}
		}
	}
}
