package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"chmail/internal/scram"
	"chmail/internal/sqldb"
)

// The errors of app passwords by which a caller decides; each is wrapped with the login or the name at fault.
var (
	ErrNoAppPassword     = errors.New("there is no such app password")
	ErrAppPasswordExists = errors.New("there is an app password of this name already")
	ErrTooMany           = errors.New("this account has as many app passwords as it may have; remove one first")
)

// MaxAppPasswords is how many an account may have. A proof is held against each of them.
const MaxAppPasswords = 50

// An app password is 28 of 32 letters and digits that no typeface makes look alike: 140 bits of chance, in groups of four. Nobody guesses it, so that a plain hash of it is enough and
// costs nothing when a mail client polls.
const (
	appAlphabet = "abcdefghijkmnpqrstuvwxyz23456789"
	appGroups   = 7
	appGroup    = 4
	appLength   = appGroups*(appGroup+1) - 1 // octets, hyphens included
)

// secretSchema is the part of the database that holds what signs in beside the account's password: hashes and SCRAM keys only (RFC 5802 3).
const secretSchema = `
CREATE TABLE account_app_password (
	login   TEXT    NOT NULL,
	name    TEXT    NOT NULL,             -- as its owner calls the device
	hash    BLOB    NOT NULL,             -- appHash
	stored  BLOB    NOT NULL,             -- SCRAM-SHA-256 StoredKey and ServerKey
	server  BLOB    NOT NULL,
	created INTEGER NOT NULL,
	used    INTEGER NOT NULL DEFAULT 0,   -- last, to the hour; 0: never
	PRIMARY KEY (login, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX account_app_password_hash ON account_app_password (hash);

-- The SCRAM keys of accounts' own passwords, where that was asked for.
CREATE TABLE account_scram (
	login   TEXT NOT NULL PRIMARY KEY,
	version TEXT NOT NULL, -- of the password that they are of
	stored  BLOB NOT NULL,
	server  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: what the salts of all logins are made from, those of logins that do not exist as well.
CREATE TABLE account_salt (
	only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
	key  BLOB    NOT NULL
) STRICT;
`

// AppPassword is what may be told of an app password.
type AppPassword struct {
	Name    string
	Created time.Time
	Used    time.Time // last, to the hour; zero: never
}

// AddAppPassword makes an app password, by which mail clients sign in to send and fetch mail; it opens no desk and changes nothing of the account. It is returned this once and kept
// nowhere. The name tells its owner what it is for. ErrNoAccount, also when nobody can sign in to the account; ErrBadLogin, ErrBadName, ErrAppPasswordExists, ErrTooMany.
func (s *Accounts) AddAppPassword(ctx context.Context, login, name string) (password string, err error) {
	l, _, err := canonical(login)
	if err != nil {
		return "", err
	}
	if name, err = appName(name); err != nil {
		return "", err
	}
	password = newAppPassword()
	salt, err := s.ProofSalt(ctx, l)
	if err != nil {
		return "", err
	}
	keys, err := scram.Derive(password, salt)
	if err != nil {
		return "", fmt.Errorf("making an app password for %s: %w", l, err)
	}
	err = s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		var open bool
		switch err := tx.QueryRow(`SELECT hash <> '' FROM account_login WHERE login = ?`, l).Scan(&open); {
		case errors.Is(err, sql.ErrNoRows):
			return s.without(l, ErrNoAccount)
		case err != nil:
			return err
		case !open:
			return fmt.Errorf("%s: %w: nobody can sign in to it before it has a password", l, ErrNoAccount)
		}
		var n int
		var there bool
		if err := tx.QueryRow(`SELECT count(*), coalesce(max(name = ?2), 0) FROM account_app_password WHERE login = ?1`, l, name).Scan(&n, &there); err != nil {
			return err
		}
		switch {
		case there:
			return fmt.Errorf("%q of %s: %w", name, l, ErrAppPasswordExists)
		case n >= MaxAppPasswords:
			return fmt.Errorf("%s: %w (%d)", l, ErrTooMany, MaxAppPasswords)
		}
		hash := appHash(l, password)
		_, err := tx.Exec(`INSERT INTO account_app_password (login, name, hash, stored, server, created) VALUES (?, ?, ?, ?, ?, ?)`,
			l, name, hash[:], keys.Stored, keys.Server, time.Now())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("making an app password: %w", err)
	}
	return password, nil
}

