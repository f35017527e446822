package account

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"chmail/internal/sqldb"
)

// Add makes an account; login is any spelling of the address. An account that was made without a password (EnsurePostmaster) gets this one.
// ErrExists, ErrAlias, ErrBadLogin, ErrWeakPassword, ErrBadName.
func (s *Accounts) Add(ctx context.Context, login, password, name string) error {
	l, err := s.ours(login)
	if err != nil {
		return err
	}
	if name, err = displayName(name); err != nil {
		return err
	}
	hashed, err := s.newHash(ctx, l, password)
	if err != nil {
		return err
	}
	now, version := time.Now(), rand.Text()
	return s.change(ctx, "adding account", l, func(tx *sqldb.Tx) (sql.Result, error) {
		if err := notAlias(tx, l); err != nil {
			return nil, err
		}
		return tx.Exec(`INSERT INTO account_login (login, name, hash, version, created, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
			ON CONFLICT (login) DO UPDATE SET hash = excluded.hash, version = excluded.version, changed = excluded.changed,
				name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END
			WHERE hash = ''`, l, name, hashed, version, now)
	}, ErrExists)
}

// SetPassword gives an account a new password; sessions and mail clients have to sign in anew. App passwords stay. ErrNoAccount, ErrBadLogin, ErrWeakPassword.
func (s *Accounts) SetPassword(ctx context.Context, login, password string) error {
	l, _, err := canonical(login)
	if err != nil {
		return err
	}
	// Before the costly part, and before complaining about a password that would go nowhere.
	if ok, err := s.Exists(ctx, l); err != nil {
		return err
	} else if !ok {
		return s.without(l, ErrNoAccount)
	}
	hashed, err := s.newHash(ctx, l, password)
	if err != nil {
		return err
	}
	now, version := time.Now(), rand.Text()
	err = s.change(ctx, "setting the password of", l, func(tx *sqldb.Tx) (sql.Result, error) {
		res, err := tx.Exec(`UPDATE account_login SET hash = ?, version = ?, changed = ? WHERE login = ?`, hashed, version, now, l)
		if err == nil && s.o.OnPassword != nil {
			err = s.o.OnPassword(tx, l)
		}
		return res, err
	}, ErrNoAccount)
	if err == nil {
		s.keysOfNew(ctx, l, password)
	}
	return err
}

// Remove takes an account away, with all that OnRemove finds of it in other rooms. The one that gets the postmaster's mail stays:
// ErrPostmaster. ErrNoAccount, ErrBadLogin.
func (s *Accounts) Remove(ctx context.Context, login string) error {
	l, _, err := canonical(login)
	if err != nil {
		return err
	}
	if l == s.postmaster {
		return fmt.Errorf("%s: %w; name another one with `postmaster:` in the configuration first", l, ErrPostmaster)
	}
	return s.change(ctx, "removing account", l, func(tx *sqldb.Tx) (sql.Result, error) {
		res, err := tx.Exec(`DELETE FROM account_login WHERE login = ?`, l)
		if err == nil {
			err = errors.Join(s.removals.add(tx, l), noteRemoved(tx, l, time.Now()), s.removeSecrets(tx, l), s.unlink(tx, l))
		}
		if err == nil && s.o.OnRemove != nil {
			err = s.o.OnRemove(tx, l)
		}
		return res, err
	}, ErrNoAccount)
}

// removedKept is for how long it is known that an account was removed. No mail is on its way for longer.
const removedKept = 24 * time.Hour

func noteRemoved(tx *sqldb.Tx, login string, at time.Time) error {
	if _, err := tx.Exec(`DELETE FROM account_removed WHERE at < ?`, at.Add(-removedKept)); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO account_removed (login, at) VALUES (?, ?) ON CONFLICT (login) DO UPDATE SET at = excluded.at`, login, at)
	return err
}

// EnsurePostmaster makes the account that gets the postmaster's mail where it is missing: without a password, so that mail is
// kept until somebody adds the account or sets a password. It returns that account's login.
func (s *Accounts) EnsurePostmaster(ctx context.Context) (login string, err error) {
	ok, err := s.Exists(ctx, s.postmaster)
	if err != nil || ok {
		return s.postmaster, err
	}
	now, version := time.Now(), rand.Text()
	err = s.change(ctx, "making the postmaster's account", s.postmaster, func(tx *sqldb.Tx) (sql.Result, error) {
		if err := notAlias(tx, s.postmaster); err != nil {
			return nil, err
		}
		return tx.Exec(`INSERT INTO account_login (login, name, hash, version, created, changed) VALUES (?1, '', '', ?2, ?3, ?3) ON CONFLICT DO NOTHING`,
			s.postmaster, version, now)
	}, nil)
	if err == nil {
		s.o.Log.Info("account: made the postmaster's maildrop; set a password to read it", "login", s.postmaster)
	}
	return s.postmaster, err
}

// change runs one statement on a login; without is the error when it changed nothing, nil when that is well.
func (s *Accounts) change(ctx context.Context, doing, login string, f func(tx *sqldb.Tx) (sql.Result, error), without error) error {
	err := s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		res, err := f(tx)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 && without != nil {
			return without
		}
		tx.AfterCommit(func() { s.records.forget(login) })
		return nil
	})
	switch {
	case err == nil:
		return nil
	case without != nil && errors.Is(err, without):
		return s.without(login, without)
	}
	return fmt.Errorf("%s %s: %w", doing, login, err)
}

// without is why a login could not be changed. One that is missing, of a domain that is not ours, is missing for that reason, as Add would say.
func (s *Accounts) without(login string, why error) error {
	if domain := login[strings.LastIndexByte(login, '@')+1:]; why == ErrNoAccount && !s.domains[domain] {
		return fmt.Errorf("%s: %w: %s is not one of the configured domains", login, why, domain)
	}
	return fmt.Errorf("%s: %w", login, why)
}

// newHash checks and hashes a new password.
func (s *Accounts) newHash(ctx context.Context, login, password string) (string, error) {
	p, err := acceptable(login, password)
	if err != nil {
		return "", err
	}
	if err := s.hasher.turns.take(ctx, true); err != nil {
		return "", fmt.Errorf("hashing the password of %s: %w", login, err)
	}
	defer s.hasher.turns.give()
	return s.hasher.make(p)
}
