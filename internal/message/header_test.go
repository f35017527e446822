package message

import (
	"bytes"
	"strings"
	"testing"
)

func head(t testing.TB, s string) *Header {
	t.Helper()
	return &scan(t, crlf(s)).Head
}

func TestFieldsAreFoundInAnySpelling(t *testing.T) {
	t.Parallel()
	h := head(t, "Subject: one\n two\n\tthree \nSUBJECT : again\nX-Empty:\nsubjects: other\nX-\u00fc: no field name\nX: behind\n\nSubject: body\n")
	if h.Count("subject") != 2 || h.Find("Subject") != 0 || h.Get("SUBJECT") != "one two\tthree" || h.Text(1) != "again" {
		t.Errorf("%d subjects, the first %q", h.Count("subject"), h.Get("Subject"))
	}
	if !h.Has("X-Empty") || h.Get("X-Empty") != "" || h.Has("Subjec") || h.Has("X") || h.Get("X") != "" {
		t.Error("an empty field is lost or one that is not there was found")
	}
	if string(h.Name(1)) != "SUBJECT" || string(h.Value(0)) != " one\r\n two\r\n\tthree " {
		t.Errorf("name %q, value %q", h.Name(1), h.Value(0))
	}
	if got := string(h.Raw[h.Fields[3].Off:h.End]); got != "subjects: other\r\n" {
		t.Errorf("the last certain field is %q", got)
	}
	if got := string(h.Raw[h.Stray.Off:h.Stray.End]); got != "X-\u00fc: no field name\r\nX: behind\r\n\r\n" {
		t.Errorf("behind the first line that is no field: %q", got)
	}
	if s := h.Span(2); s != (Span{int64(h.Fields[2].Off), int64(h.Fields[2].End)}) || h.EOL() != "\r\n" {
		t.Errorf("span %v", s)
	}
	if lf, err := Scan(&Memory{B: []byte("Subject: x\n\ny")}); err != nil || lf.Head.EOL() != "\n" {
		t.Error("a header with bare LF")
	}
}

func TestUnfoldingDropsLineEndsOnly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" a ": "a", "\r\n a\r\n\tb\r\n": "a\tb", "": "", " \r\n ": "", "a\nb": "ab", "a\r b": "a b",
	} {
		if got := Unfold([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// naiveSurvey is the same by the definition: lines cut at LF, one CR before it belongs to the line end.
func naiveSurvey(p []byte) Survey {
	var s Survey
	lines := bytes.Split(p, []byte("\n"))
	for i, l := range lines {
		if i < len(lines)-1 {
			l = bytes.TrimSuffix(l, []byte("\r"))
		} else if len(l) == MaxLine+1 {
			l = bytes.TrimSuffix(l, []byte("\r")) // its LF may be still to come
		}
		s.Long = s.Long || len(l) > MaxLine
	}
	s.NUL = bytes.IndexByte(p, 0) >= 0
	for _, c := range p {
		s.High = s.High || c >= 0x80
	}
	return s
}

func checkSurvey(t *testing.T, msg []byte, step int) {
	t.Helper()
	var s Survey
	for p := msg; len(p) > 0; p = p[min(step, len(p)):] {
		if n, err := s.Write(p[:min(step, len(p))]); err != nil || n != min(step, len(p)) {
			t.Fatal(n, err)
		}
	}
	want := naiveSurvey(msg)
	if s.Long != want.Long || s.NUL != want.NUL || s.High != want.High {
		t.Errorf("%d bytes by %d: long %v NUL %v high %v, want %+v", len(msg), step, s.Long, s.NUL, s.High, want)
	}
}

func TestSurveySeesEveryLongLine(t *testing.T) {
	t.Parallel()
	for n := MaxLine - 2; n <= MaxLine+3; n++ {
		for _, before := range []string{"", "x\r\n", "x\n", "\r\n", strings.Repeat("y", 990) + "\r\n", strings.Repeat("y", 998) + "\r\n"} {
			for _, eol := range []string{"", "\r\n", "\n", "\r", "\r\r\n"} {
				msg := []byte(before + strings.Repeat("x", n) + eol + "z")
				for _, step := range []int{1, 7, 998, 999, 1000, 1001, 1 << 20} {
					checkSurvey(t, msg, step)
				}
			}
		}
	}
	checkSurvey(t, []byte("abcdefgh\x00"), 100)
	checkSurvey(t, []byte("abcdefghijklmno\x80"), 100)
	checkSurvey(t, []byte("\xff"), 100)
}

func FuzzSurvey(f *testing.F) {
	f.Add([]byte("abc\r\n"), 400, 3)
	f.Add([]byte("\n\n\r\x80"), 999, 1000)
	f.Fuzz(func(t *testing.T, p []byte, pad, step int) {
		msg := append(bytes.Repeat([]byte("x"), max(0, min(pad, 3000))), p...)
		checkSurvey(t, append(msg, p...), max(step, 1))
	})
}

func TestAuthenticationResultsNameTheirServer(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" mx.x.test; spf=pass":                   "mx.x.test",
		"MX.x.test.;none":                        "mx.x.test",
		" (a (nested) \\) comment) mx.x.test 1;": "mx.x.test",
		" \"mx.x.test\" ; x=y":                   "mx.x.test",
		"\r\n\tmx.x.test\r\n\t1;\r\n x":          "mx.x.test",
		" mx.x.test":                             "mx.x.test",
		" other.test; i=mx.x.test":               "other.test",
	} {
		if got, ok := AuthServ([]byte(in)); !ok || got != want {
			t.Errorf("%q: %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", ";", " (mx.x.test", " mx.x.test spf=pass", "@mx.x.test;", "\"mx.x.test", " spf=pass; mx.x.test", "(x)"} {
		if got, ok := AuthServ([]byte(in)); ok {
			t.Errorf("%q was read as %q", in, got)
		}
	}
}
