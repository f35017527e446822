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

// codeInvite is a code by which somebody becomes a guest; what is sealed with it is empty.
const codeInvite = "invite"

// A guest is a participant of a conversation whom its owner has brought in.
type guest struct {
	n       int64 // 1, 2, 3 … in his conversation
	name    string
	since   int64  // number of the first event that he may see
	account string // his login, if he is a colleague
	visitor visitorID

	login, owner, with, about string // the conversation's; with: its visitor's name
}

func (g guest) side() string { return guestSide(g.n) }

// A GuestView is what a guest's page shows before its line is up.
type GuestView struct {
	Owner string // how the owner is called
	Who   string // and the visitor; "" when he gave no name
	About string // the mail's subject
}

// Guest is the conversation of a guest with this cookie; ErrNoConversation when he is none there.
func (s *Server) Guest(ctx context.Context, conv, cookie string) (GuestView, error) {
	g, err := s.store.guest(ctx, conv, browserVisitor(cookie))
	if errors.Is(err, faultLink) {
		return GuestView{}, ErrNoConversation
	}
	return GuestView{Owner: g.owner, Who: g.with, About: g.about}, err
}

// guest finds a conversation's guest; whoever is none, was sent away or is blocked gets faultLink.
func (s *store) guest(ctx context.Context, conv string, v visitorID) (guest, error) {
	g := guest{visitor: v}
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT g.n, g.name, g.login, g.since, c.login, c.owner, c.name, c.about FROM chatd_conversation c JOIN chatd_guest g ON g.conv = c.key
			WHERE c.id = ?1 AND g.visitor = ?2 AND NOT g.away AND c.login <> '' AND NOT EXISTS (SELECT 1 FROM chatd_block WHERE login = c.login AND visitor = ?2)`, conv, v[:]).
			Scan(&g.n, &g.name, &g.account, &g.since, &g.login, &g.owner, &g.with, &g.about)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return guest{}, faultLink
	case err != nil:
		return guest{}, fmt.Errorf("finding a guest: %w", err)
	}
	return g, nil
}

// wasSentAway tells whether a visitor was a guest of a conversation until its owner sent him away.
func (s *store) wasSentAway(ctx context.Context, conv string, v visitorID) (away bool, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chatd_guest g JOIN chatd_conversation c ON c.key = g.conv WHERE c.id = ? AND c.login <> '' AND g.visitor = ? AND g.away)`, conv, v[:]).Scan(&away)
	})
	if err != nil {
		return false, fmt.Errorf("looking whether a guest was sent away: %w", err)
	}
	return away, nil
}

// invite keeps a new code for a guest, who is to see all that was said or what is said from when he comes.
func (s *store) invite(ctx context.Context, conv int64, all bool, now time.Time) (code string, err error) {
	code = newCode()
	sealed, err := seal(code, "")
	if err != nil {
		return "", err
	}
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		var guests, ever int
		var state call.State
		if err := tx.QueryRow(`SELECT (SELECT count(*) FROM chatd_guest WHERE conv = ?1 AND NOT away), (SELECT count(*) FROM chatd_guest WHERE conv = ?1),
			(SELECT state FROM chatd_conversation WHERE key = ?1)`, conv).Scan(&guests, &ever, &state); err != nil {
			return err
		}
		switch {
		case state == call.Ended:
			return faultEnded
		case guests >= maxGuests || ever >= everGuests:
			return faultGuests
		}
		if _, err := tx.Exec(`DELETE FROM chatd_code WHERE until <= ?`, now); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO chatd_code (hash, kind, whole, conv, sealed, until) VALUES (?, ?, ?, ?, ?, ?)`, codeHash(code), codeInvite, all, conv, sealed, now.Add(codeLife))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("keeping an invitation: %w", err)
	}
	return code, nil
}

// welcome makes whoever has typed an invitation's code a guest of its conversation, within the transaction that uses the code up. Its visitor, who is there
// already, and a guest who was sent away get faultCode, and so does everybody when it is full or has ended.
func welcome(tx *sqldb.Tx, k keptCode, v visitorID) error {
	var n int64
	var away bool
	err := tx.QueryRow(`SELECT n, away FROM chatd_guest WHERE conv = ? AND visitor = ?`, k.key, v[:]).Scan(&n, &away)
	if err == nil && !away { // he is here, and may now see more
		_, err = tx.Exec(`UPDATE chatd_guest SET since = min(since, CASE WHEN ? THEN 1 ELSE since END) WHERE conv = ? AND n = ?`, k.whole, k.key, n)
		return err
	}
	if err == nil {
		return faultCode
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var guests, ever, last int64
	var his bool
	var state call.State
	if err := tx.QueryRow(`SELECT (SELECT count(*) FROM chatd_guest WHERE conv = ?1 AND NOT away), (SELECT count(*) FROM chatd_guest WHERE conv = ?1), last, state,
		visitor = ?2 OR EXISTS (SELECT 1 FROM chatd_device WHERE conv = ?1 AND visitor = ?2) FROM chatd_conversation WHERE key = ?1`, k.key, v[:]).
		Scan(&guests, &ever, &last, &state, &his); err != nil {
		return err
	}
	if his || state == call.Ended || guests >= maxGuests || ever >= everGuests {
		return faultCode
	}
	since := last + 1
	if k.whole {
		since = 1
	}
	_, err = tx.Exec(`INSERT INTO chatd_guest (conv, n, visitor, name, since, away) VALUES (?, ?, ?, '', ?, FALSE)`, k.key, ever+1, v[:], since)
	return err
}

func (s *store) nameGuest(ctx context.Context, conv, n int64, name string) error {
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chatd_guest SET name = ? WHERE conv = ? AND n = ?`, name, conv, n)
		return err
	})
	if err != nil {
		return fmt.Errorf("naming a guest: %w", err)
	}
	return nil
}

