package message

import (
	"bytes"
	"mime"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// inTongues are what a notice must say in each language: with everything known, and with nothing.
var inTongues = map[string]struct{ from, news, when, subject, often, signIn string }{
	"ja": {
		"x.test のチャット", "佐藤 美奈 さんがお送りになったメール「屋根のお見積り」のチャットリンクを開き、お話しになりたいとのことでしたが、連絡がつきませんでした。",
		"呼び出しがあったのは 2026年11月5日 09:05 UTC です。", "ゲストの方からチャットの呼び出しがありました", "呼び出しは 3 回あり、最後の呼び出しは 2026年11月5日 09:05 UTC でした。", "ログインが必要です",
	},
	"ko": {
		"x.test 채팅", "佐藤 美奈 님이 보내신 메일 “屋根のお見積り”에 있는 채팅 링크를 열고 대화를 요청했지만 연락이 닿지 않았습니다.",
		"호출 시각은 2026년 11월 5일 09:05 UTC입니다.", "이름을 밝히지 않은 분이 채팅을 요청했습니다", "호출은 모두 3번 있었고, 마지막 호출 시각은 2026년 11월 5일 09:05 UTC입니다.", "로그인해야 합니다",
	},
}

func TestANoticeSpeaksTheOwnersLanguage(t *testing.T) {
	t.Parallel()
	for lang, want := range inTongues {
		n := Notice{
			To: "alice@x.test", Host: "mail.x.test", Who: "佐藤 美奈", Link: "https://chat.x.test/desk/c/42", At: time.Date(2026, 11, 5, 9, 5, 0, 0, time.UTC),
			About: Summary{MessageID: "<1@x.test>", Subject: "屋根のお見積り"}, Language: lang,
		}
		h, text, html := openNotice(t, n)
		from, err := new(mime.WordDecoder).DecodeHeader(h.Get("From"))
		if err != nil || from != want.from+" <postmaster@x.test>" || h.Get("Content-Language") != lang {
			t.Errorf("%s: from %q, %v, language %q", lang, from, err, h.Get("Content-Language"))
		}
		for _, body := range []string{text, html} {
			if !strings.Contains(body, want.news) || !strings.Contains(body, want.when) || !strings.Contains(body, want.signIn) || strings.Count(body, n.Link) != 1 {
				t.Errorf("%s: %s", lang, body)
			}
		}
		if !strings.Contains(html, `<html lang="`+lang+`">`) {
			t.Errorf("%s: no language in %s", lang, html)
		}
		n.Calls, n.Who, n.About = 3, "", Summary{}
		h, text, html = openNotice(t, n)
		subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
		if err != nil || subject != want.subject || !strings.Contains(text, want.often) {
			t.Errorf("%s: %q, %v, %s", lang, subject, err, text)
		}
		shown := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(html, "")
		if left := regexp.MustCompile(`[A-Za-z]{2,}`).FindAllString(shown, -1); !slices.Equal(left, []string{"UTC"}) {
			t.Errorf("%s: left in English: %q", lang, left)
		}
	}
}

// TestAForeignNoticeIsSevenBits looks at the bytes themselves: whatever relays or stores the mail may take the eighth bit away and cut at line ends.
func TestAForeignNoticeIsSevenBits(t *testing.T) {
	t.Parallel()
	for lang := range inTongues {
		n := Notice{
			To: "alice@x.test", Host: "mail.x.test", Who: strings.Repeat("佐藤", 40), Link: "https://chat.x.test/desk/c/42", At: time.Date(2026, 11, 5, 9, 5, 0, 0, time.UTC),
			About: Summary{MessageID: "<1@x.test>", Subject: strings.Repeat("屋根のお見積り", 12)}, Language: lang,
		}
		raw, err := n.Build()
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(raw, func(c byte) bool { return c >= 0x80 || c == 0 }); i >= 0 {
			t.Errorf("%s: byte %#x at %d", lang, raw[i], i)
		}
		for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
			if len(line) > 78 || bytes.ContainsAny(line, "\r\n") {
				t.Errorf("%s: line of %d bytes: %s", lang, len(line), line)
			}
		}
		if got := bytes.Count(raw, []byte("\r\nContent-Transfer-Encoding: base64\r\n")); got != 2 {
			t.Errorf("%s: %d parts in base64:\n%s", lang, got, raw)
		}
		word := regexp.MustCompile(`(?m)^(Subject:)?\s+=\?utf-8\?b\?[A-Za-z0-9+/=]+\?=\r?$`)
		if got := word.FindAll(raw, -1); len(got) < 3 {
			t.Errorf("%s: the subject is not in encoded words (RFC 2047):\n%s", lang, raw)
		}
	}
}
