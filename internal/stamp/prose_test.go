package stamp

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
)

// In each text ⟦⟧ marks where the chat line belongs; it stands apart from what is above and below it.
const mark0 = "⟦⟧"

func placesOfTheLine() map[string]string {
	quote := "> shall we meet?\n>\n> Bob\n"
	date := "On Tue, 24 Nov 2026 at 10:00, Bob <bob@example.net> wrote:\n"
	return map[string]string{
		"a reply above the quotation":      "Yes.\n\n⟦⟧" + date + quote,
		"an empty line behind attribution": "Yes.\n\n⟦⟧" + date + "\n" + quote,
		"a wrapped attribution":            "Yes.\n\n⟦⟧On Tuesday, 24 November 2026, Bob Builder of the very long name\n<bob@example.net> wrote:\n" + quote,
		"no empty line above it":           "Yes.\n⟦⟧" + date + quote,
		"a signature above the quotation":  "Yes.\n\n⟦⟧-- \nAlice\nWonderland\n\n" + date + quote,
		"a signature below the quotation":  "Yes.\n\n⟦⟧" + date + quote + "\n-- \nAlice\n",
		"a German one":                     "Ja.\n\n⟦⟧Am 24.11.2026 um 10:00 schrieb Bob:\n" + quote,
		"a Japanese one":                   "はい。\n\n⟦⟧2026年11月24日(火) 10:00 Bob <bob@example.net>:\n" + quote,
		"a Korean one":                     "네.\n\n⟦⟧2026년 11월 24일 (화) 오전 10:00, Bob <bob@example.net>님이 작성:\n" + quote,
		"a name only":                      "Yes.\n\n⟦⟧Bob Builder wrote:\n" + quote,
		"Outlook's original": "Yes.\n\nAlice\n\n⟦⟧-----Original Message-----\nFrom: Bob <bob@example.net>\nSent: Tuesday, November 24, 2026 10:00\n" +
			"To: Alice\nSubject: Meeting\n\nshall we meet?\n\nBob\n",
		"Outlook's original in Japanese": "はい。\n\n⟦⟧-----元のメッセージ-----\n差出人: Bob\n送信日時: 2026年11月24日\n宛先: Alice\n\n会いましょうか\n",
		"Outlook on the web":             "Yes.\n\n⟦⟧________________________________\nFrom: Bob <bob@example.net>\nSent: Tuesday\nTo: Alice\n\nshall we meet?\n",
		"a forwarded mail":               "See below.\n\n⟦⟧---------- Forwarded message ---------\nFrom: Bob <bob@example.net>\nDate: Tue\nSubject: x\nTo: Alice\n\nshall we meet?\n",
		"an original within an original": "Yes.\n\n⟦⟧-----Original Message-----\nFrom: Bob\nTo: Alice\nSubject: x\n\nno\n\n-----Original Message-----\nFrom: C\nTo: D\nSubject: x\n\n> y\n",
		"a forwarded mail without words": "---------- Forwarded message ---------\nFrom: Bob\nDate: Tue\nSubject: x\n\nshall we meet?\n-- \nBob\n\n---------- Forwarded message ---------\nFrom: Bob\nDate: Tue\nSubject: x\n\n⟦⟧",
		"Apple Mail":                     "Yes.\n\n⟦⟧> On 24 Nov 2026, at 10:00, Bob <bob@example.net> wrote:\n> \n> shall we meet?\n",
		"an answer below":                date + quote + "\nYes.\n⟦⟧",
		"an answer below, signed":        date + quote + "\nYes.\n\n⟦⟧-- \nAlice\n",
		"answers in between":             "Hello.\n\n" + date + "> shall we meet?\nYes.\n> where?\nHere.\n⟦⟧",
		"answers in between, no more":    "Hello.\n\n" + date + "> shall we meet?\nYes.\n> where?\n⟦⟧",
		"no words of his own":            date + quote + "⟦⟧",
		"a citation in the text":         "He said:\n> nothing is certain\n⟦⟧",
		"a citation after an empty line": "I think\n\nthat this says it all:\n\n> nothing is certain\n⟦⟧",
		"a rule in the text":             "one\n----------\ntwo\n___________________________\nthree: x\n⟦⟧",
		"a quotation that was broken":    "Yes.\n\n" + date + "> shall we meet at the place where we have\nmet before?\n> Bob\n⟦⟧",
		"two signatures":                 "Yes.\n-- \nAlice\n-- \nthe list\n⟦⟧",
		"an agenda":                      "we meet tomorrow.\n\n---- Agenda ----\nDate: Monday 2026\nTime: 10 am\nPlace: Room 5\n\nPlease bring your notes.\nAlice\n⟦⟧",
		"a report":                       "It is done.\n\n----- Summary -----\nTotal: 5\nFailed: 2\nPassed: 3\n\nAlice\n⟦⟧",
		"a form":                         "Please fill in:\n____________________________\nFrom: Monday\nTo: Friday\nPlace: here\n\nAlice\n⟦⟧",
		"a section by its number":        "Hi Bob,\n\nthank you for your mail. I do not agree with\nsection 3:\n\n> The sky is green.\n⟦⟧",
		"a command line":                 "Hi,\n\nOn server 3 as root@x do:\n> make\n⟦⟧",
		"an address among words":         "I was there at 9.\n\nSee <http://x.test/> for it.\nHere is what you said @ noon:\n> so\n⟦⟧",
		"a name without a colon":         "Yes.\n\n⟦⟧Bob Builder wrote\n" + quote,
		"a date without a colon":         "Yes.\n\n⟦⟧On Tue, 24 Nov 2026 at 10:00, Bob wrote\n\n" + quote,
		"an address without a colon":     "Ja.\n\n⟦⟧24.11.2026 10:00 bob@example.net schrieb\n" + quote,
		"a sentence about who wrote":     "Yes.\n\nthis is the best that Bob ever wrote\n" + quote + "⟦⟧",
		"a friend who wrote":             "Yes.\n\nmy friend wrote\n" + quote + "⟦⟧",
		"a headline about who wrote":     "Yes.\n\nThe Great Book That Bob wrote\n" + quote + "⟦⟧",
		"a sentence that begins so":      "Yes.\n\nAs Bob wrote\n" + quote + "⟦⟧",
		"a paragraph without a colon":    "Yes.\n\nOn 3 May 2026 they all agreed with what\nBob wrote\n" + quote + "⟦⟧",
		"a sentence, signed":             "I agree with what\nBob wrote\nand will come.\n\n⟦⟧-- \nAlice\n",
		"a Danish one":                   "Ja.\n\n⟦⟧Den 24-11-2026 kl. 10:00 skrev Bob:\n" + quote,
		"a Russian one":                  "Да.\n\n⟦⟧24.11.2026 10:00, Bob пишет:\n" + quote,
		"a Chinese one":                  "好。\n\n⟦⟧在 2026年11月24日,10:00,Bob 写道：\n" + quote,
		"what he said himself":           "As you wrote:\n\nno, as I wrote:\n> so\n⟦⟧",
		"Outlook for Mac":                "Yes.\n\n⟦⟧From: Bob <bob@example.net>\nDate: Tuesday, 24 November 2026\nTo: Alice\nSubject: x\n\nHello\n\n-- \nBob\n",
		"an original without a mark":     "Yes.\n\nBob <bob@example.net> wrote on Monday:\n\nHello\n\n-- \nBob\n⟦⟧",
		"a head of two lines":            "Yes.\n\n---- Original Message ----\nFrom: Bob\n\nHello\n\n-- \nBob\n⟦⟧",
		"a patch":                        "Please apply.\n\n--- a/x\n+++ b/x\n@@ -1,3 +1,2 @@\n one\n-- \n two\n⟦⟧",
		"a very long attribution":        "Yes.\n\nOn Tue\nand more\nand more\nand Bob 1 wrote:\n" + quote + "⟦⟧",
		"a quotation without end":        "Yes.\n\n⟦⟧" + date + strings.Repeat("> a line of very many lines\n", 3000),
	}
}

