package relay

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"chmail/internal/delivery"
)

// Open finds and greets a server for a destination: a domain ("example.org"), an address literal ("[192.0.2.1]"), or a smarthost of the options
// ("smarthost:NAME"). What m demands decides which servers will do. An error is a *delivery.Verdict; the connection ends with Line.Close, not with ctx.
func (r *Relay) Open(ctx context.Context, destination string, m delivery.Mail) (*Line, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeouts.Whole)
	defer cancel()
	w := way{r: r, m: &m}
	var list []host
	var fail *delivery.Verdict
	if name, ok := strings.CutPrefix(destination, "smarthost:"); ok {
		list, fail = w.smarthosts(name)
	} else if list, w.secure, fail = r.hosts(ctx, destination); fail == nil {
		fail = w.look(ctx, destination)
	}
	if fail == nil {
		fail = w.widths()
	}
	if fail == nil {
		var line *Line
		if line, fail = w.first(ctx, list); line != nil {
			return line, nil
		}
	}
	fail.Own = m.RequireTLS || w.lacking
	return nil, fail
}

// way is one search for a server that can be reached.
type way struct {
	r      *Relay
	m      *delivery.Mail
	smart  *Smarthost // nil: the destination's own servers
	domain string     // of a destination that is one
	secure bool       // DNSSEC vouches for the domain's list of hosts
	policy *Policy    // the domain's, of MTA-STS; nil for none
	tried  int        // addresses
	// Of a mail that needs SMTPUTF8, for its header or sender, or for recipients.
	wide, wideTo bool
	lacking      bool  // a server was found that has it not
	spare        *Line // to such a server, for the other recipients
}

// target is one address of a host.
type target struct {
	host   host
	addr   netip.AddrPort
	demand demand
}

// String names it as verdicts do.
func (t target) String() string {
	ip := t.addr.Addr()
	text := "[" + ip.String() + "]"
	if ip.Is6() {
		text = "[IPv6:" + ip.String() + "]"
	}
	if t.host.addr.IsValid() {
		return text
	}
	return t.host.name + " " + text
}

// look finds what a domain demands of connections to its servers.
func (w *way) look(ctx context.Context, domain string) *delivery.Verdict {
	if domain[0] == '[' {
		return nil
	}
	w.domain = domain
	if w.r.sts == nil || w.m.AnyTLS {
		return nil
	}
	var err error
	if w.policy, err = w.r.sts.policy(ctx, domain); err != nil {
		return failure(4, 3, 0, "what "+domain+" demands of a connection (MTA-STS) cannot be looked up")
	}
	return nil
}

// widths finds out who needs SMTPUTF8.
func (w *way) widths() (fail *delivery.Verdict) {
	w.wideTo = slices.ContainsFunc(w.m.To, func(r delivery.Recipient) bool { return !r.Address.IsASCII() })
	w.wide, fail = needsUTF8(w.m, w.m.EightBit)
	return fail
}

// first is a line to the first of the hosts that will have the mail. One without SMTPUTF8 gives way to another that has it (RFC 6531 3.2); when there is none it is still good for
// the recipients who do not need it.
func (w *way) first(ctx context.Context, list []host) (*Line, *delivery.Verdict) {
	line, verdict := w.search(ctx, list)
	switch {
	case w.spare == nil:
		return line, verdict
	case line != nil:
		w.spare.Close()
		return line, nil
	}
	w.spare.narrow = verdict
	return w.spare, nil
}

// fits tells whether a line is what the mail needs. One that is not is closed, or kept for when none is.
func (w *way) fits(line *Line) bool {
	if !w.wide && !w.wideTo || line.takesUTF8() {
		return true
	}
	w.lacking = true
	if w.wide || w.spare != nil {
		line.Close()
	} else {
		w.spare = line
	}
	return false
}

// search is a line to the first of the hosts that will have us. When none will, the verdict is the best that was heard.
func (w *way) search(ctx context.Context, list []host) (*Line, *delivery.Verdict) {
	var verdict *delivery.Verdict
	var left []target // by others of late: they come last
	for n, h := range list {
		addresses, own, secure, fail := w.r.addresses(ctx, h)
		if own { // whatever comes behind is no nearer to the destination than we are (RFC 5321 5.1)
			verdict = better(verdict, fail)
			break
		}
		var need demand
		if fail == nil {
			need, fail = w.demand(ctx, h, secure)
		}
		if fail != nil {
			verdict = better(verdict, fail)
			continue
		}
		for i, a := range addresses {
			t := target{host: h, addr: netip.AddrPortFrom(a, w.port()), demand: need}
			if w.r.left.has(t.addr) {
				left = append(left, t)
				continue
			}
			line, fail := w.try(ctx, t)
			if line != nil {
				if n < len(list)-1 || i < len(addresses)-1 {
					line.leave = func() { w.r.left.add(t.addr) }
				}
				return line, nil
			}
			if verdict = better(verdict, fail); w.over(ctx) {
				return nil, verdict
			}
		}
	}
	for _, t := range left {
		line, fail := w.try(ctx, t)
		if line != nil {
			return line, nil
		}
		if verdict = better(verdict, fail); w.over(ctx) {
			break
		}
	}
	return nil, verdict
}

func (w *way) try(ctx context.Context, t target) (*Line, *delivery.Verdict) {
	w.tried++
	line, fail := w.reach(ctx, t)
	if line != nil && !w.fits(line) {
		return nil, line.c.place(errNarrow())
	}
	return line, fail
}

// over tells whether no further address is tried.
func (w *way) over(ctx context.Context) bool {
	return w.tried >= w.r.o.MaxAddresses || ctx.Err() != nil
}

// leftFor is how long a server comes last that has greeted us and then taken no mail, though there are others for its domain.
const leftFor = 5 * time.Minute

// left are such servers. A domain has several so that its mail comes when one of them does not work (RFC 5321 5.1).
type left struct {
	mu    sync.Mutex
	until map[netip.AddrPort]time.Time
}

func (l *left) has(a netip.AddrPort) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until[a])
}

func (l *left) add(a netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil || len(l.until) >= maxFailed {
		l.until = make(map[netip.AddrPort]time.Time)
	}
	l.until[a] = time.Now().Add(leftFor)
}

// better is the verdict to keep of two attempts. One that may be otherwise tomorrow goes before one that holds for good, and a server's own words before ours.
func better(a, b *delivery.Verdict) *delivery.Verdict {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.Temporary != b.Temporary:
		if a.Temporary {
			return a
		}
		return b
	case a.Code != 0 && b.Code == 0:
		return a
	}
	return b
}
