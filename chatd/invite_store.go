package chatd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// inviteColleague keeps an invitation; fresh tells that the colleague had none into this conversation. One who was removed from it is faultColleague.
func (s *store) inviteColleague(ctx context.Context, conv int64, login string, all bool, now time.Time) (fresh bool, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := mayCome(tx, conv, login); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM chatd_invitation WHERE until <= ?1 OR conv = ?2 AND login = ?3 AND used IS NOT NULL`, now, conv, login); err != nil {
			return err
		}
		var waiting int
		var again bool
		if err := tx.QueryRow(`SELECT count(*), coalesce(max(conv = ?2), FALSE) FROM chatd_invitation WHERE login = ?1 AND used IS NULL`, login, conv).Scan(&waiting, &again); err != nil {
			return err
		}
		if fresh = !again; fresh && waiting >= invitesAtOnce {
			return faultBusy
		}
		_, err := tx.Exec(`INSERT INTO chatd_invitation (id, conv, login, whole, until) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (conv, login) DO UPDATE SET whole = excluded.whole, until = excluded.until`, randomID(), conv, login, all, now.Add(inviteLife))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("keeping an invitation: %w", err)
	}
	return fresh, nil
}

// mayCome tells why a colleague cannot be invited.
func mayCome(tx *sqldb.Tx, conv int64, login string) error {
	var guests, ever int
	var removed bool
	var state call.State
	if err := tx.QueryRow(`SELECT (SELECT count(*) FROM chatd_guest WHERE conv = ?1 AND NOT away), (SELECT count(*) FROM chatd_guest WHERE conv = ?1),
		EXISTS (SELECT 1 FROM chatd_guest WHERE conv = ?1 AND login = ?2 AND away), (SELECT state FROM chatd_conversation WHERE key = ?1)`, conv, login).Scan(&guests, &ever, &removed, &state); err != nil {
		return err
	}
	switch {
	case state == call.Ended:
		return faultEnded
	case removed:
		return faultColleague
	case guests >= maxGuests || ever >= everGuests:
		return faultGuests
	}
	return nil
}

// come makes a browser of a colleague a guest, and the invitation used.
func (s *store) come(ctx context.Context, me Colleague, id string, v visitorID, now time.Time) (k keptCode, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		k = keptCode{}
		if err := tx.QueryRow(`SELECT i.whole, c.key, c.id, c.login FROM chatd_invitation i JOIN chatd_conversation c ON c.key = i.conv
			WHERE i.id = ?2 AND i.login = ?3 AND i.until > ?4 AND (i.used IS NULL OR i.used = ?1)
			AND c.login <> '' AND NOT EXISTS (SELECT 1 FROM chatd_block b WHERE b.login = c.login AND b.visitor = ?1)`, v[:], id, me.Login, now).Scan(&k.whole, &k.key, &k.conv, &k.login); err != nil {
			return err
		}
		if err := mayCome(tx, k.key, me.Login); errors.Is(err, faultColleague) || errors.Is(err, faultEnded) {
			return faultCode
		} else if err != nil && !errors.Is(err, faultGuests) { // that it is full does not keep out who is there
			return err
		}
		var other bool // somebody else's, or a guest's by a code: what he said there would be said to be this colleague's
		if err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chatd_guest WHERE conv = ? AND visitor = ? AND login <> ?)`, k.key, v[:], me.Login).Scan(&other); err != nil {
			return err
		}
		if other {
			return faultCode
		}
		if err := welcome(tx, k, v); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE chatd_invitation SET used = ? WHERE id = ?`, v[:], id); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE chatd_guest SET login = ?, name = ? WHERE conv = ? AND visitor = ?`, me.Login, me.called(), k.key, v[:])
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows), errors.Is(err, faultCode):
		return keptCode{}, ErrNoConversation
	case err != nil:
		return keptCode{}, fmt.Errorf("using an invitation: %w", err)
	}
	return k, nil
}

// comeBack makes sure that a browser of a colleague is a guest of a conversation in which he takes part, and sees what he may.
func (s *store) comeBack(ctx context.Context, me Colleague, conv string, v visitorID) error {
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		var k keptCode
		var browsers int
		var here bool
		var since int64
		if err := tx.QueryRow(`SELECT c.key, count(*), max(g.visitor = ?1), min(g.since) FROM chatd_conversation c JOIN chatd_guest g ON g.conv = c.key
			WHERE c.id = ?2 AND g.login = ?3 AND NOT g.away AND c.login <> '' AND c.state <> ?4
			AND NOT EXISTS (SELECT 1 FROM chatd_block b WHERE b.login = c.login AND b.visitor = ?1) GROUP BY c.key`, v[:], conv, me.Login, string(call.Ended)).Scan(&k.key, &browsers, &here, &since); err != nil {
			return err
		}
		switch err := mayCome(tx, k.key, me.Login); {
		case here:
			return nil
		case err != nil:
			return err
		case browsers >= colleagueBrowsers:
			return faultGuests
		}
		var other bool // as in come
		if err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chatd_guest WHERE conv = ? AND visitor = ?)`, k.key, v[:]).Scan(&other); err != nil {
			return err
		}
		if other {
			return faultCode
		}
		if err := welcome(tx, k, v); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE chatd_guest SET login = ?, name = ?, since = ? WHERE conv = ? AND visitor = ?`, me.Login, me.called(), since, k.key, v[:])
		return err
	})
	var refused *fault
	switch {
	case errors.Is(err, sql.ErrNoRows), errors.As(err, &refused):
		return ErrNoConversation
	case err != nil:
		return fmt.Errorf("leading a colleague back: %w", err)
	}
	return nil
}

