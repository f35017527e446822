package chatd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func FuzzSniff(f *testing.F) {
	for _, seed := range []string{"", "\x16\x03\x01", "JOIN x", "RESUME x", "RESUMING", "JOI", "GET / HTTP/1.1", "hello", "\r\n", "JOIN\t", "POST "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		what := sniff(b)
		// The more has come, the surer it is: nothing is decided in another way afterwards, and seven bytes are always enough.
		if what != unclear {
			if again := sniff(append(bytes.Clone(b), "anything"...)); again != what {
				t.Errorf("%q is %d, and with more behind it %d", b, what, again)
			}
		} else if len(b) >= sniffMost {
			t.Errorf("%q is unclear", b)
		}
		if what == inLines && !bytes.HasPrefix(b, []byte("JOIN ")) && !bytes.HasPrefix(b, []byte("RESUME ")) {
			t.Errorf("%q goes to the line parser", b)
		}
	})
}

func FuzzGreeting(f *testing.F) {
	code := strings.Repeat("A", tokenLength) + "." + strings.Repeat("B", tokenLength)
	for _, seed := range []string{"JOIN " + offer + " Bob\r\n", "RESUME " + code + " 7\n", "RESUME " + code + " -1\n", "JOIN x HTTP/1.1\r\n", "JOIN \xff\n", "POST / HTTP/1.1\r\n", "JOIN  \n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		g, ok := parseGreeting(line)
		if !ok {
			return
		}
		if likeHTTP(line) || !utf8.Valid(line) {
			t.Errorf("%q is a greeting", line)
		}
		if g.token == "" || len(g.token) > maxCID || strings.ContainsAny(g.token, " ") || g.last < 0 {
			t.Errorf("%q: token %q, last %d", line, g.token, g.last)
		}
		if g.secret != "" && (len(g.token) != tokenLength || len(g.secret) != tokenLength) {
			t.Errorf("%q: code %q . %q", line, g.token, g.secret)
		}
		checkName(t, g.name)
	})
}

func checkName(t *testing.T, name string) {
	t.Helper()
	if utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) || cleanName(name) != name {
		t.Errorf("name %q", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			t.Errorf("name %q", name)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{"hello\r\n", "//slash\n", "/quit\r\n", "/\n", "", "\x1b[31m\n", "\xff\n", "* 1 Alice: no\n", strings.Repeat("é", 3000)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		what, text := parseLine(line)
		if (what == saying) != goodText(text) {
			t.Errorf("%q is %d, says %q", line, what, text)
		}
		if what != saying {
			return
		}
		// What was said comes out again, and nothing in it can be taken for another line.
		e := &event{N: 12, Kind: kindSay, From: visitor, Text: text, At: time.Now()}
		checkPrinted(t, e, "Bob")
	})
}

// checkPrinted reads an event's lines as a client would.
func checkPrinted(t *testing.T, e *event, name string) {
	t.Helper()
	lines := strings.SplitAfter(string(appendEvent(nil, e, name)), "\r\n")
	got := ""
	for i, l := range lines[:len(lines)-1] {
		if len(l) > maxLine {
			t.Errorf("a line of %d bytes", len(l))
		}
		l = strings.TrimSuffix(l, "\r\n")
		switch {
		case i == 0:
			text, ok := strings.CutPrefix(l, "* 12 "+lineName(name)+": ")
			if !ok {
				t.Errorf("the first line is %q", l)
			}
			got = text
		case strings.HasPrefix(l, "| "):
			got += "\n" + l[2:]
		case strings.HasPrefix(l, "& "):
			got += l[2:]
		default:
			t.Errorf("line %d is %q", i, l)
		}
	}
	if lines[len(lines)-1] != "" || got != lineText(e) {
		t.Errorf("%q is printed as %q", e.Text, got)
	}
}

func FuzzPrint(f *testing.F) {
	f.Add("hello", "Bob")
	f.Add("two\nlines", "a: b")
	f.Add("/quit\n* 13 Alice: no", "")
	f.Add(strings.Repeat("字", 4000), strings.Repeat("名", 200))
	f.Fuzz(func(t *testing.T, text, name string) {
		if !goodText(text) || !utf8.ValidString(name) || name != cleanName(name) {
			return
		}
		checkPrinted(t, &event{N: 12, Kind: kindSay, From: owner, Text: text}, name)
	})
}

func FuzzFrame(f *testing.F) {
	for _, seed := range []string{`{"t":"join","v":1,"token":"AAAAAAAAAAAAAAAAAAAAAA","last":0,"name":"Bob"}`, `{"t":"say","cid":"x","text":"hello"}`, `{"t":"name","name":null}`,
		`{"t":"seen","conv":"c","n":3}`, `[]`, `{"t":1}`, `{"t":"say","text":"\ud800"}`, `{"T":"say"}`, `{"t":"open","last":-1}`, `{"t":"a","t":"b"}`, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := decodeFrame(body)
		if err != nil {
			return
		}
		if in.T == "" || in.Last < 0 || in.N < 0 || len(in.Token) > maxCID || !utf8.ValidString(in.Text) {
			t.Errorf("%q is decoded as %+v", body, in)
		}
		if in.Name != nil {
			checkName(t, cleanName(*in.Name))
		}
		if !goodText(in.Text) {
			return
		}
		e := &event{N: 1, Kind: kindSay, From: visitor, CID: in.CID, Text: in.Text, At: time.Now()}
		if err := e.encode("c", ""); err != nil {
			t.Fatal(err)
		}
		var out eventFrame
		if err := json.Unmarshal(e.wire, &out); err != nil || out.Text != in.Text {
			t.Errorf("%q goes out as %s: %v", in.Text, e.wire, err)
		}
	})
}

// A file's name comes from a stranger's computer, and stands in logs, lines, headers and other people's folders.
func FuzzFileName(f *testing.F) {
	for _, name := range []string{"plan.pdf", `C:\fakepath\x.png`, "../../etc/passwd", "a\u202egnp.exe", "\xff", strings.Repeat("字", 300) + ".jpeg", ". . .", "a. ."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := cleanFileName(name)
		if got == "" || !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxFileName || strings.ContainsAny(got, "/\\\"<>:|?*\r\n\t\x00") || strings.HasPrefix(got, ".") || strings.TrimSpace(got) != got {
			t.Errorf("%q becomes %q", name, got)
		}
		if again := cleanFileName(got); again != got {
			t.Errorf("%q becomes %q, and that %q", name, got, again)
		}
		for _, kind := range []string{"image/jpeg", "image/png", "image/gif"} {
			if with := withEnding(got, kind); withEnding(with, kind) != with || strings.HasPrefix(with, ".") {
				t.Errorf("%q of %s becomes %q", got, kind, with)
			}
		}
	})
}
