package netutil

import (
	"context"
	"crypto/tls"
	"fmt"
	"runtime/debug"
	"time"
)

// TLSConfig is what mail and chat ports speak: TLS 1.2 or later with the certificate that there is at the time, and no ALPN, since mail clients that
// name a protocol of their own would be refused. Tickets can be switched off for port 25: some large senders stumble over Go's (hazards 1, 34).
func TLSConfig(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), tickets bool) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		GetCertificate:         certificate,
		SessionTicketsDisabled: !tickets,
	}
}

// StartTLS sends what was gathered (the protocol's go-ahead) and changes to TLS in place. It fails with ErrPlaintext, before the go-ahead
// is sent, when the peer sent anything behind its command, and otherwise as AcceptTLS does.
func (c *Conn) StartTLS(ctx context.Context, cfg *tls.Config) error {
	if c.Buffered() > 0 {
		return ErrPlaintext
	}
	return c.AcceptTLS(ctx, cfg)
}

// AcceptTLS makes the TLS handshake as a server, within Limits.Handshake; what was peeked belongs to it. After an error the connection is good for
// nothing but Close.
func (c *Conn) AcceptTLS(ctx context.Context, cfg *tls.Config) error {
	if err := c.Flush(); err != nil {
		return err
	}
	c.clock.mu.Lock()
	d := due{}
	if c.clock.limits.Life > 0 {
		d.or(c.clock.start.Add(c.clock.limits.Life), ErrLifeOver)
	}
	if c.clock.limits.Handshake > 0 {
		d.or(time.Now().Add(c.clock.limits.Handshake), ErrIdle)
	}
	err := c.raw.SetDeadline(d.at)
	if c.clock.interrupted {
		err = ErrShutdown
	}
	c.clock.mu.Unlock()
	if err != nil {
		return c.fail(fmt.Errorf("TLS handshake: %w", err))
	}
	under := c.raw
	if c.Buffered() > 0 {
		under = &prefixed{Conn: c.raw, prefix: c.in.take()}
	}
	t := tls.Server(under, cfg)
	if err := Apart(func() error { return t.HandshakeContext(ctx) }); err != nil {
		if isTimeout(err) && d.why != nil {
			err = d.why
		}
		return c.fail(fmt.Errorf("TLS handshake: %w", err))
	}
	c.out.mu.Lock()
	c.stream, c.secure = t, t
	c.out.mu.Unlock()
	return nil
}

// Apart runs f in a goroutine of its own and waits for it: the deep stack that a handshake needs goes with it, instead of staying with a connection that may live for
// hours. A panic of f is the caller's.
func Apart(f func() error) error {
	type outcome struct {
		err   error
		panic any
		stack []byte
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if o.panic = recover(); o.panic != nil {
				o.stack = debug.Stack()
			}
			done <- o
		}()
		o.err = f()
	}()
	o := <-done
	if o.panic != nil {
		panic(fmt.Sprintf("%v\n%s", o.panic, o.stack))
	}
	return o.err
}
