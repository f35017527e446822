package chbroker

import (
	"net/netip"
	"slices"
	"time"

	"chmail/internal/netutil"
)

// Limits are how many calls may ring, so that a link is no weapon against its owner (hazards 2); zero takes the default named with each. A call counts
// once, when it is first due to ring, however often it rings.
type Limits struct {
	Link        int           // calls by one link within LinkTime; 3
	LinkTime    time.Duration // 10 min
	Network     int           // calls from one IPv4 address or IPv6 /64, whomever they are for, within NetworkTime; 10
	NetworkTime time.Duration // 1 h
}

func (l Limits) orDefault() Limits {
	for _, n := range []struct {
		value     *int
		otherwise int
	}{{&l.Link, 3}, {&l.Network, 10}} {
		if *n.value <= 0 {
			*n.value = n.otherwise
		}
	}
	if l.LinkTime <= 0 {
		l.LinkTime = 10 * time.Minute
	}
	if l.NetworkTime <= 0 {
		l.NetworkTime = time.Hour
	}
	return l
}

// maxCounted is how many links, and how many networks, are counted at the same time; of twice as many, those that called longest ago are forgotten.
const maxCounted = 10_000

// quota counts calls of a while by what they have in common. Owned by the board's goroutine.
type quota[K comparable] struct {
	most       int
	within     time.Duration
	young, old map[K][]time.Time // when each called last, at most most times; old are those of before young was begun
	begun      time.Time
}

func newQuota[K comparable](most int, within time.Duration) *quota[K] {
	return &quota[K]{most: most, within: within, young: make(map[K][]time.Time)}
}

// spent tells whether one more call of key at now would be too many.
func (q *quota[K]) spent(key K, now time.Time) bool {
	return len(q.calls(key, now)) >= q.most
}

// calls are those of key that still count.
func (q *quota[K]) calls(key K, now time.Time) []time.Time {
	calls, ok := q.young[key]
	if !ok {
		calls = q.old[key]
	}
	i := slices.IndexFunc(calls, func(at time.Time) bool { return now.Sub(at) < q.within })
	if i < 0 {
		return nil
	}
	return calls[i:]
}

// count takes in a call.
func (q *quota[K]) count(key K, now time.Time) {
	if now.Sub(q.begun) >= q.within || len(q.young) >= maxCounted {
		q.young, q.old, q.begun = make(map[K][]time.Time), q.young, now
	}
	q.young[key] = append(slices.Clone(q.calls(key, now)), now)
}

// limits decides which calls ring. Owned by the board's goroutine.
type limits struct {
	links    *quota[int64]
	networks *quota[netip.Prefix]
}

func newLimits(l Limits) *limits {
	return &limits{links: newQuota[int64](l.Link, l.LinkTime), networks: newQuota[netip.Prefix](l.Network, l.NetworkTime)}
}

// admit counts a call that is about to ring. Why tells what it is beyond, "" for nothing; such a call is not counted. A peer that is not known has no limit of its own.
func (l *limits) admit(link int64, peer netip.Addr, now time.Time) (why string) {
	network := netutil.Network(peer)
	switch {
	case l.links.spent(link, now):
		return "too many calls by one link"
	case network.IsValid() && l.networks.spent(network, now):
		return "too many calls from one network"
	}
	l.links.count(link, now)
	if network.IsValid() {
		l.networks.count(network, now)
	}
	return ""
}

// limitedOf names the word of all calls of a login that were too many to ring; no conversation is called so.
func limitedOf(login string) string { return "too many for " + login }

// about is what word of a call is left with: its conversation, or all that were too many, so that their notices are no weapon either.
func (r *record) about() string {
	if r.limited {
		return limitedOf(r.link.Login)
	}
	return r.conv
}

// owe has word left of a call. Of those that are too many only so many are counted.
func (bd *board) owe(rec *record) {
	if w := bd.word(rec); !rec.limited || len(w.due)+len(w.under) < maxCrowd {
		w.owe(rec)
	}
}
