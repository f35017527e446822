// Package dnsbl asks lists in the DNS whether an address is one that sends spam (RFC 5782). What a list says is never worth more than its silence: when it does not
// answer in time, or answers with an error of its own, the address is not listed.
package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"chmail/internal/address"
)

const (
	within   = 3 * time.Second // for all lists together
	knownFor = 5 * time.Minute // that an answer is remembered; a host that was taken off a list should not have to wait long
	maxKnown = 10_000          // addresses remembered
	maxAsked = 256             // addresses asked about at the same time; beyond that they count as not listed
)

// Zone is one list.
type Zone struct {
	Name        string // "zen.spamhaus.org", in lower case
	Least, Most byte   // of the last octet of an answer that counts; 0, 0: every one but 127.0.0.1, by which some lists say that they may not be asked
}

// ParseZone reads "zen.spamhaus.org", or "zen.spamhaus.org=2-11" for answers 127.0.0.2 to 127.0.0.11 only.
func ParseZone(text string) (Zone, error) {
	name, codes, some := strings.Cut(text, "=")
	z := Zone{Name: strings.ToLower(strings.TrimSuffix(name, "."))}
	if _, err := address.ParseDomain(z.Name); err != nil || !strings.Contains(z.Name, ".") || strings.HasPrefix(z.Name, "[") || len(z.Name) > 180 {
		return Zone{}, fmt.Errorf("%q is no name of a list in the DNS, such as zen.spamhaus.org", name)
	}
	if !some {
		return z, nil
	}
	first, last, is := strings.Cut(codes, "-")
	if !is {
		last = first
	}
	least, err := strconv.ParseUint(first, 10, 8)
	most, merr := strconv.ParseUint(last, 10, 8)
	if err != nil || merr != nil || least == 0 || most < least {
		return Zone{}, fmt.Errorf("%q: the answers that count are written like 2 or 2-11, the last part of 127.0.0.2", text)
	}
	z.Least, z.Most = byte(least), byte(most)
	return z, nil
}

// Resolver asks the DNS; *net.Resolver is one.
type Resolver interface {
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
}

// Lists are those that an administrator has chosen. Listed may be called by many goroutines.
type Lists struct {
	zones []Zone
	dns   Resolver
	log   *slog.Logger
	slots chan struct{}

	mu     sync.Mutex
	known  map[netip.Addr]known
	warned map[string]time.Time // lists that answer with errors
}

type known struct {
	zone  string
	until time.Time
}

// New makes lists; a nil log is slog.Default().
func New(zones []Zone, dns Resolver, log *slog.Logger) *Lists {
	if log == nil {
		log = slog.Default()
	}
	return &Lists{zones: zones, dns: dns, log: log, slots: make(chan struct{}, maxAsked), known: map[netip.Addr]known{}, warned: map[string]time.Time{}}
}

// Listed is the first of the lists that has an address; "" when none has, or says so in time.
func (l *Lists) Listed(ctx context.Context, ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() || len(l.zones) == 0 {
		return ""
	}
	now := time.Now()
	l.mu.Lock()
	k, ok := l.known[ip]
	l.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.zone
	}
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	default:
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	answers := make([]chan bool, len(l.zones))
	for i, z := range l.zones {
		answers[i] = make(chan bool, 1)
		go func() { answers[i] <- l.has(ctx, z, ip) }()
	}
	zone := ""
	for i, z := range l.zones {
		if <-answers[i] {
			zone = z.Name
			break
		}
	}
	if zone != "" || ctx.Err() == nil {
		l.keep(ip, known{zone, now.Add(knownFor)})
	}
	return zone
}

func (l *Lists) keep(ip netip.Addr, k known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) >= maxKnown {
		clear(l.known)
	}
	l.known[ip] = k
}

// has asks one list.
func (l *Lists) has(ctx context.Context, z Zone, ip netip.Addr) bool {
	listed, err := z.Ask(ctx, l.dns, ip)
	if odd := (*UselessError)(nil); errors.As(err, &odd) {
		l.warn(z.Name, odd.Answer)
	}
	return listed
}

// UselessError is an answer of a list that says of no address anything.
type UselessError struct {
	Answer netip.Addr
}

// Error says what it means.
func (e *UselessError) Error() string {
	return e.Answer.String() + " is the answer: it may not be asked by way of this name server, or its name is wrong"
}

// Ask asks a list whether it has an address, with an answer that counts. An error, a *UselessError or that of the DNS, says that nobody knows.
func (z Zone) Ask(ctx context.Context, dns Resolver, ip netip.Addr) (listed bool, err error) {
	all, err := dns.LookupIPAddr(ctx, reversed(ip)+z.Name+".")
	if no := (*net.DNSError)(nil); errors.As(err, &no) && no.IsNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking %s: %w", z.Name, err)
	}
	for _, a := range all {
		answer, _ := netip.AddrFromSlice(a.IP)
		code := answer.Unmap()
		if !code.Is4() {
			continue
		}
		switch o := code.As4(); {
		case o[0] != 127: // somebody else's answer, such as a provider's page for names that do not exist
		case o[1] == 255 && o[2] == 255, o == [4]byte{127, 0, 0, 1} && z.Least != 1: // "you may not ask", or "you have mistyped the name"; 127.0.0.1 is also what some resolvers say of every name
			err = &UselessError{code}
		case z.Least == 0 || o[3] >= z.Least && o[3] <= z.Most:
			return true, nil
		}
	}
	return false, err
}

// warn says once an hour that a list is of no use.
func (l *Lists) warn(zone string, code netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.warned[zone]) > time.Hour {
		l.warned[zone] = now
		l.log.Warn("a list in the DNS answers with an error: it may not be asked by way of this name server, or its name is wrong", "list", zone, "answer", code)
	}
}

// reversed is an address as lists have it: "2.0.0.127." or its nibbles (RFC 5782 2.1, 2.4).
func reversed(ip netip.Addr) string {
	b := ip.AsSlice()
	var s strings.Builder
	for i := len(b) - 1; i >= 0; i-- {
		if ip.Is4() {
			fmt.Fprintf(&s, "%d.", b[i])
		} else {
			fmt.Fprintf(&s, "%x.%x.", b[i]&15, b[i]>>4)
		}
	}
	return s.String()
}