func TestTheLineGoesWhereAPersonWouldPutIt(t *testing.T) {
	t.Parallel()
	for name, marked := range placesOfTheLine() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, behind, _ := strings.Cut(marked, mark0)
			text := before + behind
			w := words{name: "Alice Liddell", link: link}
			chat := w.line(charset{utf8: true}, false)
			want := before + map[bool]string{true: "\n", false: ""}[before != "" && !strings.HasSuffix(before, "\n\n")] + chat + "\n"
			if behind != "" {
				want += "\n" + behind
			}
			for _, code := range []string{"8bit", "quoted-printable", "base64"} {
				raw := crlf(text)
				switch code {
				case "base64":
					raw = wrapped(raw, 76)
				case "quoted-printable":
					raw = toQuoted(t, raw)
				}
				s := put(t, append(crlf("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: "+code+"\n\n"), raw...), aCard())
				got := strings.ReplaceAll(s.decoded(), "\r\n", "\n")
				if code == "base64" && len(raw) > maxRedo && got != want { // by up to two more empty lines the rest stays as it is
					for range 2 {
						got = strings.Replace(got, chat+"\n\n\n", chat+"\n\n", 1)
					}
				}
				if got != want || s.Verdict.String() != "body" {
					t.Errorf("%s, %s:\n%.600q\nwant\n%.600q", code, s.Verdict, got, want)
				}
			}
		})
	}
}

