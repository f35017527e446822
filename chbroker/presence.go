package chbroker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"chmail/internal/call"
)

// presence is what this process knows of where people are. The maps get a copy and may lose it; from here it is written again. Its
// methods touch memory only and never wait.
type presence struct {
	mu      sync.Mutex
	logins  map[string]*known
	unsaved map[string]struct{}            // logins of which the maps may lack something
	live    map[fieldOf]*struct{ id byte } // connected devices; the pointer tells a device from itself connected anew
	kick    chan struct{}                  // to the keeper: there is something unsaved
}

// known is one login's evidence. Guarded by presence.mu.
type known struct {
	places  map[string]Place    // by field; run out ones are pruned
	drops   map[string]struct{} // fields that the maps are still to drop
	rhythms []rhythm            // of mail clients that poll
	latest  Place               // the last sign of all; not a device's mere being connected
	written time.Time           // when latest was last handed to SQL
	dirty   bool                // latest is newer than what SQL has
}

// fieldOf names a place of a login.
type fieldOf struct{ login, field string }

func newPresence() *presence {
	return &presence{
		logins: make(map[string]*known), unsaved: make(map[string]struct{}), live: make(map[fieldOf]*struct{ id byte }), kick: make(chan struct{}, 1),
	}
}

func (p *presence) of(login string) *known {
	k := p.logins[login]
	if k == nil {
		k = &known{places: make(map[string]Place, 1), drops: make(map[string]struct{})}
		p.logins[login] = k
	}
	return k
}

// note takes in a sign, and returns it with what is known of the client's polls.
func (p *presence) note(login string, pl Place, now time.Time) Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.of(login)
	field := pl.Field()
	if pl.Source == call.POP3 { // sending a mail is no poll, and says nothing about the next
		if pl.Interval = k.learn(field, now); pl.Interval > 0 {
			pl.Until = now.Add(holds(pl.Interval))
		}
	}
	if old := k.places[field]; pl.Input.IsZero() {
		pl.Input = old.Input
	}
	k.places[field] = pl
	delete(k.drops, field)
	prune(k.places, now, field)
	k.latest, k.dirty = pl, true
	return pl
}

// markUnsaved has the keeper write what is known of login to the maps.
func (p *presence) markUnsaved(login string) {
	p.mu.Lock()
	p.unsaved[login] = struct{}{}
	p.mu.Unlock()
	p.wake()
}

// markUnsavedLater is for writing that failed: the keeper tries again when it next checks.
func (p *presence) markUnsavedLater(login string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsaved[login] = struct{}{}
}

// markAllUnsaved is for maps that have lost everything.
func (p *presence) markAllUnsaved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for login, k := range p.logins {
		if len(k.places)+len(k.drops) > 0 {
			p.unsaved[login] = struct{}{}
		}
	}
}

func (p *presence) wake() {
	select {
	case p.kick <- struct{}{}:
	default: // it has been woken already
	}
}

// attach notes a connected device. The function that it returns ends that; a device that has meanwhile connected anew stays.
func (p *presence) attach(login string, pl Place, now time.Time) (detach func() bool) {
	p.note(login, pl, now)
	key, d := fieldOf{login, pl.Field()}, new(struct{ id byte })
	p.mu.Lock()
	p.live[key] = d
	p.mu.Unlock()
	p.markUnsaved(login)
	return func() bool {
		p.mu.Lock()
		mine := p.live[key] == d
		if mine {
			delete(p.live, key)
			k := p.of(login)
			delete(k.places, key.field)
			k.drops[key.field] = struct{}{}
		}
		p.mu.Unlock()
		if mine {
			p.markUnsaved(login)
		}
		return mine
	}
}

// input notes that a person is at a connected device.
func (p *presence) input(login, device string, now, until time.Time) {
	p.mu.Lock()
	k, field := p.logins[login], Place{Source: call.Desk, Client: cleanName(device, maxClient)}.Field()
	var pl Place
	ok := false
	if k != nil {
		pl, ok = k.places[field]
	}
	p.mu.Unlock()
	if !ok {
		return
	}
	pl.Seen, pl.Input, pl.Until = now, now, until
	p.note(login, pl, now)
	p.markUnsaved(login)
}

