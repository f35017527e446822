package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

const (
	pageSize = 8 << 10 // measured on the whole server (docs/performance.md): with 16 KiB each link's index page costs twice the log
	// maxStatements is how many prepared statements a connection keeps; a program has a few hundred at most, so
	// reaching it means that queries are being glued together.
	maxStatements = 512
	// logPages is how long the write-ahead log grows before the writer moves it into the database, after the commit's answers: 4 MiB. With 8
	// or 16 the stalls are longer and no more is written a second (docs/performance.md); a goroutine of its own for it gained nothing.
	logPages = 512
	// Should the count of pages ever fail, SQLite does the same by itself, inside the commit.
	lastLogPages = 4 * logPages
	// A second program on the same data (a verb that opens it itself) is waited for this long.
	busyTimeout = "5000"
)

// driverConn is what a connection of modernc.org/sqlite can do; using it without database/sql saves its locks and copies on the hot path.
type driverConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ExecerContext
	sqlite.DBStatus
}

type driverStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// A statement is prepared once per connection and used again and again.
type statement struct {
	driverStmt
	busy bool // its rows are open; running it now would disturb them
}

// A conn is one connection with its prepared statements. Used by one goroutine at a time.
type conn struct {
	raw   driverConn
	stmts map[string]*statement // the closures'
	own   map[string]driverStmt // BEGIN and the like
	args  []driver.NamedValue
}

func openConn(path string, readOnly bool) (*conn, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{}
	q.Add("_pragma", "busy_timeout("+busyTimeout+")")
	q.Add("_dqs", "0") // a misspelt column in double quotes is an error, not a string
	q.Add("_error_rc", "1")
	if readOnly {
		q.Add("mode", "ro")
	} else {
		q.Add("_pragma", fmt.Sprintf("page_size(%d)", pageSize))
		q.Add("_journal_mode", "WAL") // by a key of its own: the driver sorts pragmas by name, and a page size counts only before the file is written
		q.Add("_pragma", "synchronous(FULL)")
		q.Add("_pragma", "foreign_keys(1)")
		q.Add("_pragma", "secure_delete(FAST)") // what was removed is overwritten, where that costs no writes of its own
		q.Add("_pragma", "cache_size(-16384)")
		q.Add("_pragma", "temp_store(MEMORY)") // what a closure's savepoint would restore is kept in memory, not in a file: two writes a page less
		q.Add("_pragma", fmt.Sprintf("wal_autocheckpoint(%d)", lastLogPages))
	}
	dsn := (&url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}).String()
	raw, err := (&sqlite.Driver{}).Open(dsn)
	if err != nil {
		return nil, err
	}
	dc, ok := raw.(driverConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connection lacks what is needed"), raw.Close())
	}
	return &conn{raw: dc, stmts: make(map[string]*statement), own: make(map[string]driverStmt)}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	for _, s := range c.own {
		errs = append(errs, s.Close())
	}
	c.stmts, c.own = nil, nil
	return errors.Join(append(errs, c.raw.Close())...)
}

// statement returns query prepared, from the cache where it can. cached is false when the caller must close it after use.
func (c *conn) statement(query string) (s *statement, cached bool, err error) {
	s, known := c.stmts[query]
	if known && !s.busy {
		return s, true, nil
	}
	if reserved(query) {
		return nil, false, errors.New("transactions begin and end by themselves here")
	}
	ds, err := c.prepare(query)
	if err != nil {
		return nil, false, err
	}
	s = &statement{driverStmt: ds}
	if known { // the same query once more while its rows are open
		return s, false, nil
	}
	if len(c.stmts) >= maxStatements {
		if err := c.forget(); err != nil {
			return nil, false, errors.Join(err, s.Close())
		}
	}
	c.stmts[query] = s
	return s, true, nil
}

func (c *conn) prepare(query string) (driverStmt, error) {
	st, err := c.raw.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	ds, ok := st.(driverStmt)
	if !ok {
		return nil, errors.Join(errors.New("the driver's statement lacks what is needed"), st.Close())
	}
	return ds, nil
}

// reserved tells whether a statement would take the transaction out of the writer's hands.
func reserved(query string) bool {
	word := strings.ToUpper(strings.TrimSpace(query))
	if i := strings.IndexFunc(word, func(r rune) bool { return r < 'A' || r > 'Z' }); i >= 0 {
		word = word[:i]
	}
	switch word {
	case "BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH", "VACUUM":
		return true
	}
	return false
}

// forget closes the statements that nobody uses at this moment.
func (c *conn) forget() error {
	var errs []error
	for q, s := range c.stmts {
		if !s.busy {
			errs = append(errs, s.Close())
			delete(c.stmts, q)
		}
	}
	return errors.Join(errs...)
}

// control runs a statement of our own that has neither arguments nor rows.
func (c *conn) control(query string) error {
	s, ok := c.own[query]
	if !ok {
		var err error
		if s, err = c.prepare(query); err != nil {
			return err
		}
		c.own[query] = s
	}
	_, err := s.ExecContext(context.Background(), nil)
	return err
}

// grown is how many pages this connection has written to the log since it was last moved away; 0 when that cannot be told.
func (c *conn) grown() int {
	pages, _, err := c.raw.Status(sqlite.DBStatusCacheWrite, false)
	if err != nil {
		return 0
	}
	return pages
}

// shrunk begins that count anew.
func (c *conn) shrunk() {
	// It fails for an unknown counter only; SQLite then moves the log by itself.
	_, _, _ = c.raw.Status(sqlite.DBStatusCacheWrite, true)
}

// stands tells whether the transaction that was begun is still there. SQLite by itself rolls back on a full disk, an I/O error and
// a few others, and what followed would then commit statement by statement.
func (c *conn) stands() bool {
	if err := c.control("BEGIN"); err != nil {
		return true // cannot start a transaction within a transaction
	}
	return c.control("ROLLBACK") != nil
}

// pragma reads one value.
func (c *conn) pragma(name string) (string, error) {
	tx := &Tx{c: c, ctx: context.Background()}
	var v any
	if err := tx.QueryRow("PRAGMA " + name).Scan(&v); err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	return strings.ToLower(fmt.Sprint(v)), nil
}
