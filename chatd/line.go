package chatd

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The line protocol (docs/protocol.md): what a terminal sends and is sent.

const (
	maxLine = 4 << 10 // bytes of a line, its end included, in both directions
	// codeLength is that of a terminal's code: the link's token and a secret of the terminal's own, with a dot between.
	tokenLength = 22
	codeLength  = 2*tokenLength + 1
)

// A greeting is the first line of a terminal.
type greeting struct {
	token  string
	secret string // of a terminal that comes back; "" for a new one
	name   string
	last   int64
}

// parseGreeting reads a first line: JOIN TOKEN [name], or RESUME CODE LAST.
func parseGreeting(line []byte) (greeting, bool) {
	text, ok := trimLine(line)
	if !ok || likeHTTP(line) {
		return greeting{}, false
	}
	verb, rest, _ := strings.Cut(text, " ")
	arg, rest, _ := strings.Cut(rest, " ")
	switch verb {
	case "JOIN":
		return greeting{token: arg, name: cleanName(rest)}, arg != "" && len(arg) <= maxCID
	case "RESUME":
		last, err := strconv.ParseInt(rest, 10, 64)
		token, secret, _ := strings.Cut(arg, ".")
		return greeting{token: token, secret: secret, last: last}, err == nil && last >= 0 && len(arg) == codeLength && len(token) == tokenLength
	}
	return greeting{}, false
}

// A command is a later line of a terminal.
type command int

// The commands.
const (
	nothing command = iota // an empty line
	saying
	quitting
	mistaken // a line that begins with a slash and is no command
	unsayable
)

// parseLine reads a later line, and returns what it says.
func parseLine(line []byte) (command, string) {
	text, ok := trimLine(line)
	switch {
	case !ok:
		return unsayable, ""
	case strings.HasPrefix(text, "//"):
		text = text[1:]
	case text == "/quit":
		return quitting, ""
	case strings.HasPrefix(text, "/"):
		return mistaken, ""
	case strings.TrimSpace(text) == "":
		return nothing, ""
	}
	if !goodText(text) {
		return unsayable, ""
	}
	return saying, text
}

// trimLine takes the line's end off; false when it is not UTF-8.
func trimLine(line []byte) (string, bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	return string(line), utf8.Valid(line)
}

// appendEvent writes an event as lines: "* N NAME: text"; each further line of the text behind "| ", and what does not fit behind "& ", so that no line
// can be taken for another kind whatever the text. An event that is no message is a text that begins with one slash; a message that
// begins with a slash gets a second.
func appendEvent(b []byte, e *event, name string) []byte {
	begin := len(b)
	b = append(b, "* "...)
	b = strconv.AppendInt(b, e.N, 10)
	b = append(b, ' ')
	b = append(b, lineName(name)...)
	b = append(b, ": "...)
	for i, part := range strings.Split(lineText(e), "\n") {
		if i > 0 {
			begin = len(b)
			b = append(b, "| "...)
		}
		for {
			room := maxLine - len("\r\n") - (len(b) - begin)
			if len(part) <= room {
				break
			}
			for !utf8.RuneStart(part[room]) {
				room--
			}
			b = append(append(b, part[:room]...), "\r\n"...)
			part = part[room:]
			begin = len(b)
			b = append(b, "& "...)
		}
		b = append(append(b, part...), "\r\n"...)
	}
	return b
}

// lineText is an event's text as lines carry it.
func lineText(e *event) string {
	switch {
	case e.Kind == kindName:
		return "/name " + e.Text
	case e.Kind == kindFile && e.File != nil:
		return "/file " + strconv.FormatInt(e.File.Size, 10) + " " + e.Text
	case e.Kind == kindFile:
		return "/deleted"
	case e.Kind == kindEdit:
		return "/edit " + strconv.FormatInt(e.Of, 10) + " " + e.Text
	case e.Kind == kindDelete:
		return "/delete " + strconv.FormatInt(e.Of, 10)
	case e.Kind == kindSay && e.Text == "":
		return "/deleted"
	case e.Kind != kindSay:
		return "/" + e.Kind
	case strings.HasPrefix(e.Text, "/"):
		return "/" + e.Text
	}
	return e.Text
}

// lineName is a name without what would end it: a colon.
func lineName(name string) string {
	return strings.TrimSpace(strings.ReplaceAll(beginning(name, 2*maxName), ":", " "))
}
