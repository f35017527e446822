package chbroker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"chmail/internal/sqldb"
)

// How a mail client's polling interval is learned (design 6.4).
const (
	maxGaps     = 8                // the interval is the median of so many, the latest
	enoughGaps  = 2                // so three polls: with fewer the interval is not known
	maxClients  = 16               // polling clients of one login that are remembered; whoever polled longest ago goes first
	sameEvent   = 30 * time.Second // a login so soon after the last poll belongs to it
	longestGap  = day              // a client that was silent for longer was off: that is no interval
	pollMargin  = time.Minute      // beyond two intervals: polls take their time, and clocks of clients are theirs
	rhythmsKept = 7 * day          // without a poll
)

// rhythm is how one mail client of a login polls. It outlives the evidence: a client that polls every hour is off most of the time until that is known.
type rhythm struct {
	field string // of its place
	last  int64  // its last poll, in Unix seconds: the first login of those that came together
	every uint32 // seconds between its polls, the median of gaps; 0 until three polls are known
	n     int    // gaps that are known
	gaps  [maxGaps]uint32
}

// polled takes in a login.
func (r *rhythm) polled(now int64) {
	gap := now - r.last
	switch {
	case gap < 0: // the clock was set back
		r.last = now
	case gap < int64(sameEvent/time.Second):
	case gap > int64(longestGap/time.Second):
		r.last = now
	default:
		r.last = now
		r.add(uint32(gap))
	}
}

func (r *rhythm) add(gap uint32) {
	if r.n == maxGaps {
		copy(r.gaps[:], r.gaps[1:])
		r.n--
	}
	r.gaps[r.n] = gap
	r.n++
	if r.n < enoughGaps {
		return
	}
	sorted := r.gaps
	slices.Sort(sorted[:r.n])
	r.every = (sorted[(r.n-1)/2] + sorted[r.n/2]) / 2
}

// interval is the time between polls; 0 until it has been learned.
func (r *rhythm) interval() time.Duration { return time.Duration(r.every) * time.Second }

// holds is how long a poll is evidence where the interval is known: two polls may be missed.
func holds(interval time.Duration) time.Duration { return 2*interval + pollMargin }

// rhythm is what is known of a client; nil when that is nothing. The pointer holds until the next change of the list.
func (k *known) rhythm(field string) *rhythm {
	for i := range k.rhythms {
		if k.rhythms[i].field == field {
			return &k.rhythms[i]
		}
	}
	return nil
}

// learn takes in a login of a client that polls, and returns the interval if it is known.
func (k *known) learn(field string, now time.Time) time.Duration {
	r := k.rhythm(field)
	if r == nil {
		if len(k.rhythms) == maxClients {
			oldest := slices.MinFunc(k.rhythms, func(a, b rhythm) int { return cmp.Compare(a.last, b.last) })
			k.rhythms = slices.DeleteFunc(k.rhythms, func(r rhythm) bool { return r.field == oldest.field })
		}
		k.rhythms = append(k.rhythms, rhythm{field: field, last: now.Unix()})
		return 0
	}
	r.polled(now.Unix())
	return r.interval()
}

// forgetRhythms forgets clients that have not polled for long.
func (k *known) forgetRhythms(now time.Time) {
	before := now.Add(-rhythmsKept).Unix()
	if slices.ContainsFunc(k.rhythms, func(r rhythm) bool { return r.last < before }) {
		k.rhythms = slices.DeleteFunc(k.rhythms, func(r rhythm) bool { return r.last < before })
	}
}

// rhythmValue is a rhythm as SQL has it, beside the login's last sign.
type rhythmValue struct {
	Field string   `json:"field"`
	Last  int64    `json:"last"`
	Gaps  []uint32 `json:"gaps"`
}

// encodeRhythms is "" for none.
func encodeRhythms(all []rhythm) string {
	if len(all) == 0 {
		return ""
	}
	values := make([]rhythmValue, 0, len(all))
	for i := range all {
		values = append(values, rhythmValue{all[i].field, all[i].last, all[i].gaps[:all[i].n]})
	}
	text, err := json.Marshal(values)
	if err != nil {
		return "" // not reached: there is nothing in it that JSON cannot say
	}
	return string(text)
}

// decodeRhythms reads them back; what cannot be is left out.
func decodeRhythms(text string) (all []rhythm, err error) {
	var values []rhythmValue
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, err
	}
	for _, v := range values[:min(len(values), maxClients)] {
		r := rhythm{field: v.Field, last: v.Last}
		for _, g := range v.Gaps {
			if d := time.Duration(g) * time.Second; d >= sameEvent && d <= longestGap {
				r.add(g)
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// loadRhythms takes up what was learned before the program started.
func (b *Broker) loadRhythms(ctx context.Context) error {
	learned := make(map[string]string)
	now := time.Now()
	err := b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		clear(learned)
		rows, err := tx.Query(`SELECT login, rhythms FROM chbroker_seen WHERE rhythms <> '' AND seen > ?`, now.Add(-rhythmsKept))
		if err != nil {
			return err
		}
		for rows.Next() {
			var login, text string
			if err := rows.Scan(&login, &text); err != nil {
				return err
			}
			learned[login] = text
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("reading learned intervals: %w", err)
	}
	for login, text := range learned {
		all, err := decodeRhythms(text)
		if err != nil {
			b.log.Warn("what was learned about a login's polls cannot be read; it is learned anew", "login", login, "err", err)
			continue
		}
		b.presence.resume(login, all, now)
	}
	return nil
}

// resume takes up what the last process had learned of a login, unless this one has learned something already.
func (p *presence) resume(login string, all []rhythm, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.of(login)
	if len(k.rhythms) == 0 {
		k.rhythms = all
		k.forgetRhythms(now)
	}
}

// learned is what is known of how a client polls.
func (p *presence) learned(login, field string) (interval time.Duration, polls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.logins[login]; k != nil {
		if r := k.rhythm(field); r != nil {
			return r.interval(), r.n + 1
		}
	}
	return 0, 0
}
