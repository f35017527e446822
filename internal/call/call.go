// Package call is the vocabulary in which rooms speak about a call: the link a reader followed, the states a
// call goes through, what an open desk is told, and the word that is left when nobody answered. It decides
// nothing; deciding is chbroker's.
package call

import (
	"errors"
	"net/netip"
	"time"

	"chmail/internal/message"
)

// ErrNoLink is the one answer to a token that is unknown, malformed, expired or revoked. Nobody outside can tell
// these apart, by text or by time (design 4).
var ErrNoLink = errors.New("no such chat link")

// Link is what a chat link stands for: its owner and the mail that carries it.
type Link struct {
	ID      int64  // row in the broker's table of links; the token itself is kept nowhere
	Login   string // the owner
	Name    string // the owner's display name; "" when he has none
	Host    string // chat host as in CH-Host, without port
	Port    int    // the owner's chat port at this moment; 0 when he has none and the chat runs through the web port
	Mail    message.Summary
	Created time.Time
	Expires time.Time
	Revoked bool  // its owner has switched it off; Resolve finds no such link
	Terms   Terms // on which its owner is rung for whoever follows it; "": on those of his account
}

// Terms are what an owner wants to know before he is rung for somebody who has followed a link (hazards 2, 3).
type Terms string

// The terms.
const (
	AtOnce     Terms = "at-once"     // that a person seems to be there
	AfterWords Terms = "after-words" // that a person is there: he has written something
	Proved     Terms = "proved"      // who he is, by a mail address that he has proved
)

// Known tells whether these are terms that there are, or "".
func (t Terms) Known() bool {
	switch t {
	case "", AtOnce, AfterWords, Proved:
		return true
	}
	return false
}

// Source says through what a sign of life came; it begins the field's name in the presence map (interfaces.md).
type Source string

// The sources. A mail client is told apart from another by address and EHLO name, a device by the id that it was given.
const (
	SMTP Source = "smtp"
	POP3 Source = "pop3"
	Desk Source = "desk"
)

// Sign is a sign of life of a login: he signed in somewhere, or did something where he is signed in (R2).
type Sign struct {
	Login  string
	Source Source
	Device string // id of an open desk; "" for a mail client
	IP     netip.Addr
	Host   string // what the client called itself (EHLO); "" where the protocol has no such name
}

// Card is what the broker gives a mail before it goes out (R3, R4): who its sender is at the CH server, where his chats are, and a fresh link.
type Card struct {
	Login   string
	Name    string // the login's own display name; "" when he has none
	Host    string // chat host for CH-Host, without port
	Port    int    // 0 when none could be had: the mail then carries no CH-Port
	URL     string // https://HOST/c/TOKEN; the only place where the token stands in clear
	Hash    []byte // of the token: what the database keeps
	Expires time.Time
}

// Manner is how a login wants his mail to be stamped: what his account is set to.
type Manner struct {
	Chat        string // "on", "header-only" or "off"; "" leaves it to the server's configuration
	Language    string // of the chat line and of notices: "en", "ja", "ko"; "" is English
	PublishHost bool   // CH-Host carries where he was seen last, not the chat host (R4)
}

// State is what the reader is told about the call, in the words of the chat socket's "call" frame (interfaces.md).
type State string

// The states. Opened is the first; Answered, Declined and Noticed end the asking, though a later sign of the owner
// leads from Noticed, Away and Unknown through Back to Ringing while the reader still waits.
const (
	Opened   State = "opened"   // intent seen; the owner's desks show the visit, silently
	Unproved State = "unproved" // the owner is rung for proved addresses only: it rings once the reader has proved one
	Silent   State = "silent"   // whether a person is there is not certain enough: it rings once he has said something
	Ringing  State = "ringing"  // at least one device of the owner has been asked to sound
	Answered State = "answered" // the owner is in the conversation
	Declined State = "declined" // the owner said no
	Moment   State = "moment"   // the owner said that he will be there in a moment; if he is not, another ring follows by itself
	Retrying State = "retrying" // nobody answered this ring; another follows by itself
	Leaving  State = "leaving"  // nobody answered, or nothing there can ring: he is left word in a moment, with what the reader writes
	Away     State = "away"     // his evidence ran out: he is off, and has been left word
	Unknown  State = "unknown"  // there never was a sign of him: could not be reached, and has been left word
	Noticed  State = "noticed"  // on, but nobody answered or nothing there can ring: he has been left word
	Back     State = "back"     // a new sign of the owner while the reader waits; ringing follows
	Left     State = "left"     // the owner had answered and is gone; when the reader speaks, he is called again
	Ended    State = "ended"    // the owner has ended the conversation: nothing more is said in it, and it calls nobody
)

// Visit is a reader who has shown intent: a person is there and wants to talk.
type Visit struct {
	Conv   string     // conversation (link, visitor)
	Link   Link       // the link he followed
	Who    string     // how he calls himself; "" when he has not said
	Peer   netip.Addr // where he is; the zero Addr when that is not known. Calls are limited by networks
	Opened time.Time  // when his page was opened; the alarm sounds only once it is two seconds old (hazards 2)
	Spoke  bool       // he has said something: whatever happens, this was a person
	Proved string     // the mail address that he has proved to be his in this conversation; "" for none
}

// AlertKind says what a device is to do with an Alert. The words are those of the desk socket's frames.
type AlertKind string

// The kinds of alert.
const (
	AlertVisit   AlertKind = "visit"   // show somebody on the page, without sound
	AlertRing    AlertKind = "ring"    // sound, title, notification; answer with "rung" once done
	AlertSilence AlertKind = "silence" // stop it: answered elsewhere, declined, withdrawn, or over
)

// Alert is one thing an open device of the owner is told.
type Alert struct {
	Kind   AlertKind
	Call   string    // id of the call
	Conv   string    // conversation it is about
	Who    string    // how the reader calls himself; "" when unknown
	Proved string    // a mail address that he has proved to be his; "" for none
	About  string    // subject of the mail whose link was followed
	At     time.Time // when the reader began to call
	Missed bool      // this call is over: he is told, with sound, what he missed while he was away (design 6.5)
	Quiet  bool      // without sound, whatever it is
}

// Rest says that an owner does not want to be disturbed: nothing rings for him, whoever calls. The zero Rest is none.
type Rest struct {
	On    bool
	Until time.Time // when it ends by itself; zero: when he ends it
	// Quiet says that it is his quiet hours, in which nothing rings either, and Turns when such hours begin or end next; zero: never. Whoever asks for a rest leaves
	// both out.
	Quiet bool
	Turns time.Time
}

// Word is what is left for an owner who could not be reached, as a mail in the original's thread (R11).
type Word struct {
	Login string
	Link  Link
	Conv  string
	Who   string    // how the reader calls himself; "" when unknown
	Calls int       // how many calls this word stands for, at least 1
	At    time.Time // when the first of them began
	Last  time.Time // when the last of them did
}
