package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// The files that are held against what the program shows.
const (
	manual = "../../docs/operations.md"
	rules  = "../../config/prometheus-alerts.yaml"
)

// shown are the series of a server of whom nothing is left out: by name, histograms without what Prometheus adds to it.
func shown(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	for s := range figures(page(t, New(), busy)) {
		name, labels, _ := strings.Cut(s, "{")
		name = suffix.ReplaceAllString(name, "")
		all[name] = append(all[name], labels)
	}
	return all
}

// alert is a rule as Prometheus reads it.
type alert struct {
	Alert, Expr, For string
	Labels           map[string]string
	Annotations      map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	raw, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatalf("%s: %v", rules, err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", rules)
	}
	return all
}

// table is the manual's table of figures: name, and the rest of its row.
func table(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(string(raw)) {
		if row, ok := strings.CutPrefix(line, "| `chmail_"); ok {
			name, rest, _ := strings.Cut(row, "`")
			all["chmail_"+name] = rest
		}
	}
	return all
}

func TestTheManualHasEveryFigure(t *testing.T) {
	t.Parallel()
	there, told := shown(t), table(t)
	for name := range there {
		if _, ok := told[name]; !ok {
			t.Errorf("%s says nothing of %s", manual, name)
		}
	}
	for name := range told {
		if _, ok := there[name]; !ok {
			t.Errorf("%s speaks of %s, which the server does not show", manual, name)
		}
	}
}

// TestTheManualHasTheAlarmsOfTheRules: whoever is woken finds there what to do.
func TestTheManualHasTheAlarmsOfTheRules(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	var names, exprs []string
	for _, a := range alerts(t) {
		names, exprs = append(names, a.Alert), append(exprs, a.Expr)
		if !strings.Contains(text, "| `"+a.Alert+"` | `"+a.Expr+"` |") {
			t.Errorf("%s has no alarm %s with %s", manual, a.Alert, a.Expr)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || a.Labels["severity"] == "" {
			t.Errorf("the rule %s does not say what it means, or how much it matters", a.Alert)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(Chmail[A-Za-z]+)` \\| `([^`]+)`").FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) || !slices.Contains(exprs, m[2]) {
			t.Errorf("%s has an alarm %s that is in no rule", manual, m[1])
		}
	}
}

// TestTheAlarmsAskForWhatThereIs: an expression that names what does not exist is never true.
func TestTheAlarmsAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	there := shown(t)
	figure := regexp.MustCompile(`\b(chmail_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`[a-z]+="[^"]*"`)
	for _, a := range alerts(t) {
		for _, m := range figure.FindAllStringSubmatch(a.Expr, -1) {
			series, ok := there[m[1]]
			if !ok {
				series, ok = there[strings.TrimSuffix(m[1], "_bucket")]
			}
			if !ok {
				t.Errorf("%s asks for %s, which the server does not show", a.Alert, m[1])
			}
			for _, want := range label.FindAllString(m[2], -1) {
				if !slices.ContainsFunc(series, func(have string) bool { return strings.Contains(have, want) }) {
					t.Errorf("%s asks for %s with %s, which never is", a.Alert, m[1], want)
				}
			}
		}
		if strings.Count(a.Expr, "(") != strings.Count(a.Expr, ")") || strings.Count(a.Expr, "{") != strings.Count(a.Expr, "}") {
			t.Errorf("%s: brackets of %s", a.Alert, a.Expr)
		}
	}
}
