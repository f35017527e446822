package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chmail/internal/call"
	"chmail/internal/octets"
	"chmail/internal/sqldb"
)

// ErrBadSetting is wrapped when a setting does not exist or cannot have a value; the error says what would be right.
var ErrBadSetting = errors.New("this cannot be set")

// settings are what Set changes, by the names that people use: their columns, and of those that have no free text, what the column holds for
// each value in the order in which a message names them; what has no such values is read by a function.
var settings = [...]struct {
	key, column string
	values      []choice
	read        func(said string) (any, error)
}{
	{"name", "name", nil, text(displayName)},
	{"chat", "chat", []choice{{"on", "on"}, {"header-only", "header-only"}, {"off", "off"}, {"default", ""}}, nil},
	{"language", "language", []choice{{"en", ""}, {"ja", "ja"}, {"ko", "ko"}}, nil},
	{"publish-host", "publish", []choice{{"yes", 1}, {"no", 0}}, nil},
	{"ring", "terms", []choice{{string(call.AtOnce), ""}, {string(call.AfterWords), string(call.AfterWords)}, {string(call.Proved), string(call.Proved)}}, nil},
	{"quiet", "quiet", nil, text(quietHours)},
	{"timezone", "timezone", nil, text(timezone)},
	{"scram", "scram", []choice{{"on", 1}, {"off", 0}}, nil},
	{"quota", "quota", nil, quota},
	{"sent", "sent", []choice{{"on", 1}, {"off", 0}}, nil},
}

func text(read func(string) (string, error)) func(string) (any, error) {
	return func(said string) (any, error) { return read(said) }
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
// (en, ja, ko), publish-host (yes, no), ring (at-once, after-words, proved), quiet (22:00-07:00, several with commas, "" for none), timezone (an IANA name, "" for UTC), scram (on, off), quota (2GiB, none, default), sent (on, off). Mail that is
// submitted from then on, and calls that are to ring, go by them. ErrNoAccount, ErrBadLogin, ErrBadSetting, ErrBadName.
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
		res, err := tx.Exec(`UPDATE account_login SET name = coalesce(?2, name), chat = coalesce(?3, chat), language = coalesce(?4, language),
			publish = coalesce(?5, publish), quiet = coalesce(?6, quiet), timezone = coalesce(?7, timezone), terms = coalesce(?8, terms),
			quota = coalesce(?9, quota), sent = coalesce(?10, sent), scram = coalesce(?11, scram) WHERE login = ?1`,
			l, columns["name"], columns["chat"], columns["language"], columns["publish"], columns["quiet"], columns["timezone"], columns["terms"],
			columns["quota"], columns["sent"], columns["scram"])
		if err != nil {
			return nil, err
		}
		if columns["scram"] == 0 {
			if err := s.dropKeys(tx, l); err != nil {
				return nil, err
			}
		}
		tx.AfterCommit(func() { s.learnAgain(ctx, l) })
		return res, nil
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
			kept, err = s.read(said)
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

// minQuota is the smallest quota: with less, hardly any mail could come in.
const minQuota = 1 << 10

// quota reads how much a maildrop may hold, as the column has it.
func quota(said string) (any, error) {
	switch said {
	case "default":
		return -1, nil
	case "none":
		return 0, nil
	}
	n, err := octets.Parse(said)
	if err != nil || n < minQuota {
		return nil, fmt.Errorf("%w: quota is a size from 1KiB such as 500MiB or 2GiB, none, or default for what the configuration says, not %q", ErrBadSetting, said)
	}
	return n, nil
}

func settingNames() string {
	var all []string
	for _, s := range settings {
		all = append(all, s.key)
	}
	return strings.Join(all, ", ")
}
