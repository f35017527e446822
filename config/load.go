package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds the file, in octets.
const maxFile = 1 << 20

// Load reads and checks a configuration file. The error is an *Error with every fault.
func Load(path string) (*Config, error) {
	text, err := readFile(path)
	if err != nil {
		right := "name the right file with --config"
		if errors.Is(err, errClosed) {
			right = "run this as the server's user; if you do, let that one read it and look into its folder, for instance by chown root:chmail and chmod 640"
		}
		return nil, &Error{Faults: []Fault{{File: path, What: "the configuration " + err.Error(), Right: right}}}
	}
	return load(path, text, os.LookupEnv)
}

// LoadTolerant is Load for what has to work whatever has become of the certificate: what is wrong with its files is returned apart, and the configuration can be used.
func LoadTolerant(path string) (*Config, []Fault, error) {
	cfg, err := Load(path)
	var e *Error
	if errors.As(err, &e) && e.usable != nil {
		return e.usable, e.Faults, nil
	}
	return cfg, nil, err
}

// errClosed is an error of readFile: the file is there, or its folder, and is for others.
var errClosed = errors.New("cannot be read by this user")

// readFile reads a regular file of bounded size; its errors continue a sentence.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("does not exist")
	case err == nil && !info.Mode().IsRegular():
		return nil, errors.New("is no file")
	}
	var text []byte
	if err == nil {
		text, err = readSome(path)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, errClosed
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", err)
	case len(text) > maxFile:
		return nil, errors.New("is larger than 1 MiB")
	}
	return text, nil
}

func readSome(path string) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// load is Load on a file's text.
func load(path string, text []byte, lookup func(string) (string, bool)) (*Config, error) {
	f := &faults{file: path, at: map[string]place{"": {line: 1, column: 1}}}
	root := parse(f, text)
	if root == nil {
		return nil, &Error{Faults: f.all}
	}
	c := defaults()
	c.file, c.at = path, f.at
	d := decoder{faults: f, lookup: lookup}
	d.section("", root, &c)
	c.validate(f, filepath.Dir(path))
	if len(f.all) > 0 {
		e := &Error{Faults: f.sorted()}
		if !slices.ContainsFunc(f.all, func(one Fault) bool { return !one.Certificate }) {
			e.usable = &c
		}
		return nil, e
	}
	return &c, nil
}

// parse returns the mapping that a file consists of, or notes one fault: what is no YAML cannot be read further.
func parse(f *faults, text []byte) *yaml.Node {
	fail := func(line, column int, what, right string) *yaml.Node {
		f.all = append(f.all, Fault{File: f.file, Line: max(1, line), Column: max(1, column), What: what, Right: right})
		return nil
	}
	var doc yaml.Node
	const begin = "begin with `hostname: mail.example.com`; config/chmail.example.yaml shows every key"
	if strings.TrimSpace(string(text)) == "" {
		return fail(1, 1, "the file is empty", begin)
	}
	if err := yaml.Load(text, &doc); err != nil {
		var bad *yaml.LoadError
		if !errors.As(err, &bad) {
			return fail(1, 1, "this is not YAML", begin)
		}
		what, right := explain(bad, text)
		return fail(bad.Mark.Line, bad.Mark.Column, what, right)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Value == "" {
		return fail(1, 1, "the file sets nothing", begin)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return fail(root.Line, root.Column, "the file has to consist of keys and their values", begin)
	}
	return root
}

// explain says what is wrong with the YAML. The library's own words may quote the file, which may hold secrets, so only those that
// quote nothing are passed on.
func explain(bad *yaml.LoadError, text []byte) (what, right string) {
	line := ""
	if lines := strings.Split(string(text), "\n"); bad.Mark.Line > 0 && bad.Mark.Line <= len(lines) {
		line = lines[bad.Mark.Line-1]
	}
	msg := bad.Message
	switch {
	case strings.Contains(msg, "no documents"):
		return "the file sets nothing", "config/chmail.example.yaml shows every key"
	case strings.Contains(msg, "single document"):
		return "the file holds more than one YAML document", "take away the line `---` that begins the second"
	case strings.Contains(msg, "anchor"):
		return "a value begins with * or &", "put it in quotes"
	case strings.Contains(line, "${") && strings.Contains(bad.ContextMsg, "flow"):
		return "a ${…} stands inside { } or [ ] without quotes", `write for instance {url: "${REDIS_URL}"}`
	case strings.Contains(msg, "tab character"), strings.HasPrefix(line, "\t"):
		return "a line is indented with a tab", "indent with spaces"
	case strings.Contains(msg, "cannot start any token"):
		return "a value begins with a character that has a meaning of its own in YAML", "put it in quotes"
	case strings.Contains(msg, "mapping values are not allowed"):
		return "a colon and a space where no key can be", "put a value that holds a colon and a space in quotes; check the indentation"
	case strings.Contains(msg, "UTF-8") || strings.Contains(msg, "control characters"):
		return "the file is not UTF-8 text", "save it as UTF-8"
	}
	const check = "check brackets, quotes and indentation"
	for _, open := range [...][2]string{
		{"flow sequence", "a [ without its ]"}, {"flow mapping", "a { without its }"}, {"quoted scalar", "a quoted text that does not end"},
		{"block", "a line that does not fit those above"},
	} {
		if strings.Contains(bad.ContextMsg, open[0]) && bad.ContextMark.Line > 0 {
			return fmt.Sprintf("this is not YAML: %s (it began in line %d)", open[1], bad.ContextMark.Line), check
		}
	}
	return "this is not YAML", check
}
