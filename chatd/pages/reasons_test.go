package pages

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chmail/internal/call"
	"chmail/internal/message"
)

// reasonLike is a string in the source of the stamp that can be a reason: words, not a line end, a tag or a piece of a page.
var reasonLike = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9/' ,-]{3,}$`)

// sourceReasons are the reasons that a package's source holds: what is returned as a string, assigned to something called reason, or put into a Verdict.
func sourceReasons(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	all := map[string]bool{}
	take := func(e ast.Expr) {
		if sum, ok := e.(*ast.BinaryExpr); ok {
			e = sum.X
		}
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && reasonLike.MatchString(s) {
				all[s] = true
			}
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ReturnStmt:
				for _, e := range n.Results {
					take(e)
				}
			case *ast.AssignStmt:
				for i, e := range n.Rhs {
					if len(n.Lhs) == len(n.Rhs) && strings.Contains(strings.ToLower(fmt.Sprint(nameOf(n.Lhs[i]))), "reason") || len(n.Lhs) == 2 && len(n.Rhs) == 2 {
						take(e)
					}
				}
			case *ast.ValueSpec:
				for _, e := range n.Values {
					take(e)
				}
			case *ast.CompositeLit:
				if id, ok := n.Type.(*ast.Ident); ok && id.Name == "Verdict" {
					for _, e := range n.Elts {
						take(e)
					}
				}
			}
			return true
		})
	}
	return all
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// everyReason is what a stamp can give as its reason, with what goes on differently in every mail filled in.
func everyReason(t *testing.T) []string {
	t.Helper()
	all := sourceReasons(t, "../../internal/stamp")
	for d := message.Defect(1); d.String() != ""; d <<= 1 {
		all[d.String()] = true
	}
	for _, r := range []string{"the account's setting", "the account's setting could not be read", "the server's setting", "null sender", "a recipient's domain, shy.test", "no card: the broker is away"} {
		all[r] = true // the intake's own
	}
	for _, r := range []string{"charset ", "transfer encoding "} {
		if !all[r] {
			t.Errorf("the stamp does not say %q any more", r)
		}
		delete(all, r)
		all[r+"x-odd"] = true
	}
	for _, r := range []string{"inline PGP", "malformed base64", "no text body", "mailing list", "a multipart without end", "the sender's wish", "hidden elements are open at its end", "the header begins with a folded line"} {
		if !all[r] {
			t.Errorf("the search for reasons does not find %q", r)
		}
	}
	return slices.Sorted(maps.Keys(all))
}

var (
	whyShown = regexp.MustCompile(`(?s)<p class="mail-why"[^>]*>(.*?)</p>`)
	foreign  = regexp.MustCompile(`(?s)<span lang="en"[^>]*>.*?</span>`)
)

func TestNoReasonIsShownRaw(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	all := everyReason(t)
	for _, lang := range []string{"en", "ja", "ko"} {
		for _, reason := range all {
			for _, stamp := range []string{"header-only: " + reason, "body: text/plain left alone: " + reason} {
				h.mails.all = []call.Link{mailLink(1, "Offer", stamp)}
				shown := whyShown.FindStringSubmatch(h.mailsPage("/desk/mails?lang=" + lang))
				if shown == nil {
					t.Errorf("%s, %q: nothing is said of it", lang, stamp)
					continue
				}
				text := html.UnescapeString(foreign.ReplaceAllString(shown[1], ""))
				if strings.TrimSpace(text) == reason || strings.Contains(text, "left alone") || len([]rune(strings.TrimSpace(text))) < 8 {
					t.Errorf("%s, %q: shown raw: %q", lang, stamp, shown[1])
				}
				if rest := strings.NewReplacer("CH-Chat", "", "on, header-only, off", "", "x-odd", "", "OpenPGP", "", "HTML", "", "shy.test", "").Replace(text); lang != "en" && latin.MatchString(rest) {
					t.Errorf("%s, %q: English is not marked as such: %q", lang, stamp, shown[1])
				}
			}
		}
	}
	for _, ordinary := range []string{"inline PGP", "calendar", "mailing list", "charset utf-16", "transfer encoding x-uuencode", "the sender's wish, which is none of on, header-only and off"} {
		if key, _, detail := explain(ordinary); key == "mails.why.unsafe" || detail != "" {
			t.Errorf("%q, which happens to ordinary people, has no sentence of its own", ordinary)
		}
	}
	for _, o := range openings {
		if !h.words().Has(o.key) {
			t.Errorf("no words for %q", o.words)
		}
	}
}
