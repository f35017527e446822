package smtpd

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"chmail/internal/address"
	"chmail/internal/message"
)

// Lengths of lines in octets, CRLF included. RFC 5321 4.5.3.1.4 asks for 512 and lets every extension add to it; RFC 4954 4 asks for
// 12288 in an AUTH exchange.
const (
	maxCommand = 2048
	maxAuth    = 12288 + 2
)

var (
	errBareCommand = message.Refuse(500, [3]int{5, 5, 2}, "a bare CR or LF in a command: lines end in CRLF")
	errLongCommand = message.Refuse(500, [3]int{5, 5, 2}, "command line too long")
	errChunkSyntax = message.Refuse(501, [3]int{5, 5, 4}, "BDAT takes a size and perhaps LAST")
	errChunkSize   = message.Refuse(552, [3]int{5, 3, 4}, "this chunk is larger than any mail may be")
	errNotSMTP     = message.Refuse(554, [3]int{5, 5, 1}, "this port speaks SMTP")
	errRenew       = message.Refuse(503, [3]int{5, 5, 1}, "EHLO again: what was said before TLS is forgotten")
	errMidMail     = message.Refuse(503, [3]int{5, 5, 1}, "a mail is under way: BDAT or RSET")
	errEightBit    = message.Refuse(500, [3]int{5, 5, 2}, "a command begins with letters")
)

// verb is the command of a line, its first four octets in upper case; "STAR" stands for STARTTLS, as it does for go-smtp.
func verb(line []byte) [4]byte {
	var v [4]byte
	copy(v[:], line)
	for i, c := range v {
		if c >= 'a' && c <= 'z' {
			v[i] = c - 'a' + 'A'
		}
	}
	return v
}

// checkLine holds a command line, CRLF included, to RFC 5321 2.3.8: it ends in CRLF and has no other CR. Its first four octets must be ASCII, so
// that go-smtp's Unicode folding cannot read another command than the gate; unless the line is part of a SASL exchange.
func checkLine(line []byte, sasl bool) *message.Refusal {
	end := len(line) - 2
	if end < 0 || line[end] != '\r' || bytes.IndexByte(line[:end], '\r') >= 0 {
		return errBareCommand
	}
	for _, c := range line[:min(4, end)] {
		if c >= 0x80 && !sasl {
			return errEightBit
		}
	}
	return nil
}

// isForeign tells whether a client's first line is HTTP, which a browser can be made to send here.
func isForeign(line []byte) bool {
	for _, m := range [...]string{"GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "PATCH ", "DELETE "} {
		if len(line) >= len(m) && string(line[:len(m)]) == m {
			return true
		}
	}
	return false
}

// parseChunk reads a BDAT line (RFC 3030 2). When it is not well-formed, nobody knows where the next command begins.
func parseChunk(line []byte) (size int64, last bool, ok bool) {
	rest := string(line[len("BDAT") : len(line)-2])
	if rest == "" || rest[0] != ' ' {
		return 0, false, false
	}
	digits, tail, _ := strings.Cut(strings.Trim(rest, " "), " ")
	n, err := strconv.ParseUint(digits, 10, 32)
	tail = strings.Trim(tail, " ")
	if err != nil || tail != "" && !strings.EqualFold(tail, "LAST") {
		return 0, false, false
	}
	return int64(n), tail != "", true
}

// path is the address in a MAIL or RCPT command as the gate read it.
type path struct {
	addr address.Address
	err  error
	wide bool // has octets beyond ASCII, in whatever part
}

// parsePath reads the path of a line "MAIL FROM:<…> …" or "RCPT TO:<…> …", CRLF included, and returns what follows it. go-smtp reads it too, but gives the
// local part unquoted and accepts more than one @ (libraries S10). Spaces before the path and missing brackets are common and harmless;
// a source route is dropped (RFC 5321 appendix C). The null path is the zero Address; "postmaster" may stand without a domain.
func parsePath(line []byte, keyword string) (p path, rest string) {
	p.err = address.ErrSyntax
	s := strings.TrimSpace(string(line[len("RCPT"):]))
	if line[len("RCPT")] != ' ' || len(s) < len(keyword) || !strings.EqualFold(s[:len(keyword)], keyword) {
		return p, ""
	}
	s = strings.TrimSpace(s[len(keyword):])
	if inner, bracketed := strings.CutPrefix(s, "<"); bracketed {
		end := pathEnd(inner)
		if end < 0 {
			return p, ""
		}
		s, rest = inner[:end], inner[end+1:]
	} else if i := strings.IndexByte(s, ' '); i >= 0 {
		s, rest = s[:i], s[i:]
	}
	p.wide = !isASCII(s)
	if strings.HasPrefix(s, "@") {
		if _, s, _ = strings.Cut(s, ":"); s == "" {
			return p, rest
		}
	}
	switch {
	case s == "":
		p.err = nil
	case strings.EqualFold(s, "postmaster"):
		p.addr.Local, p.err = "postmaster", nil
	default:
		p.addr, p.err = address.Parse(s)
	}
	return p, rest
}

// boundSize returns a MAIL line, of which rest is what follows the path, with the largest number that go-smtp can read in place of any larger SIZE:
// go-smtp would say that it is no number.
func boundSize(line []byte, rest string) []byte {
	words := strings.Fields(rest)
	bounded := false
	for i, word := range words {
		name, digits, _ := strings.Cut(word, "=")
		if !strings.EqualFold(name, "SIZE") || digits == "" || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		if n, err := strconv.ParseUint(digits, 10, 64); err != nil || n > math.MaxUint32 {
			words[i], bounded = name+"="+strconv.FormatUint(math.MaxUint32, 10), true
		}
	}
	if !bounded {
		return line
	}
	head := bytes.TrimSuffix(bytes.TrimSpace(line), []byte(rest))
	return []byte(string(head) + " " + strings.Join(words, " ") + "\r\n")
}

// pathEnd finds the > that ends a path; one within a quoted string does not.
func pathEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == '>' && !quoted:
			return i
		}
	}
	return -1
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
