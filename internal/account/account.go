// Package account knows who lives here: logins, which are always full mail addresses of the configured domains, their passwords
// and display names, and which mail address leads to whom: their own, and aliases. Whoever lets people in asks Authenticate, with all that
// guessing costs built in; whoever takes mail asks Recipients and Owns.
package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// The errors by which a caller decides; each is wrapped with the login at fault.
var (
	ErrExists     = errors.New("there is such an account already")
	ErrNoAccount  = errors.New("there is no such account")
	ErrBadLogin   = errors.New("not a login")
	ErrPostmaster = errors.New("this account gets the mail for postmaster")
)

// Memory for what the hot path asks. A change through this process is seen at once, one by another process within the life.
const (
	recordLife = 10 * time.Second
	maxRecords = 20_000
	verifyLife = 10 * time.Minute // a right password is looked at again after this; mail clients poll every minute
	maxVerify  = 20_000
)

// Schema is the accounts' part of the database. Passwords stand there as argon2id hashes only.
func Schema() sqldb.Schema {
	return sqldb.Schema{Room: "account", Steps: []string{`
CREATE TABLE account_login (
	login   TEXT    NOT NULL PRIMARY KEY, -- canonical: address.Address.Login
	name    TEXT    NOT NULL,             -- display name; '' when there is none
	hash    TEXT    NOT NULL,             -- PHC string; '' when nobody can sign in
	version TEXT    NOT NULL,             -- random, new with each password
	created INTEGER NOT NULL,
	changed INTEGER NOT NULL,             -- when the password was set
	-- What else the account is set to.
	chat     TEXT    NOT NULL DEFAULT '', -- 'on', 'header-only', 'off'; '': as the configuration has it
	language TEXT    NOT NULL DEFAULT '', -- 'ja', 'ko'; '': English
	publish  INTEGER NOT NULL DEFAULT 0,  -- 1: CH-Host is the owner's own latest address (R4)
	scram    INTEGER NOT NULL DEFAULT 0,  -- 1: the password's SCRAM keys are kept
	quota    INTEGER NOT NULL DEFAULT -1, -- octets that its maildrop may hold; 0: any number, -1: as the configuration has it
	sent     INTEGER NOT NULL DEFAULT 0,  -- 1: a copy of what it sends is delivered to it
	ended    INTEGER NOT NULL DEFAULT 0   -- how many of its app passwords have been removed
) STRICT, WITHOUT ROWID;

-- Accounts that were removed of late, for a day: mail that was on its way to one must not go to the next of its name.
CREATE TABLE account_removed (
	login TEXT    NOT NULL PRIMARY KEY,
	at    INTEGER NOT NULL -- the last time
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE account_login ADD COLUMN quiet TEXT NOT NULL DEFAULT ''; -- hours in which nothing rings, 22:00-07:00, several with commas
ALTER TABLE account_login ADD COLUMN terms TEXT NOT NULL DEFAULT ''; -- on which it rings, as in call.Terms; '': at once
ALTER TABLE account_login ADD COLUMN timezone TEXT NOT NULL DEFAULT ''; -- IANA name of the zone in which they count; '': UTC
`, `
-- Addresses that lead to accounts. No address is both an alias and an account.
CREATE TABLE account_alias (
	address TEXT    NOT NULL, -- canonical, as logins are
	login   TEXT    NOT NULL,
	created INTEGER NOT NULL,
	PRIMARY KEY (address, login)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_alias_login ON account_alias(login);

-- Who may write as an address that is not his own: an alias, or another account.
CREATE TABLE account_sendas (
	login   TEXT NOT NULL,
	address TEXT NOT NULL,
	PRIMARY KEY (login, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_sendas_address ON account_sendas(address);
`, secretSchema}}
}

// Options are what Accounts need.
type Options struct {
	DB      *sqldb.DB
	Domains []string // canonical (address.ParseDomain), at least one
	Quota   int64    // octets that a maildrop may hold whose account says nothing else; 0: any number
	// Postmaster is the login that gets mail for postmaster and abuse of every domain; "" means postmaster@ the first domain.
	Postmaster string
	// OnRemove takes away what other rooms keep for a login, in the transaction that removes it. It may run twice. Nil: nothing.
	OnRemove func(tx *sqldb.Tx, login string) error
	// OnPassword takes away what a login's old password has allowed, in the transaction that gives it a new one. It may run twice. Nil: nothing.
	OnPassword func(tx *sqldb.Tx, login string) error
	// OnWishes hears that a login's quiet hours or terms may be others now, once that has been taken up. Nil: nobody does.
	OnWishes func(login string)
	Log      *slog.Logger // nil: slog.Default()
}

