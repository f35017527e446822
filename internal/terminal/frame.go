package terminal

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// frame is any frame that the server sends (docs/protocol.md).
type frame struct {
	T       string `json:"t"`
	Name    string `json:"name"`
	Text    string `json:"text"`
	CID     string `json:"cid"`
	Last    int64  `json:"last"`
	Owner   string `json:"owner"`
	About   string `json:"about"`
	State   string `json:"state"`
	Wants   string `json:"wants"`
	Reason  string `json:"reason"`
	AfterMS int64  `json:"after_ms"`
	Code    string `json:"code"`
	happening
}

// happening is what only an event's frame has, and N an acknowledgement's, too.
type happening struct {
	N    int64     `json:"n"`
	Of   int64     `json:"of"`
	Kind string    `json:"kind"`
	From string    `json:"from"`
	At   time.Time `json:"at"`
	File *File     `json:"file"`
}

// A File is a file that was sent.
type File struct {
	Size int64  `json:"size"` // octets
	URL  string `json:"url"`  // where a browser finds it, for a day; "" where the server is older
}

// readFrame reads a frame; false for what is none, which is passed over as a browser's page does.
func readFrame(body []byte) (frame, bool) {
	var f frame
	if err := json.Unmarshal(body, &f); err != nil || f.T == "" {
		return frame{}, false
	}
	return f, true
}

// joinFrame is the first that we send.
type joinFrame struct {
	T     string `json:"t"`
	V     int    `json:"v"`
	Token string `json:"token"`
	Last  int64  `json:"last"`
	Name  string `json:"name,omitempty"`
	URLs  bool   `json:"urls"` // of files: no browser has our cookie
}

// sayFrame is any other: of intent, name, say, edit and delete, those fields that it has.
type sayFrame struct {
	T    string `json:"t"`
	CID  string `json:"cid,omitempty"`
	N    int64  `json:"n,omitempty"`
	Text string `json:"text,omitempty"`
	Name string `json:"name,omitempty"`
}

// An Update is what the client tells whoever shows the conversation: Up, Down, Call, Event, Sent, Refused or Anew.
type Update any

// Up: the line is up.
type Up struct {
	Owner, About, Name string // how the owner is called, the mail's subject, and how we are called as far as the server knows
	Last               int64  // the newest event there is
	Wants              string // what has to be done before the owner is called, as a Call's State will be; "": begin to write
}

// Down: the line is down; it is tried again after Wait.
type Down struct{ Wait time.Duration }

// Call is where the call stands: a word of docs/protocol.md, such as "ringing".
type Call struct{ State string }

// An Event is one numbered thing that happened in the conversation, in order and without a gap.
type Event struct {
	N    int64
	Kind string // "say", "file", "edit", "delete", "join", "leave", "name", "ended", or one that is newer than this program
	Of   int64  // the message that is changed or taken back
	Mine bool   // of the reader's side
	Name string // the reader's, on his events
	Text string // "" of a message, or a file, that was taken back
	File *File  // of a file that was not taken back, whose name is Text
	At   time.Time
	CID  string // of a message that Say has returned and that was not Sent yet: it is that one
}

// Sent: a message is on the server's disk as event N.
type Sent struct {
	CID string
	N   int64
}

// Refused: a message was not taken and never will be.
type Refused struct{ CID, Text string }

// Anew: forget every event, they all come again.
type Anew struct{}

// maxUnits is how long a message may be, in UTF-16 code units.
const maxUnits = 4000

// Pieces makes messages of what somebody typed or pasted: without what the server does not take, and cut where it is too long, at a
// line's or a word's end where there is one. Nothing but blanks is no message.
func Pieces(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	var all []string
	for text = strings.TrimSpace(text); text != ""; {
		n := fitting(text)
		all = append(all, strings.TrimSpace(text[:n]))
		text = strings.TrimSpace(text[n:])
	}
	return all
}

// fitting is how many bytes of a text make one message.
func fitting(text string) int {
	units, line, word := 0, 0, 0
	for i, r := range text {
		units++
		if r > 0xffff {
			units++
		}
		if units > maxUnits {
			switch {
			case line > i/2:
				return line
			case word > i/2:
				return word
			}
			return i
		}
		switch {
		case r == '\n':
			line = i
		case unicode.IsSpace(r):
			word = i
		}
	}
	return len(text)
}

// maxName is how long a name may be, in characters.
const maxName = 60

// cleanName makes one line of a name, short enough for the server.
func cleanName(name string) string {
	name = strings.Join(strings.Fields(strings.ReplaceAll(Safe(strings.ToValidUTF8(name, "")), "\uFFFD", "")), " ")
	for utf8.RuneCountInString(name) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return strings.TrimSpace(name)
}
