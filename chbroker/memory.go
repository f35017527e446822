package chbroker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory keeps both maps in this process (R42): for one server without Redis. It behaves as Redis does, down to whole seconds.
type Memory struct {
	mu      sync.Mutex
	places  map[string]map[string]Place // login → field
	leases  map[string]map[int]Lease    // host → port
	checked bool
	swept   time.Time
}

var _ Maps = (*Memory)(nil)

const sweepEvery = time.Minute

// NewMemory makes empty maps.
func NewMemory() *Memory {
	return &Memory{places: make(map[string]map[string]Place), leases: make(map[string]map[int]Lease)}
}

// Put writes sightings.
func (m *Memory) Put(_ context.Context, sightings []Sighting) error {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(now)
	for _, s := range sightings {
		p, ok := s.Place.value().place(s.Place.Source, s.Place.Client, now)
		if !ok {
			continue // run out on its way here
		}
		fields := m.places[s.Login]
		if fields == nil {
			fields = make(map[string]Place, 1)
			m.places[s.Login] = fields
		}
		field := p.Field()
		if old, ok := fields[field]; ok && newer(old, p) {
			continue
		}
		fields[field] = p
		prune(fields, now, field)
	}
	return nil
}

// newer tells whether old is to stay when p arrives.
func newer(old, p Place) bool {
	return cmp.Or(old.Seen.Compare(p.Seen), old.Until.Compare(p.Until), old.Input.Compare(p.Input)) > 0
}

// prune drops what has run out and, beyond the bound, what would run out first; never the field just written.
func prune(fields map[string]Place, now time.Time, written string) {
	for f, p := range fields {
		if !p.Until.After(now) {
			delete(fields, f)
		}
	}
	for len(fields) > maxPlaces {
		first := ""
		for f, p := range fields {
			if f != written && (first == "" || p.Until.Before(fields[first].Until)) {
				first = f
			}
		}
		delete(fields, first)
	}
}

// sweep forgets logins that have not been seen for long; without it the map would only grow.
func (m *Memory) sweep(now time.Time) {
	if now.Sub(m.swept) < sweepEvery {
		return
	}
	m.swept = now
	for login, fields := range m.places {
		prune(fields, now, "")
		if len(fields) == 0 {
			delete(m.places, login)
		}
	}
}

// Drop takes one field of a login away.
func (m *Memory) Drop(_ context.Context, login, field string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.places[login], field)
	if len(m.places[login]) == 0 {
		delete(m.places, login)
	}
	return nil
}

// Places are the unexpired places of each login.
func (m *Memory) Places(_ context.Context, logins []string) (map[string][]Place, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string][]Place, len(logins))
	for _, login := range logins {
		var places []Place
		for _, p := range m.places[login] {
			if p.Until.After(now) {
				places = append(places, p)
			}
		}
		if len(places) > 0 {
			all[login] = places
		}
	}
	return all, nil
}

// Take takes or renews leases.
func (m *Memory) Take(_ context.Context, host string, leases []Lease) (held []Lease, err error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	ports := m.leases[host]
	if ports == nil {
		ports = make(map[int]Lease)
		m.leases[host] = ports
	}
	for _, l := range leases {
		l.Until = l.Until.UTC().Truncate(time.Second)
		old, ok := ports[l.Port]
		ok = ok && old.Until.After(now)
		same := ok && old.Login == l.Login && old.Number == l.Number
		switch {
		case same && old.Until.After(l.Until): // a renewal that was overtaken
		case !ok || same || old.Number < l.Number:
			ports[l.Port] = l
		default:
			held = append(held, old)
		}
	}
	return held, nil
}

// Release gives a lease back.
func (m *Memory) Release(_ context.Context, host string, l Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.leases[host][l.Port]; ok && old.Login == l.Login && old.Number == l.Number {
		delete(m.leases[host], l.Port)
	}
	return nil
}

// Lease is the unexpired lease of a port.
func (m *Memory) Lease(_ context.Context, host string, port int) (Lease, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.leases[host][port]
	if !ok || !l.Until.After(time.Now()) {
		return Lease{}, false, nil
	}
	return l, true, nil
}

// Leases are all unexpired leases of a host.
func (m *Memory) Leases(_ context.Context, host string) ([]Lease, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Lease
	for _, l := range m.leases[host] {
		if l.Until.After(now) {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b Lease) int { return cmp.Compare(a.Port, b.Port) })
	return all, nil
}

// Check tells whether this is not the first Check: memory loses nothing while the process lives.
func (m *Memory) Check(context.Context) (kept bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept, m.checked = m.checked, true
	return kept, nil
}

// Close has nothing to close.
func (m *Memory) Close() error { return nil }
