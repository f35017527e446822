package chbroker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// Bounds of what a link keeps of its mail, in octets. A Summary is within them anyway; the table does not depend on it.
const (
	maxSubject    = 1024
	maxReferences = 2 << 10
	maxMessageID  = 998
	maxFromName   = 1024
	maxStamp      = 512
)

var errRemoved = errors.New("its account has been removed meanwhile")

// Keep stores a card's link, within the transaction that stores the mail: both are there or neither. The link of a login whose account has been removed
// since its card was made, or the mail came, is an error: it would work for whoever gets the address next.
func (b *Broker) Keep(tx *sqldb.Tx, c call.Card, m message.Summary, now time.Time) error {
	if len(c.Hash) != sha256.Size {
		return fmt.Errorf("keeping a link of %s: its hash has %d octets", c.Login, len(c.Hash))
	}
	id, err := b.insert(tx, c, m, now)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() { b.fresh.add(tokenKey(c.Hash), id) })
	return b.ports.carry(tx, c.Login, c.Port, c.Expires)
}

// Note remembers a mail that goes out without a link, with the reason in m.Stamp, as long as it would a link.
func (b *Broker) Note(tx *sqldb.Tx, login string, m message.Summary, now time.Time) error {
	_, err := b.insert(tx, call.Card{Login: login, Expires: now.Add(b.o.LinkLife)}, m, now)
	if err == nil {
		tx.AfterCommit(b.fresh.noted)
	}
	return err
}

// insert adds a link; without a hash, one that nobody can follow.
func (b *Broker) insert(tx *sqldb.Tx, c call.Card, m message.Summary, now time.Time) (id int64, err error) {
	since := c.Expires.Add(-b.o.LinkLife) // the card was made
	if now.Before(since) {
		since = now
	}
	if b.gone.maybe(c.Login) {
		if gone, err := removed(tx, c.Login, since); err != nil || gone {
			return 0, fmt.Errorf("keeping a link of %s: %w", c.Login, cmp.Or(err, errRemoved))
		}
	}
	res, err := tx.Exec(`INSERT INTO chbroker_link (hash, login, message_id, subject, refs, from_name, recipients, stamp, sent, created, expires)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Hash, c.Login, clip(m.MessageID, maxMessageID), clip(m.Subject, maxSubject), clip(m.References, maxReferences), clip(m.FromName, maxFromName),
		m.Recipients, clip(m.Stamp, maxStamp), m.Date, now, c.Expires)
	if err == nil {
		id, err = res.LastInsertId()
	}
	if err != nil {
		return 0, fmt.Errorf("keeping a link of %s: %w", c.Login, err)
	}
	return id, nil
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

const linkColumns = `SELECT id, chbroker_link.login, message_id, subject, refs, from_name, recipients, stamp, sent, created, expires, revoked <> 0, terms FROM chbroker_link `

func scanLink(r interface{ Scan(...any) error }) (l call.Link, err error) {
	m := &l.Mail
	err = r.Scan(&l.ID, &l.Login, &m.MessageID, &m.Subject, &m.References, &m.FromName, &m.Recipients, &m.Stamp, &m.Date, &l.Created, &l.Expires, &l.Revoked, &l.Terms)
	return l, err
}

// Resolve finds what a token stands for. Every token that does not work gets call.ErrNoLink after the same work: unknown,
// malformed, expired or revoked. Another error means that it could not be found out.
func (b *Broker) Resolve(ctx context.Context, token string) (call.Link, error) {
	hash, _ := hashToken(token)
	key := tokenKey(hash[:])
	fresh := b.fresh.find(key) // first: it leaves there once the index has it
	var l call.Link
	err := b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		id, err := indexed(tx, key)
		if err != nil {
			return err
		}
		if l, err = scanLink(tx.QueryRow(linkColumns+`WHERE id = ? AND hash = ? AND expires > ? AND revoked = 0`, max(id, fresh), hash[:], time.Now())); err != nil {
			return err
		}
		if gone, err := removed(tx, l.Login, l.Created); err != nil || gone {
			return cmp.Or(err, sql.ErrNoRows)
		}
		l.Port, err = b.ports.current(tx, l.Login)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return call.Link{}, call.ErrNoLink
	}
	if err != nil {
		return call.Link{}, fmt.Errorf("resolving a link: %w", err)
	}
	l.Host, l.Name = b.o.Host, b.names.of(ctx, l.Login)
	return l, nil
}

// Revoke ends a link of login's before its time; from then on it looks like one that never was.
func (b *Broker) Revoke(ctx context.Context, login string, id int64) error {
	err := b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chbroker_link SET revoked = ? WHERE id = ? AND login = ? AND revoked = 0`, time.Now(), id, login)
		return err
	})
	if err != nil {
		return fmt.Errorf("revoking link %d of %s: %w", id, login, err)
	}
	return nil
}

