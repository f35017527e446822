package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
)

// Copy writes the database at path as it stands at one moment to a new file, while others may work on it, this program or another one. The copy is durable when it returns,
// and for its owner's eyes only. An error leaves no whole file.
func Copy(ctx context.Context, path, to string) (err error) {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // SQLite writes into an empty file
	if err != nil {
		return fmt.Errorf("copying database %s: %w", path, err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(fmt.Errorf("copying database %s: %w", path, err), os.Remove(to))
		}
	}()
	if _, err := os.Stat(path); err != nil { // or an empty one would be made
		return err
	}
	c, err := openConn(path, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	exec, ok := c.raw.(driver.ExecerContext)
	if !ok {
		return errors.New("the driver's connection lacks what is needed")
	}
	if _, err := exec.ExecContext(ctx, `VACUUM INTO ?`, []driver.NamedValue{{Ordinal: 1, Value: to}}); err != nil {
		return err
	}
	return f.Sync()
}

// Read runs f with a consistent reading of a database that nobody works on, such as a copy. Nothing is carried forward, and writing in f is an error.
func Read(ctx context.Context, path string, f func(*Tx) error) (err error) {
	if _, err := os.Stat(path); err != nil { // or an empty one would be made
		return fmt.Errorf("reading database %s: %w", path, err)
	}
	c, err := openConn(path, true)
	if err != nil {
		return fmt.Errorf("reading database %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.control("BEGIN"); err != nil {
		return fmt.Errorf("reading database %s: %w", path, err)
	}
	tx := &Tx{c: c, ctx: ctx}
	err = f(tx)
	return errors.Join(err, tx.finish(), c.control("COMMIT"))
}
