package chatd

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// blocksListed is how many blocked visitors a desk is shown, the latest.
const blocksListed = 500

// loginLocks are locks for logins, of which few share one: what one of them does that takes long is waited for by few others.
type loginLocks struct {
	seed  maphash.Seed
	locks [64]sync.Mutex
}

func newLoginLocks() *loginLocks { return &loginLocks{seed: maphash.MakeSeed()} }

func (l *loginLocks) of(login string) *sync.Mutex {
	return &l.locks[maphash.String(l.seed, login)%uint64(len(l.locks))]
}

// blockedFrame tells the owner's desks whom he has blocked, the latest first.
type blockedFrame struct {
	T     string        `json:"t"`
	Talks []blockedTalk `json:"talks"`
}

// blockedTalk names a blocked visitor by the conversation in which he was blocked.
type blockedTalk struct {
	Conv  string    `json:"conv"`
	Who   string    `json:"who"`
	About string    `json:"about"`
	At    time.Time `json:"at"`
}

// Blocked tells whether a login has blocked the visitor with this cookie: his links are none for him.
func (s *Server) Blocked(ctx context.Context, login, cookie string) (bool, error) {
	return s.store.blocked(ctx, login, browserVisitor(cookie))
}

// blocked is faultLink for a visitor whom the link's owner has blocked.
func (s *Server) blocked(ctx context.Context, link call.Link, v visitorID) error {
	blocked, err := s.store.blocked(ctx, link.Login, v)
	if err == nil && blocked {
		err = faultLink
	}
	return err
}

