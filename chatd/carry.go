package chatd

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"chmail/internal/sqldb"
)

// A visitor carries his conversation to another device by a code: the browser in which it is typed becomes the same visitor in that conversation, and
// stays who it was in all others.

// maxDevices is in how many further browsers a visitor can have one conversation.
const maxDevices = 8

// What a code is for.
const codeCarry = "carry" // its conversation's visitor goes on elsewhere; sealed with it is the link's token

// codeFrame answers whoever has asked for a code.
type codeFrame struct {
	T      string `json:"t"`
	Conv   string `json:"conv"`
	CID    string `json:"cid"`
	Code   string `json:"code"` // in groups
	LeftMS int64  `json:"left_ms"`
}

// carry makes a code for the visitor. It counts as intent: there must be a conversation to be carried.
func (v *visit) carry(ctx context.Context, cid string) error {
	if !goodCID(cid) {
		return faultFrame
	}
	if err := v.intent(ctx); err != nil {
		return err
	}
	code, why := "", error(nil)
	if !v.srv.limits.codes.hit(v.room.key, time.Now()) {
		why = faultBusy
	} else if _, why = v.again()(ctx); why == nil { // a link that has ended leads nowhere on the other device
		code, why = v.srv.store.carry(ctx, v.room.key, v.token, time.Now())
	}
	var refused *fault
	if errors.As(why, &refused) {
		v.c.put(refusal(cid, v.room.id, refused))
		return nil
	}
	if why != nil {
		return why
	}
	v.c.put(codeFrame{T: "code", Conv: v.room.id, CID: cid, Code: showCode(code), LeftMS: codeLife.Milliseconds()})
	return nil
}