// Account is what may be told of an account.
type Account struct {
	Login       string
	Name        string // display name; "" when there is none
	Created     time.Time
	Changed     time.Time // when the password was last set
	HasPassword bool      // false: it has a maildrop, but nobody can sign in
	Chat        string    // as in call.Manner, and so are the others
	Language    string
	PublishHost bool
	Terms       string // on which it rings for this login, as in call.Terms; "": at once
	Quiet       string // hours in which nothing rings, as they were set
	Timezone    string // IANA name; "" is UTC
	Scram       bool   // the password's SCRAM keys are kept, for mail clients
	// Box is how its maildrop is set. How much that holds is not known here: Used is 0.
	Box message.Box
}

// Accounts are all accounts of the configured domains. All methods may be called from many goroutines.
type Accounts struct {
	o          Options
	domains    map[string]bool
	postmaster string

	removals removals
	wishes   wishes
	records  *memo[string, record]
	aliases  *memo[string, []string] // address → where its mail goes
	verified *memo[[32]byte, string] // keyed hash of login and password → the password's version
	keys     keyring
	hasher   *hasher
	throttle *throttle
	proofs   *proofs
}

// record is an account as the hot path needs it; the zero record is a login that does not exist.
type record struct {
	login   string
	hash    string
	version string
	ended   int64 // app passwords that have been removed
	manner  call.Manner
	keyless bool // its password's SCRAM keys are wanted, and not there yet
	box     message.Box
	to      []string // login alone, for whoever asks where its mail goes
}

// New makes the accounts; the database must carry Schema. An unusable domain or postmaster is an error.
func New(o Options) (*Accounts, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if len(o.Domains) == 0 {
		return nil, errors.New("accounts need at least one domain")
	}
	s := &Accounts{
		o: o, domains: make(map[string]bool), throttle: newThrottle(), proofs: newProofs(),
		records: newMemo[string, record](maxRecords, recordLife), aliases: newMemo[string, []string](maxRecords, recordLife), verified: newMemo[[32]byte, string](maxVerify, verifyLife),
	}
	for _, d := range o.Domains {
		canonical, err := address.ParseDomain(d)
		if err != nil {
			return nil, fmt.Errorf("domain %q: %w", d, err)
		}
		s.domains[canonical] = true
	}
	first, err := address.ParseDomain(o.Domains[0])
	if err != nil {
		return nil, fmt.Errorf("domain %q: %w", o.Domains[0], err)
	}
	s.postmaster = "postmaster@" + first
	if o.Postmaster != "" {
		if s.postmaster, err = s.ours(o.Postmaster); err != nil {
			return nil, fmt.Errorf("postmaster: %w", err)
		}
	}
	if s.hasher, err = newHasher(); err != nil {
		return nil, err
	}
	if s.keys, err = newKeyring(); err != nil {
		return nil, err
	}
	return s, nil
}

// canonical is the login that a person means, in any case and any spelling of the domain. ErrBadLogin when it cannot be one.
func canonical(login string) (l, domain string, err error) {
	a, err := address.Parse(login)
	if err != nil {
		return "", "", fmt.Errorf("%q: %w: it has to be a full mail address: %w", login, ErrBadLogin, err)
	}
	l = a.Login()
	// A lower-case letter may take more octets than its capital; and what needs quotes no mail client can be given as a user name.
	if again, err := address.Parse(l); err != nil || again.Login() != l || l[0] == '"' {
		return "", "", fmt.Errorf("%q: %w: choose plain letters and digits before the @", login, ErrBadLogin)
	}
	return l, a.Domain, nil
}

// ours is a canonical login of a configured domain, which is what a new account needs; an old one may have outlived its domain.
func (s *Accounts) ours(login string) (string, error) {
	l, domain, err := canonical(login)
	if err == nil && !s.domains[domain] {
		err = fmt.Errorf("%q: %w: %s is not one of the configured domains", login, ErrBadLogin, domain)
	}
	return l, err
}

// record looks an account up, in memory where it can.
func (s *Accounts) record(ctx context.Context, login string) (record, error) {
	now := time.Now()
	if r, ok := s.records.get(login, now); ok {
		return r, nil
	}
	mark := s.records.mark()
	var r record
	err := s.o.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		r, err = s.load(tx, login)
		return err
	})
	if err != nil {
		return record{}, fmt.Errorf("looking up account %s: %w", login, err)
	}
	if r.login != "" { // otherwise not remembered: strangers choose what does not exist, and would push out what does
		s.records.put(login, r, now, mark)
	}
	return r, nil
}

