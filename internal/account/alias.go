package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chmail/internal/sqldb"
)

// The errors about aliases and grants by which a caller decides; each is wrapped with the address at fault.
var (
	ErrAlias    = errors.New("this address is an alias")
	ErrNoAlias  = errors.New("there is no such alias")
	ErrBadAlias = errors.New("this cannot be an alias")
	ErrNoGrant  = errors.New("there is no such grant")
)

// maxTargets is how many accounts an alias leads to at most: every one of them costs a write in the commit that all mails wait for.
const maxTargets = 100

// Alias is an address that leads to accounts.
type Alias struct {
	Address string
	Logins  []string // to whose maildrops its mail goes, at least one
	Send    []string // who may write as it, whether or not he gets its mail
}

// AddAlias makes an alias, or has it lead to further accounts. The address may be in any spelling; its domain is one of ours, and there is no account of its
// name. With send, these logins may write as it, too. All of it happens or nothing. ErrBadAlias, ErrExists, ErrNoAccount, ErrBadLogin.
func (s *Accounts) AddAlias(ctx context.Context, addr string, logins []string, send bool) error {
	a, err := s.aliasAddress(addr)
	if err != nil {
		return err
	}
	to, err := s.aliasTargets(a, logins)
	if err != nil {
		return err
	}
	err = s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if is, err := exists(tx, a); err != nil {
			return err
		} else if is {
			return fmt.Errorf("%s: %w: an alias must have another name", a, ErrExists)
		}
		for _, login := range to {
			if err := s.mustExist(tx, login); err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO account_alias (address, login, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, a, login, time.Now()); err != nil {
				return err
			}
			if send {
				if err := grant(tx, login, a); err != nil {
					return err
				}
			}
		}
		all, err := targets(tx, a)
		if err == nil && len(all) > maxTargets {
			err = fmt.Errorf("%s: %w: it would lead to %d accounts, at most %d", a, ErrBadAlias, len(all), maxTargets)
		}
		tx.AfterCommit(s.aliases.clear)
		return err
	})
	if err != nil {
		return fmt.Errorf("adding alias %s: %w", a, err)
	}
	return nil
}

// RemoveAlias takes these logins from an alias, with their grants to write as it; without any logins, the whole alias with all grants. The last login takes the alias along.
// ErrNoAlias, ErrBadLogin.
func (s *Accounts) RemoveAlias(ctx context.Context, addr string, logins []string) error {
	a, _, err := canonical(addr)
	if err != nil {
		return err
	}
	from := make([]string, len(logins))
	for i, l := range logins {
		if from[i], _, err = canonical(l); err != nil {
			return err
		}
	}
	err = s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		there, err := targets(tx, a)
		if err != nil {
			return err
		}
		if len(there) == 0 {
			return ErrNoAlias
		}
		these := from
		if len(these) == 0 {
			these = there
		}
		for _, login := range these {
			if !slices.Contains(there, login) {
				return fmt.Errorf("%w: it does not lead to %s", ErrNoAlias, login)
			}
			if _, err := tx.Exec(`DELETE FROM account_alias WHERE address = ? AND login = ?`, a, login); err != nil {
				return err
			}
			if _, err := tx.Exec(`DELETE FROM account_sendas WHERE address = ? AND login = ?`, a, login); err != nil {
				return err
			}
		}
		tx.AfterCommit(s.aliases.clear)
		return orphans(tx, a)
	})
	if err != nil {
		return fmt.Errorf("removing alias %s: %w", a, err)
	}
	return nil
}

