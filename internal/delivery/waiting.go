package delivery

import (
	"strings"
	"time"

	"chmail/internal/address"
)

// Filter chooses among the recipients that wait in the queue. Zero fields choose all of them.
type Filter struct {
	ID          string    `json:"id,omitempty"`          // queue id
	Login       string    `json:"login,omitempty"`       // who submitted the mail
	To          string    `json:"to,omitempty"`          // an address, or a domain: everybody there
	Destination string    `json:"destination,omitempty"` // where it goes, as Waiting has it
	Held        bool      `json:"held,omitempty"`        // only what is held
	Before      time.Time `json:"before,omitzero"`       // only what was accepted before
}

// Fits tells whether a recipient is chosen. Capitals make no difference in a domain, nor in a login.
func (f *Filter) Fits(w *Waiting) bool {
	return (f.ID == "" || f.ID == w.ID) && (f.Login == "" || strings.EqualFold(f.Login, w.Login)) && (f.To == "" || f.reaches(w.To)) &&
		(f.Destination == "" || strings.EqualFold(f.Destination, w.Destination)) && (!f.Held || w.Held != "") && (f.Before.IsZero() || w.At.Before(f.Before))
}

func (f *Filter) reaches(to string) bool {
	if !strings.Contains(f.To, "@") {
		domain := f.To
		if a, err := address.Parse("x@" + f.To); err == nil {
			domain = a.Domain // as the queue spells it
		}
		return strings.EqualFold(domain, to[strings.LastIndexByte(to, '@')+1:])
	}
	a, err := address.Parse(f.To)
	if err != nil {
		return strings.EqualFold(f.To, to)
	}
	b, err := address.Parse(to)
	return err == nil && a.Login() == b.Login()
}

// Waiting is a recipient who waits in the queue. Times are UTC.
type Waiting struct {
	Number      int64     `json:"number"` // a later one has a higher one
	ID          string    `json:"id"`     // queue id of the mail
	From        string    `json:"from"`   // envelope sender; "" is the null sender
	Login       string    `json:"login"`  // who submitted it; "" for the system's own
	To          string    `json:"to"`
	Destination string    `json:"destination"`
	Size        int64     `json:"size"` // octets
	At          time.Time `json:"at"`   // when it was accepted,
	Until       time.Time `json:"until"`
	Next        time.Time `json:"next"`              // when it is tried next, unless it is held; in the past: now
	Held        string    `json:"held,omitempty"`    // why it waits for somebody's word
	InWork      bool      `json:"in_work,omitempty"` // it is on its way this moment
	Tries       int       `json:"tries"`
	Last        *Attempt  `json:"last,omitempty"` // nil: none yet
}

// Attempt is one attempt to bring a mail to a recipient, which did not succeed.
type Attempt struct {
	N      int           `json:"n"` // 1, 2, 3 …
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took_ns"`
	Remote string        `json:"remote"` // "" when no server was reached
	TLS    string        `json:"tls"`    // "" plaintext
	Code   int           `json:"code"`   // 0: there was no reply
	Status string        `json:"status"` // RFC 3463
	Text   string        `json:"text"`   // the server's words, or ours where there was no reply
}

// Page is a part of what waits. It may be empty though more is to come.
type Page struct {
	Waiting []Waiting `json:"waiting"`
	Next    int64     `json:"next"` // go on behind this number; 0: that was all
	// Stopped are the logins whose mail is held as it comes, or the filter's alone, in the first page; a thousand at most.
	Stopped []Stop `json:"stopped,omitempty"`
}

// Stop is a login whose mail is held as it comes.
type Stop struct {
	Login string    `json:"login"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"` // since when; UTC
}

// Act is what an administrator can do with a recipient that waits.
type Act string

// The acts.
const (
	Retry   Act = "retry"   // try it now
	Hold    Act = "hold"    // leave it until it is released
	Release Act = "release" // let it go, now
	Fail    Act = "fail"    // give it up, with a report to its sender
	Drop    Act = "drop"    // remove it, and tell nobody
)

// Done is what became of one page of an Act.
type Done struct {
	Changed int   `json:"changed"` // recipients with whom it was done,
	InWork  int   `json:"in_work"` // who are on their way: left alone, or held or released if they still wait after that,
	Already int   `json:"already"` // who were as they should be: held, or not held,
	Held    int   `json:"held"`    // who are not tried, since they are held,
	Kept    int   `json:"kept"`    // and those whose sender's report could not be written: they stay
	Next    int64 `json:"next"`    // go on behind this number; 0: that was all
	// Holds says that what the login submits from now on is held as well.
	Holds bool `json:"holds,omitempty"`
	// Pardoned says that the login's mail is not held any more as it comes.
	Pardoned bool `json:"pardoned,omitempty"`
	// Stopped are logins of which mail was released here while what they send goes on being held.
	Stopped []string `json:"stopped,omitempty"`
	// Off says that nothing is sent at all, by the configuration.
	Off bool `json:"relay_off,omitempty"`
}
