package chatd

import (
	"context"
	"fmt"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// maxMoves is how many moves of a conversation's calls are kept: the latest.
const maxMoves = 200

// kindCall is what an Archive calls a move among what happened; to the chat socket moves are frames of their own, since no client waits for them by number.
const kindCall = "call"

// A move is a state into which the call of a conversation has come.
type move struct {
	N     int64      `json:"n"` // of the event behind which it was; 0: before the first
	State call.State `json:"state"`
	At    time.Time  `json:"at"`
}

type movesFrame struct {
	T     string `json:"t"`
	Conv  string `json:"conv"`
	Moves []move `json:"moves"`
}

// move tells everybody where the call stands, and keeps it. A state that comes again is told again, for whoever has come in meanwhile, and is no move.
func (r *room) move(state call.State) error {
	p := &r.now
	if p.rec.state == call.Ended {
		return nil
	}
	r.tail.tell(callFrame{T: "call", Conv: r.id, State: state}, "")
	p.calling = false
	_, err := r.commit(func(rec *record) {
		if rec.state != state {
			rec.state, rec.moved = state, &move{N: rec.last, State: state, At: time.Now()}
		}
	})
	return err
}

// add keeps a move of a conversation, and forgets those that are too many.
func (m *move) add(tx *sqldb.Tx, conv int64) error {
	_, err := tx.Exec(`INSERT INTO chatd_move (conv, k, n, state, at) SELECT ?1, coalesce(max(k), 0) + 1, ?2, ?3, ?4 FROM chatd_move WHERE conv = ?1`, conv, m.N, string(m.State), m.At)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM chatd_move WHERE conv = ?1 AND k <= (SELECT max(k) FROM chatd_move WHERE conv = ?1) - ?2`, conv, maxMoves)
	return err
}

// moves are those of a conversation behind event number after up to number to, in order; with after 0 also those before the first event.
func (s *store) moves(ctx context.Context, conv, after, to int64) (list []move, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(`SELECT n, state, at FROM chatd_move WHERE conv = ?1 AND (n > ?2 OR ?2 = 0) AND n <= ?3 ORDER BY k`, conv, after, to)
		if err != nil {
			return err
		}
		for rows.Next() {
			var m move
			var state string
			if err := rows.Scan(&m.N, &state, &m.At); err != nil {
				return err
			}
			m.State, m.At = call.State(state), m.At.UTC()
			list = append(list, m)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading the moves of calls: %w", err)
	}
	return list, nil
}

// setState keeps a call's state of a conversation that is not live here.
func (s *store) setState(ctx context.Context, id string, state call.State) error {
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		var key, last int64
		rows, err := tx.Query(`UPDATE chatd_conversation SET state = ?1 WHERE id = ?2 AND state NOT IN (?1, ?3) RETURNING key, last`, string(state), id, string(call.Ended))
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := rows.Scan(&key, &last); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil || key == 0 {
			return err
		}
		return (&move{N: last, State: state, At: time.Now()}).add(tx, key)
	})
	if err != nil {
		return fmt.Errorf("keeping a call's state: %w", err)
	}
	return nil
}

// showMoves tells a desk how the calls of a conversation that it has opened have gone.
func (d *desk) showMoves(ctx context.Context, r *room) error {
	moves, err := d.srv.store.moves(ctx, r.key, 0, maxEvents)
	if err != nil {
		return err
	}
	if len(moves) > 0 {
		d.c.put(movesFrame{T: "moves", Conv: r.id, Moves: moves})
	}
	return nil
}

// among puts moves between the events of a page, each behind the event behind which it was.
func among(events []Entry, moves []move) []Entry {
	list := make([]Entry, 0, len(events)+len(moves))
	for _, e := range events {
		for len(moves) > 0 && moves[0].N < e.N {
			list, moves = append(list, moves[0].entry()), moves[1:]
		}
		list = append(list, e)
	}
	for _, m := range moves {
		list = append(list, m.entry())
	}
	return list
}

func (m move) entry() Entry { return Entry{N: m.N, Kind: kindCall, At: m.At, Text: string(m.State)} }
