package chbroker

import (
	"context"
	"database/sql"
	"errors"
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
	if older == 0 {
		older = math.MaxInt64
	}
	err = b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		mark, err := listedUpTo(tx)
		if err != nil {
			return err
		}
		mails = nil
		if newer != 0 {
			if mails, err = readLinks(tx, nil, limit+1, listed+`AND id > ? ORDER BY id LIMIT ?`, login, newer); err == nil {
				mails, err = readLinks(tx, mails, limit+1, unlisted+`AND id > ? ORDER BY id LIMIT ?`, login, max(mark, newer))
			}
			return err
		}
		if mails, err = readLinks(tx, nil, limit+1, unlisted+`AND id > ? AND id < ? ORDER BY id DESC LIMIT ?`, login, mark, older); err == nil {
			mails, err = readLinks(tx, mails, limit+1, listed+`AND id < ? ORDER BY id DESC LIMIT ?`, login, older)
		}
		return err
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

// A login's links: those that the index has, and those among the newest, which have to be looked through.
const (
	listed   = linkColumns + `INDEXED BY chbroker_link_login WHERE listed = 1 AND login = ? AND revoked = 0 `
	unlisted = linkColumns + `NOT INDEXED WHERE login = ? AND revoked = 0 `
)

// readLinks adds what a query finds to links, until there are most of them; most is the query's last argument.
func readLinks(tx *sqldb.Tx, links []call.Link, most int, query string, args ...any) ([]call.Link, error) {
	if len(links) >= most {
		return links, nil
	}
	rows, err := tx.Query(query, append(args, most-len(links))...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		l, err := scanLink(rows)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, rows.Err()
}

// listedUpTo is the newest link that the index has; 0 for none. It looks through those after it.
func listedUpTo(tx *sqldb.Tx) (mark int64, err error) {
	err = tx.QueryRow(`SELECT id FROM chbroker_link NOT INDEXED WHERE listed = 1 ORDER BY id DESC LIMIT 1`).Scan(&mark)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return mark, err
}

// list has the index of links take in what is new, a small piece at a time, so that mail hardly waits for it.
func (b *Broker) list(ctx context.Context) error {
	var mark int64
	err := b.o.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		mark, err = listedUpTo(tx)
		return err
	})
	for next := mark; err == nil; mark = next {
		err = b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
			err := tx.QueryRow(`SELECT coalesce(max(id), 0) FROM (SELECT id FROM chbroker_link NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?)`, mark, janitorPace).Scan(&next)
			if err == nil && next > 0 {
				_, err = tx.Exec(`UPDATE chbroker_link SET listed = 1 WHERE id > ? AND id <= ?`, mark, next)
			}
			return err
		})
		if next == 0 {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("listing links by their owners: %w", err)
	}
	return nil
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
