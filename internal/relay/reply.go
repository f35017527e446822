package relay

import (
	"bufio"
	"bytes"
	"errors"
	"strings"

	"chmail/internal/delivery"
)

// Bounds of one reply. RFC 5321 4.5.3.1.5 allows 512 octets to a line; some servers write more, and none needs this much.
const (
	maxReplyLine  = 2048 // octets, line end included
	maxReplyLines = 128
)

// errReply says that what came is no SMTP reply, or one beyond all bounds.
var errReply = errors.New("what came is no SMTP reply")

// reply is what a server answers to a command (RFC 5321 4.2).
type reply struct {
	code     int
	enhanced [3]int   // RFC 2034; without one X.0.0
	lines    []string // without codes, as they came
}

// is tells whether the reply is of a class: 2 is done, 3 go on, 4 not now, 5 no.
func (r *reply) is(class int) bool { return r.code/100 == class }

// readReply reads one reply. Where the lines of one differ in their code, the last line's counts, since it is the one that ends the reply.
func readReply(in *bufio.Reader) (reply, error) {
	var r reply
	for len(r.lines) < maxReplyLines {
		line, err := readLine(in)
		if err != nil {
			return reply{}, err
		}
		code, more, text, ok := splitReply(line)
		if !ok {
			return reply{}, errReply
		}
		enhanced, text := cutEnhanced(code, text)
		r.lines = append(r.lines, text)
		if !more {
			r.code, r.enhanced = code, enhanced
			return r, nil
		}
	}
	return reply{}, errReply
}

// readLine returns a line without its end, which may be a bare LF. It is valid until the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errReply
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func splitReply(line []byte) (code int, more bool, text string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, false, "", false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false, "", false
		}
		code = code*10 + int(c-'0')
	}
	if len(line) > 3 {
		if line[3] != ' ' && line[3] != '-' {
			return 0, false, "", false
		}
		more, text = line[3] == '-', string(line[4:])
	}
	return code, more, text, true
}

// cutEnhanced takes the enhanced code from the front of a reply line (RFC 2034 4). It must be of the reply's class; where there is none, the class stands alone.
func cutEnhanced(code int, text string) (enhanced [3]int, rest string) {
	class := code / 100
	none := [3]int{class, 0, 0}
	word, rest, _ := strings.Cut(text, " ")
	var e [3]int
	parts := strings.Split(word, ".")
	if len(parts) != 3 || class == 3 {
		return none, text
	}
	for i, p := range parts {
		if p == "" || len(p) > 3 {
			return none, text
		}
		for _, c := range []byte(p) {
			if c < '0' || c > '9' {
				return none, text
			}
			e[i] = e[i]*10 + int(c-'0')
		}
	}
	if e[0] != class {
		return none, text
	}
	return e, rest
}

// verdict is the reply as the verdict of a recipient.
func (r *reply) verdict() delivery.Verdict {
	return delivery.Verdict{
		Code: r.code, Enhanced: r.enhanced, Text: delivery.Line(strings.Join(r.lines, " ")), Temporary: r.is(4),
	}
}

// failure is a verdict without a reply: whether it holds for good is what its class, 4 or 5, says.
func failure(class, subject, detail int, text string) *delivery.Verdict {
	return &delivery.Verdict{Enhanced: [3]int{class, subject, detail}, Text: delivery.Line(text), Temporary: class == 4}
}
