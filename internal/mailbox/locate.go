package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"chmail/internal/sqldb"
)

const (
	keptPage = 64   // entries that a Drop keeps; RETR and DELE mostly go from one message to the next
	listPage = 1024 // entries that a listing reads in one transaction
)

// slot is what an entry says.
type slot struct {
	n    int64 // within the maildrop; a message's number within the session counts only what the session sees
	size int64
	uid  string
}

// position says that the message of this number has the entry n.
type position struct {
	number int
	n      int64
}

// entry looks up a message by its number, and keeps those around it.
func (d *Drop) entry(ctx context.Context, number int) (slot, error) {
	if number < 1 || number > d.count {
		return slot{}, ErrNoEntry
	}
	if i := number - d.first; i < 0 || i >= len(d.page) || d.until.IsZero() {
		// Pages begin at fixed numbers, so that going backwards costs no more.
		first := (number-1)/keptPage*keptPage + 1
		d.page, d.first = d.page[:0], first
		if err := d.walk(ctx, first, keptPage, func(e slot) bool { d.page = append(d.page, e); return true }); err != nil {
			d.page = d.page[:0]
			return slot{}, err
		}
	}
	return d.page[number-d.first], nil
}

// walk yields the entries of message from and the following, at most limit of them, in one short transaction.
func (d *Drop) walk(ctx context.Context, from, limit int, yield func(slot) bool) error {
	if !time.Now().Before(d.until) {
		return ErrExpired
	}
	limit = min(limit, d.count-from+1)
	return d.s.db.View(ctx, func(tx *sqldb.Tx) error {
		var base, purged int64
		err := tx.QueryRow(`SELECT base, purged FROM mailbox_drop WHERE id = ?`, d.id).Scan(&base, &purged)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrRemoved
		case err != nil:
			return err
		case purged > d.deletion: // the entries that it could still see are removed; its numbers would mean other messages now
			return ErrExpired
		}
		after, skip := d.known.n, 0
		if from == 1 || d.known.number != from-1 {
			if after, skip, err = d.locate(tx, base, from); err != nil {
				return err
			}
		}
		rows, err := tx.Query(`SELECT n, size, uid FROM mailbox_entry
			WHERE box = ? AND n > ? AND n <= ? AND (deleted = 0 OR deleted > ?) ORDER BY n LIMIT ? OFFSET ?`, d.id, after, d.last, d.deletion, limit, skip)
		if err != nil {
			return err
		}
		for number := from; rows.Next(); number++ {
			var e slot
			if err := rows.Scan(&e.n, &e.size, &e.uid); err != nil {
				return err
			}
			d.known = position{number, e.n}
			limit--
			if !yield(e) {
				return nil
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if limit > 0 {
			return d.missing(tx, limit)
		}
		return nil
	})
}

// missing explains why entries that were counted are not there.
func (d *Drop) missing(tx *sqldb.Tx, n int) error {
	var login *string
	if err := tx.QueryRow(`SELECT login FROM mailbox_drop WHERE id = ?`, d.id).Scan(&login); err != nil {
		return err
	}
	if login == nil {
		return ErrRemoved
	}
	return fmt.Errorf("%d of its %d entries are missing", n, d.count)
}

// locate finds the message of a number without walking to it: skip visible entries after the entry number after, and it is the next. It adds up what
// the deletions that this session knows of took out of each block, until the number falls into one; skip is less than blockSize.
func (d *Drop) locate(tx *sqldb.Tx, base int64, number int) (after int64, skip int, err error) {
	rows, err := tx.Query(`SELECT block, sum(count) FROM mailbox_gap WHERE box = ? AND block >= ? AND deletion <= ? GROUP BY block ORDER BY block`,
		d.id, base, d.deletion)
	if err != nil {
		return 0, 0, err
	}
	wanted := int64(number)  // among the entries that are visible
	gone := base * blockSize // of the entries up to here, those that are not
	for rows.Next() {
		var block, count int64
		if err := rows.Scan(&block, &count); err != nil {
			return 0, 0, err
		}
		begin, end := block*blockSize, (block+1)*blockSize
		if wanted <= begin-gone { // before this block, where every entry is visible
			break
		}
		if wanted <= end-gone-count {
			return begin, int(wanted - (begin - gone) - 1), rows.Close()
		}
		gone += count
	}
	if err := rows.Err(); err != nil {
		return 0, 0, err
	}
	return wanted + gone - 1, 0, rows.Close()
}
