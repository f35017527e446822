package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// latin are words in Latin letters, which are left over from English unless they are names.
var latin = regexp.MustCompile(`[A-Za-z]{2,}`)

func TestNothingIsLeftInEnglish(t *testing.T) {
	t.Parallel()
	w, err := LoadWords(files)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Languages(); !slices.Equal(got, []string{"en", "ja", "ko"}) {
		t.Fatalf("languages %v", got)
	}
	for _, lang := range w.Languages()[1:] {
		speech, _ := w.Named(lang)
		for _, key := range w.Keys(lang) {
			if left := latin.FindAllString(speech.T(key), -1); left != nil {
				t.Errorf("%s %s: %q", lang, key, left)
			}
		}
	}
}

func TestFaultsOfALanguageAreFound(t *testing.T) {
	t.Parallel()
	w, err := LoadWords(fstest.MapFS{
		"words/en.json": {Data: []byte(`{"a":"Hello, {name}","b":"Bye","c":"Yes","d":"No"}`)},
		"words/ko.json": {Data: []byte(`{"a":"안녕하세요","b":"Bye","c":" ","e":"더"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`ko: "b" is in English`, `ko: "c" is empty`, `ko: "d" is missing`,
		`ko: "a" fills in [] where English fills in [{name}]`, `ko: "e" is not in English`,
	}
	if got := w.Faults(); !slices.Equal(got, want) {
		t.Errorf("faults:\n%s", strings.Join(got, "\n"))
	}
}

func TestALanguageSaysWhereANameStands(t *testing.T) {
	t.Parallel()
	w, err := LoadWords(fstest.MapFS{
		"words/en.json": {Data: []byte(`{"a":"Talk with {name}"}`)},
		"words/ja.json": {Data: []byte(`{"a":"{name} さんとチャット"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.For("en").Around("a", "name"); got != (Halves{"Talk with ", ""}) {
		t.Errorf("%q", got)
	}
	if got := w.For("ja").Around("a", "name"); got != (Halves{"", " さんとチャット"}) {
		t.Errorf("%q", got)
	}
}

// visit asks for a page that is not there, and returns the answer with the language that it is in.
func visit(s *Site, method, path, accept string, cookies ...*http.Cookie) (*http.Response, string) {
	r := httptest.NewRequest(method, s.Origin()+path, nil)
	r.Header.Set("Accept-Language", accept)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	s.Handler(http.NewServeMux()).ServeHTTP(w, r)
	return w.Result(), w.Result().Header.Get("Content-Language")
}

func TestALanguageThatWasChosenStays(t *testing.T) {
	t.Parallel()
	s := newSite(t, "https://chat.example.com")
	if _, lang := visit(s, "GET", "/x", "ko-KR,en;q=0.5"); lang != "ko" {
		t.Errorf("the browser's language is Korean, the page's %q", lang)
	}
	resp, lang := visit(s, "GET", "/x?lang=ja&older=3", "ko")
	body := new(strings.Builder)
	if err := resp.Write(body); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<html lang="ja">`, "<title>ページが見つかりません</title>", `<a href="?lang=en&amp;older=3" lang="en" hreflang="en" rel="nofollow">English</a>`,
		`<a href="?lang=ko&amp;older=3" lang="ko" hreflang="ko" rel="nofollow">한국어</a>`,
	} {
		if !strings.Contains(body.String(), want) {
			t.Errorf("the page lacks %s:\n%s", want, body)
		}
	}
	vary := resp.Header.Values("Vary")
	if lang != "ja" || !slices.Contains(vary, "Accept-Language") || !slices.Contains(vary, "Cookie") || strings.Contains(body.String(), `hreflang="ja"`) {
		t.Errorf("language %q, Vary %q:\n%s", lang, vary, body)
	}
	if len(resp.Cookies()) != 1 {
		t.Fatalf("cookies %v", resp.Cookies())
	}
	choice := resp.Cookies()[0]
	if !choice.HttpOnly || !choice.Secure || choice.Name != "__Host-lang" || choice.Value != "ja" || choice.MaxAge < 1000 {
		t.Errorf("cookie %v", choice)
	}
	again, lang := visit(s, "GET", "/x", "ko", choice)
	if lang != "ja" || len(again.Cookies()) != 0 {
		t.Errorf("the next page is in %q and sets %v", lang, again.Cookies())
	}
	if _, lang := visit(s, "GET", "/x?lang=en", "ko", choice); lang != "en" {
		t.Errorf("chosen anew, the page is in %q", lang)
	}
}

func TestWhatIsNoLanguageChoosesNone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "https://chat.example.com")
	for _, path := range []string{"/x?lang=de", "/x?lang=", "/x?lang=JA%0D%0ASet-Cookie:x=y", "/x?lang=%3Cscript%3E", "/x?lang=" + strings.Repeat("j", 5000)} {
		if resp, lang := visit(s, "GET", path, "ko"); lang != "ko" || len(resp.Cookies()) != 0 {
			t.Errorf("%.40s: language %q, cookies %v", path, lang, resp.Cookies())
		}
	}
	if _, lang := visit(s, "GET", "/x", "ja", &http.Cookie{Name: "__Host-lang", Value: "zz"}); lang != "ja" {
		t.Errorf("a cookie with a language that is not there: %q", lang)
	}
	if resp, lang := visit(s, "HEAD", "/x?lang=ja", "ko"); lang != "ja" || len(resp.Cookies()) != 0 {
		t.Errorf("HEAD: language %q, cookies %v", lang, resp.Cookies())
	}
}