// Aliases returns every alias, by address.
func (s *Accounts) Aliases(ctx context.Context) (all []Alias, err error) {
	err = s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		at := make(map[string]int)
		if err := pairs(tx, `SELECT address, login FROM account_alias ORDER BY address, login`, func(a, login string) {
			if i, ok := at[a]; ok {
				all[i].Logins = append(all[i].Logins, login)
				return
			}
			at[a] = len(all)
			all = append(all, Alias{Address: a, Logins: []string{login}})
		}); err != nil {
			return err
		}
		return pairs(tx, `SELECT address, login FROM account_sendas ORDER BY address, login`, func(a, login string) {
			if i, ok := at[a]; ok {
				all[i].Send = append(all[i].Send, login)
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing the aliases: %w", err)
	}
	return all, nil
}

// aliasAddress is an address that may be an alias, as logins are spelt.
func (s *Accounts) aliasAddress(addr string) (string, error) {
	a, domain, err := canonical(addr)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q: %w: choose a full mail address with plain letters and digits before the @", addr, ErrBadAlias)
	case !s.domains[domain]:
		return "", fmt.Errorf("%q: %w: %s is not one of the configured domains", addr, ErrBadAlias, domain)
	case a == s.postmaster:
		return "", fmt.Errorf("%s: %w: it is the account that gets the postmaster's mail; name another one with `postmaster:` in the configuration", a, ErrBadAlias)
	}
	return a, nil
}

// aliasTargets are the logins that an alias is to lead to. Only accounts of ours: a mail that went on to another host from here would come from the wrong place for its sender's domain
// (SPF), and where that host refused it, nobody could be told (backscatter; hazards 28).
func (s *Accounts) aliasTargets(alias string, logins []string) ([]string, error) {
	if len(logins) == 0 {
		return nil, fmt.Errorf("%s: %w: it has to lead to an account", alias, ErrBadAlias)
	}
	to := make([]string, len(logins))
	for i, l := range logins {
		login, domain, err := canonical(l)
		switch {
		case err != nil:
			return nil, err
		case !s.domains[domain]:
			return nil, fmt.Errorf("%s: %w: an alias leads to accounts of this server, and %s is not one of its domains; have the mail fetched or forwarded by a program of its owner's", login, ErrBadAlias, domain)
		case login == alias:
			return nil, fmt.Errorf("%s: %w: it would lead to itself", alias, ErrBadAlias)
		}
		to[i] = login
	}
	return to, nil
}

// mustExist makes sure that there is such an account.
func (s *Accounts) mustExist(tx *sqldb.Tx, login string) error {
	is, err := exists(tx, login)
	if err != nil || is {
		return err
	}
	if all, err := targets(tx, login); err != nil || len(all) > 0 {
		if err == nil {
			err = fmt.Errorf("%s: %w itself; name the accounts that it leads to", login, ErrAlias)
		}
		return err
	}
	return s.without(login, ErrNoAccount)
}

// unlink takes an account that is removed out of all aliases and grants, in the transaction that removes it.
func (s *Accounts) unlink(tx *sqldb.Tx, login string) error {
	var of []string
	if err := pairs(tx, `SELECT address, login FROM account_alias WHERE login = ?`, func(a, _ string) { of = append(of, a) }, login); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM account_alias WHERE login = ?`, login); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM account_sendas WHERE login = ?1 OR address = ?1`, login); err != nil {
		return err
	}
	for _, a := range of {
		if err := orphans(tx, a); err != nil {
			return err
		}
	}
	tx.AfterCommit(s.aliases.clear)
	return nil
}

// orphans removes the grants on an alias that leads nowhere any more: whoever gets the address next must not find somebody else writing as him.
func orphans(tx *sqldb.Tx, alias string) error {
	_, err := tx.Exec(`DELETE FROM account_sendas WHERE address = ?1 AND NOT EXISTS (SELECT 1 FROM account_alias WHERE address = ?1)`, alias)
	return err
}

// targets are the logins that an alias leads to, by name; none when there is no such alias.
func targets(tx *sqldb.Tx, alias string) (all []string, err error) {
	err = pairs(tx, `SELECT address, login FROM account_alias WHERE address = ? ORDER BY login`, func(_, login string) { all = append(all, login) }, alias)
	return all, err
}

func exists(tx *sqldb.Tx, login string) (is bool, err error) {
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM account_login WHERE login = ?)`, login).Scan(&is)
	return is, err
}

// notAlias refuses an account where there is an alias of its name.
func notAlias(tx *sqldb.Tx, login string) error {
	all, err := targets(tx, login)
	if err == nil && len(all) > 0 {
		err = fmt.Errorf("%w, which leads to %s; to make it an account, remove that first: chmail alias remove %s", ErrAlias, strings.Join(all, ", "), login)
	}
	return err
}

// pairs reads rows of two texts.
func pairs(tx *sqldb.Tx, query string, take func(a, b string), args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			return err
		}
		take(a, b)
	}
	return rows.Err()
}
