package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"chmail/internal/sqldb"
)

// span is a run of entries, both ends included, of which a session sees none that it does not delete.
type span struct{ from, to int64 }

// pieceSize bounds how many entries one transaction deletes, since all writers wait for it: about 15 ms.
const pieceSize = 4096

// Expunge deletes the messages of these numbers, which must ascend and be the same each time they are asked for. All of them are gone, on
// the disk, when it returns nil, and none when it does not; only of more than 4096 some may then be gone, as RFC 1939 6 allows. One that
// another session has deleted already is fine. Other open Drops, and this one, go on seeing them.
func (d *Drop) Expunge(ctx context.Context, numbers iter.Seq[int]) error {
	spans, err := d.spans(ctx, numbers)
	if err != nil {
		return fmt.Errorf("deleting messages of %s: %w", d.login, err)
	}
	for piece := range pieces(spans) {
		if err := d.s.db.Update(ctx, func(tx *sqldb.Tx) error { return d.delete(tx, piece, time.Now()) }); err != nil {
			return fmt.Errorf("deleting messages of %s: %w", d.login, err)
		}
	}
	return nil
}

// pieces cuts spans into transactions. A span by itself costs as much as a few entries.
func pieces(spans []span) iter.Seq[[]span] {
	const each = 3
	return func(yield func([]span) bool) {
		var piece []span
		left := int64(pieceSize)
		for _, s := range spans {
			for s.from <= s.to {
				to := min(s.to, s.from+left-1)
				piece = append(piece, span{s.from, to})
				if left -= to - s.from + 1 + each; left <= 0 {
					if !yield(piece) {
						return
					}
					piece, left = nil, pieceSize
				}
				s.from = to + 1
			}
		}
		if len(piece) > 0 {
			yield(piece)
		}
	}
}

// spans finds the entries, outside of the transaction that deletes them, for which all writers wait. Neighbours become one span.
func (d *Drop) spans(ctx context.Context, numbers iter.Seq[int]) ([]span, error) {
	var spans []span
	before := 0 // the number of the message that ends the latest span
	for number := range numbers {
		if number <= before {
			return nil, fmt.Errorf("message %d after %d: %w", number, before, ErrNoEntry)
		}
		e, err := d.entry(ctx, number)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", number, err)
		}
		if before > 0 && number == before+1 {
			// Between them lie only entries that were deleted before this session began.
			spans[len(spans)-1].to = e.n
		} else {
			spans = append(spans, span{e.n, e.n})
		}
		before = number
	}
	return spans, nil
}

// delete is one deletion: the entries get its number, are counted out of the maildrop, and are noted as missing in their blocks.
func (d *Drop) delete(tx *sqldb.Tx, spans []span, now time.Time) error {
	var deletion int64
	err := tx.QueryRow(`UPDATE mailbox_drop SET deletion = deletion + 1 WHERE id = ? AND login IS NOT NULL RETURNING deletion`, d.id).Scan(&deletion)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // the maildrop was removed, and the messages with it
	}
	if err != nil {
		return err
	}
	g := gaps{tx: tx, box: d.id, deletion: deletion}
	for _, s := range spans {
		if err := g.take(s); err != nil {
			return err
		}
	}
	if err := g.note(); err != nil || g.count == 0 {
		return err
	}
	tx.AfterCommit(func() { d.s.sessions.owe(d.login, deletion) })
	if _, err := tx.Exec(`INSERT INTO mailbox_deletion (box, deletion, at) VALUES (?, ?, ?)`, d.id, deletion, now); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE mailbox_drop SET count = count - ?, octets = octets - ? WHERE id = ?`, g.count, g.octets, d.id)
	return err
}

// gaps counts what a deletion takes, block by block in ascending order.
type gaps struct {
	tx            *sqldb.Tx
	box, deletion int64
	count, octets int64 // in all
	block         int64
	inBlock       int64 // not noted yet
}

// take deletes what is left of a span, a block at a time.
func (g *gaps) take(s span) error {
	for from := s.from; from <= s.to; {
		block := (from - 1) / blockSize
		to := min(s.to, (block+1)*blockSize)
		var count, octets int64
		err := g.tx.QueryRow(`SELECT count(*), coalesce(sum(size), 0) FROM mailbox_entry WHERE box = ? AND n BETWEEN ? AND ? AND deleted = 0`,
			g.box, from, to).Scan(&count, &octets)
		if err != nil {
			return err
		}
		if block != g.block {
			if err := g.note(); err != nil {
				return err
			}
			g.block = block
		}
		g.inBlock += count
		g.count += count
		g.octets += octets
		from = to + 1
	}
	_, err := g.tx.Exec(`UPDATE mailbox_entry SET deleted = ? WHERE box = ? AND n BETWEEN ? AND ? AND deleted = 0`, g.deletion, g.box, s.from, s.to)
	return err
}

// note writes down what is missing in the present block.
func (g *gaps) note() error {
	if g.inBlock == 0 {
		return nil
	}
	_, err := g.tx.Exec(`INSERT INTO mailbox_gap (box, block, deletion, count) VALUES (?, ?, ?, ?)`, g.box, g.block, g.deletion, g.inBlock)
	g.inBlock = 0
	return err
}
