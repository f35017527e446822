package smtpd

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/netutil"
)

// Guard is what port 25 knows of strangers beforehand. Nothing of it holds for this computer itself, nor for private networks, whose hosts an administrator knows.
type Guard struct {
	// Listed is the list of senders of spam that has an address; "" for none. It may take some seconds: it is asked when a client connects, and waited for at RCPT. Nil: there are none.
	Listed func(ctx context.Context, peer netip.Addr) string
	// Domains are those after which no stranger may call himself, in lower case: ours, where what comes in their name from elsewhere is refused. A host of ours that is elsewhere, such as a
	// web server, may have such a name. The server's own name is nobody else's in any case.
	Domains []string
	// Rate is how many connections a minute one IPv4 address or IPv6 /64 may begin, in the long run and at once; 0: any number.
	Rate int
	// Delay is how long the refusal of a recipient who does not exist waits, from a network's third on, twice as long each time up to eight seconds; 0: not at all.
	Delay time.Duration
}

const (
	freeGuesses = 2               // recipients that do not exist, before their refusals come late
	maxGuesses  = 8               // that are counted: whoever stops is as good as anybody after that many times forgiven
	lastDelay   = 8 * time.Second // at most; a client waits five minutes for an answer (RFC 5321 4.5.3.2.3)
	forgiven    = 5 * time.Minute // in which one wrong recipient is forgiven
	maxNetworks = 20_000          // that are remembered
)

var (
	errHelo     = message.Refuse(501, [3]int{5, 5, 4}, "that is no host name, nor an address in brackets")
	errHeloOurs = message.Refuse(550, [3]int{5, 7, 1}, "that is a name of this server, not of yours")
	errHeloIP   = message.Refuse(550, [3]int{5, 7, 1}, "that is not the address from which you come")
	errRate     = message.Refuse(421, [3]int{4, 7, 0}, "too many connections from your network in a minute, try again later")
)

// stranger tells whether the guard's rules hold for a client. A program on this computer may reach it by an address that others reach as well, and comes from there then.
func (p *port) stranger(c *netutil.Conn) bool {
	peer := c.Peer().Unmap()
	if p.profile != MX || !peer.IsValid() || peer.IsLoopback() || isPrivate(peer) {
		return false
	}
	here, ok := c.LocalAddr().(*net.TCPAddr)
	return !ok || here.AddrPort().Addr().Unmap() != peer
}

// isPrivate tells whether an address is one of a network behind a router, which nobody outside can know.
func isPrivate(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLinkLocalUnicast() }

// helo refuses a name that nobody can have, or that is ours (RFC 5321 4.1.1.1). Whether it stands in the DNS is not asked: of too many honest hosts it does not. For the same reason
// an address without brackets passes, and so does one that is nobody's on the Internet: a host behind a router takes itself to be it, and some programs call themselves [127.0.1.1].
func (g *gate) helo(line []byte) *message.Refusal {
	name, _, _ := strings.Cut(strings.TrimSpace(string(line[4:])), " ")
	if name == "" || !g.port.stranger(g.conn) {
		return nil // go-smtp says that a name is missing
	}
	if name[0] == '[' {
		literal, err := address.Parse("x@" + name)
		text := strings.Trim(literal.Domain, "[]")
		if len(text) > 5 && strings.EqualFold(text[:5], "ipv6:") {
			text = text[5:]
		}
		ip, perr := netip.ParseAddr(text)
		switch {
		case err != nil || perr != nil:
			return errHelo
		case ip.Unmap() != g.conn.Peer().Unmap() && netutil.Public(ip.Unmap()):
			return errHeloIP
		}
		return nil
	}
	if ip, err := netip.ParseAddr(name); err == nil && ip.Zone() == "" {
		return nil
	}
	if len(name) > address.MaxDomain || strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' || r > 0x7f)
	}) {
		return errHelo
	}
	ours := func(d string) bool { return strings.EqualFold(d, strings.TrimSuffix(name, ".")) }
	if ours(g.port.Hostname) || slices.ContainsFunc(g.port.Guard.Domains, ours) {
		return errHeloOurs
	}
	return nil
}

// ask begins to find out whether a client is listed.
func (g *gate) ask() {
	if g.port.Guard.Listed == nil || !g.port.stranger(g.conn) {
		return
	}
	listed := make(chan string, 1)
	g.session.listed = listed
	go func() { listed <- g.port.Guard.Listed(g.ctx, g.conn.Peer()) }()
}

// list is the list that has the client; "" for none.
func (s *session) list() string {
	if s.listed == nil {
		return ""
	}
	zone := <-s.listed
	s.listed <- zone // for the next recipient
	return zone
}

// errListed names the list, which tells the client's administrator how to get off it.
func errListed(peer netip.Addr, zone string) *message.Refusal {
	return message.Refuse(554, [3]int{5, 7, 1}, "your address "+peer.Unmap().String()+" is on the list "+zone+", which says more")
}

// strangers counts what networks do at port 25. It is bounded: when it is full, it begins anew.
type strangers struct {
	mu       sync.Mutex
	networks map[netip.Prefix]*network
	turned   uint64 // connections that were refused for coming too often
}

type network struct {
	rate    *rate.Limiter // of connections; nil: any number
	guesses int           // recipients that do not exist
	since   time.Time     // when one of those was forgiven last, or the first came
}

// of finds a network. s.mu is held.
func (s *strangers) of(peer netip.Addr, perMinute int) *network {
	key := netutil.Network(peer)
	n := s.networks[key]
	if n == nil {
		if s.networks == nil || len(s.networks) >= maxNetworks {
			s.networks = make(map[netip.Prefix]*network)
		}
		n = new(network)
		if perMinute > 0 {
			n.rate = rate.NewLimiter(rate.Limit(float64(perMinute)/60), perMinute)
		}
		s.networks[key] = n
	}
	return n
}

// arrives tells whether a network may begin one more connection.
func (s *strangers) arrives(peer netip.Addr, perMinute int, now time.Time) bool {
	if perMinute <= 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of(peer, perMinute).rate.AllowN(now, 1) {
		return true
	}
	s.turned++
	return false
}

// hasty counts the connections that were refused for coming too often.
func (s *strangers) hasty() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turned
}

// guessed counts a recipient that does not exist, and tells how long the refusal is to wait: whoever tries one address after another is to have little joy of it.
func (s *strangers) guessed(peer netip.Addr, g *Guard, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.of(peer, g.Rate)
	if past := now.Sub(n.since) / forgiven; past > 0 {
		n.guesses = max(n.guesses-int(past), 0)
		n.since = n.since.Add(past * forgiven)
	}
	if n.guesses == 0 {
		n.since = now
	}
	n.guesses = min(n.guesses+1, maxGuesses)
	if n.guesses <= freeGuesses {
		return 0
	}
	return min(g.Delay<<min(n.guesses-freeGuesses-1, 10), lastDelay)
}

// honest notes that a mail of a network was taken: one who forwards mail, or has an old address book, is not to be slow for ever.
func (s *strangers) honest(peer netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.networks[netutil.Network(peer)]; n != nil {
		n.guesses /= 2
	}
}

// late waits before a refusal, unless the server ends. Whether the client has gone the reply will show.
func (g *gate) late(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.ending.stop.Done():
	}
}
