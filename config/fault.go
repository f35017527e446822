package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Fault is one thing that is wrong, and what would be right. It never holds a value that came from the environment, nor a URL with a password.
type Fault struct {
	File         string // as it was named; "" without a file
	Line, Column int    // from 1; 0 where there is no place
	What         string // begins with the key
	Right        string // what would be right; may be empty
	// Certificate says that it is about the files of the certificate, or those of tls.acme.ca and relay.ca, not about what is written here, and Expired that it is their time alone.
	Certificate, Expired bool
}

// String is one line: FILE:LINE:COLUMN: what; what would be right.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
		if f.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
		}
		b.WriteByte(' ')
	}
	b.WriteString(f.What)
	if f.Right != "" {
		b.WriteString("; " + f.Right)
	}
	return b.String()
}

// Error is everything that is wrong with a configuration; at least one fault.
type Error struct {
	Faults []Fault // in the order of the file
	usable *Config // where nothing is wrong but such files (Fault.Certificate); nil otherwise
}

// Error is a line for each fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// place is where a key's value stands.
type place struct {
	line, column int
	hidden       bool   // the value holds something from the environment
	text         string // of a single value, as it was written
}

// faults collects what is wrong with a configuration.
type faults struct {
	file string
	at   map[string]place
	all  []Fault
	bad  map[string]bool // keys with a fault: what follows from it is not worth telling
}

// add notes a fault of a key at its place, or at that of the nearest key around it that has one.
func (f *faults) add(key, right, what string, args ...any) {
	p, ok := f.at[key]
	for k := key; !ok && k != ""; {
		k = parent(k)
		p, ok = f.at[k]
	}
	if f.bad == nil {
		f.bad = make(map[string]bool)
	}
	f.bad[key] = true
	f.all = append(f.all, Fault{File: f.file, Line: p.line, Column: p.column, Right: right, What: strings.TrimSpace(key + " " + fmt.Sprintf(what, args...))})
}

// parent is the key around a key: smtp.mx.listen[0] → smtp.mx.listen → smtp.mx → smtp → "", the file itself.
func parent(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}

// fine tells whether nothing is known to be wrong with a key, with anything in it, or with what it is in.
func (f *faults) fine(key string) bool {
	for k := range f.bad {
		if k == key || within(k, key) || within(key, k) {
			return false
		}
	}
	return true
}

func within(key, section string) bool {
	return strings.HasPrefix(key, section) && len(key) > len(section) && (key[len(section)] == '.' || key[len(section)] == '[')
}

// hidden tells whether the value of a key must not be printed.
func (f *faults) hidden(key string) bool { return f.at[key].hidden }

// show is a key's value for a message.
func (f *faults) show(key, value string) string {
	if f.hidden(key) {
		return "(from the environment)"
	}
	const most = 60
	if r := []rune(value); len(r) > most {
		value = string(r[:most]) + "…"
	}
	return strconv.Quote(value)
}

// written is a key's value for a message, as it was written: 5GB and not 5000000000. is stands for one that is in no file.
func (f *faults) written(key, is string) string {
	if text := f.at[key].text; text != "" {
		is = text
	}
	return f.show(key, is)
}

// path is a path for a message, to its end: there the mistake is.
func (f *faults) path(key, path string) string {
	if f.hidden(key) {
		return f.show(key, path)
	}
	return strconv.Quote(path)
}

func (f *faults) sorted() []Fault {
	slices.SortStableFunc(f.all, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return f.all
}
