package mailauth

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Resolver asks the DNS; *net.Resolver is one. A name that is not there, or has nothing of the kind, is a *net.DNSError with IsNotFound; any other error is
// taken for a temporary one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

const (
	lookupTime = 5 * time.Second // for one question, repetitions included
	knownTime  = 5 * time.Minute // Resolver does not tell how long an answer holds, and a key may be replaced
	absentTime = time.Minute
	maxKnown   = 4096    // answers kept
	maxTXT     = 4 << 10 // octets of a TXT record; one that is longer counts as absent
)

// cache is a Resolver that remembers. Only what is small is kept, so that strangers' zones take 16 MiB at most.
type cache struct {
	ask Resolver

	mu    sync.Mutex // guards known
	known map[string]known
}

type known struct {
	value any
	err   error
	until time.Time
}

func newCache(r Resolver) *cache {
	if r == nil {
		r = net.DefaultResolver
	}
	return &cache{ask: r, known: map[string]known{}}
}

// LookupTXT implements Resolver.
func (c *cache) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return remember(ctx, c, "TXT", absolute(name), func(ctx context.Context, name string) ([]string, int, error) {
		all, err := c.ask.LookupTXT(ctx, name)
		all = slices.DeleteFunc(all, func(s string) bool { return len(s) > maxTXT })
		size := 0
		for _, s := range all {
			size += len(s)
		}
		return all, size, err
	})
}

// LookupMX implements Resolver.
func (c *cache) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return remember(ctx, c, "MX", absolute(name), func(ctx context.Context, name string) ([]*net.MX, int, error) {
		all, err := c.ask.LookupMX(ctx, name)
		return all, 64 * len(all), err
	})
}

// LookupIPAddr implements Resolver.
func (c *cache) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return remember(ctx, c, "IP", absolute(host), func(ctx context.Context, host string) ([]net.IPAddr, int, error) {
		all, err := c.ask.LookupIPAddr(ctx, host)
		return all, 64 * len(all), err
	})
}

// LookupAddr implements Resolver.
func (c *cache) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return remember(ctx, c, "PTR", addr, func(ctx context.Context, addr string) ([]string, int, error) {
		all, err := c.ask.LookupAddr(ctx, addr)
		return all, 64 * len(all), err
	})
}

// absolute keeps the search list of this machine out of it.
func absolute(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") + "." }

// remember asks once and keeps the answer, unless the DNS failed or the answer is large. What comes back is the caller's own.
func remember[T any](ctx context.Context, c *cache, kind, name string, ask func(context.Context, string) ([]T, int, error)) ([]T, error) {
	key := kind + " " + name
	c.mu.Lock()
	k, ok := c.known[key]
	c.mu.Unlock()
	if ok && time.Now().Before(k.until) {
		all, _ := k.value.([]T)
		return slices.Clone(all), k.err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	all, size, err := ask(ctx, name)
	life := knownTime
	if err != nil {
		if life = absentTime; !notFound(err) {
			return nil, temporary(name, err)
		}
		all = nil
	}
	if size <= maxTXT && len(key) <= 300 {
		c.keep(key, known{slices.Clone(all), err, time.Now().Add(life)})
	}
	return all, err
}

// keep makes room where there is none: for what has run out first, else for any.
func (c *cache) keep(key string, k known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		now := time.Now()
		for key, old := range c.known {
			if now.After(old.until) {
				delete(c.known, key)
			}
		}
		for key := range c.known {
			if len(c.known) < maxKnown*3/4 {
				break
			}
			delete(c.known, key)
		}
	}
	c.known[key] = k
}

func notFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// temporary is err as a *net.DNSError that everybody takes for temporary, the libraries included.
func temporary(name string, err error) error {
	return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, UnwrapErr: err}
}
