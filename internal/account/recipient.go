package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"chmail/internal/address"
	"chmail/internal/sqldb"
)

// Recipient tells whose maildrop takes mail to a. local is false when its domain is not one of ours; then somebody else has to be found. login is ""
// when the domain is ours and there is no such mailbox. <postmaster> without a domain, postmaster@ and abuse@ of every domain
// always have one (RFC 5321 4.5.1, RFC 2142), unless there is an account with a password of just that name.
func (s *Accounts) Recipient(ctx context.Context, a address.Address) (login string, local bool, err error) {
	switch {
	case a.Domain == "":
		if strings.EqualFold(a.Local, "postmaster") {
			return s.postmaster, true, nil
		}
		return "", false, nil
	case !s.domains[a.Domain]:
		return "", false, nil
	}
	r, err := s.record(ctx, a.Login())
	if err != nil {
		return "", true, err
	}
	if r.hash == "" && (strings.EqualFold(a.Local, "postmaster") || strings.EqualFold(a.Local, "abuse")) {
		// The maildrop that was made at the first start gives way to a `postmaster:` that was configured later.
		return s.postmaster, true, nil
	}
	return r.login, true, nil
}

// Postmaster is the login that gets mail for postmaster and abuse.
func (s *Accounts) Postmaster() string { return s.postmaster }

// Owns tells whether login may write as a: those are the addresses whose mail it gets.
func (s *Accounts) Owns(ctx context.Context, login string, a address.Address) (bool, error) {
	if a.Domain == "" {
		return false, nil
	}
	owner, _, err := s.Recipient(ctx, a)
	return err == nil && owner != "" && owner == login, err
}

// Remains tells, within a transaction that writes, whether a canonical login has the account that it had at a moment of the last day: not when that
// was removed since, even if there is another one under its name by now. Of a login that nobody has removed for a day, or since this process began, it asks no table.
func (s *Accounts) Remains(tx *sqldb.Tx, login string, since time.Time) (remains bool, err error) {
	if maybe, err := s.removals.maybe(tx, login); err != nil || !maybe {
		return err == nil, err
	}
	err = tx.QueryRow(`SELECT NOT EXISTS (SELECT 1 FROM account_removed WHERE login = ?1 AND at >= ?2) FROM account_login WHERE login = ?1`, login, since).Scan(&remains)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether account %s remains: %w", login, err)
	}
	return remains, nil
}

// removals are the logins whose accounts may have been removed. What is on its way in memory for longer than account_removed remembers is there no more after a restart,
// so this need not forget.
type removals struct {
	mu     sync.Mutex
	logins map[string]bool // nil: not read yet
}

// load reads what is known, once. Transactions that write run one after the other: no removal passes between the reading and the remembering. m.mu is held.
func (m *removals) load(tx *sqldb.Tx) error {
	if m.logins != nil {
		return nil
	}
	rows, err := tx.Query(`SELECT login FROM account_removed`)
	if err != nil {
		return fmt.Errorf("reading which accounts were removed: %w", err)
	}
	logins := make(map[string]bool)
	for rows.Next() {
		var login string
		if err := rows.Scan(&login); err != nil {
			return fmt.Errorf("reading which accounts were removed: %w", err)
		}
		logins[login] = true
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading which accounts were removed: %w", err)
	}
	m.logins = logins
	return nil
}

func (m *removals) maybe(tx *sqldb.Tx, login string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.load(tx); err != nil {
		return false, err
	}
	return m.logins[login], nil
}

// add remembers a login in the transaction that removes it, which may fail yet.
func (m *removals) add(tx *sqldb.Tx, login string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.load(tx); err != nil {
		return err
	}
	m.logins[login] = true
	return nil
}
