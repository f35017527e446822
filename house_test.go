// Package chmail_test holds the rules of the house as tests: which package may import which, how large
// a file or a function may grow, and what every package owes its reader. Each rule carries its reason,
// so that whoever breaks one is told why it stands.
package chmail_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module       = "chmail"
	maxFileLines = 500
	maxFuncLines = 80
	maxFields    = 15
)

// ground packages know nothing of rooms; a number is a floor within the ground: imports go downwards only.
var ground = map[string]int{
	"internal/address":     0,
	"internal/sqldb":       0,
	"internal/netutil":     0,
	"internal/terminal":    0,
	"internal/picture":     0,
	"internal/octets":      0,
	"internal/browsertest": 0, // tests only
	"internal/delivery":    1,
	"internal/dnstest":     0, // tests only
	"internal/tlstest":     0, // tests only
	"internal/acmetest":    1, // tests only
	"internal/smuggling":   0,
	"internal/scram":       0,
	"internal/autoconfig":  1,
	"internal/message":     1,
	"internal/webpush":     1,
	"internal/call":        2,
	"internal/stamp":       2,
	"internal/web":         2,
}

// rooms, by the folder that names them.
var rooms = []string{
	"config", "smtpd", "pop3d", "chbroker", "chatd", "mall",
	"internal/intake", "internal/mailbox", "internal/queue", "internal/relay", "internal/mailauth",
	"internal/account", "internal/acme", "internal/admin", "internal/play", "internal/push", "internal/doctor", "internal/metrics", "internal/dnsbl", "internal/rspamd",
}

// barred names outside packages that a package must not reach, with the reason.
var barred = []struct{ pkg, imports, reason string }{
	{"smtpd", "database/sql", "smtpd speaks SMTP; whoever wants storage there wants internal/intake"},
	{"smtpd", "chmail/internal/sqldb", "smtpd speaks SMTP; whoever wants storage there wants internal/intake"},
	{"smtpd", "chmail/internal/stamp", "mail is changed in one place only, internal/intake"},
	{"smtpd", "github.com/redis/go-redis/v9", "presence is chbroker's; smtpd reports to it through an interface"},
	{"pop3d", "database/sql", "pop3d speaks POP3; its storage is internal/mailbox behind an interface"},
	{"pop3d", "chmail/internal/sqldb", "pop3d speaks POP3; its storage is internal/mailbox behind an interface"},
	{"chbroker", "net/http", "the broker decides whom to ring; pages and sockets are chatd's"},
	{"chbroker", "net/smtp", "the broker leaves word through an interface; mail is internal/intake's"},
	{"chbroker", "github.com/emersion/go-smtp", "the broker leaves word through an interface; mail is internal/intake's"},
	{"chatd", "github.com/redis/go-redis/v9", "chatd asks the broker; only the broker knows where people are"},
	{"internal/autoconfig", "time", "autoconfig is pure: what it says follows from the configuration alone"},
	{"internal/autoconfig", "os", "autoconfig is pure: what it says follows from the configuration alone"},
	{"internal/doctor", "github.com/redis/go-redis/v9", "the doctor is handed what it asks; only wiring knows Redis' client"},
	{"internal/stamp", "time", "stamp is pure: no clock, no globals, no I/O but reading the message"},
	{"internal/stamp", "os", "stamp is pure: no clock, no globals, no I/O but reading the message"},
	{"internal/stamp", "net", "stamp is pure: no clock, no globals, no I/O but reading the message"},
}

type goPackage struct {
	ImportPath string
	Name       string
	Dir        string
	Doc        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Doc,Imports,GoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		all = append(all, p)
	}
}

// roomOf returns the room that a package path belongs to, or "".
func roomOf(rel string) string {
	for _, r := range rooms {
		if rel == r || strings.HasPrefix(rel, r+"/") {
			return r
		}
	}
	return ""
}

