package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"chmail/internal/netutil"
)

const (
	askWithin = 3 * time.Second // for an answer; a second question follows one that got none
	askTimes  = 2
	askSize   = 1232 // octets of an answer by UDP that pass everywhere (RFC 9715 3)
)

// A Server asks one DNS server, and nothing of this computer's own: what stands in its hosts file is not what others see.
type Server struct {
	Addr string // host:port
}

// NewServer takes an address with or without a port; without any, the first of the system's resolv.conf.
func NewServer(addr string) (Server, error) {
	if addr == "" {
		const file = "/etc/resolv.conf"
		c, err := dns.ClientConfigFromFile(file)
		switch {
		case err != nil:
			return Server{}, fmt.Errorf("finding this computer's resolver: %w", err)
		case len(c.Servers) == 0:
			return Server{}, fmt.Errorf("%s names no resolver", file)
		}
		return Server{net.JoinHostPort(c.Servers[0], c.Port)}, nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(addr, "[]")); err == nil {
		return Server{net.JoinHostPort(ip.String(), "53")}, nil
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return Server{}, fmt.Errorf("%q is no address of a resolver: write for instance 9.9.9.9 or 127.0.0.1:5353", addr)
	}
	return Server{ap.String()}, nil
}

// Lookup asks for the records of a type at a name.
func (s Server) Lookup(ctx context.Context, name, kind string) ([]string, error) {
	t, ok := dns.StringToType[kind]
	if !ok {
		return nil, fmt.Errorf("%s is no type of records", kind)
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), t)
	q.SetEdns0(askSize, false)
	answer, err := s.exchange(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("asking %s for %s %s: %w: %w", s.Addr, name, kind, ErrNoAnswer, err)
	}
	if answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("asking %s for %s %s: it answers %s", s.Addr, name, kind, dns.RcodeToString[answer.Rcode])
	}
	var values []string
	for _, rr := range answer.Answer { // CNAMEs on the way are passed over; what they lead to follows them
		if rr.Header().Rrtype == t {
			values = append(values, value(rr))
		}
	}
	return values, nil
}

// exchange asks by UDP, once more when nothing comes, and by TCP when the answer is too long for that.
func (s Server) exchange(ctx context.Context, q *dns.Msg) (answer *dns.Msg, err error) {
	for range askTimes {
		client := &dns.Client{Timeout: askWithin, UDPSize: askSize}
		answer, _, err = client.ExchangeContext(ctx, q, s.Addr)
		if err == nil && answer.Truncated {
			client.Net = "tcp"
			answer, _, err = client.ExchangeContext(ctx, q, s.Addr)
		}
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the rest repeats the address
	}
	return answer, err
}

// value is what a record holds, as a zone file has it; of TXT the whole text.
func value(rr dns.RR) string {
	switch r := rr.(type) {
	case *dns.TXT:
		return netutil.TXT(r.Txt)
	case *dns.A:
		return r.A.String()
	case *dns.AAAA:
		return r.AAAA.String()
	}
	return strings.ToLower(strings.TrimPrefix(rr.String(), rr.Header().String()))
}
