package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"modernc.org/sqlite"
)

// ErrTxDone is what a Tx answers after its closure has returned.
var ErrTxDone = errors.New("the transaction is over")

// Tx is the part of a transaction that belongs to one closure. It must not leave the closure, nor be used by two goroutines.
type Tx struct {
	c     *conn
	ctx   context.Context // of a View: asked before each statement and row
	write bool
	lost  error // the statement's error that took the whole transaction away
	over  bool
	open  []*Rows
	after []func()
}

// AfterCommit has f run once, by the goroutine that called Update, after the commit that contains this closure's work and before
// Update returns. It does not run when the closure or the commit failed, nor in a View. Between callers there is no promised order.
func (tx *Tx) AfterCommit(f func()) {
	if tx.write {
		tx.after = append(tx.after, f)
	}
}

// Exec runs a statement that returns no rows, as database/sql has it.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	s, cached, named, err := tx.prepare(query, args)
	if err != nil {
		return nil, err
	}
	res, err := s.ExecContext(context.Background(), named)
	if !cached {
		err = errors.Join(err, s.Close())
	}
	if err != nil {
		return nil, tx.failed(query, err)
	}
	return res, nil
}

// Query runs a statement that returns rows. Rows that the closure leaves open are closed with it.
func (tx *Tx) Query(query string, args ...any) (*Rows, error) {
	s, cached, named, err := tx.prepare(query, args)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), named)
	if err != nil {
		if !cached {
			err = errors.Join(err, s.Close())
		}
		return nil, tx.failed(query, err)
	}
	s.busy = true
	r := &Rows{tx: tx, query: query, s: s, cached: cached, rows: rows, values: make([]driver.Value, len(rows.Columns()))}
	tx.open = append(tx.open, r)
	return r, nil
}

// QueryRow runs a statement of which the first row counts. Errors, sql.ErrNoRows among them, come from Scan.
func (tx *Tx) QueryRow(query string, args ...any) *Row {
	rows, err := tx.Query(query, args...)
	return &Row{rows: rows, err: err}
}

func (tx *Tx) prepare(query string, args []any) (*statement, bool, []driver.NamedValue, error) {
	switch {
	case tx.over:
		return nil, false, nil, ErrTxDone
	case tx.lost != nil:
		return nil, false, nil, tx.lost
	case tx.ctx.Err() != nil:
		return nil, false, nil, tx.ctx.Err()
	}
	s, cached, err := tx.c.statement(query)
	if err != nil {
		return nil, false, nil, tx.failed(query, err)
	}
	named, err := tx.c.bind(args)
	if err != nil {
		if !cached {
			err = errors.Join(err, s.Close())
		}
		return nil, false, nil, fmt.Errorf("%s: %w", label(query), err)
	}
	return s, cached, named, nil
}

// failed names the statement, and finds out whether the transaction survived its error.
func (tx *Tx) failed(query string, err error) error {
	err = fmt.Errorf("%s: %w", label(query), err)
	var e *sqlite.Error
	if tx.write && tx.lost == nil && errors.As(err, &e) && !tx.c.stands() {
		tx.lost = err
	}
	return err
}

// finish ends the closure's use of the connection.
func (tx *Tx) finish() error {
	tx.over = true
	var errs []error
	for len(tx.open) > 0 {
		errs = append(errs, tx.open[len(tx.open)-1].Close())
	}
	return errors.Join(errs...)
}

// label is a statement's beginning, for error texts: never its arguments.
func label(query string) string {
	const most = 60
	l := strings.Join(strings.Fields(query), " ")
	if len(l) > most {
		l = l[:most] + "…"
	}
	return l
}

// Rows are the rows of a Query, read like those of database/sql.
type Rows struct {
	tx     *Tx
	query  string
	s      *statement
	cached bool
	rows   driver.Rows
	values []driver.Value
	valid  bool // values hold a row
	closed bool
	err    error
}

// Next moves to the next row; false at the end or after an error, which Err returns.
func (r *Rows) Next() bool {
	r.valid = false
	if r.closed || r.err != nil {
		return false
	}
	if err := r.tx.ctx.Err(); err != nil {
		r.err = err
	} else if err := r.rows.Next(r.values); err == nil {
		r.valid = true
		return true
	} else if !errors.Is(err, io.EOF) {
		r.err = r.tx.failed(r.query, err)
	}
	if err := r.Close(); err != nil && r.err == nil {
		r.err = err
	}
	return false
}

// Scan copies the columns of the present row: into pointers to integers, bool, string, []byte, float64, time.Time (from Unix milliseconds),
// any, types named after these, byte arrays of the exact length, and sql.Scanner. NULL needs sql.Null, a slice, or a pointer to a pointer.
func (r *Rows) Scan(dest ...any) error {
	if !r.valid {
		return fmt.Errorf("%s: Scan without a row", label(r.query))
	}
	if len(dest) != len(r.values) {
		return fmt.Errorf("%s: %d columns, %d destinations", label(r.query), len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, r.values[i]); err != nil {
			return fmt.Errorf("%s: column %d: %w", label(r.query), i+1, err)
		}
	}
	return nil
}

// Columns returns the columns' names.
func (r *Rows) Columns() []string { return r.rows.Columns() }

// Err is the error that ended Next, if one did.
func (r *Rows) Err() error { return r.err }

// Close ends the reading early; it is harmless at the end or twice.
func (r *Rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed, r.valid = true, false
	open := r.tx.open
	for i := len(open) - 1; i >= 0; i-- {
		if open[i] == r {
			r.tx.open = append(open[:i], open[i+1:]...)
			break
		}
	}
	err := r.rows.Close()
	r.s.busy = false
	if !r.cached {
		err = errors.Join(err, r.s.Close())
	}
	if err != nil {
		return r.tx.failed(r.query, err)
	}
	return nil
}

// Row is the outcome of a QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the columns of the first row as Rows.Scan does; sql.ErrNoRows when there is none.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		if r.rows.err != nil {
			return r.rows.err
		}
		return sql.ErrNoRows
	}
	err := r.rows.Scan(dest...)
	// A statement that writes (RETURNING) has written all its rows before the first one came; closing fails only with the transaction.
	if cerr := r.rows.Close(); err == nil {
		err = cerr
	}
	return err
}
