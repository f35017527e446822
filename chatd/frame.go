package chatd

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"chmail/internal/call"
)

// The frames of the chat socket (interfaces.md, docs/protocol.md). What clients send is one type, decoded strictly enough that
// nothing odd passes and loosely enough that a newer page's extra fields do no harm.

const maxFrame = 64 << 10 // bytes of a client's frame

// A fault is why a connection or a message is refused, as the client may know it.
type fault struct{ code, text string }

func (f *fault) Error() string { return f.code + ": " + f.text }

// The faults. What is not there and what is somebody else's are one and the same.
var (
	faultLink    = &fault{"link", "this link does not work"}
	faultRemoved = &fault{"removed", "you have been removed from this conversation"} // to a guest
	faultRefused = &fault{"refused", "there is no such thing here for you"}
	faultFrame   = &fault{"frame", "this is no frame of the protocol"}
	faultVersion = &fault{"version", "this server speaks version 1"}
	faultCookie  = &fault{"cookie", "the visitor cookie is missing"}
	faultGap     = &fault{"gap", "begin again from the first event"}
	faultText    = &fault{"text", "only text, at most 4000 characters"}
	faultLine    = &fault{"line", "a line has at most 4096 bytes"}
	// faultSignedOut is also what the pages tell a desk whose session is over: it reloads, and asks to sign in.
	faultSignedOut = &fault{"signed-out", "sign in again"}
	faultFull      = &fault{"full", "this conversation is full"}
	faultEnded     = &fault{"ended", "this conversation has ended"}
	faultBusy      = &fault{"busy", "too much is asked for, try again later"}
	faultDevices   = &fault{"devices", "this conversation is open on as many devices as it can be"}
	// faultColleague is for every login that an owner cannot invite: none here, his own, or who was removed from this conversation.
	faultColleague = &fault{"colleague", "there is no such colleague whom you can invite"}
	faultGuests    = &fault{"guests", "this conversation has as many guests as it can have"}
	// faultCode is what every code gets that does not work, whatever the reason.
	faultCode = &fault{"code", "this code does not work"}
)

// frameIn is any frame that a client sends.
type frameIn struct {
	T     string  `json:"t"`
	V     int     `json:"v"`
	Token string  `json:"token"`
	Last  int64   `json:"last"`
	Name  *string `json:"name"`
	CID   string  `json:"cid"`
	Text  string  `json:"text"`
	Conv  string  `json:"conv"`
	Call  string  `json:"call"`
	N     int64   `json:"n"`
	On    bool    `json:"on"`
	URLs  bool    `json:"urls"`
	Lang  string  `json:"lang"`
	All   bool    `json:"all"`
	Who   int64   `json:"who"`
}

// decodeFrame reads a client's frame. Every error is faultFrame: what exactly was wrong concerns whoever wrote the client.
func decodeFrame(body []byte) (frameIn, error) {
	var f frameIn
	if len(body) > maxFrame {
		return frameIn{}, faultFrame
	}
	if err := json.Unmarshal(body, &f); err != nil {
		return frameIn{}, fmt.Errorf("%w: %w", faultFrame, errors.New("not JSON of the right shape"))
	}
	if f.T == "" || f.Last < 0 || f.N < 0 || len(f.Conv) > maxCID || len(f.Call) > maxCID || len(f.Token) > maxCID {
		return frameIn{}, faultFrame
	}
	return f, nil
}

type joinedFrame struct {
	T     string `json:"t"`
	Conv  string `json:"conv"` // "" as long as nobody has shown intent
	Last  int64  `json:"last"`
	Owner string `json:"owner"`
	About string `json:"about"`
	Name  string `json:"name,omitempty"`  // the visitor's or guest's, as he gave it before
	Who   int64  `json:"who,omitempty"`   // a guest's number
	First int64  `json:"first,omitempty"` // and the first event that he may see
	Login string `json:"login,omitempty"` // and his account's, if he is a colleague
	// Wants is what a reader has to do before the owner is called, as the call's state will be; "": show himself.
	Wants call.State `json:"wants,omitempty"`
}

type ackFrame struct {
	T    string `json:"t"`
	Conv string `json:"conv"`
	CID  string `json:"cid"`
	N    int64  `json:"n"`
}

type callFrame struct {
	T     string     `json:"t"`
	Conv  string     `json:"conv"`
	State call.State `json:"state"`
}

// A farewell is why the server hangs up, and when the client may come back.
type farewell struct {
	T       string `json:"t"`
	Reason  string `json:"reason"`
	AfterMS int64  `json:"after_ms"`
}

func bye(reason string, after time.Duration) farewell {
	return farewell{T: "bye", Reason: reason, AfterMS: after.Milliseconds()}
}

