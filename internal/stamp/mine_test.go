package stamp

import (
	"strings"
	"testing"

	"chmail/internal/message"
)

// Who was called otherwise when he wrote a mail that he sends once more has its line and its button replaced, not doubled; other people's stay.
func TestAnOlderLineUnderAnotherNameGivesItsPlaceWhenTheLinkIsHis(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"8bit", "quoted-printable", "base64"} {
		for _, lang := range []string{"en", "ja", "ko"} {
			first := aCard()
			first.Name, first.Link, first.Lang = "Alice Liddell", olderLink, lang
			for what, c := range map[string]struct {
				in       string
				old, now string
			}{
				"text": {"Content-Type: text/plain; charset=utf-8\n", "Alice Liddell", "Carol"},
				"html": {"Content-Type: text/html; charset=utf-8\n", "Alice Liddell", "Carol"},
			} {
				body := crlf("<p>Hello.</p>\n")
				switch code {
				case "base64":
					body = wrapped(body, 60)
				case "quoted-printable":
					body = toQuoted(t, body)
				}
				once := put(t, append(crlf(c.in+"Content-Transfer-Encoding: "+code+"\n\n"), body...), first)
				again := first
				again.Name, again.Link = c.now, link
				asked := 0
				again.Mine = func(l string) bool { asked++; return l == olderLink }
				if got := put(t, once.out, again).decoded(); strings.Contains(got, c.old) || strings.Contains(got, olderLink) || strings.Count(got, c.now) != 1 {
					t.Errorf("%s in %s, %s: %q", what, lang, code, got)
				}
				if asked == 0 {
					t.Errorf("%s in %s, %s: nobody was asked", what, lang, code)
				}
				for _, mine := range []func(string) bool{nil, func(string) bool { return false }} {
					again.Mine = mine
					if got := put(t, once.out, again).decoded(); !strings.Contains(got, c.old) || strings.Count(got, c.now) != 1 {
						t.Errorf("%s in %s, %s, another's: %q", what, lang, code, got)
					}
				}
			}
		}
	}
}

func TestOnlyAboutAChatLineIsAskedWhoseLinkItIs(t *testing.T) {
	t.Parallel()
	card := aCard()
	asked := 0
	card.Mine = func(string) bool { asked++; return true }
	for _, text := range []string{
		"x\n" + olderLink + "\n", "Chat with you about this mail\n" + olderLink + "\n", "See Chat with Bob about this mail:\n" + olderLink + "\n",
		"Chat with  about this mail:\nhttps://chat.example.org/c/ZyXwVuTsRqPoNmLkJiHgFe\n", "> Chat with Bob about this mail:\n> " + olderLink + "\n",
	} {
		src := &message.Memory{B: crlf("\n" + text)}
		tree, err := message.Scan(src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Plan(src, tree, card); err != nil || asked > 0 {
			t.Errorf("%q: asked %d times, %v", text, asked, err)
		}
	}
}