// renew prolongs the evidence of every connected device.
func (p *presence) renew(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for d := range p.live {
		k := p.of(d.login)
		if pl, ok := k.places[d.field]; ok {
			pl.Until = until
			k.places[d.field] = pl
			p.unsaved[d.login] = struct{}{}
		}
	}
}

// places are the unexpired places that this process knows of a login, and the fields that it knows to be no more.
func (p *presence) places(login string, now time.Time) (here map[string]Place, gone []string, latest Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.logins[login]
	if k == nil {
		return nil, nil, Place{}
	}
	here = make(map[string]Place, len(k.places))
	for f, pl := range k.places {
		if pl.Until.After(now) {
			here[f] = pl
		}
	}
	return here, slices.Collect(maps.Keys(k.drops)), k.latest
}

// unsavedBatch takes up to n logins that are to be written, with their places and the fields to drop.
func (p *presence) unsavedBatch(n int, now time.Time) (puts []Sighting, drops []fieldOf, logins []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for login := range p.unsaved {
		if len(logins) == n {
			break
		}
		logins = append(logins, login)
		delete(p.unsaved, login)
		k := p.logins[login]
		if k == nil {
			continue
		}
		for f := range k.drops {
			drops = append(drops, fieldOf{login, f})
		}
		for _, pl := range k.places {
			if pl.Until.After(now) {
				puts = append(puts, Sighting{login, pl})
			}
		}
	}
	return puts, drops, logins
}

// dropped notes that the maps have dropped a field.
func (p *presence) dropped(login, field string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.logins[login]; k != nil {
		delete(k.drops, field)
	}
}

// lastSign is what SQL is to know of a login: its last sign, and beside it how its mail clients poll.
type lastSign struct {
	Sighting
	rhythms string
}

// unwritten are the latest signs that SQL does not have, of each login at most once in every. They count as written until failed says otherwise.
func (p *presence) unwritten(now time.Time, every time.Duration) []lastSign {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []lastSign
	for login, k := range p.logins {
		k.forgetRhythms(now)
		if k.dirty && (every == 0 || now.Sub(k.written) >= every) {
			k.dirty, k.written = false, now
			all = append(all, lastSign{Sighting{login, k.latest}, encodeRhythms(k.rhythms)})
		}
		prune(k.places, now, "")
		if k.dirty || len(k.places) > 0 || len(k.drops) > 0 || now.Sub(k.written) < every {
			continue
		}
		switch { // SQL knows the rest
		case len(k.rhythms) == 0:
			delete(p.logins, login)
		case !k.latest.Seen.IsZero():
			*k = known{places: make(map[string]Place), drops: make(map[string]struct{}), rhythms: k.rhythms, written: k.written}
		}
	}
	return all
}

// failed takes back that these signs are in SQL.
func (p *presence) failed(signs []lastSign) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range signs {
		if k := p.of(s.Login); k.latest.Seen.IsZero() || !k.latest.Seen.After(s.Place.Seen) {
			k.latest, k.dirty = s.Place, true
		}
	}
}

// placeOf is the place that a sign speaks of.
func (b *Broker) placeOf(s call.Sign, now time.Time) Place {
	p := Place{Source: s.Source, IP: s.IP.Unmap().WithZone(""), Host: cleanName(s.Host, maxHost), Seen: now, Until: now.Add(b.times.MailSign)}
	if s.Device != "" {
		p.Client, p.Until = cleanName(s.Device, maxClient), now.Add(b.times.DeskSign)
	} else {
		p.Client = clientKey(p.IP, p.Host)
	}
	return p
}

