// Package smuggling is the table of what one mail server or another has taken for the end of a mail (SMTP smuggling; hazards 1 and 2). Where two servers differ about
// it, a mail hides in a mail. What receives, what sends and the doctor who probes are all held against this one table.
package smuggling

import "strings"

// A Fate is what has to become of a sequence that stands within a mail.
type Fate int

// The fates.
const (
	End  Fate = iota // in DATA it is the end of the mail (RFC 5321 4.1.1.4), the only one; a stored mail may hold it, and a sender adds a dot
	Bare             // a CR or LF stands alone (RFC 5321 2.3.8): no mail that holds it comes in, and none goes out
	Text             // a mail may well hold it, as text
)

// A Variant is one sequence.
type Variant struct {
	Seq  string
	Fate Fate
}

// String writes it so that it can be read: "CRLF.LF".
func (v Variant) String() string {
	return strings.NewReplacer("\r\n", "CRLF", "\r", "CR", "\n", "LF", "\x00", "NUL", " ", "SP", "\u2028", "U+2028", "\u0085", "U+0085", "\x0b", "VT", "\x1a", "SUB").Replace(v.Seq)
}

// Variants is the table. Only the first is the end of a mail.
func Variants() []Variant {
	return []Variant{
		{"\r\n.\r\n", End},
		{"\n.\n", Bare},
		{"\n.\r\n", Bare},
		{"\r\n.\n", Bare},
		{"\r\n.\n\n", Bare},
		{"\r.\r", Bare},
		{"\r.\r\n", Bare},
		{"\r\n.\r", Bare},
		{"\n.\r", Bare},
		{"\r.\n", Bare},
		{"\r\r\n.\r\r\n", Bare},
		{"\r\n.\r\r\n", Bare},
		{"\r\r\n.\r\n", Bare},
		{"\n\n.\n\n", Bare},
		{"\r\n\r.\r\n", Bare},
		{"\r\n\n.\r\n", Bare},
		{"\n\r\n.\r\n", Bare},
		{"\n\r.\r\n", Bare},
		{"\r\n.\n\r\n", Bare},
		{"\n..\n", Bare},
		{"\n", Bare},
		{"\r", Bare},
		{"\r\n..\r\n", Text},
		{"\r\n. \r\n", Text},
		{"\r\n .\r\n", Text},
		{"\r\n.\x00\r\n", Text},
		{"\r\n\x00.\r\n", Text},
		{"\r\n\x00.\x00\r\n", Text},
		{"\r\n.\u2028\r\n", Text},
		{"\u0085.\u0085", Text},
		{"\u2028.\u2028", Text},
		{"\x0b.\x0b", Text},
		{"\r\n.\x1a\r\n", Text},
		{".\r\n", Text},
		{"\r\n.x\r\n", Text},
	}
}
