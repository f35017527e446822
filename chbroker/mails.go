package chbroker

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// Mails are the links of a login's mails, newest first, at most limit of them: those before the link with the id older, or those right after the
// one with the id newer, or, with both 0, the latest. more tells whether there are others on the way on: older ones, or with newer given, newer ones. An
// expired link is among them until it is cleaned away, a revoked one is not. Login and name are the owner's; host and port are left out.
func (b *Broker) Mails(ctx context.Context, login string, older, newer int64, limit int) (mails []call.Link, more bool, err error) {
	query, from := linkColumns+`WHERE login = ? AND revoked = 0 AND id < ? ORDER BY id DESC LIMIT ?`, older
	switch {
	case newer != 0:
		query, from = linkColumns+`WHERE login = ? AND revoked = 0 AND id > ? ORDER BY id LIMIT ?`, newer
	case older == 0:
		from = math.MaxInt64
	}
	err = b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		mails = nil
		rows, err := tx.Query(query, login, from, limit+1)
		if err != nil {
			return err
		}
		for rows.Next() {
			l, err := scanLink(rows)
			if err != nil {
				return err
			}
			mails = append(mails, l)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, false, fmt.Errorf("listing the mails of %s: %w", login, err)
	}
	if more = len(mails) > limit; more {
		mails = mails[:limit]
	}
	if newer != 0 {
		slices.Reverse(mails)
	}
	return mails, more, nil
}

// Latest is the address where a login was seen last (R4), for mail: it asks what this process knows, which has just let the mail's sender in, and
// SQL where that is nothing, but never the presence map, which may be slow. The zero Addr when there never was a sign.
func (b *Broker) Latest(ctx context.Context, login string) (netip.Addr, error) {
	if ip, ok := b.presence.latestIP(login); ok {
		return ip, nil
	}
	last, err := b.lastSeen(ctx, login)
	return last[login].IP, err
}

// latestIP is where a login was seen last by this process.
func (p *presence) latestIP(login string) (ip netip.Addr, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.logins[login]
	if k == nil || k.latest.Seen.IsZero() {
		return netip.Addr{}, false
	}
	return k.latest.IP, true
}
