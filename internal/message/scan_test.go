package message

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// crlf writes a mail of a test with the line ends of the wire.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func scan(t testing.TB, msg []byte) *Tree {
	t.Helper()
	tree, err := Scan(&Memory{B: msg})
	if err != nil {
		t.Fatal(err)
	}
	checkTree(t, msg, tree)
	return tree
}

// outline tells a tree in one line: media types, children in brackets, the leaves' bodies as Go strings.
func outline(msg []byte, t *Tree) string {
	var part func(i int) string
	part = func(i int) string {
		p := &t.Parts[i]
		if !p.Multipart() {
			return fmt.Sprintf("%s %q", p.Media.Type, msg[p.Body:p.End])
		}
		var kids []string
		for _, k := range t.Children(i) {
			kids = append(kids, part(k))
		}
		return p.Media.Type + "{" + strings.Join(kids, ", ") + "}"
	}
	s := part(0)
	if t.Defects != 0 {
		s += " !" + t.Defects.String()
	}
	return s
}

// checkTree holds what is true of every tree, whatever the bytes were.
func checkTree(t testing.TB, msg []byte, tree *Tree) {
	t.Helper()
	size := int64(len(msg))
	if tree.Size != size || len(tree.Parts) == 0 || len(tree.Parts) > MaxParts || tree.Parts[0].Parent != -1 {
		t.Fatalf("size %d of %d, %d parts", tree.Size, size, len(tree.Parts))
	}
	var all Defect
	for i := range tree.Parts {
		p := &tree.Parts[i]
		all |= p.Defects
		if !(0 <= p.Off && p.Off <= p.Fields && p.Fields <= p.Body && p.Body <= p.End && p.End <= size) {
			t.Fatalf("part %d: offsets %d %d %d %d out of order in %d", i, p.Off, p.Fields, p.Body, p.End, size)
		}
		if i == 0 {
			continue
		}
		parent := &tree.Parts[p.Parent]
		if p.Parent >= i || !parent.Multipart() || p.Depth != parent.Depth+1 || p.Depth > MaxDepth {
			t.Fatalf("part %d: parent %d, depth %d", i, p.Parent, p.Depth)
		}
		if p.Delim.Off < parent.Body || p.Delim.End != p.Off || p.End > parent.End {
			t.Fatalf("part %d reaches out of its multipart", i)
		}
		line := string(msg[p.Delim.Off:p.Delim.End])
		if !strings.HasPrefix(line, "--"+parent.Media.Boundary) || strings.TrimRight(line, " \t\r\n") != "--"+parent.Media.Boundary {
			t.Fatalf("part %d begins with %q", i, line)
		}
		if before := tree.Parts[i-1]; before.Parent == p.Parent && before.End > p.Delim.Off {
			t.Fatalf("part %d begins inside the one before", i)
		}
	}
	if all != tree.Defects {
		t.Fatalf("the tree's defects %b are not those of its parts %b", tree.Defects, all)
	}
	h := &tree.Head
	at := 0
	for i, f := range h.Fields {
		if f.Off < at || f.Colon <= f.Off || f.End <= f.Colon || f.End > len(h.Raw) || h.Raw[f.Colon] != ':' {
			t.Fatalf("field %d at %d %d %d", i, f.Off, f.Colon, f.End)
		}
		at = f.End
	}
	if len(h.Fields) > 0 && h.End != h.Off+int64(at) {
		t.Fatalf("fields end at %d, not %d", h.Off+int64(at), h.End)
	}
}

const nested = `From: a@x.test
Content-Type: multipart/mixed; boundary="out"

preamble
--out
Content-Type: multipart/alternative; boundary=in

--in

plain
--in
Content-Type: text/html

<p>html</p>

--in--
between
--out  
Content-Type: image/png
Content-Transfer-Encoding: BASE64
Content-Disposition: attachment; filename=x.png

AAAA
--out--
epilogue
`

func TestStructureIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"plain":            {"Subject: x\n\nHello\n", `text/plain "Hello\r\n"`},
		"nothing":          {"", `text/plain ""`},
		"only a header":    {"Subject: x\n", `text/plain ""`},
		"only a body":      {"\nHello", `text/plain "Hello"`},
		"no line end":      {"Subject: x", `text/plain ""`},
		"mbox":             {"From a@x.test Mon Nov 23\nSubject: x\n\nHi\n", `text/plain "Hi\r\n"`},
		"no header at all": {"Hello\n\nworld\n", `text/plain "world\r\n" !a header line that is no field`},
		"nested": {nested,
			`multipart/mixed{multipart/alternative{text/plain "plain", text/html "<p>html</p>\r\n"}, image/png "AAAA"}`},
		"delimiter at once": {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b\n\n2\n--b--\n", `multipart/mixed{text/plain "1", text/plain "2"}`},
		"a part without blank line": {"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b--\n",
			`multipart/mixed{text/html ""}`},
		"a part of nothing": {"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b--\n", `multipart/mixed{text/plain "", text/plain ""}`},
		"digest":            {"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nHi\n--b--\n", `multipart/digest{message/rfc822 "Subject: x\r\n\r\nHi"}`},
		"a message inside":  {"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n" + nested + "--b--\n", "multipart/mixed{message/rfc822 " + fmt.Sprintf("%q", strings.TrimSuffix(string(crlf(nested)), "\r\n")) + "}"},
		"one boundary begins with the other": {
			"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/related; boundary=ab\n\n--ab\n\n1\n--ab--\n--a--\n",
			`multipart/mixed{multipart/related{text/plain "1"}}`},
		"cut off": {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b\n\n2\n", `multipart/mixed{text/plain "1", text/plain "2\r\n"} !a multipart without end`},
		"the inner one cut off": {"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\n1\n--o\n\n2\n--o--\n",
			`multipart/mixed{multipart/mixed{text/plain "1"}, text/plain "2"} !a multipart without end`},
		"no boundary":    {"Content-Type: multipart/mixed\n\n--b\n\n1\n--b--\n", `multipart/mixed{} !a multipart without boundary`},
		"never a part":   {"Content-Type: multipart/mixed; boundary=b\n\nHello\n", `multipart/mixed{} !a multipart without end`},
		"only the close": {"Content-Type: multipart/mixed; boundary=b\n\n--b--\n", `multipart/mixed{} !a multipart without parts`},
		"base64 around":  {"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\n1\n--b--\n", `multipart/mixed{text/plain "1"} !an encoded multipart`},
		"same boundary twice": {"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b--\n",
			`multipart/mixed{multipart/mixed{text/plain "1"}} !an ambiguous delimiter`},
		"content type twice": {"Content-Type: text/plain\nContent-Type: text/html\n\nx", `text/plain "x" !a content field given twice`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg := crlf(c.in)
			if got := outline(msg, scan(t, msg)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			// The same with the line ends of a Unix file.
			lf := []byte(c.in)
			if got, want := outline(lf, scan(t, lf)), strings.ReplaceAll(c.want, `\r\n`, `\n`); got != want {
				t.Errorf("LF: got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestLookAlikesOfADelimiterMakeTheStructureUncertain(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"--b-", "--bx", "--b--x", "--b x", "--b---", "--b" + strings.Repeat(" ", 500)} {
		msg := crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n" + line + "\n2\n--b--\n")
		if tree := scan(t, msg); tree.Defects&DefectDelimiter == 0 {
			t.Errorf("%.20q passed: %s", line, outline(msg, tree))
		}
	}
	for _, line := range []string{"--", "---", "-- b", " --b", "x--b", "--c", "-b", "-- "} {
		msg := crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n" + line + "\n2\n--b--\n")
		if tree := scan(t, msg); tree.Defects != 0 || len(tree.Parts) != 2 {
			t.Errorf("%q: %s", line, outline(msg, tree))
		}
	}
}

func TestContentFieldsAreReadOrDoubted(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Part{
		"Content-Type: TEXT/Plain; Charset=\"UTF-8\"; format=Flowed": {Media: Media{Type: "text/plain", Charset: "utf-8", Flowed: true}, Encoding: "7bit"},
		"Content-Type:text/html;\n\tcharset=us-ascii ;":              {Media: Media{Type: "text/html", Charset: "us-ascii"}, Encoding: "7bit"},
		"CONTENT-TYPE : text/html":                                   {Media: Media{Type: "text/html"}, Encoding: "7bit"},
		"Content-Type: text/plain; name=a.txt":                       {Media: Media{Type: "text/plain", Named: true}, Named: true, Encoding: "7bit"},
		"Content-Type: text/plain; name*0=a; name*1=b":               {Media: Media{Type: "text/plain", Named: true}, Named: true, Encoding: "7bit"},
		"Content-Type: text/plain; charset*=utf-8''utf-8":            {Media: Media{Type: "text/plain"}, Encoding: "7bit", Defects: DefectMedia},
		"Content-Type: text/plain; charset=a; charset=b":             {Media: Media{Type: "text/plain", Charset: "a"}, Encoding: "7bit", Defects: DefectMedia},
		"Content-Type: text/plain (really)":                          {Media: Media{Type: "text/plain"}, Encoding: "7bit", Defects: DefectMedia},
		"Content-Type: text":                                         {Encoding: "7bit", Defects: DefectMedia},
		"Content-Type: application/pdf; name=my file.pdf":            {Media: Media{Type: "application/pdf", Named: true}, Named: true, Encoding: "7bit"},
		"Content-Type: text/plain; name=my file.txt":                 {Media: Media{Type: "text/plain", Named: true}, Named: true, Encoding: "7bit", Defects: DefectMedia},
		"Content-Type: multipart/related; start=\"<a@b>\"":           {Media: Media{Type: "multipart/related", Start: "<a@b>"}, Encoding: "7bit", Defects: DefectBoundary},
		"Content-Transfer-Encoding: Base64 ":                         {Media: Media{Type: "text/plain"}, Encoding: "base64"},
		"Content-Transfer-Encoding: base64 (x)":                      {Media: Media{Type: "text/plain"}, Encoding: "base64", Defects: DefectMedia},
		"Content-Transfer-Encoding:":                                 {Media: Media{Type: "text/plain"}, Defects: DefectMedia},
		"Content-Disposition: ATTACHMENT":                            {Media: Media{Type: "text/plain"}, Encoding: "7bit", Disposition: "attachment"},
		"Content-Disposition: inline; FileName  = \"x\"":             {Media: Media{Type: "text/plain"}, Encoding: "7bit", Disposition: "inline", Named: true},
		"Content-Disposition: ;filename=x":                           {Media: Media{Type: "text/plain"}, Encoding: "7bit", Named: true, Defects: DefectMedia},
		"Content-Disposition: attachment\nContent-Disposition: inline": {Media: Media{Type: "text/plain"}, Encoding: "7bit", Disposition: "attachment",
			Defects: DefectDuplicate},
	} {
		tree := scan(t, crlf(in+"\n\nx\n"))
		p := tree.Parts[0]
		got := Part{Media: p.Media, Encoding: p.Encoding, Disposition: p.Disposition, Named: p.Named, Defects: p.Defects}
		if got != want {
			t.Errorf("%q:\ngot  %+v\nwant %+v", in, got, want)
		}
	}
}

func TestDepthAndNumberOfPartsAreBounded(t *testing.T) {
	t.Parallel()
	var deep strings.Builder
	for i := range 3 * MaxDepth {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d.\n\n--b%d.\n", i, i)
	}
	tree := scan(t, crlf(deep.String()))
	if len(tree.Parts) != MaxDepth+1 || tree.Defects&DefectDepth == 0 {
		t.Errorf("%d parts deep, %b", len(tree.Parts), tree.Defects)
	}
	many := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 2*MaxParts) + "--b--\n"
	tree = scan(t, crlf(many))
	if len(tree.Parts) != MaxParts || tree.Defects&DefectParts == 0 {
		t.Errorf("%d parts, %b", len(tree.Parts), tree.Defects)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	for name, msg := range map[string]string{
		"one field without end":  "Subject: " + strings.Repeat("x", 2*MaxHeader),
		"folds without end":      "Subject: x\n" + strings.Repeat(" y\n", MaxHeader),
		"a part's header":        "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: " + strings.Repeat("x", 2*maxPartHeader) + "\n\nx\n--b--\n",
		"mbox line, then fields": "From x\nSubject: " + strings.Repeat("x", MaxHeader-20) + "\n\nbody",
	} {
		if tree := scan(t, crlf(msg)); tree.Defects&DefectHeaderSize == 0 || len(tree.Head.Raw) > MaxHeader {
			t.Errorf("%s: %b, header of %d", name, tree.Defects, len(tree.Head.Raw))
		}
	}
	tree := scan(t, crlf(strings.Repeat("X: y\n", maxFields+1)+"\nbody\n"))
	if tree.Defects&DefectHeader == 0 || len(tree.Head.Fields) != maxFields || tree.Head.Stray.End == 0 {
		t.Errorf("%d fields, %b", len(tree.Head.Fields), tree.Defects)
	}
}

// failing is a Source that breaks, or ends early.
type failing struct {
	*bytes.Reader
	until int64
	err   error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.until {
		return 0, f.err
	}
	return f.Reader.ReadAt(p, off)
}

func TestAReadErrorIsAnError(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 2 * windowSize} {
		msg := append(crlf("Content-Type: multipart/mixed; boundary=b\n\n"), bytes.Repeat([]byte("x\r\n"), size/3)...)
		for _, err := range []error{io.ErrClosedPipe, io.EOF, nil} {
			if _, got := Scan(&failing{bytes.NewReader(msg), int64(len(msg)) - 1, err}); got == nil {
				t.Errorf("%d bytes, error %v: not noticed", len(msg), err)
			}
		}
	}
}