// AppPasswords lists the app passwords of an account, by name. ErrNoAccount, ErrBadLogin.
func (s *Accounts) AppPasswords(ctx context.Context, login string) (all []AppPassword, err error) {
	l, _, err := canonical(login)
	if err != nil {
		return nil, err
	}
	err = s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		var one int
		if err := tx.QueryRow(`SELECT 1 FROM account_login WHERE login = ?`, l).Scan(&one); errors.Is(err, sql.ErrNoRows) {
			return s.without(l, ErrNoAccount)
		} else if err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT name, created, used FROM account_app_password WHERE login = ? ORDER BY name`, l)
		if err != nil {
			return err
		}
		for rows.Next() {
			var a AppPassword
			if err := rows.Scan(&a.Name, &a.Created, &a.Used); err != nil {
				return err
			}
			if a.Used.UnixMilli() == 0 {
				a.Used = time.Time{}
			}
			all = append(all, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing the app passwords: %w", err)
	}
	return all, nil
}

// RemoveAppPassword ends an app password, and the sessions of the login's mail clients (ClientVersion), at once. ErrNoAccount, ErrNoAppPassword, ErrBadLogin.
func (s *Accounts) RemoveAppPassword(ctx context.Context, login, name string) error {
	l, _, err := canonical(login)
	if err != nil {
		return err
	}
	if ok, err := s.Exists(ctx, l); err != nil {
		return err
	} else if !ok {
		return s.without(l, ErrNoAccount)
	}
	return s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`DELETE FROM account_app_password WHERE login = ? AND name = ?`, l, name)
		if err != nil {
			return fmt.Errorf("removing an app password of %s: %w", l, err)
		}
		n, err := res.RowsAffected()
		if err == nil && n == 0 {
			err = fmt.Errorf("%q of %s: %w", name, l, ErrNoAppPassword)
		}
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { s.records.forget(l) })
		_, err = tx.Exec(`UPDATE account_login SET ended = ended + 1 WHERE login = ?`, l)
		return err
	})
}

// removeSecrets takes away what signs in beside the password, in the transaction that removes an account.
func (s *Accounts) removeSecrets(tx *sqldb.Tx, login string) error {
	if _, err := tx.Exec(`DELETE FROM account_app_password WHERE login = ?`, login); err != nil {
		return err
	}
	return s.dropKeys(tx, login)
}

// dropKeys takes away the SCRAM keys of an account's own password.
func (s *Accounts) dropKeys(tx *sqldb.Tx, login string) error {
	tx.AfterCommit(s.forgetProving)
	_, err := tx.Exec(`DELETE FROM account_scram WHERE login = ?`, login)
	return err
}

// appName checks what an app password is called.
func appName(name string) (string, error) {
	n, err := displayName(name)
	if err == nil && n == "" {
		err = fmt.Errorf("%w: it is empty; name the device or the program", ErrBadName)
	}
	return n, err
}

// newAppPassword is a new one, such as q8dn-3vkx-….
func newAppPassword() string {
	chance := make([]byte, appGroups*appGroup)
	_, _ = rand.Read(chance) // never fails
	var b strings.Builder
	for i, c := range chance {
		if i > 0 && i%appGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(appAlphabet[int(c)%len(appAlphabet)]) // 32 of them: all equally likely
	}
	return b.String()
}

// isAppPassword tells whether a password may be one, by its looks.
func isAppPassword(password string) bool {
	if len(password) != appLength {
		return false
	}
	for i := range len(password) {
		if i%(appGroup+1) == appGroup {
			if password[i] != '-' {
				return false
			}
		} else if strings.IndexByte(appAlphabet, password[i]) < 0 {
			return false
		}
	}
	return true
}

// appHash is what is kept of an app password. It is of one login's only: nobody can see, and no clash can bring about, that two logins have the same.
func appHash(login, password string) (sum [32]byte) {
	mac := hmac.New(sha256.New, []byte("chmail app password\x00"+login))
	mac.Write([]byte(password))
	mac.Sum(sum[:0])
	return sum
}
