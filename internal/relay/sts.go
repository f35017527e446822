package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"chmail/internal/netutil"
)

const (
	fetchWithin = time.Minute     // RFC 8461 3.3
	fetchPause  = 5 * time.Minute // after a fetch that failed
	maxFailed   = 10_000          // domains whose failure is remembered
)

// sts finds the policies of domains (MTA-STS, RFC 8461).
type sts struct {
	resolver Resolver
	cache    PolicyCache
	client   *http.Client

	mu      sync.Mutex
	flights map[string]*flight   // fetches under way, by domain
	failed  map[string]time.Time // no fetch before that time
}

// flight is a fetch that others may wait for.
type flight struct {
	done   chan struct{}
	policy Policy
	err    error
}

func newSTS(o *Options) *sts {
	return &sts{
		resolver: o.Resolver, cache: o.Policies, flights: map[string]*flight{}, failed: map[string]time.Time{},
		client: &http.Client{
			Timeout: fetchWithin,
			Transport: &http.Transport{
				DialContext: policyDial(o), TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}, TLSHandshakeTimeout: fetchWithin, DisableKeepAlives: true,
				MaxResponseHeaderBytes: 16 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // RFC 8461 3.3
		},
	}
}

// policyDial reaches the host of a policy. A stranger has named it, so it must have a public address, which is looked at where it is dialled.
func policyDial(o *Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		ips, err := o.Resolver.LookupIPAddr(ctx, host+".")
		if err != nil {
			return nil, err
		}
		err = errors.New("a policy may be on a public address only")
		for _, ip := range ips {
			a, _ := netip.AddrFromSlice(ip.IP)
			if !o.AnyAddress && !netutil.Public(a) {
				continue
			}
			var nc net.Conn
			if nc, err = o.Dial(ctx, network, netip.AddrPortFrom(a.Unmap(), o.PolicyPort).String()); err == nil {
				return nc, nil
			}
		}
		return nil, err
	}
}

// policy is the one to follow for a domain now; nil when there is none (RFC 8461 5.1). A policy that is kept holds for its time, whatever has become of its record or
// its host; only a newer one takes its place. An error is that of the cache.
func (s *sts) policy(ctx context.Context, domain string) (*Policy, error) {
	kept, ok, err := s.cache.Policy(ctx, domain)
	if err != nil {
		return nil, fmt.Errorf("looking for the policy of %s: %w", domain, err)
	}
	ok = ok && time.Now().Before(kept.Until)
	if id, found := s.record(ctx, domain); found && (!ok || id != kept.ID || !kept.fresh()) {
		if fresh, err := s.fetch(ctx, domain, id); err == nil {
			kept, ok = fresh, true
		}
	}
	if !ok || kept.Mode == ModeNone {
		return nil, nil
	}
	return &kept, nil
}

// refresh is how old a policy may become, while it holds, before it is fetched again, or half of its time if that is shorter: one that were fetched only when it has run out could be
// kept away at that moment (RFC 8461 3.3, 10.2).
const refresh = 24 * time.Hour

// fresh tells whether a policy holds and was fetched of late.
func (p *Policy) fresh() bool {
	return time.Now().Before(p.Until) && time.Since(p.Until.Add(-p.Age)) < min(refresh, p.Age/2)
}

// record is the id in the domain's DNS record (RFC 8461 3.1).
func (s *sts) record(ctx context.Context, domain string) (id string, ok bool) {
	texts, err := s.resolver.LookupTXT(ctx, "_mta-sts."+domain+".")
	if err != nil {
		return "", false
	}
	for _, text := range texts {
		if first, _, _ := strings.Cut(text, ";"); strings.TrimRight(first, " \t") != "v=STSv1" {
			continue
		}
		if ok { // more than one: as if there were none
			return "", false
		}
		if id, ok = parseRecord(text); !ok {
			return "", false
		}
	}
	return id, ok
}

func parseRecord(text string) (id string, ok bool) {
	for i, field := range strings.Split(text, ";") {
		name, value, found := strings.Cut(field, "=")
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
		switch {
		case i == 0 && (name != "v" || value != "STSv1"):
			return "", false
		case name == "id" && found && id == "":
			id = value
		}
	}
	plain := !strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	})
	return id, plain && id != "" && len(id) <= 32
}

// fetch gets a policy over https and keeps it. Only one fetch for a domain is under way at a time; after one that failed there is a pause.
func (s *sts) fetch(ctx context.Context, domain, id string) (Policy, error) {
	s.mu.Lock()
	f := s.flights[domain]
	switch {
	case f == nil && time.Now().Before(s.failed[domain]):
		s.mu.Unlock()
		return Policy{}, errors.New("the last fetch failed a moment ago")
	case f == nil:
		f = &flight{done: make(chan struct{})}
		s.flights[domain] = f
		go s.fly(context.WithoutCancel(ctx), f, domain, id)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.policy, f.err
	case <-ctx.Done():
		return Policy{}, ctx.Err()
	}
}

func (s *sts) fly(ctx context.Context, f *flight, domain, id string) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	if kept, ok, err := s.cache.Policy(ctx, domain); err == nil && ok && kept.ID == id && kept.fresh() { // another flight has ended since somebody looked
		f.policy = kept
	} else if f.policy, f.err = s.get(ctx, domain); f.err == nil {
		f.policy.ID, f.policy.Until = id, time.Now().Add(f.policy.Age)
		_ = s.cache.SetPolicy(ctx, domain, f.policy) // it is followed now, kept or not
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flights, domain)
	if len(s.failed) >= maxFailed {
		clear(s.failed)
	}
	if delete(s.failed, domain); f.err != nil {
		s.failed[domain] = time.Now().Add(fetchPause)
	}
	close(f.done)
}

func (s *sts) get(ctx context.Context, domain string) (Policy, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return Policy{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return Policy{}, fmt.Errorf("fetching an MTA-STS policy: %w", err)
	}
	defer resp.Body.Close()
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode != http.StatusOK || kind != "text/plain" {
		return Policy{}, fmt.Errorf("fetching an MTA-STS policy: status %d, type %q", resp.StatusCode, kind)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	if err != nil {
		return Policy{}, fmt.Errorf("fetching an MTA-STS policy: %w", err)
	}
	return ParsePolicy(text)
}
