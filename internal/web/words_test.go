package web

import (
	"io/fs"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheBrowserChoosesTheLanguage(t *testing.T) {
	t.Parallel()
	w, err := LoadWords(fstest.MapFS{
		"words/en.json": {Data: []byte(`{"a":"Hello, {name}","b":"only in English"}`)},
		"words/ja.json": {Data: []byte(`{"a":"こんにちは、{name}"}`)},
		"words/ko.json": {Data: []byte(`{"a":"안녕하세요, {name}"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,ja;q=0.9,en;q=0.8": "ja", "ko-KR": "ko", "de,fr;q=0.5": "en", "en-GB,ja;q=0.3": "en",
		"fr;q=0.9,ko;q=0.8": "ko", "garbage;;;==": "en", "ko-KO,fr;q=0.5": "ko", "garbage;;;==,ja": "ja", "en;q=0.1,ko-KO;q=0.5": "ko",
		"ja," + strings.Repeat("xx-yyyyyyyy,", 16) + "ko": "ja", // cut in the midst strings.Repeat("xx,", 5000): "en",
	} {
		if got := w.For(accept).Lang(); got != want {
			t.Errorf("Accept-Language %.30q: %s, want %s", accept, got, want)
		}
	}
	ja := w.For("ja")
	if got := ja.T("a", "name", "{b}<Bob>"); got != "こんにちは、{b}<Bob>" {
		t.Errorf("filled in: %q", got)
	}
	if got := ja.T("b"); got != "only in English" {
		t.Errorf("a missing text is not in English but %q", got)
	}
	if got := ja.T("none"); got != "none" {
		t.Errorf("a text that nobody has: %q", got)
	}
	if got := ja.Under("a", "b"); len(got) != 2 || got["b"] != "only in English" {
		t.Errorf("for the script: %v", got)
	}
}

func TestFaultyLanguageFiles(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]fstest.MapFS{
		"no language": {"words/zz-not-a-tag-at-all-really.json": {Data: []byte(`{}`)}},
		"no JSON":     {"words/en.json": {Data: []byte(`{`)}},
		"not flat":    {"words/en.json": {Data: []byte(`{"a":{"b":"c"}}`)}},
	} {
		if _, err := LoadWords(fsys); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	one := fstest.MapFS{"words/en.json": {Data: []byte(`{"a":"x"}`)}}
	if _, err := LoadWords(one, one); err == nil {
		t.Error("a key that is defined twice was taken")
	}
}

var usedKey = regexp.MustCompile(`\.T "([^"]+)"`)

func TestEveryTextOfTheTemplatesExists(t *testing.T) {
	t.Parallel()
	w, err := LoadWords(files)
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil || len(names) == 0 {
		t.Fatal("no templates", err)
	}
	for _, name := range names {
		src, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range usedKey.FindAllStringSubmatch(string(src), -1) {
			if !w.Has(m[1]) {
				t.Errorf("%s uses %q, which has no text", name, m[1])
			}
		}
	}
	for _, status := range []string{"400", "403", "404", "405", "413", "421", "429", "500", "503"} {
		if !w.Has("error."+status+".title") || !w.Has("error."+status+".text") {
			t.Errorf("no page for status %s", status)
		}
	}
}

func TestOtherLanguagesFillInTheSame(t *testing.T) {
	t.Parallel()
	w, err := LoadWords(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range w.Faults() {
		t.Error(fault)
	}
}

func TestAPageIsInTheLanguageItSays(t *testing.T) {
	t.Parallel()
	s := newSite(t, "https://chat.example.com")
	bundle := fstest.MapFS{
		"templates/one.html": {Data: []byte(`{{define "body"}}<p title="{{.T "x.a" "name" .Data}}">{{.T "x.a" "name" .Data}}</p>{{end}}`)},
		"words/en.json":      {Data: []byte(`{"x.a":"Hello {name}","x.t":"One"}`)},
		"words/ko.json":      {Data: []byte(`{"x.a":"안녕 {name}","x.t":"하나"}`)},
		"static/one.js":      {Data: []byte(`export {};`)},
	}
	r, err := s.Add("one", bundle)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("GET", "https://chat.example.com/", nil)
	req.Header.Set("Accept-Language", "ko,en;q=0.5")
	rec := httptest.NewRecorder()
	if err := r.Render(rec, req, View{Name: "one", TitleKey: "x.t", Script: "one.js", Says: []string{"x."}, Data: `"><script>alert(1)</script>`, Connect: []string{"wss://chat.example.com"}}); err != nil {
		t.Fatal(err)
	}
	body := rec.Body.String()
	for _, want := range []string{`<html lang="ko">`, `<title>하나</title>`, `<script type="module" src="/static/one/`, `안녕 &#34;&gt;&lt;script&gt;`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s:\n%s", want, body)
		}
	}
	if csp := rec.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "connect-src wss://chat.example.com;") {
		t.Errorf("policy %q", csp)
	}
	if !slices.Contains(rec.Header().Values("Vary"), "Accept-Language") || rec.Header().Get("Content-Language") != "ko" {
		t.Errorf("headers %v", rec.Header())
	}
	if err := r.Render(rec, req, View{Name: "none"}); err == nil {
		t.Error("a page without a template was made")
	}
	if _, err := s.Add("one", bundle); err == nil {
		t.Error("a bundle was added twice")
	}
}
