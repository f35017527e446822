package pop3d

import (
	"fmt"
	"io"
)

// reply is what a command answers. The loop writes it, counts it and acts on it.
type reply struct {
	ok    bool
	fault bool   // the client's own mistake; too many of them end the session
	code  string // extended response code without its brackets (RFC 2449 8, RFC 3206)
	text  string
	// body writes the lines that follow the first of a multi-line response, and the lone dot. It is called once whatever happened to the
	// first line, so that it can let go of what it holds. Its error ends the connection without the dot: what
	// was sent must not look complete.
	body func(io.Writer) error
	then func() error // after the reply has left; its error ends the connection
	gone error        // the connection ended within the command; nothing can be said any more
	end  string       // close after the reply; the reason, for the log
}

// fine is +OK.
func fine(format string, args ...any) reply {
	return reply{ok: true, text: fmt.Sprintf(format, args...)}
}

// refusal is an -ERR which is not the client's mistake, or one that a well-meaning client makes.
func refusal(code, format string, args ...any) reply {
	return reply{code: code, text: fmt.Sprintf(format, args...)}
}

// ending has the connection close behind the reply.
func (r reply) ending(why string) reply {
	r.end = why
	return r
}

// fault is an -ERR for what no client in order sends.
func fault(format string, args ...any) reply {
	return reply{fault: true, text: fmt.Sprintf(format, args...)}
}

// The extended response codes in use. SYS/TEMP tells a client that its password is not to blame and that it can come back.
const (
	codeTemp  = "SYS/TEMP"    // RFC 3206 4
	codeAuth  = "AUTH"        // RFC 3206 5
	codeDelay = "LOGIN-DELAY" // RFC 2449 8.1.1
)

// line is the first line of the reply, with its end.
func (r reply) line(b []byte) []byte {
	if r.ok {
		b = append(b, "+OK"...)
	} else {
		b = append(b, "-ERR"...)
	}
	if r.code != "" {
		b = append(append(append(b, " ["...), r.code...), ']')
	}
	if r.text != "" {
		b = append(append(b, ' '), r.text...)
	}
	return append(b, "\r\n"...)
}