type errorFrame struct {
	T    string `json:"t"`
	Code string `json:"code"`
	Text string `json:"text"`
	Conv string `json:"conv,omitempty"`
	CID  string `json:"cid,omitempty"` // of the one message that is refused; the connection stays
}

type alertFrame struct {
	T      string `json:"t"`
	Call   string `json:"call"`
	Conv   string `json:"conv,omitempty"`
	Who    string `json:"who,omitempty"`
	Proved string `json:"proved,omitempty"` // the mail address that the reader has proved to be his
	About  string `json:"about,omitempty"`
	At     string `json:"at,omitempty"` // when the call began
	Missed bool   `json:"missed,omitempty"`
	Quiet  bool   `json:"quiet,omitempty"`
}

func newAlert(a call.Alert) alertFrame {
	f := alertFrame{T: string(a.Kind), Call: a.Call, Conv: a.Conv, Who: a.Who, Proved: a.Proved, About: a.About, Missed: a.Missed, Quiet: a.Quiet}
	if !a.At.IsZero() && a.Kind != call.AlertSilence {
		f.At = a.At.UTC().Format(time.RFC3339Nano)
	}
	return f
}

// readerFrame tells the owner's devices whether a conversation's visitor is there.
type readerFrame struct {
	T    string `json:"t"`
	Conv string `json:"conv"`
	Here bool   `json:"here"`
}

// seenFrame tells the owner's devices how far he has read.
type seenFrame struct {
	T    string `json:"t"`
	Conv string `json:"conv"`
	N    int64  `json:"n"`
}

// listFrame tells a desk, when its line comes up, how its conversations stand: what happened while it was down would otherwise be missing
// from the list.
type listFrame struct {
	T     string      `json:"t"`
	Talks []talkFrame `json:"talks"`
}

type talkFrame struct {
	Conv   string    `json:"conv"`
	Who    string    `json:"who"`
	About  string    `json:"about"`
	Text   string    `json:"text"`
	State  string    `json:"state"`
	Here   bool      `json:"here"` // the visitor is
	Unread int       `json:"unread"`
	Last   int64     `json:"last"` // the newest event that is counted in all this
	At     time.Time `json:"at"`
}

func newList(talks []Talk) listFrame {
	f := listFrame{T: "list", Talks: make([]talkFrame, 0, len(talks))}
	for _, t := range talks {
		f.Talks = append(f.Talks, talkFrame{t.ID, t.Who, t.About, t.Text, t.State, t.Here, t.Unread, t.Last, t.At.UTC()})
	}
	return f
}

// The sides of a conversation, as events name them.
const (
	visitor = "visitor"
	owner   = "owner"
)

// The kinds of events.
const (
	kindSay   = "say"
	kindJoin  = "join"  // a side has come in
	kindLeave = "leave" // its last connection has been gone for a while
	kindFile  = "file"  // a side has sent a file; Text is its name
	kindName  = "name"  // the visitor says how he is called; Text is the name
	kindEnded = "ended" // the owner has ended the conversation
)

// An event is one numbered thing that happened in a conversation. It never changes for whoever has it; for those who come later, its text is as it was changed
// last, "" once it was taken back.
type event struct {
	N     int64
	Kind  string
	From  string // visitor, owner or guest.N
	CID   string // the client's id of a message; "" for what no client said
	At    time.Time
	Text  string
	Of    int64  // number of the message that is changed or taken back
	Name  string // a guest's, on his events
	Login string // and his account's, if he is a colleague
	File  *File  // of a file, whose name is Text; nil once it was taken back

	wire []byte // the frame, made once for everybody
}

type eventFrame struct {
	T     string `json:"t"`
	Conv  string `json:"conv"`
	N     int64  `json:"n"`
	Kind  string `json:"kind"`
	From  string `json:"from"`
	Who   int64  `json:"who,omitempty"`   // a guest's number
	Name  string `json:"name,omitempty"`  // the visitor's or a guest's, on his events
	Login string `json:"login,omitempty"` // of a guest who is a colleague: this server knows who he is
	At    string `json:"at"`
	Text  string `json:"text,omitempty"`
	CID   string `json:"cid,omitempty"`
	Of    int64  `json:"of,omitempty"`
	File  *File  `json:"file,omitempty"`
}

// encode makes the event's frame; name is the visitor's.
func (e *event) encode(conv, name string) error {
	f := eventFrame{T: "event", Conv: conv, N: e.N, Kind: e.Kind, From: e.From, At: e.At.UTC().Format(time.RFC3339Nano), Text: e.Text, CID: e.CID, Of: e.Of, File: e.File}
	switch f.From, f.Who = publicSide(e.From); f.From {
	case visitor:
		f.Name = name
	case "guest":
		f.Name, f.Login = e.Name, e.Login
	}
	var err error
	if e.wire, err = json.Marshal(f); err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	return nil
}
