package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// A Renderer makes pages from one bundle: templates/*.html, words/*.json and static/* of one file system.
type Renderer struct {
	site   *Site
	words  *Words
	static *static
	pages  map[string]*template.Template
}

// Add takes a bundle into the site under a name that is unique in it: its templates become pages inside the site's layout, its
// static files get addresses, its words join the site's own. Everything is parsed here, so faults show at start. Not to be
// called once the site serves.
func (s *Site) Add(name string, bundle fs.FS) (*Renderer, error) {
	from := []fs.FS{bundle}
	if bundle != fs.FS(files) {
		from = append(from, files)
	}
	words, err := LoadWords(from...)
	if err != nil {
		return nil, err
	}
	sub, err := fs.Sub(bundle, "static")
	if err != nil {
		return nil, fmt.Errorf("finding static files of %s: %w", name, err)
	}
	st, err := newStatic(name, sub)
	if err != nil {
		return nil, err
	}
	if s.static[name] != nil {
		return nil, fmt.Errorf("bundle %s is there already", name)
	}
	s.static[name] = st
	r := &Renderer{site: s, words: words, static: st, pages: make(map[string]*template.Template)}
	return r, r.parse(bundle)
}

func (r *Renderer) parse(bundle fs.FS) error {
	layout, err := template.New("layout.html").Funcs(template.FuncMap{"file": r.File}).ParseFS(files, "templates/layout.html")
	if err != nil {
		return fmt.Errorf("reading the layout: %w", err)
	}
	names, err := fs.Glob(bundle, "templates/*.html")
	if err != nil {
		return fmt.Errorf("listing templates: %w", err)
	}
	for _, name := range names {
		page := strings.TrimSuffix(path.Base(name), ".html")
		if page == "layout" {
			continue
		}
		t, err := layout.Clone()
		if err == nil {
			t, err = t.ParseFS(bundle, name)
		}
		if err != nil {
			return fmt.Errorf("reading template %s: %w", name, err)
		}
		r.pages[page] = t
	}
	return nil
}

// File is the address of a static file, with the hash of its bundle: "reader.css" in the renderer's own bundle,
// "web:base.css" in the one named. A file that is not there makes the page fail.
func (r *Renderer) File(name string) (string, error) {
	st := r.static
	if bundle, file, other := strings.Cut(name, ":"); other {
		st, name = r.site.static[bundle], file
	}
	if st == nil {
		return "", fmt.Errorf("static file %s is in a bundle that is not there", name)
	}
	if _, ok := st.files[name]; !ok {
		return "", fmt.Errorf("static file %s is not there", name)
	}
	return st.base + name, nil
}

const (
	languageKey = "lang"             // in the query and, for later pages, the name of a cookie
	languageAge = 365 * 24 * 60 * 60 // seconds that a choice is kept
)

// Speech is the language in which the request's sender is spoken to: the one that the address names, as the links of the pages do; the one that was so chosen
// before; otherwise what suits his browser best.
func (r *Renderer) Speech(req *http.Request) Speech {
	if s, ok := r.words.Named(req.URL.Query().Get(languageKey)); ok {
		return s
	}
	if c, err := req.Cookie(r.site.CookieName(languageKey)); err == nil {
		if s, ok := r.words.Named(c.Value); ok {
			return s
		}
	}
	return r.words.For(req.Header.Get("Accept-Language"))
}

// Words are all texts that the renderer's pages can use.
func (r *Renderer) Words() *Words { return r.words }

// View is one page to be made.
type View struct {
	Name      string   // template, without folder and extension
	Status    int      // HTTP status; 0 is 200
	TitleKey  string   // text key of the title
	TitleWith []any    // pairs for the title's {names}
	Styles    []string // static files, as File takes them
	Script    string   // the page's ES module, or ""
	Preload   []string // modules that Script imports, fetched at once
	Says      []string // prefixes of the text keys handed to the script
	Connect   []string // origins that the script may open connections to
	Policies  []string // names of the Trusted Types policies that the script may make
	Frames    bool     // shows another page of the site in a frame
	Framed    bool     // may be shown in a frame by a page of the site
	Manifest  string   // address of the page's web app manifest, or ""
	Data      any      // what the template shows as .Data
}

// page is what a template sees.
type page struct {
	View
	Speech
	Title string
	here  *url.URL
}

// Tongue is another language that the page can be had in.
type Tongue struct {
	Lang string // tag
	Name string // in that language
	Href string // of this page in it
}

// Others are the languages that the page is not in.
func (p page) Others() []Tongue {
	var out []Tongue
	for _, tag := range p.words.tags {
		if tag == p.tag {
			continue
		}
		query := p.here.Query()
		query.Set(languageKey, tag.String())
		out = append(out, Tongue{tag.String(), Speech{p.words, tag}.T("site.language"), "?" + query.Encode()})
	}
	return out
}

// ScriptWords are the texts for the page's script.
func (p page) ScriptWords() map[string]string { return p.Under(p.Says...) }

// Render writes a page with its own Content-Security-Policy. The page is made in memory first: an error leaves w untouched.
func (r *Renderer) Render(w http.ResponseWriter, req *http.Request, v View) error {
	t := r.pages[v.Name]
	if t == nil {
		return fmt.Errorf("there is no template %q", v.Name)
	}
	speech := r.Speech(req)
	var out bytes.Buffer
	if err := t.Execute(&out, page{View: v, Speech: speech, Title: speech.T(v.TitleKey, v.TitleWith...), here: req.URL}); err != nil {
		return fmt.Errorf("making page %s: %w", v.Name, err)
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy(v))
	if v.Framed {
		h.Set("X-Frame-Options", "SAMEORIGIN")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", speech.Lang())
	h.Add("Vary", "Accept-Language")
	h.Add("Vary", "Cookie")
	if req.Method == http.MethodGet && req.URL.Query().Get(languageKey) == speech.Lang() {
		http.SetCookie(w, r.site.Cookie(languageKey, speech.Lang(), languageAge))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", fmt.Sprint(out.Len()))
	if v.Status == 0 {
		v.Status = http.StatusOK
	}
	w.WriteHeader(v.Status)
	writeBody(w, req, out.Bytes())
	return nil
}