// load reads a record from the database; the zero one where there is no such account.
func (s *Accounts) load(tx *sqldb.Tx, login string) (r record, err error) {
	err = tx.QueryRow(`SELECT login, hash, version, ended, chat, language, publish, quota, sent,
		scram = 1 AND NOT EXISTS (SELECT 1 FROM account_scram k WHERE k.login = a.login AND k.version = a.version) FROM account_login a WHERE login = ?`, login).
		Scan(&r.login, &r.hash, &r.version, &r.ended, &r.manner.Chat, &r.manner.Language, &r.manner.PublishHost, &r.box.Quota, &r.box.Sent, &r.keyless)
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, nil
	}
	r.box, r.to = s.limited(r.box), []string{r.login}
	return r, err
}

// limited is how a maildrop is set whose account has this in its row.
func (s *Accounts) limited(b message.Box) message.Box {
	if b.Own = b.Quota >= 0; !b.Own {
		b.Quota = s.o.Quota
	}
	return b
}

// Lookup tells what there is to know of an account; login is any spelling. The boolean is false when there is none.
func (s *Accounts) Lookup(ctx context.Context, login string) (Account, bool, error) {
	l, _, err := canonical(login)
	if err != nil {
		return Account{}, false, nil // what cannot be a login is none
	}
	var a Account
	err = s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		a, err = s.scan(tx.QueryRow(`SELECT `+accountColumns+` FROM account_login WHERE login = ?`, l))
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Account{}, false, nil
	case err != nil:
		return Account{}, false, fmt.Errorf("looking up account %s: %w", l, err)
	}
	return a, true, nil
}

const accountColumns = `login, name, created, changed, hash <> '', chat, language, publish, terms, quiet, timezone, scram, quota, sent`

func (s *Accounts) scan(r interface{ Scan(...any) error }) (a Account, err error) {
	err = r.Scan(&a.Login, &a.Name, &a.Created, &a.Changed, &a.HasPassword, &a.Chat, &a.Language, &a.PublishHost, &a.Terms, &a.Quiet, &a.Timezone, &a.Scram, &a.Box.Quota, &a.Box.Sent)
	a.Box = s.limited(a.Box)
	return a, err
}

// List returns every account, by login.
func (s *Accounts) List(ctx context.Context) ([]Account, error) {
	var all []Account
	err := s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`SELECT ` + accountColumns + ` FROM account_login ORDER BY login`)
		if err != nil {
			return err
		}
		for rows.Next() {
			a, err := s.scan(rows)
			if err != nil {
				return err
			}
			all = append(all, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing the accounts: %w", err)
	}
	return all, nil
}

// Exists tells whether there is an account of this canonical login. It is asked for every mail: from memory it takes well under a microsecond.
func (s *Accounts) Exists(ctx context.Context, login string) (bool, error) {
	r, err := s.record(ctx, login)
	return r.login != "", err
}

// Manner is how a login wants his mail to be stamped, by the account's settings; the zero Manner when there is no such account. It is asked for
// every mail: from memory it takes well under a microsecond.
func (s *Accounts) Manner(ctx context.Context, login string) (call.Manner, error) {
	r, err := s.record(ctx, login)
	return r.manner, err
}

// Box is how a login's maildrop is set; the zero Box when there is no such account. What it holds is not asked. It is asked for every mail: from memory it
// takes well under a microsecond.
func (s *Accounts) Box(ctx context.Context, login string) (message.Box, error) {
	r, err := s.record(ctx, login)
	return r.box, err
}

// Version names the present password of a login in any spelling, without saying anything about it: a web session that was begun under another version is over. It is asked before the
// password is looked at with which a session begins. ok is false when there is no such account.
func (s *Accounts) Version(ctx context.Context, login string) (version string, ok bool, err error) {
	r, err := s.spelt(ctx, login)
	return r.version, r.login != "", err
}

// spelt is record for a login that is canonical as a rule.
func (s *Accounts) spelt(ctx context.Context, login string) (record, error) {
	r, err := s.record(ctx, login)
	if err != nil || r.login != "" {
		return r, err
	}
	if a, err := address.Parse(login); err == nil && a.Login() != login {
		return s.record(ctx, a.Login())
	}
	return r, nil
}

// ClientVersion is Version for a session of a mail client, which an app password may have begun as well: such a session is over when any of the login's is removed. Those that another
// password has begun sign in again by themselves.
func (s *Accounts) ClientVersion(ctx context.Context, login string) (version string, ok bool, err error) {
	r, err := s.spelt(ctx, login)
	return fmt.Sprint(r.version, " ", r.ended), r.login != "", err
}
