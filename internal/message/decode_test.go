package message

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestHeaderTextBecomesReadable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Hello":                            "Hello",
		"  Hello  ":                        "Hello",
		"=?utf-8?B?44GT44KT44Gr44Gh44Gv?=": "こんにちは",
		"=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_Meier?=": "Jörg Meier",
		"=?iso-8859-1?q?=FC?=":                     "ü",
		"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=":       "日本",
		"=?nonsense?q?x?=":                         "=?nonsense?q?x?=",
		"=?utf-8?q?broken":                         "=?utf-8?q?broken",
		"a\x00b\x1b[31mc":                          "a b [31mc",
		"=?utf-8?q?a=0D=0ABcc:_x@y?=":              "a Bcc: x@y",
		"right\u202eleft\u2066":                    "rightleft",
		"line\u2028sep\u2029par\u0085next":         "line sep par next",
		"\xff\xfe":                                 "",
		"tab\there":                                "tab here",
		"\u200b\ufeffhidden":                       "hidden",
		"क्\u200dष":                                "क्\u200dष",
	} {
		if got := DecodeText(in, 100); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := DecodeText(strings.Repeat("ü", 300), 255); got != strings.Repeat("ü", 255) {
		t.Errorf("%d characters", utf8.RuneCountInString(got))
	}
	if got := DecodeText(strings.Repeat("x", 300), 255); len(got) != 255 {
		t.Errorf("%d characters", len(got))
	}
}

func checkText(t *testing.T, s string, limit int) {
	t.Helper()
	got := DecodeText(s, limit)
	if !utf8.ValidString(got) || utf8.RuneCountInString(got) > limit || got != strings.TrimSpace(got) {
		t.Fatalf("%q: %q", s, got)
	}
	for _, r := range got {
		if unicode.IsControl(r) || r != ' ' && unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' {
			t.Fatalf("%q: %q holds %U", s, got, r)
		}
	}
}

func FuzzDecodeText(f *testing.F) {
	for _, s := range []string{"x", "=?utf-8?q?=00?=", "=?iso-2022-jp?B?GyRC?=", "=?utf-16?b?//79AA==?=", "\u202e", "=?gb18030?q?=84=31=A4=39?="} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) { checkText(t, s, max(0, limit%300)) })
}

func TestALinkKnowsItsMail(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	h := head(t, "From: =?utf-8?q?Al=C3=AFce?= <a@x.test>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n zum Fest\nMessage-ID: <1@x.test>\nIn-Reply-To: <0@x.test>\n"+
		"References: <a@x.test>\n <b@x.test> (comment) <c d@x.test><e@x.test\n\n")
	from, err := ParseMailboxes(h.Value(0))
	if err != nil {
		t.Fatal(err)
	}
	want := Summary{MessageID: "<1@x.test>", Subject: "Grüße zum Fest", References: "<a@x.test> <b@x.test>", FromName: "Alïce", Recipients: 3, Date: now}
	if got := Summarise(h, from, 3, now); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	h = head(t, "In-Reply-To: <0@x.test>\nMessage-ID: none\n\n")
	if got := Summarise(h, nil, 1, now); got != (Summary{References: "<0@x.test>", Recipients: 1, Date: now}) {
		t.Errorf("%+v", got)
	}
}

func TestALongThreadKeepsItsFirstAndNewestMails(t *testing.T) {
	t.Parallel()
	var all []string
	for i := range 500 {
		all = append(all, fmt.Sprintf("<%d@x.test>", i))
	}
	got := strings.Fields(boundReferences(all))
	if got[0] != "<0@x.test>" || got[len(got)-1] != "<499@x.test>" || len(strings.Join(got, " ")) > maxReferences || len(got) < 100 {
		t.Errorf("%d of 500: %s … %s", len(got), got[0], got[len(got)-1])
	}
	if boundReferences(nil) != "" || boundReferences(all[:1]) != "<0@x.test>" {
		t.Error("none and one")
	}
	long := "<" + strings.Repeat("x", maxMessageID) + ">"
	if ids := messageIDs(long + " <ok@x>"); len(ids) != 1 || ids[0] != "<ok@x>" {
		t.Errorf("%v", ids)
	}
	// A header full of brackets takes no time worth mentioning.
	began := time.Now()
	messageIDs(strings.Repeat("<", MaxHeader) + ">")
	messageIDs(strings.Repeat("<>", MaxHeader/2))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("reading brackets took %v", took)
	}
}