// What comes in pieces is read as what comes at once.
func TestATextInPiecesIsTheSameText(t *testing.T) {
	t.Parallel()
	text := "Yes.\r\n\r\n-- \r\nAlice\r\n\r\nOn Tue, 24 Nov 2026, Bob wrote:\r\n> x\r\n\r\n" + "Chat with Bob about this mail:\r\n" + link + "\r\n" + strings.Repeat("long ", 200) + "\r\n-----Original Message-----\r\nFrom: a\r\nTo: b\r\nSubject: c\r\n> y\r\nz"
	w := words{link: link}
	for end := range len(text) {
		whole := newProse(w.own)
		whole.write([]byte(text[:end]))
		want := fmt.Sprint(whole.end(), whole.older)
		for _, n := range []int{1, 2, 3, 7, 64} {
			p := newProse(w.own)
			for b := []byte(text[:end]); len(b) > 0; b = b[min(n, len(b)):] {
				p.write(b[:min(n, len(b))])
			}
			if got := fmt.Sprint(p.end(), p.older); got != want {
				t.Fatalf("the first %d octets by %d: %s, at once %s", end, n, got, want)
			}
		}
	}
}

func TestAnOlderLineGivesItsPlaceToTheNewOne(t *testing.T) {
	t.Parallel()
	old := "https://chat.example.com/c/0123456789_-abcdefghij"
	older := func(sentence string) string { return sentence + "\n" + old }
	chat := "Chat with Alice Liddell about this mail:\n" + link
	for in, want := range map[string]string{
		"x\n\n" + older("Chat with Alice Liddell about this mail:") + "\n":                                                         "x\n\n" + chat + "\n",
		"x\n\n" + older("このメールについて Alice Liddell さんとチャット:") + "\n\n-- \nAlice\n":                                                   "x\n\n" + chat + "\n\n-- \nAlice\n",
		"x\n\n" + older("이 메일에 대해 보낸 사람과 채팅:") + "\ny\n":                                                                           "x\n\n" + chat + "\ny\n",
		older("Chat with the sender about this mail:"):                                                                             chat,
		"x\n\n" + older("Chat with Alice Liddell about this mail:") + "\n" + older("Chat with the sender about this mail:") + "\n": "x\n\n" + chat + "\n\n",
		// His own words about such a link, and what others were sent, stay.
		"x\n" + old + "\n":    "x\n" + old + "\n\n" + chat + "\n",
		"see:\n" + old + "\n": "see:\n" + old + "\n\n" + chat + "\n",
		"> Chat with A about this mail:\n> " + old + "\ny\n": "> Chat with A about this mail:\n> " + old + "\ny\n\n" + chat + "\n",
		// Somebody else's, in a mail that is quoted without marks.
		older("Chat with Bob about this mail:") + "\n": older("Chat with Bob about this mail:") + "\n\n" + chat + "\n",
		"-----Original Message-----\nFrom: Bob\nSent: Monday\nTo: Alice\n\nHello\n\n" + older("Chat with the sender about this mail:") + "\n\nBob\n": "-----Original Message-----\nFrom: Bob\nSent: Monday\nTo: Alice\n\nHello\n\n" +
			older("Chat with the sender about this mail:") + "\n\nBob\n\n" + chat + "\n",
		"Chat with A about this mail:\nhttps://chat.example.org/c/0123456789_-abcdefghij\n": "Chat with A about this mail:\nhttps://chat.example.org/c/0123456789_-abcdefghij\n\n" + chat + "\n",
		"x\n\nOn 1 May Bob wrote:\n> y\n> Chat with A about this mail:\n> " + old + "\n":    "x\n\n" + chat + "\n\nOn 1 May Bob wrote:\n> y\n> Chat with A about this mail:\n> " + old + "\n",
	} {
		for _, code := range []string{"8bit", "quoted-printable", "base64"} {
			raw := crlf(in)
			switch code {
			case "base64":
				raw = wrapped(raw, 60)
			case "quoted-printable":
				raw = toQuoted(t, raw)
			}
			s := put(t, append(crlf("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: "+code+"\n\n"), raw...), aCard())
			if got := strings.ReplaceAll(s.decoded(), "\r\n", "\n"); got != want {
				t.Errorf("%s, %q:\n%q\nwant\n%q", code, in, got, want)
			}
		}
	}
}