func (s *store) blocked(ctx context.Context, login string, v visitorID) (yes bool, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chatd_block WHERE login = ? AND visitor = ?)`, login, v[:]).Scan(&yes)
	})
	if err != nil {
		return false, fmt.Errorf("looking whether a visitor is blocked: %w", err)
	}
	return yes, nil
}

// block blocks the visitor of a conversation of login's, and returns all whom he is known to be; ErrNoConversation when it is not his.
func (s *store) block(ctx context.Context, login, conv string, now time.Time) (all []visitorID, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		all = nil
		rows, err := tx.Query(persons+`SELECT v FROM person`, conv, login)
		if err != nil {
			return err
		}
		for rows.Next() {
			var raw []byte
			if err := rows.Scan(&raw); err != nil {
				return err
			}
			all = append(all, visitorID(raw))
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if len(all) == 0 {
			return ErrNoConversation
		}
		if _, err := tx.Exec(persons+`INSERT INTO chatd_block (login, visitor, conv, name, about, at)
			SELECT ?2, person.v, c.id, c.name, c.about, ?3 FROM chatd_conversation c, person WHERE c.id = ?1 AND c.login = ?2 ON CONFLICT DO NOTHING`, conv, login, now); err != nil {
			return err
		}
		return forgetUnused(tx, conv, login)
	})
	if err != nil {
		return nil, fmt.Errorf("blocking a visitor: %w", err)
	}
	return all, nil
}

// forgetUnused takes the codes of a person's conversations out that nobody has used.
func forgetUnused(tx *sqldb.Tx, conv, login string) error {
	_, err := tx.Exec(persons+`DELETE FROM chatd_code WHERE used IS NULL AND conv IN (SELECT c.key FROM chatd_conversation c WHERE c.login = ?2 AND c.visitor IN (SELECT v FROM person))`, conv, login)
	return err
}

// unblock takes a block back, named by its conversation; ErrNoConversation when login has blocked nobody in it.
func (s *store) unblock(ctx context.Context, login, conv string) error {
	var n int64
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`DELETE FROM chatd_block WHERE login = ? AND conv = ?`, login, conv)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return fmt.Errorf("unblocking a visitor: %w", err)
	}
	if n == 0 {
		return ErrNoConversation
	}
	return nil
}

func (s *store) blocks(ctx context.Context, login string) (list []blockedTalk, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = []blockedTalk{}
		rows, err := tx.Query(`SELECT conv, name, about, max(at) AS at FROM chatd_block WHERE login = ? GROUP BY conv ORDER BY at DESC LIMIT ?`, login, blocksListed)
		if err != nil {
			return err
		}
		for rows.Next() {
			var b blockedTalk
			if err := rows.Scan(&b.Conv, &b.Who, &b.About, &b.At); err != nil {
				return err
			}
			list = append(list, b)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing blocked visitors: %w", err)
	}
	return list, nil
}

// open are the conversations of a visitor with a login that have not ended.
func (s *store) open(ctx context.Context, login string, v visitorID) (ids []string, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		ids = nil
		rows, err := tx.Query(`SELECT id FROM chatd_conversation WHERE login = ? AND visitor = ? AND state <> ?`, login, v[:], string(call.Ended))
		if err != nil {
			return err
		}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing a visitor's conversations: %w", err)
	}
	return ids, nil
}

// block blocks, or unblocks, the visitor of a conversation of this login's. Whoever is blocked is hung up on, all that he has with the owner ends, and so does
// the link by which he came: that before all else, so that a server which dies in between leaves no blocked visitor who comes back by it in another browser.
func (d *desk) block(ctx context.Context, f frameIn) error {
	s := d.srv
	one := s.blocks.of(d.login)
	one.Lock()
	defer one.Unlock()
	if f.T == "unblock" {
		if err := s.store.unblock(ctx, d.login, f.Conv); err != nil {
			return orRefused(err)
		}
		s.log.Info("chatd: visitor unblocked", "conv", f.Conv, "login", d.login)
		return s.tellBlocked(ctx, d.login, nil)
	}
	ctx = context.WithoutCancel(ctx) // what is begun is finished, though the desk be closed meanwhile
	r, err := s.rooms.ownedBy(ctx, f.Conv, d.login)
	if err != nil {
		return orRefused(err)
	}
	defer s.rooms.release(r)
	if err := d.revoke(ctx, r); err != nil {
		return err
	}
	all, err := s.store.block(ctx, d.login, f.Conv, time.Now())
	if err != nil {
		return orRefused(err)
	}
	s.log.Info("chatd: visitor blocked", "conv", f.Conv, "login", d.login)
	for _, v := range all {
		s.rooms.hangUp(d.login, v)
		if err := s.rooms.bar(ctx, d.login, v); err != nil {
			return err
		}
	}
	for _, v := range all {
		if err := s.endAll(ctx, d.login, v); err != nil {
			return err
		}
	}
	return s.tellBlocked(ctx, d.login, nil)
}

// endAll ends all that a visitor has with a login.
func (s *Server) endAll(ctx context.Context, login string, v visitorID) error {
	convs, err := s.store.open(ctx, login, v)
	if err != nil {
		return err
	}
	for _, id := range convs {
		if err := s.rooms.finishTalk(ctx, id, login); err != nil {
			return err
		}
	}
	return nil
}

// orRefused makes one refusal of what is not there and what is somebody else's.
func orRefused(err error) error {
	if errors.Is(err, ErrNoConversation) {
		return faultRefused
	}
	return err
}

// tellBlocked tells one desk of a login, or all of them, whom he has blocked; the login's lock of s.blocks is held.
func (s *Server) tellBlocked(ctx context.Context, login string, one *client) error {
	list, err := s.store.blocks(ctx, login)
	if err != nil {
		return err
	}
	s.rooms.putDesks(login, one, blockedFrame{T: "blocked", Talks: list})
	return nil
}

// showBlocked is tellBlocked for a desk that is being opened.
func (s *Server) showBlocked(ctx context.Context, login string, c *client) error {
	one := s.blocks.of(login)
	one.Lock()
	defer one.Unlock()
	return s.tellBlocked(ctx, login, c)
}

// hangUp hangs up on a visitor whom the owner has blocked, wherever he is.
func (rs *rooms) hangUp(login string, visitor visitorID) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for v := range rs.readers[login] {
		if v.visitor == visitor {
			v.blocked.Store(true)
			v.c.leave(errorFrame{T: "error", Code: faultLink.code, Text: faultLink.text})
		}
	}
}

// finishTalk ends a conversation of login's.
func (rs *rooms) finishTalk(ctx context.Context, id, login string) error {
	r, err := rs.ownedBy(ctx, id, login)
	if errors.Is(err, ErrNoConversation) { // it has just been removed
		return nil
	}
	if err != nil {
		return err
	}
	defer rs.release(r)
	r.post(ctx, ending{})
	return rs.srv.uninviteAll(ctx, r)
}
