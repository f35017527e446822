package web

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// Words are the texts of one bundle in every language it has. A language is a file words/TAG.json, a flat map from key to
// text with {name} for what is filled in; adding the file adds the language. English stands in wherever another language
// lacks a key; a test sees to it that none does.
type Words struct {
	tags    []language.Tag // tags[0] is English
	matcher language.Matcher
	texts   map[language.Tag]map[string]string
}

// LoadWords reads words/*.json from each file system; a key may be defined once per language.
func LoadWords(from ...fs.FS) (*Words, error) {
	w := &Words{tags: []language.Tag{language.English}, texts: map[language.Tag]map[string]string{language.English: {}}}
	for _, fsys := range from {
		names, err := fs.Glob(fsys, "words/*.json")
		if err != nil {
			return nil, fmt.Errorf("listing languages: %w", err)
		}
		for _, name := range names {
			if err := w.load(fsys, name); err != nil {
				return nil, err
			}
		}
	}
	w.matcher = language.NewMatcher(w.tags)
	return w, nil
}

func (w *Words) load(fsys fs.FS, name string) error {
	tag, err := language.Parse(strings.TrimSuffix(path.Base(name), ".json"))
	if err != nil {
		return fmt.Errorf("%s is not named after a language: %w", name, err)
	}
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	var texts map[string]string
	if err := json.Unmarshal(src, &texts); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if w.texts[tag] == nil {
		w.tags = append(w.tags, tag)
		w.texts[tag] = make(map[string]string)
	}
	for key, text := range texts {
		if _, twice := w.texts[tag][key]; twice {
			return fmt.Errorf("%s: %q is defined twice", name, key)
		}
		w.texts[tag][key] = text
	}
	return nil
}

// Languages are the tags for which there are texts, English first.
func (w *Words) Languages() []string {
	out := make([]string, len(w.tags))
	for i, t := range w.tags {
		out[i] = t.String()
	}
	return out
}

// Keys are the keys of a language, sorted; none for a language that is not there.
func (w *Words) Keys(lang string) []string {
	tag, err := language.Parse(lang)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(w.texts[tag]))
}

// Has tells whether English knows the key.
func (w *Words) Has(key string) bool { return w.texts[language.English][key] != "" }

// For picks the language that suits an Accept-Language header best (RFC 9110 12.5.4); without a match, English.
func (w *Words) For(acceptLanguage string) Speech {
	wanted := wishes(clip(acceptLanguage, 200))
	if len(wanted) == 0 {
		return Speech{words: w, tag: language.English}
	}
	_, i, confidence := w.matcher.Match(wanted...)
	if confidence == language.No {
		i = 0
	}
	return Speech{words: w, tag: w.tags[i]}
}

// wishes are the languages that a header asks for, the dearest first. One that cannot be read does not take the others with it, and an unknown region not its language.
func wishes(acceptLanguage string) []language.Tag {
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err == nil {
		return wanted
	}
	var readable []string
	for wish := range strings.SplitSeq(acceptLanguage, ",") {
		tag, weight, weighed := strings.Cut(wish, ";")
		base, _, _ := strings.Cut(tag, "-")
		if weighed {
			base += ";" + weight
		}
		for _, w := range []string{wish, base} {
			if _, _, err := language.ParseAcceptLanguage(w); err == nil && strings.TrimSpace(w) != "" {
				readable = append(readable, w)
				break
			}
		}
	}
	if wanted, _, err = language.ParseAcceptLanguage(strings.Join(readable, ",")); err != nil {
		return nil
	}
	return wanted
}

// Named is the language that has exactly this tag, as somebody who chose it by hand says it.
func (w *Words) Named(tag string) (Speech, bool) {
	for _, t := range w.tags {
		if t.String() == tag {
			return Speech{words: w, tag: t}, true
		}
	}
	return Speech{}, false
}

// Speech is one language of a bundle's words.
type Speech struct {
	words *Words
	tag   language.Tag
}

// Lang is the language's tag, for the lang attribute.
func (s Speech) Lang() string { return s.tag.String() }

// T is the text for key with {name} replaced from the pairs name, value, name, value …. A key that no language has comes out
// as the key itself: a test finds it, and a page with a strange word is better than no page.
func (s Speech) T(key string, pairs ...any) string {
	text, ok := s.words.texts[s.tag][key]
	if !ok {
		if text, ok = s.words.texts[language.English][key]; !ok {
			return key
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, "{"+fmt.Sprint(pairs[i])+"}", fmt.Sprint(pairs[i+1]))
	}
	return text
}

// Around is the text for key in two: what stands before {name} and what stands behind it, for a name that has an element of its own. Where it stands is
// the language's business.
func (s Speech) Around(key, name string) Halves {
	before, after, _ := strings.Cut(s.T(key), "{"+name+"}")
	return Halves{before, after}
}

// Halves are a text with something between.
type Halves struct{ Before, After string }

// Under is what a page's script needs: all texts whose keys begin with one of the prefixes.
func (s Speech) Under(prefixes ...string) map[string]string {
	out := make(map[string]string)
	for _, texts := range []map[string]string{s.words.texts[language.English], s.words.texts[s.tag]} {
		for key, text := range texts {
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
				out[key] = text
			}
		}
	}
	return out
}

// Faults lists what is wrong with the other languages: keys that English does not have or that only English has, texts that are empty or
// still in English, and texts that fill in other names than the English one.
func (w *Words) Faults() []string {
	var faults []string
	for _, tag := range w.tags[1:] {
		for _, key := range slices.Sorted(maps.Keys(w.texts[language.English])) {
			if text, ok := w.texts[tag][key]; !ok {
				faults = append(faults, fmt.Sprintf("%s: %q is missing", tag, key))
			} else if strings.TrimSpace(text) == "" {
				faults = append(faults, fmt.Sprintf("%s: %q is empty", tag, key))
			} else if text == w.texts[language.English][key] {
				faults = append(faults, fmt.Sprintf("%s: %q is in English", tag, key))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(w.texts[tag])) {
			en, ok := w.texts[language.English][key]
			if !ok {
				faults = append(faults, fmt.Sprintf("%s: %q is not in English", tag, key))
			} else if a, b := fillIns(en), fillIns(w.texts[tag][key]); !slices.Equal(a, b) {
				faults = append(faults, fmt.Sprintf("%s: %q fills in %v where English fills in %v", tag, key, b, a))
			}
		}
	}
	return faults
}

var fillIn = regexp.MustCompile(`\{\w+\}`)

func fillIns(text string) []string {
	found := fillIn.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}
