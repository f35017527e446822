package stamp

import (
	"bytes"
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

// large is a mail of 25 MB: 5 MB of text and HTML, and an attachment of 20 MB.
func large() []byte {
	line := "An ordinary line of an ordinary mail, as long as lines are.\n"
	tags := "<p style=\"margin:0\">An ordinary line of an ordinary mail.</p>\n"
	head := benchHeader + "Content-Type: multipart/mixed; boundary=\"=_outer\"\n\n--=_outer\nContent-Type: multipart/alternative; boundary=\"=_inner\"\n\n--=_inner\nContent-Type: text/plain; charset=utf-8\n\n" +
		strings.Repeat(line, 2_500_000/len(line)) + "--=_inner\nContent-Type: text/html; charset=utf-8\n\n<html><body>\n" + strings.Repeat(tags, 2_500_000/len(tags)) +
		"</body></html>\n--=_inner--\n--=_outer\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment\n\n"
	b := append(crlf(head), wrapped(make([]byte, 14_600_000), 76)...)
	return append(b, "--=_outer--\r\n"...)
}

// From the first look at the bytes of a large mail to the splices; it lies in a file, as large mails do.
func BenchmarkLargeMail(b *testing.B) {
	msg := large()
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		src := bytes.NewReader(msg)
		tree, err := message.Scan(src)
		if err != nil {
			b.Fatal(err)
		}
		if r, err := Plan(src, tree, aCard()); err != nil || len(r.Parts) != 2 {
			b.Fatal(r.Verdict, err)
		}
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
