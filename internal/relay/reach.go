package relay

import (
	"context"
	"strings"

	"chmail/internal/delivery"
)

// reach makes a connection to t, up to where a mail can be sent. Where TLS is not demanded and its handshake fails, it goes without, by a connection of its own: a mail that could
// be read on its way is better than none (RFC 7435), and a certificate that nobody trusts better than plaintext.
func (w *way) reach(ctx context.Context, t target) (*Line, *delivery.Verdict) {
	line, fail, handshake := w.connect(ctx, t, true)
	if handshake && !t.demand.tls && ctx.Err() == nil {
		line, fail, _ = w.connect(ctx, t, false)
	}
	return line, fail
}

// connect makes one connection. handshake tells whether it failed at that of STARTTLS.
func (w *way) connect(ctx context.Context, t target, secure bool) (line *Line, fail *delivery.Verdict, handshake bool) {
	c, fail := w.dial(ctx, t)
	if fail != nil {
		return nil, fail, false
	}
	defer c.watch(ctx)()
	if fail, handshake = w.begin(ctx, c, t, secure); fail != nil {
		c.quit()
		return nil, fail, handshake
	}
	return &Line{c: c, o: &w.r.o, room: &w.r.copies, last: w.m.AnyTLS && w.smart == nil, safety: t.demand.security(c.version), trusted: c.version != "" && c.caps.requireTLS && t.demand.verified() && t.demand.safe}, nil, false
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

// begin brings a connection to where a mail can be sent.
func (w *way) begin(ctx context.Context, c *conn, t target, secure bool) (fail *delivery.Verdict, handshake bool) {
	name := w.r.o.Name
	implicit := w.smart != nil && w.smart.TLS == TLSImplicit
	if implicit {
		if fail := w.encrypt(ctx, c, t); fail != nil {
			return fail, false
		}
	}
	if fail := c.greeting(); fail != nil {
		return fail, false
	}
	if fail := c.hello(name); fail != nil {
		return fail, false
	}
	if secure && !implicit && c.caps.startTLS {
		r, fail := c.ask("STARTTLS", c.t.Hello)
		switch {
		case fail != nil:
			return fail, false
		case r.code == 220:
			if fail := w.encrypt(ctx, c, t); fail != nil {
				return fail, true
			}
			if fail := c.hello(name); fail != nil { // what was said before the handshake may be anybody's (RFC 3207 4.2)
				return fail, false
			}
		case !r.is(4) && !r.is(5):
			return c.refused(r), false
		}
	}
	switch {
	case strings.EqualFold(c.peer, name) && w.smart == nil && !w.r.o.AnyAddress: // behind an address that this computer does not know as its own (NAT)
		return c.place(errLoop(t.host.name)), false
	case t.demand.tls && c.version == "":
		return c.place(failure(4, 7, 4, "the server does no TLS, which is demanded by "+t.demand.by)), false
	case w.m.RequireTLS && !c.caps.requireTLS:
		return c.place(failure(5, 7, 30, "the server does no REQUIRETLS, as the mail demands")), false
	}
	if w.smart != nil && w.smart.Login != "" {
		return c.login(w.smart), false
	}
	return nil, false
}

// encrypt makes the handshake.
func (w *way) encrypt(ctx context.Context, c *conn, t target) *delivery.Verdict {
	if err := c.startTLS(ctx, w.r.tlsConfig(t)); err != nil {
		c.dead = c.place(failure(4, 7, 5, "the TLS handshake failed: "+plain(err)))
		return c.dead
	}
	return nil
}
