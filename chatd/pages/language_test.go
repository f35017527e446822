package pages

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
)

// latin are words in Latin letters; those that are names stay in every language.
var (
	latin = regexp.MustCompile(`[A-Za-z]{2,}`)
	names = []string{"JavaScript", "Cookie", "UTC", "HTML", "OpenPGP"}
)

func TestNothingIsLeftInEnglish(t *testing.T) {
	t.Parallel()
	words := newHouseAt(t, realSite).words()
	if got := words.Languages(); !slices.Equal(got, []string{"en", "ja", "ko"}) {
		t.Fatalf("languages %v", got)
	}
	for _, lang := range words.Languages()[1:] {
		speech, _ := words.Named(lang)
		for _, key := range words.Keys(lang) {
			text := speech.T(key)
			for _, word := range latin.FindAllString(regexp.MustCompile(`\{\w+\}`).ReplaceAllString(text, ""), -1) {
				if !slices.Contains(names, word) {
					t.Errorf("%s %s: %q", lang, key, word)
				}
			}
			if strings.Contains(text, "...") || strings.Contains(text, "  ") || text != strings.TrimSpace(text) {
				t.Errorf("%s %s: untidy: %q", lang, key, text)
			}
		}
	}
}

func TestPagesSpeakTheBrowsersLanguage(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.mails.writes(1)
	cookie := h.signedIn(alice)
	for _, c := range []struct {
		accept, lang string
		want         [3]string
	}{
		{"ja-JP,en;q=0.5", "ja", [3]string{`<span dir="auto">Alice Example</span><span class="behind">` + "\u00a0" + `さんとチャット</span>`, "ログアウト", "2026年11月25日 12:00 UTC"}},
		{"fr,ko-KR;q=0.9", "ko", [3]string{`<span dir="auto">Alice Example</span><span class="behind">` + "\u00a0" + `님과 채팅</span>`, "로그아웃", "2026년 11월 25일 12:00 UTC"}},
		{"de-DE", "en", [3]string{`<span class="lead">Talk with </span><span dir="auto">Alice Example</span></h1>`, "Sign out", "2026-11-25 12:00 UTC"}},
	} {
		lang, want := c.lang, c.want
		for i, path := range []string{"/c/" + goodToken, "/desk", "/desk/mails"} {
			resp := h.ask("GET", path, func(r *http.Request) {
				r.Header.Set("Accept-Language", c.accept)
				if i > 0 {
					r.AddCookie(cookie)
				}
			})
			body := readAll(t, resp)
			if !strings.Contains(body, want[i]) || !strings.Contains(body, `<html lang="`+lang+`">`) {
				t.Errorf("%s in %s lacks %s:\n%s", path, lang, want[i], body)
			}
			if resp.Header.Get("Content-Language") != lang || !slices.Contains(resp.Header.Values("Vary"), "Accept-Language") {
				t.Errorf("%s in %s: %v", path, lang, resp.Header)
			}
		}
	}
}

// speaking makes a tab whose person has set the browser to these languages.
func speaking(t *testing.T, accept string) *browsertest.Tab {
	b := chromium.Tab(t)
	agent := browsertest.JS[string](b, `navigator.userAgent`)
	b.Run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: accept})
		return chromedp.Void{}, err
	})
	return b
}

// TestScriptsSpeakTheBrowsersLanguage sees what a person sees whose browser is set to his language: words and times alike.
func TestScriptsSpeakTheBrowsersLanguage(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]struct{ state, clock string }{
		"ja-JP,ja": {"Alice Example\u00a0さんが応答しました。", "15:05"},
		"ko-KR,ko": {"Alice Example\u00a0님이 응답했습니다.", "오후 3:05"},
		"en-GB,en": {"Alice Example is here.", "15:05"},
		"en-US,en": {"Alice Example is here.", "3:05 PM"},
	} {
		t.Run(accept, func(t *testing.T) {
			t.Parallel()
			h, b := newHouse(t), speaking(t, accept)
			b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
			b.MoveMouse()
			p := next(t, h.chat.readers)
			joined(t, p, 0)
			afternoon := time.Date(2026, 11, 24, 15, 5, 0, 0, time.Local)
			p.send(t, frame{"t": "call", "state": "answered"}, frame{"t": "event", "n": 1, "kind": "say", "from": "owner", "at": afternoon, "text": "x"})
			b.Until(`document.querySelectorAll('.said').length === 1`)
			if got := browsertest.JS[string](b, `document.getElementById('state').textContent`); got != want.state {
				t.Errorf("the call stands: %q, want %q", got, want.state)
			}
			if got := browsertest.JS[string](b, `document.querySelector('.said + .foot time').textContent`); got != want.clock {
				t.Errorf("the time is %q, want %q", got, want.clock)
			}
		})
	}
}

// TestALanguageIsChosenWithTheKeyboard: the links stand on the page itself, and the scripts follow.
func TestALanguageIsChosenWithTheKeyboard(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.Run(chromedp.Focus(`.languages a[lang="ko"]`), chromedp.KeyEvent("\r"))
	b.Until(`document.documentElement.lang === 'ko'`)
	b.Run(chromedp.Navigate(h.url + "/desk/login"))
	if got := browsertest.JS[string](b, `document.documentElement.lang + ' ' + document.title`); got != "ko 데스크 로그인" {
		t.Errorf("the next page is %q", got)
	}
}
