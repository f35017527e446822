package account

import (
	"context"
	"fmt"

	"chmail/internal/sqldb"
)

// Grant says that a login may write as an address that is not its own.
type Grant struct {
	Login   string
	Address string
}

// AddGrant lets a login write as an address of ours: an alias, or another account's. What it writes there is its own in every other respect: its chat link, its caps, its
// copy of what was sent. ErrNoAccount, ErrBadLogin; ErrNoAlias when there is neither an alias nor an account of that address.
func (s *Accounts) AddGrant(ctx context.Context, login, addr string) error {
	l, _, err := canonical(login)
	if err != nil {
		return err
	}
	a, err := s.ours(addr)
	switch {
	case err != nil:
		return err
	case a == l:
		return fmt.Errorf("%s: %w: it is the login's own address, under which it may write anyway", a, ErrExists)
	}
	err = s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := s.mustExist(tx, l); err != nil {
			return err
		}
		is, err := exists(tx, a)
		if err != nil {
			return err
		}
		if to, err := targets(tx, a); err != nil {
			return err
		} else if !is && len(to) == 0 {
			return fmt.Errorf("%s: %w, and no such account: nobody would get the answers", a, ErrNoAlias)
		}
		return grant(tx, l, a)
	})
	if err != nil {
		return fmt.Errorf("letting %s write as %s: %w", l, a, err)
	}
	return nil
}

// RemoveGrant ends that a login may write as an address; mail that is submitted from then on is refused. ErrNoGrant, ErrBadLogin.
func (s *Accounts) RemoveGrant(ctx context.Context, login, addr string) error {
	l, _, err := canonical(login)
	if err != nil {
		return err
	}
	a, _, err := canonical(addr)
	if err != nil {
		return err
	}
	err = s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`DELETE FROM account_sendas WHERE login = ? AND address = ?`, l, a)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return ErrNoGrant
	})
	if err != nil {
		return fmt.Errorf("%s as %s: %w", l, a, err)
	}
	return nil
}

// Grants returns every grant, by login and address.
func (s *Accounts) Grants(ctx context.Context) (all []Grant, err error) {
	err = s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return pairs(tx, `SELECT login, address FROM account_sendas ORDER BY login, address`, func(login, a string) { all = append(all, Grant{login, a}) })
	})
	if err != nil {
		return nil, fmt.Errorf("listing who may write as whom: %w", err)
	}
	return all, nil
}

// granted looks a grant up. It is not remembered: only who writes as somebody else asks, and a grant that was taken back counts at once.
func (s *Accounts) granted(ctx context.Context, login, addr string) (is bool, err error) {
	err = s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM account_sendas WHERE login = ? AND address = ?)`, login, addr).Scan(&is)
	})
	if err != nil {
		return false, fmt.Errorf("looking whether %s may write as %s: %w", login, addr, err)
	}
	return is, nil
}

func grant(tx *sqldb.Tx, login, addr string) error {
	_, err := tx.Exec(`INSERT INTO account_sendas (login, address) VALUES (?, ?) ON CONFLICT DO NOTHING`, login, addr)
	return err
}
