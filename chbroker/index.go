package chbroker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"

	"chmail/internal/sqldb"
)

const (
	indexRound = 8192 // links that the indexes take in at a time; once so many wait, the keeper comes at once
	indexPiece = 256  // of them in one transaction, so that no mail waits for long
)

// A key is what the index of tokens knows a link by: the first half of its hash, 128 bits. The row itself has the whole.
type key [sha256.Size / 2]byte

func tokenKey(hash []byte) (k key) {
	copy(k[:], hash)
	return k
}

// indexed is the link that the index has for a token; 0 for none.
func indexed(tx *sqldb.Tx, k key) (id int64, err error) {
	err = tx.QueryRow(`SELECT link FROM chbroker_token WHERE hash = ?`, k[:]).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// fresh are the links that the indexes do not have yet, for finding them by their token meanwhile.
type fresh struct {
	many chan struct{} // says that a round's worth waits

	mu    sync.Mutex
	links map[key]int64
	mark  int64 // the newest link that the indexes have
	quiet bool  // the indexes have everything: there is nothing to look for
}

func newFresh() *fresh { return &fresh{many: make(chan struct{}, 1), links: make(map[key]int64)} }

func (f *fresh) add(k key, id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = false
	if id <= f.mark {
		return
	}
	f.links[k] = id
	if len(f.links) >= indexRound {
		select {
		case f.many <- struct{}{}:
		default:
		}
	}
}

// noted says that there is a link without a token.
func (f *fresh) noted() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = false
}

// settle takes it that all is in the indexes that is committed before it returns, and tells whether that has been so since the last time.
func (f *fresh) settle() (was bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was, f.quiet = f.quiet, true
	return was
}

// find is the link of a token; 0 for none.
func (f *fresh) find(k key) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.links[k]
}

// forget drops the links up to mark: the indexes have them.
func (f *fresh) forget(mark int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mark = mark
	for k, id := range f.links {
		if id <= mark {
			delete(f.links, k)
		}
	}
}

// An unindexed link is what the indexes need of it.
type unindexed struct {
	id    int64
	key   key
	token bool // somebody may have its token
	login string
}

// unindexed are links that the indexes do not have yet, the oldest first; most is how many at most, -1 for all.
func (b *Broker) unindexed(ctx context.Context, most int) (links []unindexed, err error) {
	err = b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		links = nil
		rows, err := tx.Query(`SELECT id, hash, login FROM chbroker_link WHERE id > (SELECT coalesce(max(link), 0) FROM chbroker_indexed) ORDER BY id LIMIT ?`, most)
		if err != nil {
			return err
		}
		for rows.Next() {
			var u unindexed
			var hash []byte
			if err := rows.Scan(&u.id, &hash, &u.login); err != nil {
				return err
			}
			u.key, u.token = tokenKey(hash), hash != nil
			links = append(links, u)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("looking for links that are not in the indexes: %w", err)
	}
	return links, nil
}

// loadFresh finds again what the last process had not put into the indexes.
func (b *Broker) loadFresh(ctx context.Context) error {
	links, err := b.unindexed(ctx, -1)
	for _, u := range links {
		if u.token {
			b.fresh.add(u.key, u.id)
		}
	}
	return err
}

// index has the indexes take in what is new. It goes through each in its own order, so that neighbours share a page; a round that was cut off is begun anew and
// finds some of its entries there.
func (b *Broker) index(ctx context.Context) (err error) {
	if b.fresh.settle() {
		return nil
	}
	defer func() {
		if err != nil {
			b.fresh.noted()
		}
	}()
	for {
		links, err := b.unindexed(ctx, indexRound)
		if err != nil || len(links) == 0 {
			return err
		}
		mark := links[len(links)-1].id
		slices.SortFunc(links, func(x, y unindexed) int { return bytes.Compare(x.key[:], y.key[:]) })
		err = b.indexPieces(ctx, links, func(tx *sqldb.Tx, u *unindexed) error {
			if !u.token {
				return nil
			}
			_, err := tx.Exec(`INSERT INTO chbroker_token (hash, link) VALUES (?, ?) ON CONFLICT DO NOTHING`, u.key[:], u.id)
			return err
		})
		if err == nil {
			slices.SortFunc(links, func(x, y unindexed) int { return cmp.Or(cmp.Compare(x.login, y.login), cmp.Compare(x.id, y.id)) })
			err = b.indexPieces(ctx, links, func(tx *sqldb.Tx, u *unindexed) error {
				_, err := tx.Exec(`INSERT INTO chbroker_mail (login, link) VALUES (?, ?) ON CONFLICT DO NOTHING`, u.login, u.id)
				return err
			})
		}
		if err == nil {
			err = b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`INSERT INTO chbroker_indexed (id, link) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET link = excluded.link`, mark)
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("filling the indexes of links: %w", err)
		}
		b.fresh.forget(mark)
		if len(links) < indexRound {
			return nil
		}
	}
}

// indexPieces runs f for each link, a piece in a transaction.
func (b *Broker) indexPieces(ctx context.Context, links []unindexed, f func(*sqldb.Tx, *unindexed) error) error {
	for piece := range slices.Chunk(links, indexPiece) {
		if err := b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
			for i := range piece {
				if err := f(tx, &piece[i]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// gone are the logins that may have been removed, so that a mail of any other need not ask the table.
type gone struct {
	mu     sync.Mutex
	logins map[string]bool // nil: it is not known yet
}

func (g *gone) maybe(login string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.logins == nil || g.logins[login]
}

// add remembers a login as soon as its removal is in a transaction, which may fail yet.
func (g *gone) add(login string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.logins != nil {
		g.logins[login] = true
	}
}

func (b *Broker) loadGone(ctx context.Context) error {
	// Within one transaction of the writer: no removal passes between the reading and the remembering.
	err := b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`SELECT login FROM chbroker_removed`)
		if err != nil {
			return err
		}
		logins := make(map[string]bool)
		for rows.Next() {
			var login string
			if err := rows.Scan(&login); err != nil {
				return err
			}
			logins[login] = true
		}
		if err := rows.Err(); err != nil {
			return err
		}
		b.gone.mu.Lock()
		defer b.gone.mu.Unlock()
		b.gone.logins = logins
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading who was removed: %w", err)
	}
	return nil
}