// sendAway takes a guest's right; was tells whether he had it. One who never was is faultRefused.
func (s *store) sendAway(ctx context.Context, conv, n int64) (g guest, was bool, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		var away bool
		if err := tx.QueryRow(`SELECT n, name, login, away FROM chatd_guest WHERE conv = ? AND n = ?`, conv, n).Scan(&g.n, &g.name, &g.account, &away); err != nil {
			return err
		}
		was = !away
		_, err := tx.Exec(`UPDATE chatd_guest SET away = TRUE WHERE conv = ? AND n = ?`, conv, n)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return guest{}, false, faultRefused
	}
	if err != nil {
		return guest{}, false, fmt.Errorf("sending a guest away: %w", err)
	}
	return g, was, nil
}

// samePerson are the numbers of a guest, who has several if he is a colleague that has come in several browsers; faultRefused when there is no such guest.
func (s *store) samePerson(ctx context.Context, conv, n int64) (all []int64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT o.n FROM chatd_guest g JOIN chatd_guest o ON o.conv = g.conv AND (o.n = g.n OR g.login <> '' AND o.login = g.login)
			WHERE g.conv = ? AND g.n = ? ORDER BY o.n`, conv, n)
		if err != nil {
			return err
		}
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			all = append(all, n)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("finding a guest: %w", err)
	}
	if len(all) == 0 {
		return nil, faultRefused
	}
	return all, nil
}

// guestsOfLogin are the guests that a colleague is, by conversation; one number of each.
func (s *store) guestsOfLogin(ctx context.Context, login string) (map[string]int64, error) {
	return s.guestsWhere(ctx, `g.login = ? AND g.login <> ''`, login)
}

// guestsWhere are the numbers of guests, by conversation.
func (s *store) guestsWhere(ctx context.Context, which string, args ...any) (list map[string]int64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = make(map[string]int64)
		rows, err := tx.Query(`SELECT c.id, g.n FROM chatd_guest g JOIN chatd_conversation c ON c.key = g.conv WHERE `+which, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id string
			var n int64
			if err := rows.Scan(&id, &n); err != nil {
				return err
			}
			list[id] = n
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("finding where somebody is a guest: %w", err)
	}
	return list, nil
}

// toldAway tells whether everybody in a conversation has been told that a guest was sent away.
func (s *store) toldAway(ctx context.Context, conv int64, side string) (told bool, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chatd_event WHERE conv = ? AND side = ? AND kind = ?)`, conv, side, kindRemoved).Scan(&told)
	})
	if err != nil {
		return false, fmt.Errorf("looking whether a guest's going was told: %w", err)
	}
	return told, nil
}

func (s *store) isAway(ctx context.Context, conv, n int64) (away bool, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT away FROM chatd_guest WHERE conv = ? AND n = ?`, conv, n).Scan(&away)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether a guest was sent away: %w", err)
	}
	return away, nil
}

// guestOf are the conversations of a login in which a visitor is a guest, each with his number.
func (s *store) guestOf(ctx context.Context, login string, v visitorID) (map[string]int64, error) {
	return s.guestsWhere(ctx, `g.visitor = ? AND c.login = ? AND NOT g.away`, v[:], login)
}