// guestPlaces are the conversations in which a colleague takes part, the latest first; none that has ended.
func (s *store) guestPlaces(ctx context.Context, login string) (list []guestPlace, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = []guestPlace{}
		rows, err := tx.Query(`SELECT DISTINCT c.id, c.owner, c.login, c.name, c.about FROM chatd_guest g JOIN chatd_conversation c ON c.key = g.conv
			WHERE g.login = ? AND g.login <> '' AND NOT g.away AND c.login <> '' AND c.state <> ? ORDER BY c.at DESC, c.key DESC LIMIT ?`, login, string(call.Ended), guestPlacesShown)
		if err != nil {
			return err
		}
		for rows.Next() {
			var p guestPlace
			if err := rows.Scan(&p.Conv, &p.Owner, &p.Login, &p.Who, &p.About); err != nil {
				return err
			}
			list = append(list, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing where a colleague takes part: %w", err)
	}
	return list, nil
}

// colleaguesIn are the logins of those who take part in a conversation as colleagues, or did.
func (s *store) colleaguesIn(ctx context.Context, conv int64) (logins []string, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		logins = nil
		rows, err := tx.Query(`SELECT DISTINCT login FROM chatd_guest WHERE conv = ? AND login <> ''`, conv)
		if err != nil {
			return err
		}
		for rows.Next() {
			var login string
			if err := rows.Scan(&login); err != nil {
				return err
			}
			logins = append(logins, login)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing a conversation's colleagues: %w", err)
	}
	return logins, nil
}

// uninvite takes an invitation out that nobody has used, and tells into which conversation it was; none leaves key 0.
func (s *store) uninvite(ctx context.Context, which string, args ...any) (k keptCode, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		k = keptCode{}
		if err := tx.QueryRow(`SELECT c.key, c.id, c.login, i.id FROM chatd_invitation i JOIN chatd_conversation c ON c.key = i.conv WHERE i.used IS NULL AND `+which, args...).Scan(&k.key, &k.conv, &k.login, &k.invitation); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM chatd_invitation WHERE id = ?`, k.invitation)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return keptCode{}, nil
	}
	if err != nil {
		return keptCode{}, fmt.Errorf("taking an invitation back: %w", err)
	}
	return k, nil
}

// uninviteAll takes out what nobody has used of the invitations into a conversation, and tells whose they were.
func (s *store) uninviteAll(ctx context.Context, conv int64) (logins []string, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		logins = nil
		rows, err := tx.Query(`DELETE FROM chatd_invitation WHERE conv = ? AND used IS NULL RETURNING login`, conv)
		if err != nil {
			return err
		}
		for rows.Next() {
			var login string
			if err := rows.Scan(&login); err != nil {
				return err
			}
			logins = append(logins, login)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("taking invitations back: %w", err)
	}
	return logins, nil
}

// invitations are those that a login can use, the oldest first.
func (s *store) invitations(ctx context.Context, login string, now time.Time) (list []invitation, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = []invitation{}
		rows, err := tx.Query(`SELECT i.id, c.owner, c.login, c.name, c.about, i.until FROM chatd_invitation i JOIN chatd_conversation c ON c.key = i.conv
			WHERE i.login = ? AND i.until > ? AND i.used IS NULL AND c.state <> ? AND c.login <> '' ORDER BY i.until, i.id LIMIT ?`, login, now, string(call.Ended), invitesAtOnce)
		if err != nil {
			return err
		}
		for rows.Next() {
			var i invitation
			var until time.Time
			if err := rows.Scan(&i.ID, &i.Owner, &i.Login, &i.Who, &i.About, &until); err != nil {
				return err
			}
			i.LeftMS = max(until.Sub(now).Milliseconds(), 1)
			list = append(list, i)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing invitations: %w", err)
	}
	return list, nil
}

// invited are the colleagues who have not answered an invitation into a conversation.
func (s *store) invited(ctx context.Context, conv int64, now time.Time) (list []awaited, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = []awaited{}
		rows, err := tx.Query(`SELECT login, until FROM chatd_invitation WHERE conv = ? AND until > ? AND used IS NULL ORDER BY login`, conv, now)
		if err != nil {
			return err
		}
		for rows.Next() {
			var a awaited
			var until time.Time
			if err := rows.Scan(&a.Login, &until); err != nil {
				return err
			}
			a.LeftMS = max(until.Sub(now).Milliseconds(), 1)
			list = append(list, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing who is invited: %w", err)
	}
	return list, nil
}