func TestFloors(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		rel := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if rel == "" || strings.HasPrefix(rel, "cmd/") || strings.HasPrefix(rel, "e2e") || strings.HasPrefix(rel, "bench") {
			continue
		}
		floor, isGround := ground[rel]
		room := roomOf(rel)
		if !isGround && room == "" {
			t.Errorf("%s is neither ground nor a room: name it in this test, with its floor", rel)
			continue
		}
		for _, imp := range p.Imports {
			for _, b := range barred {
				if rel == b.pkg && imp == b.imports {
					t.Errorf("%s imports %s: %s", rel, imp, b.reason)
				}
			}
			target, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				continue
			}
			targetFloor, toGround := ground[target]
			switch targetRoom := roomOf(target); {
			case isGround && targetRoom != "":
				t.Errorf("%s (ground) imports room %s: ground knows no room, so that every room can stand on it", rel, target)
			case isGround && toGround && targetFloor >= floor:
				t.Errorf("%s imports %s: ground packages import downwards only", rel, target)
			case !isGround && targetRoom != "" && targetRoom != room:
				t.Errorf("room %s imports room %s: declare the interface you need and let cmd/chmail/wire.go fill it", rel, target)
			case testsOnly(target) && !testsOnly(rel):
				t.Errorf("%s imports %s outside its tests: what only tests need is not in the program", rel, target)
			case target == "config" || strings.HasPrefix(target, "cmd/"):
				t.Errorf("%s imports %s: configuration and wiring are read by cmd only", rel, target)
			}
		}
	}
}

// testsOnly tells whether a package is no part of the program.
func testsOnly(rel string) bool {
	return slices.Contains([]string{"internal/dnstest", "internal/acmetest", "internal/browsertest"}, rel)
}

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && len(strings.Fields(p.Doc)) < 8 {
			t.Errorf("%s has no doc comment that says what it is for", p.ImportPath)
		}
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if slices.Contains([]string{".go", ".js", ".css"}, filepath.Ext(path)) {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestNothingGrowsTooLarge(t *testing.T) {
	t.Parallel()
	for _, path := range goFiles(t) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(src, []byte("\n")); n > maxFileLines {
			t.Errorf("%s has %d lines; the limit is %d: is this really one thing?", path, n, maxFileLines)
		}
		if filepath.Ext(path) == ".go" {
			checkFile(t, path, src)
		}
	}
}

func checkFile(t *testing.T, path string, src []byte) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	test := strings.HasSuffix(path, "_test.go")
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			lines := fset.Position(d.End()).Line - fset.Position(d.Pos()).Line + 1
			if lines > maxFuncLines {
				t.Errorf("%s: %s has %d lines; the limit is %d", path, d.Name.Name, lines, maxFuncLines)
			}
			if d.Name.Name == "init" && d.Recv == nil {
				t.Errorf("%s: init() hides who starts what; build it in a constructor", path)
			}
			if !test && d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
				t.Errorf("%s: exported %s has no docstring", path, d.Name.Name)
			}
		case *ast.GenDecl:
			if !test {
				checkGenDecl(t, path, d)
			}
		}
	}
}

// exportedReceiver tells whether a reader of the package's documentation sees this function.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if idx, ok := typ.(*ast.IndexExpr); ok {
		typ = idx.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

func checkGenDecl(t *testing.T, path string, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
				t.Errorf("%s: exported type %s has no docstring", path, s.Name.Name)
			}
			// Configuration mirrors the file it is read from, however many keys that has.
			if st, ok := s.Type.(*ast.StructType); ok && st.Fields.NumFields() > maxFields && !strings.HasPrefix(path, "config") {
				t.Errorf("%s: %s has %d fields; the limit is %d", path, s.Name.Name, st.Fields.NumFields(), maxFields)
			}
		case *ast.ValueSpec:
			if d.Tok != token.VAR || embedded(d) {
				continue
			}
			for i, name := range s.Names {
				if name.Name != "_" && (i >= len(s.Values) || !immutable(s.Values[i])) {
					t.Errorf("%s: package variable %s can change: a server's state belongs in a value somebody owns", path, name.Name)
				}
			}
		}
	}
}

// embedded tells whether the compiler fills the variable with files; the language wants it without a value.
func embedded(d *ast.GenDecl) bool {
	return d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// immutable accepts what nobody assigns to: errors, compiled patterns, embedded files and tables written out in full.
func immutable(v ast.Expr) bool {
	switch e := v.(type) {
	case *ast.CompositeLit, *ast.FuncLit:
		return true
	case *ast.UnaryExpr:
		return immutable(e.X)
	case *ast.CallExpr:
		name := ""
		switch f := e.Fun.(type) {
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); ok {
				name = x.Name + "." + f.Sel.Name
			}
		case *ast.Ident:
			name = f.Name
		case *ast.ArrayType:
			return true
		}
		return slices.Contains([]string{
			"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "template.Must", "netip.MustParsePrefix",
			"base64.RawURLEncoding.Strict", "redis.NewScript", "message.Refuse",
		}, name) || strings.HasPrefix(name, "must")
	}
	return false
}
