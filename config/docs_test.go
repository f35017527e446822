package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// settings are the keys that have a value; sections are left out, and so is what exists only to be refused.
func settings(t *testing.T) map[string]reflect.Value {
	t.Helper()
	c := defaults()
	all := make(map[string]reflect.Value)
	var walk func(section string, into any)
	walk = func(section string, into any) {
		for name, field := range fieldsOf(into) {
			path := strings.TrimPrefix(section+"."+name, ".")
			switch {
			case path == "database":
			case field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[Ports]():
				walk(path, field.Addr().Interface())
			default:
				all[path] = field
			}
		}
	}
	walk("", &c)
	return all
}

// inFile is a default as one writes it in the file; "" for none.
func inFile(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return formatDuration(x)
	case []string:
		if len(x) == 0 {
			return ""
		}
		return fmt.Sprintf("[%q]", x[0])
	case []time.Duration:
		all := make([]string, len(x))
		for i, d := range x {
			all[i] = formatDuration(d)
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	if k := v.Kind(); (k == reflect.Map || k == reflect.Slice) && v.Len() == 0 {
		return ""
	}
	return fmt.Sprint(v.Interface())
}

var required = []string{"hostname", "domains", "data", "tls.cert", "tls.key", "chat.url"}

func TestTheExampleShowsEveryKeyAndTheDefaults(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("chmail.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	file := filepath.Join(dir, "chmail.yaml")
	write(t, file, string(text))
	c, err := Load(file)
	if err != nil {
		t.Fatalf("the example does not load:\n%v", err)
	}
	plain := defaults()
	if c.SMTP.MaxMessage != plain.SMTP.MaxMessage || !reflect.DeepEqual(c.SMTP, plain.SMTP) || !reflect.DeepEqual(c.POP3, plain.POP3) || c.Health != plain.Health ||
		c.Log != plain.Log || c.Redis != plain.Redis || c.Postmaster != plain.Postmaster {
		t.Error("what the example sets is not what holds anyway")
	}
	plain.Chat.URL = c.Chat.URL
	if !reflect.DeepEqual(c.Chat, plain.Chat) {
		t.Errorf("the example's chat is %+v, the defaults are %+v", c.Chat, plain.Chat)
	}
	write(t, file, regexp.MustCompile(`(?m)^#( *[a-z_]+:)`).ReplaceAllString(string(text), "$1"))
	if c, err = Load(file); err != nil {
		t.Fatalf("with everything on, the example does not load:\n%v", err)
	}
	for key := range settings(t) {
		if !c.IsSet(key) {
			t.Errorf("the example does not show %s", key)
		}
	}
}

func TestTheDocumentationKnowsEveryKeyAndItsDefault(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	known := settings(t)
	told := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| ([^|]*) \\| ([^|]*) \\|$").FindAllStringSubmatch(string(text), -1) {
		key, standard := row[1], strings.Trim(row[2], "`")
		field, ok := known[key]
		if !ok {
			t.Errorf("docs/configuration.md tells of %s, which does not exist", key)
			continue
		}
		told[key] = true
		want := inFile(field)
		switch {
		case slices.Contains(required, key):
			want = "required"
		case want == "":
			want = "none"
		}
		if standard != want {
			t.Errorf("docs/configuration.md says that %s is %s by default; it is %s", key, standard, want)
		}
		if len(strings.Fields(row[3])) < 3 {
			t.Errorf("docs/configuration.md does not say what %s is", key)
		}
	}
	for key := range known {
		if !told[key] {
			t.Errorf("docs/configuration.md does not tell of %s", key)
		}
	}
}

func TestRequiredKeysAreRequired(t *testing.T) {
	t.Parallel()
	_, err := load("chmail.yaml", []byte("log: {level: info}"), environment)
	if err == nil {
		t.Fatal("a file without hostname is accepted")
	}
	for _, key := range required {
		if !strings.Contains(err.Error(), "1:1: "+key+" is missing") && !strings.Contains(err.Error(), "1:1: "+key+" names no") {
			t.Errorf("%s is not asked for", key)
		}
	}
}
