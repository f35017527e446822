package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// A State is how something was found, in a word.
type State string

// The states of a finding.
const (
	OK   State = "ok"   // as it has to be
	Warn State = "warn" // it works, but something is missing that others have, or will soon fail
	Fail State = "fail" // something does not work, or not for everybody
	Skip State = "skip" // it cannot honestly be told from here
)

// A Finding is what was found out about one thing. It may hold what strangers have written into the DNS.
type Finding struct {
	State   State  `json:"state"`
	Check   string `json:"check"`   // dns, address, certificate, port, policy, smarthost, rspamd, dnsbl, postmaster, held, clock, redis, disk or data; smuggle
	Subject string `json:"subject"` // what was looked at
	Text    string `json:"text"`    // one line
	Mend    string `json:"mend"`    // one line; "" where nothing is to be done
}

// A Listener is a port that the configuration opens.
type Listener struct {
	Key  string // of the configuration
	Addr string // as there
	Kind string // ListenSMTP, ListenPOP3 or ListenWeb
	TLS  bool   // from the first octet on
}

// What is spoken on a listener.
const (
	ListenSMTP = "SMTP"
	ListenPOP3 = "POP3"
	ListenWeb  = "web"
)

// Files are paths on this computer, and what is said of them.
type Files struct {
	Config, Cert, Key string // Config as one would write it behind --config
	Data              string // folder
	// Lacks tells whether the data folder has no database, as before the first start. An error says that there must have been one, and behind the first colon what to do. nil: it is not looked at.
	Lacks func() (bool, error)
}

// Space is how full a file system is.
type Space struct {
	Free, Size       uint64 // octets, of Free those that are not kept back for root
	FreeFiles, Files uint64 // 0 of 0: it does not count them
}

// A Clock is what the operating system says of its clock.
type Clock struct {
	Kept  bool          // a time service keeps it
	Error time.Duration // how far it may be off at most, if it is kept
}

// ErrUnknown says that this system does not tell.
var ErrUnknown = errors.New("this system does not say")

// Options are what a Doctor looks at, and how.
type Options struct {
	Setup      Setup
	Keys       Keys
	Resolver   Resolver
	Listeners  []Listener
	Files      Files
	Managed    func(context.Context) ([]Managed, error) // certificates from an authority; nil: they are in Files
	Roots      *x509.CertPool                           // who is trusted to sign certificates; nil: whom this computer trusts
	Space      func(path string) (Space, error)
	Clock      func() (Clock, error)
	Redis      func(context.Context) error // nil: none is configured
	Smarthosts []Smarthost
	Running    Running
	Rspamd     Rspamd // without Ping: none is configured
	Lists      []List
	Dial       func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Doctor looks at one server.
type Doctor struct {
	Options
	known      map[string][]string // what the DNS has said
	unanswered int                 // how often the resolver has kept silent
}

// New makes a doctor; Examine lets it look.
func New(o Options) *Doctor { return &Doctor{Options: o, known: make(map[string][]string)} }

// Examine looks at everything, hands over each finding as it comes, and is done within about a minute, or when ctx ends.
func (d *Doctor) Examine(ctx context.Context, tell func(Finding)) {
	for _, look := range []func(context.Context) []Finding{d.names, d.certificate, d.ports, d.policies, d.smarthosts, d.rspamd, d.lists, d.postmaster, d.held, d.clock, d.redis, d.disk, d.folder} {
		if ctx.Err() != nil {
			return
		}
		for _, f := range look(ctx) {
			f.Text = short(f.Text)
			tell(f)
		}
	}
}

// maxText is how many octets a finding's text may have; what others have written into the DNS may be longer.
const maxText = 600

func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// Worst is the most serious state of some findings: Fail, Warn, or OK, which Skip counts as.
func Worst(all []Finding) State {
	worst := OK
	for _, f := range all {
		if f.State == Fail || f.State == Warn && worst == OK {
			worst = f.State
		}
	}
	return worst
}

// clock says whether a time service keeps the clock. To compare it with another's, that one would have to be trusted with the time more than this one: an answer of the DNS or of a page says nothing
// that the one who keeps it has vouched for, so nobody is asked.
func (d *Doctor) clock(context.Context) []Finding {
	f := Finding{Check: "clock", Subject: "this computer's clock"}
	c, err := d.Clock()
	switch {
	case err != nil:
		f.State, f.Text = Skip, "not looked at: "+err.Error()
	case !c.Kept:
		f.State, f.Text = Warn, "no time service keeps it: certificates, signatures and codes are judged by it"
		f.Mend = "run one, for instance systemd-timesyncd or chrony"
	default:
		f.State, f.Text = OK, fmt.Sprintf("a time service keeps it; by what the system says it is off by less than %s", c.Error.Round(time.Millisecond))
	}
	return []Finding{f}
}

func (d *Doctor) redis(ctx context.Context) []Finding {
	f := Finding{Check: "redis", Subject: "redis.url", State: OK, Text: "answers"}
	if d.Redis == nil {
		f.Text = "none is configured: who is where is kept in memory, and begins anew with each start"
		return []Finding{f}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := d.Redis(ctx); err != nil {
		f.State, f.Text = Fail, "cannot be used: "+err.Error()
		f.Mend = "start Redis or correct redis.url; mail goes on without it, and who is where is known again when it is back"
	}
	return []Finding{f}
}

// anyOf tells whether one of some values is wanted.
func anyOf(values []string, wanted ...string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(wanted, v) })
}
