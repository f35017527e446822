package message

import "fmt"

// Refusal is a reply that a stranger may read, and beside it the cause for our own log. Everything that may be told to
// a client is one of these; any other error becomes a neutral reply at the edge.
type Refusal struct {
	Code     int    // SMTP reply code, 4yz or 5yz
	Enhanced [3]int // RFC 3463
	Text     string // one line, plain ASCII, no secrets
	Cause    error  // for the log only; may be nil
	Close    bool   // end the connection after the reply
}

// Refuse makes a refusal without a cause; usable as a package-level sentinel, since Because copies it.
func Refuse(code int, enh [3]int, text string) *Refusal {
	return &Refusal{Code: code, Enhanced: enh, Text: text}
}

// Because returns a copy of the refusal that carries err as its cause.
func (r *Refusal) Because(err error) *Refusal {
	c := *r
	c.Cause = err
	return &c
}

// Error is the text for the log, with the cause; the client gets Code, Enhanced and Text only.
func (r *Refusal) Error() string {
	s := fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], r.Text)
	if r.Cause != nil {
		s += " (" + r.Cause.Error() + ")"
	}
	return s
}

// Unwrap gives errors.Is and errors.As the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Reason is a cause that is no trouble of this server's, hence nothing for an administrator to look into.
type Reason string

// Error implements error.
func (r Reason) Error() string { return string(r) }
