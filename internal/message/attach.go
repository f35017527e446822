package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"
)

// An Attachment is a file that goes along with a mail of the server's own. It is written as it is read: no more than a piece of it is in memory.
type Attachment struct {
	Name string                  // as people see it, any text
	Type string                  // its media type, such as image/jpeg; one that is none becomes application/octet-stream
	Body func(w io.Writer) error // writes the file
}

const anyType = "application/octet-stream"

// write writes the attachment as a part of a multipart, from behind its delimiter on.
func (a *Attachment) write(w io.Writer) error {
	kind := anyType
	if main, sub, ok := strings.Cut(a.Type, "/"); ok && isToken(main) && isToken(sub) {
		kind = a.Type
	}
	head := "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment" + fileName(clean(a.Name, maxFileName)) + "\r\n\r\n"
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	lines := &wrapped{w: w}
	enc := base64.NewEncoder(base64.StdEncoding, lines)
	if err := a.Body(enc); err != nil {
		return fmt.Errorf("attaching a file: %w", err)
	}
	if err := enc.Close(); err != nil {
		return err
	}
	return lines.end()
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

const (
	maxFileName = 255 // characters
	sectionGoal = 60  // octets of one section of a name
)

// fileName is the parameter filename of a Content-Disposition, with the semicolon before it: as it is where that can be, and in sections of UTF-8 otherwise
// (RFC 2231 3 and 4). Whatever the name is, it stays inside the field.
func fileName(name string) string {
	switch {
	case name == "":
		return ""
	case plainText(name) && len(name) <= sectionGoal:
		return ";\r\n filename=\"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	var b strings.Builder
	section, n := "UTF-8''", 0
	flush := func() {
		fmt.Fprintf(&b, ";\r\n filename*%d*=%s", n, section)
		section, n = "", n+1
	}
	for len(name) > 0 {
		_, size := utf8.DecodeRuneInString(name)
		code := strings.ReplaceAll(url.QueryEscape(name[:size]), "+", "%20")
		if strings.ContainsAny(code, "*'") { // QueryEscape leaves none today
			code = fmt.Sprintf("%%%02X", code[0])
		}
		if len(section)+len(code) > sectionGoal {
			flush()
		}
		section, name = section+code, name[size:]
	}
	flush()
	return b.String()
}

// wrapped breaks what is written into lines of 76 octets (RFC 2045 6.8).
type wrapped struct {
	w      io.Writer
	column int
	buf    bytes.Buffer
}

func (l *wrapped) Write(p []byte) (int, error) {
	l.buf.Reset()
	for rest := p; len(rest) > 0; {
		n := min(lineGoal-l.column, len(rest))
		l.buf.Write(rest[:n])
		rest = rest[n:]
		if l.column += n; l.column == lineGoal {
			l.buf.WriteString("\r\n")
			l.column = 0
		}
	}
	if _, err := l.w.Write(l.buf.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end ends the last line.
func (l *wrapped) end() error {
	if l.column == 0 {
		return nil
	}
	_, err := io.WriteString(l.w, "\r\n")
	return err
}
