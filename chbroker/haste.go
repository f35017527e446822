package chbroker

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/netutil"
)

const (
	hasteLinks  = 3               // links opened
	hasteWithin = 2 * time.Second // within this time are opened by a machine (hazards 2)
	hasteFresh  = time.Minute     // links of several owners count together, for one network, as long as their mails are no older
	hasteKept   = 10 * time.Minute
	hasteSlack  = 500 * time.Millisecond // who tells when a page was opened looks at the clock a little later than we do
	maxBursts   = 8                      // of one owner or network that are remembered
	maxRecent   = 1000                   // links of one owner or network that are looked at for a burst
)

// haste knows when links were opened so fast one after the other that a mail scanner was at work. It is told of pages, before anybody has shown intent, by many
// goroutines.
type haste struct {
	mu       sync.Mutex
	owners   openings[string]
	networks openings[netip.Prefix]
}

// openings are those of a while by what they have in common; of more than maxCounted, all are forgotten.
type openings[K comparable] map[K]*burst

// burst is how an owner's links, or links from one network, were opened of late.
type burst struct {
	recent []opening // by link, within hasteWithin of the newest
	spans  []span    // the latest bursts, in order
}

// opening is when a link was opened of late.
type opening struct {
	link      int64
	first, at time.Time
}

// span is a burst from its first opening to its last.
type span struct{ from, to time.Time }

func newHaste() *haste {
	return &haste{owners: make(openings[string]), networks: make(openings[netip.Prefix])}
}

// opened takes in that the page of a link was opened.
func (h *haste) opened(link call.Link, peer netip.Addr, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := opening{link.ID, at, at}
	h.owners.add(link.Login, o)
	if network := netutil.Network(peer); network.IsValid() && at.Sub(link.Created) < hasteFresh {
		h.networks.add(network, o)
	}
}

// hasty tells whether a page that was opened at that time was opened among many.
func (h *haste) hasty(login string, peer netip.Addr, at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.owners[login].holds(at) || h.networks[netutil.Network(peer)].holds(at)
}

func (os openings[K]) add(k K, o opening) {
	b := os[k]
	if b == nil {
		if len(os) >= maxCounted {
			clear(os)
		}
		b = &burst{}
		os[k] = b
	}
	b.recent = slices.DeleteFunc(b.recent, func(old opening) bool { return o.at.Sub(old.at) > hasteWithin })
	if i := slices.IndexFunc(b.recent, func(old opening) bool { return old.link == o.link }); i >= 0 {
		if o.at.Sub(b.recent[i].first) > hasteWithin {
			b.recent[i].first = o.at
		}
		b.recent[i].at = o.at
	} else if len(b.recent) < maxRecent {
		b.recent = append(b.recent, o)
	}
	if len(b.recent) < hasteLinks {
		return
	}
	from := o.at
	for _, r := range b.recent {
		if r.first.Before(from) {
			from = r.first
		}
	}
	b.note(span{from, o.at})
}

// note remembers a burst, which may be the last one going on.
func (b *burst) note(s span) {
	if n := len(b.spans); n > 0 && !s.from.After(b.spans[n-1].to) {
		b.spans[n-1].to = s.to
		return
	}
	b.spans = slices.DeleteFunc(b.spans, func(old span) bool { return s.to.Sub(old.to) > hasteKept })
	if len(b.spans) == maxBursts {
		b.spans = b.spans[1:]
	}
	b.spans = append(b.spans, s)
}

func (b *burst) holds(at time.Time) bool {
	return b != nil && slices.ContainsFunc(b.spans, func(s span) bool {
		return !at.Before(s.from.Add(-hasteSlack)) && !at.After(s.to.Add(hasteSlack))
	})
}

// Opened says that the page of a link was opened, by whatever it was; it calls nobody. Three links of one owner within two seconds, or three of mails of the last
// minute from one network, are a machine's: who shows intent on such a page is shown to the owner, without sound, until he has said something.
func (b *Broker) Opened(link call.Link, peer netip.Addr) {
	b.board.haste.opened(link, peer, time.Now())
}

// termsEvent: the owner of a link has said on what terms he is rung for whoever follows it.
type termsEvent struct {
	login string
	link  int64
	terms call.Terms
}

func (e termsEvent) on(bd *board) {
	o := bd.owners[e.login]
	if o == nil {
		return
	}
	for _, c := range slices.Clone(o.visits) {
		if c.rec.link.ID == e.link {
			c.rec.link.Terms = e.terms
			c.turned()
		}
	}
}

// turned goes by terms that have changed.
func (c *visit) turned() {
	state, _ := c.doubt()
	switch {
	case !c.here(): // when he is back, or it would ring, it is looked at again
	case c.phase == doubted && state != c.rec.state:
		c.ready()
	case c.phase == queued || c.phase == ringing || c.phase == pausing:
		c.asks()
	}
}

// Wants is what a reader of a link is told who has to do something before its owner is rung for him: call.Silent or call.Unproved; "" when showing himself is enough.
func (b *Broker) Wants(link call.Link) call.State {
	switch b.terms(link) {
	case call.Proved:
		return call.Unproved
	case call.AfterWords:
		return call.Silent
	}
	return ""
}

// terms are those of a link: its own, or its owner's.
func (b *Broker) terms(link call.Link) call.Terms {
	return cmp.Or(link.Terms, b.o.Wishes.Terms(link.Login), call.AtOnce)
}

// wanted tells what a reader is told who has to do something before the owner is rung for him, by the owner's terms, and why; "" when he need not, or has.
func (c *visit) wanted() (state call.State, why string) {
	terms := c.bd.b.terms(c.rec.link)
	switch {
	case c.proved != "":
		return "", ""
	case terms == call.Proved:
		return call.Unproved, "its owner wants to know by a proved address who calls"
	case terms == call.AfterWords && !c.spoke:
		return call.Silent, "its owner wants to see words first"
	}
	return "", ""
}

// doubt is wanted, and what is not certain of whether he is a person. That stays so until he has said something.
func (c *visit) doubt() (state call.State, why string) {
	if state, why = c.wanted(); why != "" || c.spoke || c.proved != "" {
		return state, why
	}
	if c.suspect {
		return call.Silent, "it was doubted before"
	}
	if c.suspect = c.bd.haste.hasty(c.rec.link.Login, c.peer, c.rec.opened); c.suspect {
		return call.Silent, "its page was opened among many"
	}
	return "", ""
}

// asks has a call sound no more, and asks its reader for what the owner's terms want of him; false when that is nothing.
func (c *visit) asks() bool {
	state, why := c.wanted()
	if why == "" {
		return false
	}
	sounded := c.phase == ringing
	c.alarm.stop()
	c.phase, c.ring = doubted, ring{}
	c.settlePush()
	if sounded {
		c.owner.hush(c)
	}
	c.tell(state, "why", why)
	c.owner.next()
	return true
}
