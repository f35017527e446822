package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chmail/internal/sqldb"
)

// ErrBadSetting is wrapped when a setting does not exist or cannot have a value; the error says what would be right.
var ErrBadSetting = errors.New("this cannot be set")

// settings are what Set changes, by the names that people use: their columns, and of those that have no free text, what the column holds for
// each value in the order in which a message names them.
var settings = [...]struct {
	key, column string
	values      []choice
}{
	{"name", "name", nil},
	{"chat", "chat", []choice{{"on", "on"}, {"header-only", "header-only"}, {"off", "off"}, {"default", ""}}},
	{"language", "language", []choice{{"en", ""}, {"ja", "ja"}, {"ko", "ko"}}},
	{"publish-host", "publish", []choice{{"yes", 1}, {"no", 0}}},
}

type choice struct {
	said string
	kept any
}

// Check says what is wrong with changes that Set is to make, all of it at once. ErrBadSetting, ErrBadName.
func Check(changes map[string]string) error {
	_, err := columns(changes)
	return err
}

// Set changes settings of an account, all of them or none: name (any text, "" for none), chat (on, header-only, off, default), language
// (en, ja, ko), publish-host (yes, no). Mail that is submitted from then on goes by them. ErrNoAccount, ErrBadLogin, ErrBadSetting, ErrBadName.
func (s *Accounts) Set(ctx context.Context, login string, changes map[string]string) error {
	l, _, err := canonical(login)
	if err != nil {
		return err
	}
	columns, err := columns(changes)
	if err != nil {
		return err
	}
	return s.change(ctx, "changing the settings of", l, func(tx *sqldb.Tx) (sql.Result, error) {
		return tx.Exec(`UPDATE account_login SET name = coalesce(?2, name), chat = coalesce(?3, chat), language = coalesce(?4, language),
			publish = coalesce(?5, publish) WHERE login = ?1`, l, columns["name"], columns["chat"], columns["language"], columns["publish"])
	}, ErrNoAccount)
}

// columns is what changes make of the columns; those that stay are missing.
func columns(changes map[string]string) (map[string]any, error) {
	if len(changes) == 0 {
		return nil, fmt.Errorf("%w: there is nothing to change; what there is: %s", ErrBadSetting, settingNames())
	}
	kept := make(map[string]any, len(changes))
	var wrong []error
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		column, value, err := one(key, changes[key])
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		kept[column] = value
	}
	return kept, errors.Join(wrong...)
}

func one(key, said string) (column string, kept any, err error) {
	for _, s := range settings {
		if s.key != key {
			continue
		}
		if s.values == nil {
			kept, err = displayName(said)
			return s.column, kept, err
		}
		var may []string
		for _, v := range s.values {
			if v.said == said {
				return s.column, v.kept, nil
			}
			may = append(may, v.said)
		}
		return "", nil, fmt.Errorf("%w: %s is one of %s, not %q", ErrBadSetting, key, strings.Join(may, ", "), said)
	}
	return "", nil, fmt.Errorf("%w: an account has no setting %q; what there is: %s", ErrBadSetting, key, settingNames())
}

func settingNames() string {
	var all []string
	for _, s := range settings {
		all = append(all, s.key)
	}
	return strings.Join(all, ", ")
}
