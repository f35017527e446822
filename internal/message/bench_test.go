package message

import (
	"io"
	"strings"
	"testing"
	"time"
)

const benchHeader = `Return-Path: <alice@example.com>
From: Alice Liddell <alice@example.com>
To: Bob <bob@example.com>
Subject: Minutes of the meeting
Date: Wed, 25 Nov 2026 10:00:00 +0000
Message-ID: <c0ffee@example.com>
In-Reply-To: <1234@example.com>
References: <1234@example.com>
User-Agent: Mail 1.0
MIME-Version: 1.0
`

func benchPlain() []byte {
	return crlf(benchHeader + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" +
		strings.Repeat("An ordinary line of an ordinary mail, as long as lines are.\n", 128))
}

func benchMultipart() []byte {
	return crlf(benchHeader + "Content-Type: multipart/mixed; boundary=\"=_outer\"\n\n--=_outer\nContent-Type: multipart/alternative; boundary=\"=_inner\"\n\n" +
		"--=_inner\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" +
		strings.Repeat("An ordinary line of an ordinary mail, as long as lines are.\n", 30) +
		"--=_inner\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" +
		strings.Repeat("<p style=3D\"margin:0\">An ordinary line of an ordinary mail.</p>\n", 40) + "--=_inner--\n" +
		"--=_outer\nContent-Type: application/pdf; name=\"m.pdf\"\nContent-Disposition: attachment; filename=\"m.pdf\"\nContent-Transfer-Encoding: base64\n\n" +
		strings.Repeat("JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0\n", 40) + "--=_outer--\n")
}

func BenchmarkScan(b *testing.B) {
	for name, msg := range map[string][]byte{"plain8K": benchPlain(), "multipart8K": benchMultipart()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			src := &Memory{B: msg}
			for b.Loop() {
				if tree, err := Scan(src); err != nil || tree.Defects != 0 {
					b.Fatal(err, tree.Defects)
				}
			}
		})
	}
}

func BenchmarkSurvey(b *testing.B) {
	msg := benchPlain()
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		var s Survey
		if _, err := s.Write(msg); err != nil || s.Long {
			b.Fatal(err, s)
		}
	}
}

func BenchmarkSplicedReader(b *testing.B) {
	src := &Memory{B: benchPlain()}
	s := []Splice{{Ins: make([]byte, 300)}, {Off: 200, Ins: make([]byte, 40)}, {Off: src.Size(), Ins: make([]byte, 200)}}
	buf := make([]byte, 64<<10)
	b.SetBytes(src.Size())
	b.ReportAllocs()
	for b.Loop() {
		r, size := NewSplicedReader(src, s)
		if n, err := io.ReadFull(r, buf[:size]); err != nil || int64(n) != size {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkSummarise(b *testing.B) {
	tree, err := Scan(&Memory{B: benchPlain()})
	if err != nil {
		b.Fatal(err)
	}
	h := &tree.Head
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		from, err := ParseMailboxes(h.Value(h.Find("From")))
		if err != nil {
			b.Fatal(err)
		}
		if s := Summarise(h, from, 1, now); s.Subject == "" {
			b.Fatal(s)
		}
	}
}
