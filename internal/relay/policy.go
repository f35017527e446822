package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"chmail/internal/address"
)

// The modes of a policy (RFC 8461 3.2). Testing changes nothing about how a mail goes.
const (
	ModeEnforce = "enforce"
	ModeTesting = "testing"
	ModeNone    = "none"
)

// Policy is what a domain says about its mail servers (MTA-STS, RFC 8461 3.2).
type Policy struct {
	ID    string // of the DNS record under which it was fetched
	Mode  string
	MX    []string      // in lower case: "mx.example.org", or "*.example.org" for one label in front
	Age   time.Duration // how long it holds
	Until time.Time     // and until when, counted from the fetch
}

// errPolicy says that a text is no policy that can be followed.
var errPolicy = errors.New("not an MTA-STS policy")

const (
	maxPolicy    = 64 << 10 // octets (RFC 8461 3.3)
	maxPolicyMX  = 1000
	maxPolicyAge = 31_557_600 * time.Second // RFC 8461 3.2
)

// ParsePolicy reads the text of a policy; ID and Until stay empty. An error wraps no secret and no more of the text than a name.
func ParsePolicy(text []byte) (Policy, error) {
	var p Policy
	if len(text) > maxPolicy {
		return p, fmt.Errorf("%w: longer than %d octets", errPolicy, maxPolicy)
	}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		value = strings.Trim(value, " \t")
		if name = strings.TrimSpace(name); !ok {
			if name != "" {
				return Policy{}, fmt.Errorf("%w: a line without a colon", errPolicy)
			}
			continue
		}
		if name != "mx" && seen[name] {
			continue // RFC 8461 3.2: the first counts
		}
		seen[name] = true
		if err := p.set(name, value); err != nil {
			return Policy{}, err
		}
	}
	switch {
	case !seen["version"] || p.Mode == "" || p.Age <= 0:
		return Policy{}, fmt.Errorf("%w: version, mode or max_age is missing", errPolicy)
	case len(p.MX) == 0 && p.Mode != ModeNone:
		return Policy{}, fmt.Errorf("%w: no mx", errPolicy)
	}
	return p, nil
}

func (p *Policy) set(name, value string) error {
	switch name {
	case "version":
		if value != "STSv1" {
			return fmt.Errorf("%w: a version other than STSv1", errPolicy)
		}
	case "mode":
		if value != ModeEnforce && value != ModeTesting && value != ModeNone {
			return fmt.Errorf("%w: an unknown mode", errPolicy)
		}
		p.Mode = value
	case "max_age":
		n, err := strconv.ParseUint(value, 10, 34)
		if err != nil {
			return fmt.Errorf("%w: max_age is no number of seconds", errPolicy)
		}
		p.Age = min(time.Duration(n)*time.Second, maxPolicyAge)
	case "mx":
		wild := strings.HasPrefix(value, "*.")
		d, err := address.ParseDomain(strings.TrimPrefix(value, "*."))
		if err != nil || d[0] == '[' || len(p.MX) >= maxPolicyMX {
			return fmt.Errorf("%w: an mx that is no host name, or too many of them", errPolicy)
		}
		if wild {
			d = "*." + d
		}
		p.MX = append(p.MX, d)
	}
	return nil
}

// Allows tells whether a host may be a mail server of the domain (RFC 8461 4.1).
func (p *Policy) Allows(host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	for _, mx := range p.MX {
		if mx == host || parent != "" && mx == "*."+parent {
			return true
		}
	}
	return false
}

// PolicyCache keeps policies by domain for as long as they hold, better also over a restart: what is in it protects a domain from whoever can suppress
// its DNS. Methods may be called by many goroutines at once.
type PolicyCache interface {
	// Policy is the one that was kept; ok is false when there is none. One that has run out may be returned.
	Policy(ctx context.Context, domain string) (p Policy, ok bool, err error)
	// SetPolicy keeps p in the place of what was there.
	SetPolicy(ctx context.Context, domain string, p Policy) error
}
