package chbroker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chmail/internal/call"
)

// Bounds of what the maps keep of one login, so that nobody can fill them by signing in under many names.
const (
	maxPlaces  = 64        // fields of a login; those that end first go first
	maxHost    = 255       // octets of a host name (RFC 1035 2.3.4)
	maxClient  = 64        // octets of a device's id
	maxValue   = 4096      // octets of a value that is read at all
	skew       = time.Hour // a value that claims to be seen later than this is not believed
	maxHorizon = 3650 * 24 * time.Hour
)

// Place is where a login was seen through one source and client: one field of the presence map. Times are whole seconds there.
type Place struct {
	Source   call.Source
	Client   string // key of a mail client, or id of a device
	IP       netip.Addr
	Host     string // what the client called itself; "" where the protocol has no such name
	Seen     time.Time
	Until    time.Time     // the evidence holds until then
	Interval time.Duration // between the polls of a mail client; 0 until it has been learned
	Input    time.Time     // of a person, at a device; zero for none
}

// Field is the place's name within its login: source and client.
func (p Place) Field() string { return string(p.Source) + ":" + p.Client }

// Sighting is a place and whose it is.
type Sighting struct {
	Login string
	Place Place
}

// Lease says who holds a chat port. Numbers grow with every change of owner, and the higher number is right whatever arrives first.
type Lease struct {
	Port   int
	Login  string
	Number int64
	Until  time.Time
}

// Presence is the first map (R2): where each login was last seen. An implementation drops what has run out by itself.
type Presence interface {
	// Put writes sightings. A place that was seen later than the one to be written stays as it is, so repeating and overtaking do no harm.
	Put(ctx context.Context, sightings []Sighting) error
	// Drop takes one field of a login away; that it is not there is no error.
	Drop(ctx context.Context, login, field string) error
	// Places are the unexpired places of each login, those of a login without any left out.
	Places(ctx context.Context, logins []string) (map[string][]Place, error)
}

// PortMap is the second map (R3): which login holds a port of a chat host now.
type PortMap interface {
	// Take takes or renews leases and returns, for those that were refused, the lease that stands in the way: of another owner with the same number,
	// or of a higher number. A lease that has run out stands in nobody's way.
	Take(ctx context.Context, host string, leases []Lease) (held []Lease, err error)
	// Release gives a lease back; one of another owner or number stays.
	Release(ctx context.Context, host string, l Lease) error
	// Lease is the unexpired lease of a port.
	Lease(ctx context.Context, host string, port int) (l Lease, ok bool, err error)
	// Leases are all unexpired leases of a host, in order of their ports.
	Leases(ctx context.Context, host string) ([]Lease, error)
}

// Maps are both maps in one store. Every method returns when ctx ends, and may be called by many goroutines at once.
type Maps interface {
	Presence
	PortMap
	// Check tells whether the store still has what was written at the last Check. It has not when it was restarted, emptied or replaced; then all
	// is to be written again.
	Check(ctx context.Context) (kept bool, err error)
	Close() error
}

// clientKey names a mail client within its login: the same address and EHLO name give the same short key.
func clientKey(ip netip.Addr, host string) string {
	sum := sha256.Sum256([]byte(ip.String() + "\x00" + host))
	return hex.EncodeToString(sum[:6])
}

// cleanName makes a name that a client gave safe to keep and to print: printable characters only, in bounded length.
func cleanName(s string, limit int) string {
	plain := len(s) <= limit
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] > ' ' && s[i] < 0x7f
	}
	if plain {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// placeValue is a place as the presence map has it (interfaces.md, "Presence in Redis"). Input is ours; whoever does not know it can leave it out.
type placeValue struct {
	IP       string `json:"ip"`
	Host     string `json:"host"`
	Seen     int64  `json:"seen"`
	Until    int64  `json:"until"`
	Interval int64  `json:"interval_s"`
	Input    int64  `json:"input,omitempty"`
}

func (p Place) value() placeValue {
	v := placeValue{
		Host: cleanName(p.Host, maxHost), Seen: p.Seen.Unix(), Until: p.Until.Unix(), Interval: int64(p.Interval / time.Second),
	}
	if p.IP.IsValid() {
		v.IP = p.IP.String()
	}
	if !p.Input.IsZero() {
		v.Input = p.Input.Unix()
	}
	return v
}

// readPlace reads one field of the presence map. Others write there too, so nothing of it is taken for granted: ok is false for what is
// no place, has run out at now, or claims a time that cannot be.
func readPlace(field, value string, now time.Time) (p Place, ok bool) {
	source, client, found := strings.Cut(field, ":")
	if !found || source == "" || len(source) > maxClient || len(value) > maxValue {
		return Place{}, false
	}
	var v placeValue
	if json.Unmarshal([]byte(value), &v) != nil {
		return Place{}, false
	}
	return v.place(call.Source(cleanName(source, maxClient)), cleanName(client, maxClient), now)
}

func (v placeValue) place(source call.Source, client string, now time.Time) (p Place, ok bool) {
	n := now.Unix()
	late, horizon := n+int64(skew/time.Second), n+int64(maxHorizon/time.Second)
	if v.Until <= n || v.Until > horizon || v.Seen <= 0 || v.Seen > late || v.Input < 0 || v.Input > late ||
		v.Interval < 0 || v.Interval > int64(maxHorizon/time.Second) {
		return Place{}, false
	}
	p = Place{
		Source: source, Client: client, Host: cleanName(v.Host, maxHost),
		Seen: time.Unix(v.Seen, 0).UTC(), Until: time.Unix(v.Until, 0).UTC(), Interval: time.Duration(v.Interval) * time.Second,
	}
	if v.Input > 0 {
		p.Input = time.Unix(v.Input, 0).UTC()
	}
	if ip, err := netip.ParseAddr(v.IP); err == nil && ip.Zone() == "" {
		p.IP = ip
	}
	return p, true
}

// leaseValue is a lease as the port map has it, under the port's number.
type leaseValue struct {
	Login  string `json:"login"`
	Number int64  `json:"n"`
	Until  int64  `json:"until"`
}

func readLease(port int, value string, now time.Time) (l Lease, ok bool) {
	if len(value) > maxValue || port <= 0 || port > 65535 {
		return Lease{}, false
	}
	var v leaseValue
	if json.Unmarshal([]byte(value), &v) != nil {
		return Lease{}, false
	}
	n := now.Unix()
	if v.Login == "" || v.Login != cleanName(v.Login, maxValue) || v.Number < 0 || v.Until <= n || v.Until > n+int64(maxHorizon/time.Second) {
		return Lease{}, false
	}
	return Lease{Port: port, Login: v.Login, Number: v.Number, Until: time.Unix(v.Until, 0).UTC()}, true
}
