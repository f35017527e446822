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

// Recipients tells whose maildrops take mail to a: one for an account, one or more for an alias. local is false when its domain is not one of ours; then somebody
// else has to be found. There are none when the domain is ours and there is no such mailbox. <postmaster> without a domain, postmaster@ and abuse@ of every domain
// always have one (RFC 5321 4.5.1, RFC 2142), unless there is an alias or an account with a password of just that name. The logins are not to be changed.
func (s *Accounts) Recipients(ctx context.Context, a address.Address) (logins []string, local bool, err error) {
	switch {
	case a.Domain == "":
		if strings.EqualFold(a.Local, "postmaster") {
			return []string{s.postmaster}, true, nil
		}
		return nil, false, nil
	case !s.domains[a.Domain]:
		return nil, false, nil
	}
	logins, _, err = s.find(ctx, a)
	return logins, true, err
}

// find is where mail to an address of ours goes, and whether it goes there by an alias.
func (s *Accounts) find(ctx context.Context, a address.Address) (logins []string, alias bool, err error) {
	login, now := a.Login(), time.Now()
	r, known := s.records.get(login, now)
	if !known {
		if logins, known = s.aliases.get(login, now); known {
			return logins, true, nil
		}
		if r, logins, err = s.read(ctx, login, now); err != nil {
			return nil, false, err
		}
	}
	switch {
	case len(logins) > 0:
		return logins, true, nil
	case r.hash == "" && (strings.EqualFold(a.Local, "postmaster") || strings.EqualFold(a.Local, "abuse")):
		// The maildrop that was made at the first start gives way to a `postmaster:` that was configured later.
		return []string{s.postmaster}, false, nil
	}
	return r.to, false, nil
}

// read looks an address up in the database, as an account and as an alias, and remembers what it is. What does not exist is not remembered: strangers choose it, and would push
// out what does.
func (s *Accounts) read(ctx context.Context, login string, now time.Time) (r record, alias []string, err error) {
	mark, aliasMark := s.records.mark(), s.aliases.mark()
	err = s.o.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		if r, err = s.load(tx, login); err == nil && r.login == "" {
			alias, err = targets(tx, login)
		}
		return err
	})
	switch {
	case err != nil:
		return record{}, nil, fmt.Errorf("looking up %s: %w", login, err)
	case r.login != "":
		s.records.put(login, r, now, mark)
	case len(alias) > 0:
		s.aliases.put(login, alias, now, aliasMark)
	}
	return r, alias, nil
}

// Postmaster is the login that gets mail for postmaster and abuse.
func (s *Accounts) Postmaster() string { return s.postmaster }

// Owns tells whether login may write as a: as the address of the account itself, as postmaster and abuse where it gets their mail, and as any other address of
// ours for which there is a grant (AddGrant). To get an alias's mail is none.
func (s *Accounts) Owns(ctx context.Context, login string, a address.Address) (bool, error) {
	if a.Domain == "" || !s.domains[a.Domain] || login == "" {
		return false, nil
	}
	to, alias, err := s.find(ctx, a)
	if err != nil {
		return false, err
	}
	if !alias && len(to) == 1 && to[0] == login {
		return true, nil
	}
	return s.granted(ctx, login, a.Login())
}

// Remains tells, within a transaction that writes, whether a canonical login has the account that it had at a moment: not when that was removed since, even if there is another one under
// its name by now. Of a moment of late, and a login that nobody has removed for a day, or since this process began, it asks no table.
func (s *Accounts) Remains(tx *sqldb.Tx, login string, since time.Time) (remains bool, err error) {
	query := `SELECT NOT EXISTS (SELECT 1 FROM account_removed WHERE login = ?1 AND at >= ?2) FROM account_login WHERE login = ?1`
	if longAgo(since) {
		query = `SELECT created <= ?2 OR created > ?3 FROM account_login WHERE login = ?1` // later than now: made while the clock was ahead, nobody knows when
	} else if maybe, err := s.removals.maybe(tx, login); err != nil || !maybe {
		return err == nil, err
	}
	err = tx.QueryRow(query, login, since, time.Now()).Scan(&remains)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether account %s remains: %w", login, err)
	}
	return remains, nil
}

// Stands tells, within a transaction, whether a canonical address that leads to others' maildrops did so at a moment: it was not an account's then, whose mail is not for them, and is
// an alias by now.
func (s *Accounts) Stands(tx *sqldb.Tx, addr string, since time.Time) (stands bool, err error) {
	// What was made later than now was made while the clock was ahead: nobody knows when.
	err = tx.QueryRow(`SELECT NOT EXISTS (SELECT 1 FROM account_removed WHERE login = ?1 AND at >= ?2)
		AND NOT EXISTS (SELECT 1 FROM account_alias WHERE address = ?1 GROUP BY address HAVING min(created) > ?2 AND min(created) <= ?3)`, addr, since, time.Now()).Scan(&stands)
	if err != nil {
		return false, fmt.Errorf("looking whose address %s was: %w", addr, err)
	}
	return stands, nil
}

// longAgo tells whether it may not be known any more that an account was removed since. When an account was made is known for ever; but a clock that was set back makes that look
// later than it was, which matters to mail that comes just now.
func longAgo(since time.Time) bool { return time.Since(since) > removedKept/2 }

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
