package chbroker

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// ErrNoPort says that nobody holds a port.
var ErrNoPort = errors.New("nobody holds this port")

// What the program's verbs show of the two maps, with the JSON of interfaces.md. Times are UTC, to the second.

// PersonView is a login in `chmail presence`.
type PersonView struct {
	Login    string         `json:"login"`
	Verdict  Verdict        `json:"verdict"`
	Latest   *LatestView    `json:"latest"` // null when there never was a sign
	Evidence []EvidenceView `json:"evidence"`
	// Until is when the verdict ends unless there is a new sign; a connected device gives one every 30 s. Null for off and unknown.
	Until *time.Time `json:"until"`
}

// LatestView is where a login was seen last.
type LatestView struct {
	IP     string    `json:"ip"`
	Host   string    `json:"host"`
	Source string    `json:"source"`
	Seen   time.Time `json:"seen"`
	// Interval is the seconds between the polls of the mail client that gave the sign, as far as learned; Until is how long a mail client's sign was
	// evidence. Only in `chmail presence`.
	Interval int64      `json:"interval_s,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
}

// EvidenceView is one place that speaks for a login's being on.
type EvidenceView struct {
	Source   string    `json:"source"`
	Client   string    `json:"client"`
	IP       string    `json:"ip"`
	Host     string    `json:"host"`
	Seen     time.Time `json:"seen"`
	Until    time.Time `json:"until"`
	Interval int64     `json:"interval_s"` // seconds between its polls; 0 until learned
	Age      int64     `json:"age_s"`      // seconds since it was seen
	// Polls are those by which the interval is known, at most nine; without a client that polls there are none.
	Polls int        `json:"polls,omitempty"`
	Input *time.Time `json:"input,omitempty"` // of a person, at a device
}

// PortView is a lease in `chmail ports`.
type PortView struct {
	Port      int       `json:"port"`
	Login     string    `json:"login"`
	Host      string    `json:"host"` // the chat host that the port is on
	Listening bool      `json:"listening"`
	Until     time.Time `json:"until"`
}

// OwnerView is the answer of `chmail whois`.
type OwnerView struct {
	Port   int         `json:"port"`
	Login  string      `json:"login"`
	Latest *LatestView `json:"latest"` // null when there never was a sign
}

// forAdmin asks the maps with more patience than a mail has.
func (b *Broker) forAdmin(ctx context.Context, what string, f func(context.Context) error) error {
	if b.guard.away() {
		return errAway
	}
	return b.patiently(ctx, what, f)
}

// Presence shows the presence map of one login, or of all that were ever seen when login is "", in order of their names.
func (b *Broker) Presence(ctx context.Context, login string) ([]PersonView, error) {
	last, err := b.lastSeen(ctx, login)
	if err != nil {
		return nil, err
	}
	logins := []string{login}
	if login == "" {
		logins = b.presence.everybody()
		for l := range last {
			logins = append(logins, l)
		}
		slices.Sort(logins)
		logins = slices.Compact(logins)
	}
	places := b.whereabouts(ctx, b.forAdmin, logins...)
	now := time.Now()
	all := make([]PersonView, 0, len(logins))
	for _, l := range logins {
		latest := b.latest(places[l], last[l], l)
		v := PersonView{Login: l, Latest: latest, Evidence: make([]EvidenceView, 0, len(places[l]))}
		v.Verdict = judge(places[l], latest != nil, now, b.times.Active)
		v.Until = ends(v.Verdict, places[l], b.times.Active)
		for _, p := range places[l] {
			v.Evidence = append(v.Evidence, b.evidence(l, p, now))
		}
		if latest != nil {
			latest.Interval, latest.Until = b.held(l, latest)
		}
		all = append(all, v)
	}
	return all, nil
}

// evidence explains what a place says for a login.
func (b *Broker) evidence(login string, p Place, now time.Time) EvidenceView {
	v := EvidenceView{
		Source: string(p.Source), Client: p.Client, IP: p.value().IP, Host: p.Host, Seen: utc(p.Seen), Until: utc(p.Until),
		Interval: int64(p.Interval / time.Second), Age: max(0, int64(now.Sub(p.Seen)/time.Second)),
	}
	_, v.Polls = b.presence.learned(login, p.Field())
	if !p.Input.IsZero() {
		v.Input = new(utc(p.Input))
	}
	return v
}

// ends is when a verdict ends without a new sign; nil for one that only a new sign ends.
func ends(v Verdict, places []Place, active time.Duration) *time.Time {
	var end time.Time
	for _, p := range places {
		until := p.Until
		if v == Active {
			until = p.Input.Add(active)
		}
		if until.After(end) {
			end = until
		}
	}
	if v == Off || v == Unknown {
		return nil
	}
	return new(utc(end))
}

// held is how long a last sign was, or is, evidence, and the interval by which that is so. Of a device nobody knows when it was last connected.
func (b *Broker) held(login string, l *LatestView) (interval int64, until *time.Time) {
	if l.Source == string(call.Desk) {
		return 0, nil
	}
	ip, err := netip.ParseAddr(l.IP)
	if err != nil {
		ip = netip.Addr{}
	}
	every, _ := b.presence.learned(login, Place{Source: call.Source(l.Source), Client: clientKey(ip, l.Host)}.Field())
	if every == 0 {
		return 0, new(l.Seen.Add(b.times.MailSign))
	}
	return int64(every / time.Second), new(l.Seen.Add(holds(every)))
}

func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// everybody is each login of which this process knows something.
func (p *presence) everybody() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.logins))
}

// latest is the last sign among the places, what this process remembers and what SQL has; nil when there is none.
func (b *Broker) latest(places []Place, last Place, login string) *LatestView {
	_, _, here := b.presence.places(login, time.Now())
	for _, p := range append(slices.Clone(places), here) {
		if p.Seen.After(last.Seen) {
			last = p
		}
	}
	if last.Seen.IsZero() {
		return nil
	}
	return &LatestView{IP: last.value().IP, Host: last.Host, Source: string(last.Source), Seen: utc(last.Seen)}
}

// Ports shows all leases of this chat host, with or without a listener, in order of their numbers: those of the port map, and of SQL what
// the map lacks or cannot say at the moment.
func (b *Broker) Ports(ctx context.Context) ([]PortView, error) {
	kept, err := b.ports.leases(ctx)
	if err != nil {
		return nil, err
	}
	byPort := make(map[int]Lease, len(kept))
	for _, l := range kept {
		byPort[l.Port] = l
	}
	var leases []Lease
	if err := b.forAdmin(ctx, "reading leases", func(ctx context.Context) (err error) {
		leases, err = b.guard.maps.Leases(ctx, b.o.Host)
		return err
	}); err != nil {
		b.log.Debug("ports are read without the port map", "err", err)
	}
	for _, l := range leases {
		if l.Number >= byPort[l.Port].Number {
			byPort[l.Port] = l
		}
	}
	listening := make(map[int]bool)
	for _, port := range b.o.Listening() {
		listening[port] = true
	}
	all := make([]PortView, 0, len(byPort))
	for _, l := range byPort {
		all = append(all, PortView{Port: l.Port, Login: l.Login, Host: b.o.Host, Listening: listening[l.Port], Until: utc(l.Until)})
	}
	slices.SortFunc(all, func(x, y PortView) int { return x.Port - y.Port })
	return all, nil
}

// Whois answers R3: from the port number alone, through the port map and then the presence map, its owner and where he was seen last.
// ErrNoPort when nobody holds it.
func (b *Broker) Whois(ctx context.Context, port int) (OwnerView, error) {
	login, err := b.holder(ctx, port)
	if err != nil {
		return OwnerView{}, err
	}
	last, err := b.lastSeen(ctx, login)
	if err != nil {
		return OwnerView{}, err
	}
	places := b.whereabouts(ctx, b.forAdmin, login)[login]
	return OwnerView{Port: port, Login: login, Latest: b.latest(places, last[login], login)}, nil
}

// holder is the login that holds a port by the port map, or by SQL where the map does not say.
func (b *Broker) holder(ctx context.Context, port int) (string, error) {
	var l Lease
	found := false
	if err := b.forAdmin(ctx, "reading a lease", func(ctx context.Context) (err error) {
		l, found, err = b.guard.maps.Lease(ctx, b.o.Host, port)
		return err
	}); err != nil {
		b.log.Debug("a port is looked up without the port map", "err", err)
	}
	if found {
		return l.Login, nil
	}
	var row portRow
	if err := b.o.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		row, err = scanPort(tx.QueryRow(portColumns+`AND port = ? AND until > ?`, b.o.Host, port, time.Now()))
		return err
	}); err != nil {
		return "", err
	}
	if row.port == 0 {
		return "", ErrNoPort
	}
	return row.login, nil
}