// Seen takes in a sign of life (R2). It returns within 50 ms whatever the maps do, normally after they have been written.
func (b *Broker) Seen(ctx context.Context, s call.Sign) {
	if s.Login == "" || s.Source == "" {
		return
	}
	now := time.Now()
	p := b.placeOf(s, now)
	p = b.presence.note(s.Login, p, now)
	b.board.signed(s.Login)
	if s.Source == call.SMTP {
		b.ports.warm(s.Login) // his mail is on its way, and will want a card
	}
	err := b.guard.do(ctx, "noting a sign", func(ctx context.Context) error {
		return b.guard.maps.Put(ctx, []Sighting{{s.Login, p}})
	})
	if err != nil {
		b.presence.markUnsavedLater(s.Login)
	}
}

// asker asks the maps, with one patience or another: guard.do or Broker.forAdmin.
type asker func(ctx context.Context, what string, f func(context.Context) error) error

// whereabouts are the places of logins by the maps and by this process, the one that was seen last first. When the maps do not answer,
// what this process knows has to do.
func (b *Broker) whereabouts(ctx context.Context, ask asker, logins ...string) map[string][]Place {
	// What is to be dropped is looked up before, too: it may be dropped while the maps' answer is on its way.
	going := make(map[string][]string, len(logins))
	for _, login := range logins {
		_, going[login], _ = b.presence.places(login, time.Now())
	}
	var known map[string][]Place
	if err := ask(ctx, "reading presence", func(ctx context.Context) (err error) {
		known, err = b.guard.maps.Places(ctx, logins)
		return err
	}); err != nil {
		b.log.Debug("presence is read without the maps", "err", err)
	}
	now := time.Now()
	all := make(map[string][]Place, len(logins))
	for _, login := range logins {
		here, gone, _ := b.presence.places(login, now)
		merged := make(map[string]Place, len(here))
		for _, p := range known[login] {
			merged[p.Field()] = p
		}
		for _, f := range slices.Concat(going[login], gone) {
			delete(merged, f)
		}
		for f, p := range here {
			if old, ok := merged[f]; !ok || !newer(old, p) {
				merged[f] = p
			}
		}
		places := slices.Collect(maps.Values(merged))
		slices.SortFunc(places, func(x, y Place) int { return y.Seen.Compare(x.Seen) })
		if len(places) > 0 {
			all[login] = places
		}
	}
	return all
}

// verdict says whether a login is on. Only a failing database makes an error.
func (b *Broker) verdict(ctx context.Context, login string) (Verdict, error) {
	places := b.whereabouts(ctx, b.guard.do, login)[login]
	ever := len(places) > 0
	if !ever {
		_, _, latest := b.presence.places(login, time.Now())
		ever = !latest.Seen.IsZero()
	}
	if !ever {
		last, err := b.lastSeen(ctx, login)
		if err != nil {
			return Unknown, err
		}
		ever = len(last) > 0
	}
	return judge(places, ever, time.Now(), b.times.Active), nil
}

// forgetLogin forgets where a login was, and has the maps forget it.
func (p *presence) forgetLogin(login string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.logins[login]; k != nil {
		for f := range k.places {
			k.drops[f] = struct{}{}
		}
		k.places, k.rhythms, k.latest, k.dirty = make(map[string]Place), nil, Place{}, false
		p.unsaved[login] = struct{}{}
	}
}

// clearPlaces takes out of the maps what other processes wrote there of a login whose account was removed.
func (b *Broker) clearPlaces(login string, at time.Time) {
	var known map[string][]Place
	if err := b.forAdmin(b.ctx, "reading presence", func(ctx context.Context) (err error) {
		known, err = b.guard.maps.Places(ctx, []string{login})
		return err
	}); err != nil {
		b.log.Info("places of a removed login stay in the presence map until they run out", "login", login, "err", err)
		return
	}
	b.presence.mu.Lock()
	for _, pl := range known[login] {
		k := b.presence.of(login)
		if _, here := k.places[pl.Field()]; !here && !pl.Seen.After(at) {
			k.drops[pl.Field()] = struct{}{}
		}
	}
	b.presence.mu.Unlock()
	b.presence.markUnsaved(login)
}
