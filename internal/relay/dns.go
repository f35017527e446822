package relay

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"chmail/internal/netutil"
)

const (
	dnsWithin = 5 * time.Second // for an answer of one server
	dnsRounds = 2
	dnsSize   = 1232 // octets of an answer by UDP; more comes by TCP
	maxCNAME  = 8    // names that lead to one another (hazard 30)
)

// Validator is a Resolver that tells of each answer, also of one that there is nothing, whether DNSSEC vouches for it (RFC 4033). With one the relay does DANE.
type Validator interface {
	Resolver
	SecureMX(ctx context.Context, name string) (mx []*net.MX, secure bool, err error)
	SecureIPAddr(ctx context.Context, host string) (ips []net.IPAddr, secure bool, err error)
	// SecureNames are those under which a host's TLSA records may be, the best first (RFC 7672 2.2.3). secure tells whether DNSSEC vouches for its addresses: then they are the name
	// that those are kept under (CNAME), and its own. Otherwise it is its own if DNSSEC vouches that this leads elsewhere.
	SecureNames(ctx context.Context, host string, secure bool) (names []string, err error)
	// LookupTLSA asks for the records of a TCP port of a host (RFC 6698 3).
	LookupTLSA(ctx context.Context, port uint16, host string) (records []TLSA, secure bool, err error)
}

// DNS asks recursive name servers. Its methods may be called by many goroutines at once; their errors are *net.DNSError.
type DNS struct {
	servers   []string
	validates bool
}

var _ Validator = (*DNS)(nil)

// NewDNS makes a DNS that asks servers ("127.0.0.1:53"), the first that answers. validates says that they check DNSSEC, and that the way to them is safe: the program
// believes the bit by which they say so, which anybody on that way could set. They belong on this computer, then.
func NewDNS(servers []string, validates bool) *DNS {
	return &DNS{servers: servers, validates: validates}
}

// ask is one question. The answer is one of success or of no such name.
func (d *DNS) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	if _, ok := dns.IsDomainName(name); !ok { // whoever may choose the name must not have it pass for a failure of the DNS
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	q.SetEdns0(dnsSize, false)
	q.AuthenticatedData = true // says that we understand the bit (RFC 6840 5.7)
	last := errors.New("there is no name server to ask")
	for range dnsRounds {
		for _, server := range d.servers {
			if err := ctx.Err(); err != nil {
				return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, IsTimeout: true}
			}
			r, err := d.exchange(ctx, q, server)
			switch {
			case err != nil:
				last = err
			case r.Rcode == dns.RcodeSuccess || r.Rcode == dns.RcodeNameError:
				return r, nil
			default:
				last = errors.New(strings.ToLower(dns.RcodeToString[r.Rcode]))
			}
		}
	}
	return nil, &net.DNSError{Err: last.Error(), Name: name, IsTemporary: true}
}

func (d *DNS) exchange(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error) {
	for _, network := range []string{"udp", "tcp"} {
		c := dns.Client{Net: network, Timeout: dnsWithin, UDPSize: dnsSize}
		r, _, err := c.ExchangeContext(ctx, q, server)
		if err != nil {
			return nil, err
		}
		if !r.Response || len(r.Question) != 1 || !strings.EqualFold(r.Question[0].Name, q.Question[0].Name) || r.Question[0].Qtype != q.Question[0].Qtype {
			return nil, errors.New("an answer to another question")
		}
		if !r.Truncated {
			return r, nil
		}
	}
	return nil, errors.New("an answer that is cut off")
}