// SetTerms says on what terms login is rung for whoever follows a link of his from now on; "": on those of his account. Who waits for what is not asked of him any more
// rings at once. call.ErrNoLink when login has no such link, or it can be followed no more.
func (b *Broker) SetTerms(ctx context.Context, login string, id int64, terms call.Terms) error {
	if !terms.Known() {
		return fmt.Errorf("setting the terms of link %d of %s: there are no terms %q", id, login, terms)
	}
	var n int64
	err := b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`UPDATE chbroker_link SET terms = ? WHERE id = ? AND login = ? AND hash IS NOT NULL AND expires > ? AND revoked = 0`, string(terms), id, login, time.Now())
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err == nil && n == 0 {
		err = call.ErrNoLink
	}
	if err != nil {
		return fmt.Errorf("setting the terms of link %d of %s: %w", id, login, err)
	}
	b.log.Info("link's terms", "login", login, "link", id, "terms", terms)
	b.board.post(termsEvent{login, id, terms})
	return nil
}

// Works tells whether a link is login's and can be followed, and on what terms it rings.
func (b *Broker) Works(ctx context.Context, login string, id int64) (works bool, terms call.Terms, err error) {
	err = b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT terms FROM chbroker_link WHERE id = ? AND login = ? AND hash IS NOT NULL AND expires > ? AND revoked = 0`, id, login, time.Now()).Scan(&terms)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return false, "", nil
	}
	if err != nil {
		return false, "", fmt.Errorf("looking whether link %d of %s works: %w", id, login, err)
	}
	return true, terms, nil
}

// Mail is what is known of the mail that carries a link of login's; nothing when the link is gone.
func (b *Broker) Mail(ctx context.Context, login string, id int64) (message.Summary, error) {
	var l call.Link
	err := b.o.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		l, err = scanLink(tx.QueryRow(linkColumns+`WHERE id = ? AND login = ?`, id, login))
		return err
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return message.Summary{}, fmt.Errorf("looking for the mail of link %d of %s: %w", id, login, err)
	}
	return l.Mail, nil
}

// Remove forgets a login whose account goes: its port, its calls and where it was. Its links, of which there may be any number, are dead from then on by what is
// noted of it, and go when they expire. It belongs into the transaction that removes the account.
func (b *Broker) Remove(tx *sqldb.Tx, login string) error {
	row, err := scanPort(tx.QueryRow(portColumns+`AND login = ?`, b.o.Host, login))
	if err == nil && row.port != 0 {
		err = b.ports.giveUp(tx, row)
	}
	if err != nil {
		return fmt.Errorf("taking the port from %s: %w", login, err)
	}
	b.gone.add(login)
	for _, s := range []string{`DELETE FROM chbroker_seen WHERE login = ?`, `DELETE FROM chbroker_call WHERE login = ?`, `DELETE FROM chbroker_rest WHERE login = ?`} {
		if _, err := tx.Exec(s, login); err != nil {
			return fmt.Errorf("forgetting %s: %w", login, err)
		}
	}
	at := time.Now()
	if _, err := tx.Exec(`INSERT INTO chbroker_removed (login, at) VALUES (?, ?) ON CONFLICT (login) DO UPDATE SET at = excluded.at`, login, at); err != nil {
		return fmt.Errorf("noting that %s is removed: %w", login, err)
	}
	tx.AfterCommit(func() {
		b.board.post(forgetEvent{login, at})
		b.ports.forgetLogin(login)
		b.presence.forgetLogin(login)
		b.work.start(func() { b.clearPlaces(login, at) })
		b.names.forgetLogin(login)
		b.forgetRest(login)
	})
	return nil
}