// Every charset in which ASCII is ASCII gets its line; the language and the name as far as it carries them.
func TestTheLineIsWrittenInTheCharsetOfTheText(t *testing.T) {
	t.Parallel()
	jis := func(s string) string {
		out, err := japanese.ISO2022JP.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct{ charset, encoding, lang, name, want string }{
		{"utf-8", "8bit", "ja", "有栖", "このメールについて 有栖 さんとチャット:"},
		{"utf-8", "7bit", "ja", "有栖", "Chat with the sender about this mail:"},
		{"utf-8", "base64", "ko", "", "이 메일에 대해 보낸 사람과 채팅:"},
		{"us-ascii", "8bit", "ja", "Alice", "Chat with Alice about this mail:"},
		{"iso-8859-1", "8bit", "en", "Zoë", "Chat with Zo\xeb about this mail:"},
		{"iso-8859-1", "8bit", "en", "Zoë €", "Chat with the sender about this mail:"},
		{"ISO-8859-15", "8bit", "en", "Zoë €", "Chat with Zo\xeb \xa4 about this mail:"},
		{"windows-1252", "quoted-printable", "ko", "Zoë", "Chat with Zo\xeb about this mail:"},
		{"koi8-r", "8bit", "en", "Алиса", "Chat with \xe1\xcc\xc9\xd3\xc1 about this mail:"},
		{"Shift_JIS", "8bit", "ja", "A", "\x82\xb1\x82\xcc\x83\x81\x81[\x83\x8b\x82\xc9\x82\xc2\x82\xa2\x82\xc4 A \x82\xb3\x82\xf1\x82\xc6\x83`\x83\x83\x83b\x83g:"},
		{"euc-kr", "8bit", "ja", "A", "\xaa\xb3\xaa\xce\xab\xe1\xa1\xaa"}, // KS X 1001 has kana, but not the long vowel mark
		{"gb2312", "8bit", "en", "爱丽丝", "Chat with \xb0\xae\xc0\xf6\xcb\xbf about this mail:"},
		{"gb2312", "8bit", "en", "愛麗絲", "Chat with the sender about this mail:"},
		{"gbk", "8bit", "en", "愛", "Chat with \x90\xdb about this mail:"},
		{"big5", "8bit", "en", "愛", "Chat with \xb7R about this mail:"},
		{"iso-2022-jp", "7bit", "ja", "有栖", jis("このメールについて 有栖 さんとチャット:")},
		{"iso-2022-jp", "7bit", "ja", "髙橋", jis("このメールについて送信者とチャット:")},
		{"iso-2022-jp", "7bit", "en", "ｱﾘｽ", "Chat with the sender about this mail:"},
		{"shift_jis", "8bit", "en", "①", "Chat with the sender about this mail:"},
		{"cp932", "8bit", "en", "①", "Chat with \x87@ about this mail:"},
		{"euc-jp", "8bit", "en", "髙", "Chat with the sender about this mail:"},
		{"euc-jp", "8bit", "en", "愛", "Chat with \xb0\xa6 about this mail:"},
		{"iso-2022-kr", "7bit", "ko", "앨리스", "Chat with the sender about this mail:"},
	} {
		card := aCard()
		card.Lang, card.Name = c.lang, c.name
		raw := "x\r\n"
		if c.encoding == "base64" {
			raw = "eA0K\r\n"
		}
		s := put(t, []byte("Content-Type: text/plain; charset="+c.charset+"\r\nContent-Transfer-Encoding: "+c.encoding+"\r\n\r\n"+raw), card)
		want := "x\r\n\r\n" + c.want + "\r\n" + link + "\r\n"
		if c.charset == "euc-kr" {
			want = "x\r\n\r\nChat with A about this mail:\r\n" + link + "\r\n"
		}
		if got := s.decoded(); got != want {
			t.Errorf("%s %s %s: %q, want %q", c.charset, c.lang, c.name, got, want)
		}
	}
	for _, name := range []string{"utf-16", "utf-16le", "utf-32", "utf-7", "ebcdic-us", "hz-gb-2312", "x-unknown", "iso-8859-12", "cp1047", "unicode"} {
		s := put(t, crlf("Content-Type: text/plain; charset="+name+"\n\nx\n"), aCard())
		if got := s.Verdict.String(); got != "header-only: text/plain left alone: charset "+name {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// In ISO 2022, octets between escapes look like ASCII and are not.
func TestShiftedCharactersAreNoText(t *testing.T) {
	t.Parallel()
	const head = "Content-Type: text/plain; charset=iso-2022-jp\n\n"
	for in, want := range map[string]string{
		"\x1b$B$3$s\x1b(B\n":                        "\x1b$B$3$s\x1b(B\n\n⟦⟧\n",
		"\x1b$B>>>>\x1b(B\n-- \n\x1b$B$3$s\x1b(B\n": "\x1b$B>>>>\x1b(B\n\n⟦⟧\n\n-- \n\x1b$B$3$s\x1b(B\n",
		"\x1b(J x\x1b(B y\n":                        "\x1b(J x\x1b(B y\n\n⟦⟧\n",
	} {
		s := put(t, crlf(head+in), aCard())
		want = strings.Replace(want, mark0, "Chat with Alice Liddell about this mail:\n"+link, 1)
		if got := strings.ReplaceAll(s.decoded(), "\r\n", "\n"); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"\x1b$B$3$s\n", "\x1b(J x\n", "x\x1b$\n", "x\x0e\n"} {
		s := put(t, crlf(head+in), aCard())
		if s.Verdict.String() != "header-only: text/plain left alone: its characters are shifted where the link would go" {
			t.Errorf("%q: %s", in, s.Verdict)
		}
	}
	s := put(t, crlf("Content-Type: text/html; charset=iso-2022-jp\n\n<body>\x1b$B</body>\x1b(B</body>\n"), aCard())
	if got := s.decoded(); !strings.HasSuffix(got, "</body>\x1b(B\r\n"+string(crlf(strings.TrimPrefix(string((&words{name: "Alice Liddell", link: link}).button()), "\n")))+"</body>\r\n") {
		t.Errorf("%q", got)
	}
}

// In a text that may hold somebody else's words, a line that could not name him is known by its link when the mail is sent once more.
func TestALineWithoutANameIsNotDoubled(t *testing.T) {
	t.Parallel()
	card := aCard()
	card.Name = "Zoë"
	s := put(t, crlf("Content-Type: text/plain\n\nYes.\n\nBob wrote:\n\nshall we meet?\n"), card)
	if !strings.HasSuffix(s.decoded(), "meet?\r\n\r\nChat with the sender about this mail:\r\n"+link+"\r\n") {
		t.Errorf("%q", s.decoded())
	}
}
