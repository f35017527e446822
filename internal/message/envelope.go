package message

import (
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"time"

	"chmail/internal/address"
)

// Envelope is what SMTP said about a mail before its bytes came.
type Envelope struct {
	ID       string            // queue id, made at MAIL: NewID
	From     address.Address   // zero: null sender
	To       []address.Address // accepted recipients in the order they were given
	Drops    [][]string        // of each of To, the logins whose maildrops take the mail; none: it goes to another host
	Shared   []bool            // of them, those whose address led to several maildrops, whoever is left of these; shorter: not the rest
	Login    string            // authenticated login; "" for mail from outside
	SignedIn time.Time         // before Login's password was checked; zero without Login
	Peer     netip.Addr
	Helo     string    // EHLO name as the client gave it: not to be printed unchecked
	TLS      string    // e.g. "TLS1.3"; "" for plaintext
	UTF8     bool      // SMTPUTF8 was given
	Began    time.Time // MAIL: before the first recipient was looked for
	Received time.Time // DATA
	Params   Params
}

// Params are the wishes of an envelope that concern other hosts.
type Params struct {
	Ret        string      // how much of the mail a report brings back: "FULL", "HDRS", or "" where that was not said (RFC 3461 4.3)
	EnvID      string      // the sender's own name for the mail, in xtext as it came (RFC 3461 4.4)
	RequireTLS bool        // it must not go by an unprotected way (RFC 8689)
	Rcpt       []RcptParam // of each of the recipients; nil: none had any
}

// RcptParam are the wishes of one recipient's RCPT.
type RcptParam struct {
	Notify string // "NEVER", or some of "SUCCESS,FAILURE,DELAY"; "" not said (RFC 3461 4.1)
	ORcpt  string // whom the mail was for at first: "rfc822;xtext" (RFC 3461 4.2)
}

// Box is how an account's maildrop is set.
type Box struct {
	Quota int64 `json:"quota"`               // octets that it may hold; 0: any number
	Own   bool  `json:"quota_set,omitempty"` // that is the account's own, and not what the configuration says of all
	Sent  bool  `json:"sent,omitempty"`      // a copy of each mail that the login sends is delivered to it
	Used  int64 `json:"used"`                // octets that it holds, where that was asked
}

// Full tells whether a maildrop that holds so many octets has no room for a mail of so many; 0 where its size is not known.
func (b Box) Full(used, size int64) bool {
	return b.Quota > 0 && (used >= b.Quota || size > b.Quota-used)
}

// Drop is a maildrop that a mail is for.
type Drop struct {
	Login string
	Quota int64 // as in Box
	Copy  bool  // it is its sender's own, who is no recipient: it may be left out
}

// Outgoing is a stored mail that goes to other hosts.
type Outgoing struct {
	Env      *Envelope
	To       []int // those of Env.To it goes to
	Message  int64 // under which it is stored
	Size     int64 // octets as stored,
	Skip     int64 // of which so many on top are the Return-Path, which is for maildrops alone (RFC 5321 4.4)
	EightBit bool  // it has octets above 127
	AnyTLS   bool  // its sender wants it to arrive even where a connection is not as safe as its recipient's domain demands (RFC 8689 3)
}

// NewID makes a queue id: 12 url-safe characters of 72 random bits, unique without asking anybody. None begins with a hyphen, which a command line would take for a flag.
func NewID() string {
	var b [9]byte
	for {
		// crypto/rand.Read never fails (it ends the program instead).
		rand.Read(b[:])
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// Stored is a message ready for the store: small ones in Body, large ones in the blob store under the name Blob, already fsynced.
type Stored struct {
	Body []byte
	Blob string
	Size int64 // octets, CRLF line ends, without dot-stuffing
	// Stamp is what the stamp of a submitted mail did, in words that begin with its kind: "header-only: multipart/signed". "" for other mail.
	Stamp string
}

// Summary is what a chat link and a notice need to know of a mail: decoded text in bounded lengths, safe to show as text.
type Summary struct {
	MessageID  string // with its angle brackets; "" when the mail has none
	Subject    string // decoded; at most 255 characters
	References string // message ids with brackets, separated by single spaces; at most 2 KiB, the oldest in the middle left out first
	FromName   string // display name of the From field, decoded; "" when none
	Recipients int    // envelope recipients
	Stamp      string // what the stamp did, as in Stored
	Date       time.Time
}

// Entry is one message of a maildrop as POP3 counts it (RFC 1939 5 and 7): its number in the session, its octets, its unique id.
type Entry struct {
	Number int
	Size   int64
	UID    string
}
