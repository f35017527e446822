package relay

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"time"
)

// Timeouts bound every step of a dialogue. The defaults are those of RFC 5321 4.5.3.2 where it names one.
type Timeouts struct {
	Connect  time.Duration // 30 s: until TCP stands
	Greeting time.Duration // 5 min: TCP stands, until the server has greeted
	Hello    time.Duration // 5 min: the answers to EHLO, STARTTLS, AUTH and RSET, each
	TLS      time.Duration // 1 min: the handshake
	Mail     time.Duration // 5 min: the answers to MAIL and RCPT, each
	Data     time.Duration // 2 min: the answer to DATA
	Block    time.Duration // 3 min: until the server has taken a block of at most 32 KiB
	Dot      time.Duration // 10 min: the answer to the end of the mail
	Quit     time.Duration // 5 s: saying goodbye
	Whole    time.Duration // 2 h: one mail in all, and finding a server for it, so that nobody holds a connection by taking a block every three minutes
}

// filled is t with the defaults where it has nothing.
func (t Timeouts) filled() Timeouts {
	or := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	or(&t.Connect, 30*time.Second)
	or(&t.Greeting, 5*time.Minute)
	or(&t.Hello, 5*time.Minute)
	or(&t.TLS, time.Minute)
	or(&t.Mail, 5*time.Minute)
	or(&t.Data, 2*time.Minute)
	or(&t.Block, 3*time.Minute)
	or(&t.Dot, 10*time.Minute)
	or(&t.Quit, 5*time.Second)
	or(&t.Whole, 2*time.Hour)
	return t
}

// Options are what a relay is made of.
type Options struct {
	Name     string   // what this server calls itself in EHLO: a host name
	Resolver Resolver // nil: the system's, which does no DANE
	Timeouts Timeouts
	// MaxHosts and MaxAddresses are how many MX hosts and addresses one attempt goes to at most; 0: 8 each.
	MaxHosts, MaxAddresses int
	Smarthosts             map[string]Smarthost // by the names that destinations use
	Roots                  *x509.CertPool       // who is trusted to certify servers; nil: whom the system trusts
	Policies               PolicyCache          // of MTA-STS; nil: MTA-STS is not asked for
	// Own tells whether an address is this computer's, so that no MX leads back here (hazard 29). Nil: those of its network interfaces.
	Own func(netip.Addr) bool
	// Dial makes a connection within its context. Nil: TCP.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	NoIPv6 bool // IPv6 addresses are left out: for a server whose own has no name in the DNS, for which others refuse its mail
	// Port is that of other domains' servers, 0: 25; PolicyPort that of their policies, 0: 443. AnyAddress lets private and own addresses pass. All are for tests, and for a
	// network of one's own.
	Port, PolicyPort uint16
	AnyAddress       bool
	// Downgrade makes a copy of a mail that holds seven bits only, with a signature of its own; ErrNotConvertible where that cannot be done well. SevenBit does
	// the first half. Nil: an 8-bit mail for a server without 8BITMIME comes back (5.6.3).
	Downgrade func(body io.ReaderAt, size int64) (converted io.ReaderAt, convertedSize int64, signature []byte, err error)
}

// Relay opens connections to the servers of other domains and to smarthosts. Its methods may be called by many goroutines at once.
type Relay struct {
	o      Options
	sts    *sts // nil: none
	left   left
	copies room
}

// New makes a relay.
func New(o Options) *Relay {
	o.Timeouts = o.Timeouts.filled()
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.MaxHosts <= 0 {
		o.MaxHosts = 8
	}
	if o.MaxAddresses <= 0 {
		o.MaxAddresses = 8
	}
	if o.Own == nil {
		o.Own = isInterface
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Port == 0 {
		o.Port = 25
	}
	if o.PolicyPort == 0 {
		o.PolicyPort = 443
	}
	r := &Relay{o: o, copies: room{limit: maxConverting}}
	if o.Policies != nil {
		r.sts = newSTS(&o)
	}
	return r
}

// isInterface tells whether an address is one of this computer's, as it stands now.
func isInterface(a netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, i := range all {
		if p, err := netip.ParsePrefix(i.String()); err == nil && p.Addr().Unmap() == a {
			return true
		}
	}
	return false
}