// carry keeps a new code for a conversation's visitor; an earlier one that nobody has used works no more.
func (s *store) carry(ctx context.Context, conv int64, token string, now time.Time) (code string, err error) {
	code = newCode()
	sealed, err := seal(code, token)
	if err != nil {
		return "", err
	}
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		var devices int
		if err := tx.QueryRow(`SELECT count(*) FROM chatd_device WHERE conv = ?`, conv).Scan(&devices); err != nil {
			return err
		}
		if devices >= maxDevices {
			return faultDevices
		}
		if _, err := tx.Exec(`DELETE FROM chatd_code WHERE until <= ?1 OR conv = ?2 AND kind = ?3 AND used IS NULL`, now, conv, codeCarry); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO chatd_code (hash, kind, conv, sealed, until) VALUES (?, ?, ?, ?, ?)`, codeHash(code), codeCarry, conv, sealed, now.Add(codeLife))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("keeping a code: %w", err)
	}
	return code, nil
}

// ErrCode is what Redeem says of every code that does not work, whatever the reason.
var ErrCode = fmt.Errorf("a code: %w", faultCode)

// A Landing is where a code leads.
type Landing struct {
	Token string // of the link by whose page the browser is now the same visitor; "" after an invitation
	Conv  string // the conversation whose guest he is now; "" otherwise
}

// Redeem uses a code up for a browser, and tells where it leads. Whatever is wrong with a code, and whoever may not use it, gets ErrCode; who tries
// too often, alone or together with everybody else, the refusal "busy". The browser that has used a code may use it again as long as it lasts: its first answer may not
// have arrived.
func (s *Server) Redeem(ctx context.Context, typed, visitor string, peer netip.Addr) (Landing, error) {
	now := time.Now()
	if !s.limits.guesses.Hit(peer) || s.limits.missed.over(0, now) {
		return Landing{}, errBusy
	}
	e, err := s.redeem(ctx, readCode(typed), browserVisitor(visitor), now)
	if errors.Is(err, faultCode) {
		s.limits.missed.hit(0, now)
		s.log.Info("chatd: a code that does not work", "peer", peer)
		return Landing{}, ErrCode
	}
	return e, err
}

func (s *Server) redeem(ctx context.Context, code string, v visitorID, now time.Time) (Landing, error) {
	k, err := s.store.code(ctx, code, v, now)
	if err != nil {
		return Landing{}, err
	}
	if k.kind == codeInvite {
		if err := s.store.settle(ctx, k, v, now); err != nil {
			return Landing{}, err
		}
		s.log.Info("chatd: guest", "conv", k.conv, "login", k.login)
		return Landing{Conv: k.conv}, nil
	}
	token, err := unseal(code, k.sealed)
	if err != nil {
		return Landing{}, err
	}
	switch link, err := s.look(ctx, token, 0); {
	case errors.Is(err, faultLink), err == nil && (link.ID != k.link || link.Login != k.login):
		return Landing{}, ErrCode
	case err != nil:
		return Landing{}, err
	}
	if err := s.store.settle(ctx, k, v, now); err != nil {
		return Landing{}, err
	}
	s.log.Info("chatd: conversation carried to another device", "conv", k.conv, "login", k.login, "link", k.link)
	key := doorKey{k.link, v} // what this browser had by that link it has no more
	s.seats.quit(key)
	s.doors.close(key)
	return Landing{Token: token}, nil
}

// A keptCode is what the database has of a code, and of its conversation.
type keptCode struct {
	hash, sealed []byte
	key          int64
	conv, login  string
	link         int64
	visitor      []byte
	kind         string
	whole        bool   // of an invitation
	invitation   string // of a colleague, which one
}

// code finds a code that a visitor may use; otherwise ErrCode.
func (s *store) code(ctx context.Context, code string, v visitorID, now time.Time) (k keptCode, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		k = keptCode{hash: codeHash(code)}
		return tx.QueryRow(`SELECT k.sealed, k.kind, k.whole, c.key, c.id, c.login, c.link, c.visitor FROM chatd_code k JOIN chatd_conversation c ON c.key = k.conv
			WHERE k.hash = ? AND k.until > ? AND (k.used IS NULL OR k.used = ?) AND c.login <> ''`, k.hash, now, v[:]).
			Scan(&k.sealed, &k.kind, &k.whole, &k.key, &k.conv, &k.login, &k.link, &k.visitor)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return keptCode{}, ErrCode
	case err != nil:
		return keptCode{}, fmt.Errorf("looking for a code: %w", err)
	}
	return k, nil
}

// settle makes a browser the visitor of a code's conversation, or its guest, and the code used. All that was found is looked at again, since others do the same.
func (s *store) settle(ctx context.Context, k keptCode, v visitorID, now time.Time) error {
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`UPDATE chatd_code SET used = ?1 WHERE hash = ?2 AND until > ?3 AND (used IS NULL OR used = ?1)
			AND EXISTS (SELECT 1 FROM chatd_conversation WHERE key = ?4 AND id = ?5 AND login = ?6)
			AND NOT EXISTS (SELECT 1 FROM chatd_block WHERE login = ?6 AND visitor IN (?1, ?7))`, v[:], k.hash, now, k.key, k.conv, k.login, k.visitor)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrCode)
		}
		if k.kind == codeInvite {
			return welcome(tx, k, v)
		}
		if bytes.Equal(k.visitor, v[:]) { // where it began: it needs no row, and has none of another conversation any more
			_, err := tx.Exec(`DELETE FROM chatd_device WHERE link = ? AND visitor = ?`, k.link, v[:])
			return err
		}
		_, err = tx.Exec(`INSERT INTO chatd_device (link, visitor, conv) VALUES (?, ?, ?) ON CONFLICT (link, visitor) DO UPDATE SET conv = excluded.conv`, k.link, v[:], k.key)
		return err
	})
	if err != nil {
		return fmt.Errorf("using a code: %w", err)
	}
	return nil
}

// persons are all visitors of a login who are one person as far as is known: the one of a conversation, and whoever has been made the same by codes.
const persons = `WITH RECURSIVE person(v) AS (
	SELECT visitor FROM chatd_conversation WHERE id = ?1 AND login = ?2
	UNION SELECT d.visitor FROM person p JOIN chatd_conversation c ON c.login = ?2 AND c.visitor = p.v JOIN chatd_device d ON d.conv = c.key
	UNION SELECT c.visitor FROM person p JOIN chatd_device d ON d.visitor = p.v JOIN chatd_conversation c ON c.key = d.conv AND c.login = ?2) `

// close hangs up on a visitor's connection, as when another has replaced it.
func (d *doors) close(k doorKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.in[k]; c != nil {
		c.leave(bye("replaced", 0))
	}
}
