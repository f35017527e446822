package chatd

import "bytes"

// A dialect is what a connection on a chat port begins to speak.
type dialect int

// The dialects. What begins as HTTP is HTTP to its end: no byte of it reaches the line protocol (hazards 3, CERT VU#476267).
const (
	unknown dialect = iota // nothing that is spoken here
	unclear                // more bytes are needed
	inTLS
	inHTTP
	inLines
)

// sniffMost is how many bytes decide at the latest.
const sniffMost = len("RESUME ")

// sniff tells by a connection's first bytes what it speaks. A line protocol's first word is one of two; everything else that begins
// like a request's method, a token of capital letters, is given to the HTTP parser, which refuses what it does not know.
func sniff(b []byte) dialect {
	if len(b) == 0 {
		return unclear
	}
	if b[0] == 0x16 { // a TLS handshake record (RFC 8446 5.1)
		return inTLS
	}
	for _, word := range []string{"JOIN ", "RESUME "} {
		n := min(len(b), len(word))
		if string(b[:n]) == word[:n] {
			if n < len(word) {
				return unclear
			}
			return inLines
		}
		// The bare word with the line's end is a mistake of our own guests': they get a line, not an answer to a browser.
		if n == len(word) && string(b[:n-1]) == word[:n-1] && (b[n-1] == '\r' || b[n-1] == '\n') {
			return unknown
		}
	}
	if b[0] < 'A' || b[0] > 'Z' {
		return unknown
	}
	return inHTTP
}

// likeHTTP tells whether a line is the beginning of an HTTP request, whatever its first word.
func likeHTTP(line []byte) bool {
	return bytes.Contains(bytes.ToUpper(line), []byte(" HTTP/"))
}
