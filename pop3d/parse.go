package pop3d

import (
	"strconv"
	"strings"
)

// command is one line of a client: the verb in upper case and what followed the first space, byte for byte, since in PASS
// spaces belong to the password (RFC 1939 7).
type command struct{ verb, arg string }

// maxVerb is the length of a verb that is worth looking up; all of RFC 1939 and its extensions have three or four letters.
const maxVerb = 8

// parse reads a line without its end. What it refuses is no command whatever the state: an empty line, a verb that is not made
// of letters and digits, or control characters, which no argument may hold (RFC 1939 3) and which could be taken for a line end by
// whatever reads our log or stands between. Octets above 127 pass: passwords have them.
func parse(line []byte) (command, bool) {
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return command{}, false
		}
	}
	verb, arg := string(line), ""
	if i := strings.IndexAny(verb, " \t"); i >= 0 {
		verb, arg = verb[:i], verb[i+1:]
	}
	if verb == "" || len(verb) > maxVerb {
		return command{}, false
	}
	for i := 0; i < len(verb); i++ {
		if c := verb[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return command{}, false
		}
	}
	return command{verb: strings.ToUpper(verb), arg: arg}, true
}

// words splits an argument at spaces and tabs, however many there are: Windows Mail sends two (hazards 33).
func (c command) words() []string {
	return strings.FieldsFunc(c.arg, func(r rune) bool { return r == ' ' || r == '\t' })
}

// bare tells that nothing but white space followed the verb.
func (c command) bare() bool { return strings.Trim(c.arg, " \t") == "" }

// numbers reads exactly want unsigned decimal numbers.
func (c command) numbers(want int) ([]int, bool) {
	words := c.words()
	if len(words) != want {
		return nil, false
	}
	all := make([]int, want)
	for i, w := range words {
		n, ok := number(w)
		if !ok {
			return nil, false
		}
		all[i] = n
	}
	return all, true
}

// number reads digits only; what is beyond every maildrop and message becomes maxNumber rather than an error.
func number(s string) (int, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxNumber {
		return maxNumber, s != ""
	}
	return int(n), true
}

// maxNumber bounds message numbers and the lines of TOP.
const maxNumber = 1<<31 - 1
