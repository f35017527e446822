package chbroker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// Mails are the links of a login's mails, newest first, at most limit of them: those before the link with the id older, or those right after the
// one with the id newer, or, with both 0, the latest. more tells whether there are others on the way on: older ones, or with newer given, newer ones. A
// link that has expired or was revoked is among them until it is cleaned away. Login and name are the owner's; host and port are left out.
func (b *Broker) Mails(ctx context.Context, login string, older, newer int64, limit int) (mails []call.Link, more bool, err error) {
	if older == 0 {
		older = math.MaxInt64
	}
	err = b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		var mark, gone int64 // gone: links of this moment and before were another person's
		for _, q := range []struct {
			to    *int64
			query string
			args  []any
		}{
			{&mark, `SELECT coalesce(max(link), 0) FROM chbroker_indexed`, nil},
			{&gone, `SELECT coalesce(max(at), -1) FROM chbroker_removed WHERE login = ?`, []any{login}},
		} {
			if err := tx.QueryRow(q.query, q.args...).Scan(q.to); err != nil {
				return err
			}
		}
		mails = nil
		var err error
		if newer != 0 {
			if mails, err = readLinks(tx, nil, limit+1, inIndex+`AND m.link > ? AND m.link <= ? ORDER BY m.link LIMIT ?`, login, gone, newer, mark); err == nil {
				mails, err = readLinks(tx, mails, limit+1, notYet+`AND id > ? ORDER BY id LIMIT ?`, login, gone, max(mark, newer))
			}
			return err
		}
		if mails, err = readLinks(tx, nil, limit+1, notYet+`AND id > ? AND id < ? ORDER BY id DESC LIMIT ?`, login, gone, mark, older); err == nil {
			mails, err = readLinks(tx, mails, limit+1, inIndex+`AND m.link < ? AND m.link <= ? ORDER BY m.link DESC LIMIT ?`, login, gone, older, mark)
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
	inIndex = linkColumns + `JOIN chbroker_mail m ON m.link = id WHERE m.login = ? AND created > ? `
	notYet  = linkColumns + `WHERE chbroker_link.login = ? AND created > ? `
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

// Wrote tells whether a link is that of a mail of login's, also when it has expired or been revoked; not any more once it is cleaned away, and not of whoever had the address before.
func (b *Broker) Wrote(ctx context.Context, login, link string) (yes bool, err error) {
	token, ok := strings.CutPrefix(link, b.o.URL+"/c/")
	if !ok {
		return false, nil
	}
	hash, _ := hashToken(token)
	key := tokenKey(hash[:])
	fresh := b.fresh.find(key)
	err = b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		id, err := indexed(tx, key)
		if err != nil {
			return err
		}
		l, err := scanLink(tx.QueryRow(linkColumns+`WHERE id = ? AND hash = ?`, max(id, fresh), hash[:]))
		if errors.Is(err, sql.ErrNoRows) || err == nil && l.Login != login {
			return nil
		}
		if err != nil {
			return err
		}
		gone, err := removed(tx, login, l.Created)
		yes = !gone && err == nil
		return err
	})
	if err != nil {
		return false, fmt.Errorf("looking whose link it is: %w", err)
	}
	return yes, nil
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