// records are those of a kind that the answer holds, whatever names led to them.
func records[R dns.RR](ctx context.Context, d *DNS, name string, kind uint16) (list []R, secure bool, err error) {
	r, err := d.ask(ctx, name, kind)
	if err != nil {
		return nil, false, err
	}
	secure = d.validates && r.AuthenticatedData
	names := 0
	for _, rr := range r.Answer {
		if rr.Header().Rrtype == dns.TypeCNAME {
			names++
		}
		if rec, ok := rr.(R); ok && rr.Header().Rrtype == kind {
			list = append(list, rec)
		}
	}
	switch {
	case names > maxCNAME:
		return nil, false, &net.DNSError{Err: "too many names that lead to one another", Name: name, IsTemporary: true}
	case len(list) == 0:
		return nil, secure, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return list, secure, nil
}

// SecureMX implements Validator.
func (d *DNS) SecureMX(ctx context.Context, name string) (mx []*net.MX, secure bool, err error) {
	list, secure, err := records[*dns.MX](ctx, d, name, dns.TypeMX)
	for _, r := range list {
		mx = append(mx, &net.MX{Host: r.Mx, Pref: r.Preference})
	}
	return mx, secure, err
}

// SecureIPAddr implements Validator. Where DNSSEC vouches for one kind of address and the other cannot be looked up, there is an error: somebody may be
// suppressing it to have the host pass for one without DNSSEC.
func (d *DNS) SecureIPAddr(ctx context.Context, host string) (ips []net.IPAddr, secure bool, err error) {
	type result struct {
		list   []*dns.AAAA
		secure bool
		err    error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.list, r.secure, r.err = records[*dns.AAAA](ctx, d, host, dns.TypeAAAA)
		done <- r
	}()
	four, sure, err := records[*dns.A](ctx, d, host, dns.TypeA)
	six := <-done
	for _, a := range four {
		ips = append(ips, net.IPAddr{IP: a.A})
	}
	for _, a := range six.list {
		ips = append(ips, net.IPAddr{IP: a.AAAA})
	}
	if err == nil || notFound(err) && six.err != nil {
		err = six.err
	}
	failed := err != nil && !notFound(err)
	if len(ips) > 0 && !(failed && (sure || six.secure)) {
		err = nil
	}
	return ips, sure && six.secure, err
}

// SecureNames implements Validator.
func (d *DNS) SecureNames(ctx context.Context, host string, secure bool) (names []string, err error) {
	if !secure {
		_, secure, err = records[*dns.CNAME](ctx, d, host, dns.TypeCNAME)
		switch {
		case err != nil && !notFound(err):
			return nil, err
		case err == nil && secure:
			return []string{host}, nil
		}
		return nil, nil
	}
	r, err := d.ask(ctx, host, dns.TypeA)
	if err != nil {
		return nil, err
	}
	name := aliased(host, r.Answer)
	if strings.EqualFold(name, host) || !r.AuthenticatedData {
		return []string{host}, nil
	}
	return []string{name, host}, nil
}

// aliased is the name to which CNAMEs lead, in whatever order they stand: not every server keeps to that of RFC 1034 4.3.2.
func aliased(name string, answer []dns.RR) string {
	for range answer {
		i := slices.IndexFunc(answer, func(rr dns.RR) bool {
			c, ok := rr.(*dns.CNAME)
			return ok && strings.EqualFold(c.Hdr.Name, name)
		})
		if i < 0 {
			break
		}
		name = answer[i].(*dns.CNAME).Target
	}
	return name
}

// LookupTLSA implements Validator.
func (d *DNS) LookupTLSA(ctx context.Context, port uint16, host string) (list []TLSA, secure bool, err error) {
	found, secure, err := records[*dns.TLSA](ctx, d, "_"+strconv.Itoa(int(port))+"._tcp."+host, dns.TypeTLSA)
	for _, r := range found {
		data, err := hex.DecodeString(r.Certificate)
		if err != nil {
			return nil, false, &net.DNSError{Err: fmt.Sprintf("a TLSA record that cannot be read: %v", err), Name: host, IsTemporary: true}
		}
		list = append(list, TLSA{Usage: r.Usage, Selector: r.Selector, Matching: r.MatchingType, Data: data})
	}
	return list, secure, err
}

// LookupMX implements Resolver.
func (d *DNS) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	mx, _, err := d.SecureMX(ctx, name)
	return mx, err
}

// LookupIPAddr implements Resolver.
func (d *DNS) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	ips, _, err := d.SecureIPAddr(ctx, host)
	return ips, err
}

// LookupTXT implements Resolver: one string for each record.
func (d *DNS) LookupTXT(ctx context.Context, name string) (texts []string, err error) {
	list, _, err := records[*dns.TXT](ctx, d, name, dns.TypeTXT)
	for _, r := range list {
		texts = append(texts, netutil.TXT(r.Txt))
	}
	return texts, err
}

// LookupAddr asks for the names that an address leads back to (PTR).
func (d *DNS) LookupAddr(ctx context.Context, addr string) (names []string, err error) {
	reverse, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "no address", Name: addr, IsNotFound: true}
	}
	list, _, err := records[*dns.PTR](ctx, d, reverse, dns.TypePTR)
	for _, r := range list {
		names = append(names, r.Ptr)
	}
	return names, err
}

// lookupMX asks for MX records, and whether DNSSEC vouches for what comes, also when that is nothing.
func (r *Relay) lookupMX(ctx context.Context, name string) (mx []*net.MX, secure bool, err error) {
	if v, ok := r.o.Resolver.(Validator); ok {
		return v.SecureMX(ctx, name)
	}
	mx, err = r.o.Resolver.LookupMX(ctx, name)
	return mx, false, err
}

// lookupAddr asks for the addresses of a host in the same way.
func (r *Relay) lookupAddr(ctx context.Context, host string) (ips []net.IPAddr, secure bool, err error) {
	if v, ok := r.o.Resolver.(Validator); ok {
		return v.SecureIPAddr(ctx, host)
	}
	ips, err = r.o.Resolver.LookupIPAddr(ctx, host)
	return ips, false, err
}
