package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// decoder carries a YAML tree over into a Config. It walks the tree itself, since the library's own decoding would name Go types, lose
// columns, and not know where a value's fault is once the value is taken over.
type decoder struct {
	*faults
	lookup func(string) (string, bool)
}

// section reads a mapping into the struct that into points to.
func (d *decoder) section(key string, n *yaml.Node, into any) {
	fields := fieldsOf(into)
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		path := k.Value
		if key != "" {
			path = key + "." + k.Value
		}
		if k.Kind != yaml.ScalarNode || strings.ContainsAny(k.Value, ".[") {
			d.misplaced(k, "this is no key", "keys are plain words, indented under their section")
			continue
		}
		if line, twice := seen[k.Value]; twice {
			d.misplaced(k, fmt.Sprintf("%s is set a second time", path), fmt.Sprintf("it is set in line %d already: keep one of them", line))
			continue
		}
		seen[k.Value] = k.Line
		field, known := fields[k.Value]
		if !known {
			d.misplaced(k, fmt.Sprintf("%s is no key", d.show("", path)), d.meant(key, k.Value, fields))
			continue
		}
		d.at[path] = place{line: v.Line, column: v.Column}
		d.value(path, v, field)
	}
}

// misplaced notes a fault of a key itself.
func (d *decoder) misplaced(k *yaml.Node, what, right string) {
	d.all = append(d.all, Fault{File: d.file, Line: k.Line, Column: k.Column, What: what, Right: right})
}

// value reads a node into a field; the field's type says what it has to be.
func (d *decoder) value(path string, n *yaml.Node, field reflect.Value) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		d.add(path, "write the value out, in quotes if it begins with one of * & !", "uses an anchor, an alias or a tag of YAML")
		return
	}
	if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 || n.Tag == "!!null" {
		d.add(path, "give it one, or take the key away", "has no value")
		return
	}
	kind := field.Kind()
	if field.Type() == reflect.TypeFor[Ports]() {
		kind = reflect.String
	}
	switch {
	case kind == reflect.Struct && n.Kind == yaml.MappingNode:
		d.section(path, n, field.Addr().Interface())
	case kind == reflect.Struct:
		d.add(path, "its keys: "+strings.Join(names(fieldsOf(field.Addr().Interface())), ", "), "has to hold keys of its own")
	case kind == reflect.Slice:
		d.list(path, n, field)
	case kind == reflect.Map:
		d.table(path, n, field)
	case n.Kind != yaml.ScalarNode:
		d.add(path, "write it without [ ] or { }", "has to be a single value")
	default:
		d.scalar(path, n, field)
	}
}

func (d *decoder) list(path string, n *yaml.Node, field reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.add(path, "write ["+quoteIfPlain(n)+"]", "has to be a list")
		return
	}
	values := reflect.MakeSlice(field.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		p := fmt.Sprintf("%s[%d]", path, i)
		d.at[p] = place{line: item.Line, column: item.Column}
		d.value(p, item, values.Index(i))
	}
	field.Set(values)
}

// table reads a mapping whose keys are names of the administrator's own.
func (d *decoder) table(path string, n *yaml.Node, field reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.add(path, "write {name: value, …}, or a line for each name", "has to be a list of names with a value each")
		return
	}
	field.Set(reflect.MakeMap(field.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Value == "" {
			d.misplaced(k, path+" has a name that is none", "names are plain words")
			continue
		}
		p := fmt.Sprintf("%s[%s]", path, k.Value)
		if at, twice := d.at[p]; twice {
			d.misplaced(k, p+" is set a second time", fmt.Sprintf("it is set in line %d already: keep one of them", at.line))
			continue
		}
		d.at[p] = place{line: v.Line, column: v.Column}
		value := reflect.New(field.Type().Elem()).Elem()
		d.value(p, v, value)
		field.SetMapIndex(reflect.ValueOf(k.Value), value)
	}
}

// quoteIfPlain is what stands for the list's content in advice; never a value that could be secret.
func quoteIfPlain(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && len(n.Value) < 60 && !strings.Contains(n.Value, "$") && !strings.ContainsAny(n.Value, "\r\n") {
		return strconv.Quote(n.Value)
	}
	return "…"
}

func (d *decoder) scalar(path string, n *yaml.Node, field reflect.Value) {
	text, used, err := expand(n.Value, d.lookup)
	if err != nil {
		d.add(path, "", "%s", err)
		return
	}
	p := d.at[path]
	p.hidden, p.text = used, text
	d.at[path] = p
	var right error
	switch into := field.Addr().Interface().(type) {
	case *string:
		*into = text
	case *int:
		*into, err = strconv.Atoi(text)
		if err != nil {
			right = fmt.Errorf("a whole number")
		}
	case *bool:
		if *into = text == "true"; !*into && text != "false" {
			right = fmt.Errorf("true or false")
		}
	case *Size:
		*into, right = parseSize(text)
	case *Ports:
		*into, right = parsePorts(text)
	case *time.Duration:
		*into, right = parseDuration(text)
	default: // a mistake in this program, which a test of every key finds
		right = fmt.Errorf("of a kind that this version does not read")
	}
	if right != nil {
		d.add(path, "it has to be "+right.Error(), "cannot be %s", d.show(path, text))
	}
}

// fieldsOf are the fields of the struct behind a pointer, by their keys.
func fieldsOf(into any) map[string]reflect.Value {
	v := reflect.ValueOf(into).Elem()
	fields := make(map[string]reflect.Value)
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" {
			fields[tag] = v.Field(i)
		}
	}
	return fields
}

func names(fields map[string]reflect.Value) []string {
	var all []string
	for name := range fields {
		if name != "database" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// meant guesses which key somebody meant who wrote one that does not exist.
func (d *decoder) meant(section, key string, fields map[string]reflect.Value) string {
	best, least := "", 1+len(key)/3
	for _, name := range names(fields) {
		if n := distance(strings.ToLower(key), name); n <= least && (best == "" || n < least) {
			best, least = name, n
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	var c Config
	var elsewhere []string
	for _, k := range keysOf("", &c) {
		if k == key || strings.HasSuffix(k, "."+key) {
			elsewhere = append(elsewhere, k)
		}
	}
	if len(elsewhere) > 0 && len(elsewhere) <= 3 {
		return "there is " + strings.Join(elsewhere, " and ")
	}
	if section == "" {
		return "the keys: " + strings.Join(names(fields), ", ")
	}
	return fmt.Sprintf("the keys of %s: %s", section, strings.Join(names(fields), ", "))
}

// keysOf are all keys below a section, with its own name before them; sections and their keys alike.
func keysOf(section string, into any) []string {
	var all []string
	for name, field := range fieldsOf(into) {
		path := strings.TrimPrefix(section+"."+name, ".")
		all = append(all, path)
		if field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[Ports]() {
			all = append(all, keysOf(path, field.Addr().Interface())...)
		}
	}
	slices.Sort(all)
	return all
}

// distance is how many letters have to be added, taken away or changed to make a word of the other.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := before
			if a[i-1] != b[j-1] {
				change++
			}
			before = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, change)
		}
	}
	return row[len(b)]
}
