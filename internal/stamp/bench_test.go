package stamp

import (
	"io"
	"strings"
	"testing"

	"chmail/internal/message"
)

const benchHeader = "From: Alice Liddell <alice@example.com>\nTo: Bob <bob@example.com>\nSubject: Minutes of the meeting\nDate: Wed, 25 Nov 2026 10:00:00 +0000\n" +
	"Message-ID: <c0ffee@example.com>\nIn-Reply-To: <1234@example.com>\nReferences: <1234@example.com>\nUser-Agent: Mail 1.0\nMIME-Version: 1.0\n"

func benchMails() map[string][]byte {
	line := "An ordinary line of an ordinary mail, as long as lines are.\n"
	tags := "<p style=\"margin:0\">An ordinary line of an ordinary mail.</p>\n"
	alternative := func(code, line, tags string, n int) []byte {
		return crlf(benchHeader + "Content-Type: multipart/alternative; boundary=\"=_inner\"\n\n--=_inner\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: " + code + "\n\n" +
			strings.Repeat(line, n) + "--=_inner\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: " + code + "\n\n<html><body>\n" + strings.Repeat(tags, n) + "</body></html>\n--=_inner--\n")
	}
	return map[string][]byte{
		"text8K":          crlf(benchHeader + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + strings.Repeat(line, 128)),
		"alternative8K":   alternative("8bit", line, tags, 64),
		"alternativeQP8K": alternative("quoted-printable", line, strings.ReplaceAll(tags, "=", "=3D"), 64),
		"base64text8K":    append(crlf(benchHeader+"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"), wrapped(crlf(strings.Repeat(line, 98)), 76)...),
	}
}

// What intake does to each mail between scanning it and storing it.
func BenchmarkPlanAndApply(b *testing.B) {
	for name, msg := range benchMails() {
		b.Run(name, func(b *testing.B) {
			src := &message.Memory{B: msg}
			tree, err := message.Scan(src)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 64<<10)
			card := aCard()
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := Plan(src, tree, card)
				if err != nil || r.Verdict.Kind != Body || r.Verdict.Reason != "" {
					b.Fatal(r.Verdict, err)
				}
				out, size := message.NewSplicedReader(src, r.Splices)
				if n, err := io.ReadFull(out, buf[:size]); err != nil || int64(n) != size {
					b.Fatal(n, err)
				}
			}
		})
	}
}
