package relay

import (
	"context"
	"net/netip"

	"chmail/internal/delivery"
)

// Open finds and greets a server for a destination: a domain ("example.org"), an address literal ("[192.0.2.1]"), or a smarthost of the options
// ("smarthost:NAME"). What m demands decides which servers will do. An error is a *delivery.Verdict; the connection ends with Line.Close, not with ctx.
func (r *Relay) Open(ctx context.Context, destination string, m delivery.Mail) (*Line, error) {
	w := way{r: r, m: &m}
	list, fail := r.hosts(ctx, destination)
	if fail == nil {
		var line *Line
		if line, fail = w.first(ctx, list); line != nil {
			return line, nil
		}
	}
	return nil, fail
}

// way is one search for a server that can be reached.
type way struct {
	r     *Relay
	m     *delivery.Mail
	tried int // addresses
}

// target is one address of a host.
type target struct {
	host host
	addr netip.AddrPort
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

// first is a line to the first of the hosts that will have us. When none will, the verdict is the best that was heard.
func (w *way) first(ctx context.Context, list []host) (*Line, *delivery.Verdict) {
	var verdict *delivery.Verdict
	for _, h := range list {
		addresses, own, fail := w.r.addresses(ctx, h)
		if own { // whatever comes behind is no nearer to the destination than we are (RFC 5321 5.1)
			return nil, better(verdict, fail)
		}
		verdict = better(verdict, fail)
		for _, a := range addresses {
			if w.tried++; w.tried > w.r.o.MaxAddresses {
				return nil, verdict
			}
			line, fail := w.reach(ctx, target{host: h, addr: netip.AddrPortFrom(a, w.r.o.Port)})
			if line != nil {
				return line, nil
			}
			verdict = better(verdict, fail)
			if ctx.Err() != nil {
				return nil, verdict
			}
		}
	}
	return nil, verdict
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

// reach makes a connection to t, up to where a mail can be sent.
func (w *way) reach(ctx context.Context, t target) (*Line, *delivery.Verdict) {
	c, fail := w.dial(ctx, t)
	if fail != nil {
		return nil, fail
	}
	defer c.watch(ctx)()
	if fail = c.greeting(); fail == nil {
		fail = c.hello(w.r.o.Name)
	}
	if fail != nil {
		c.quit()
		return nil, fail
	}
	return &Line{c: c, o: &w.r.o}, nil
}

func (w *way) dial(ctx context.Context, t target) (*conn, *delivery.Verdict) {
	o := &w.r.o
	dialing, cancel := context.WithTimeout(ctx, o.Timeouts.Connect)
	defer cancel()
	nc, err := o.Dial(dialing, "tcp", t.addr.String())
	if err != nil {
		fail := failure(4, 4, 1, "no connection: "+plain(err))
		fail.Remote = t.String()
		return nil, fail
	}
	return newConn(nc, t.String(), o.Timeouts), nil
}
