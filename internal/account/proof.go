package account

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"chmail/internal/address"
	"chmail/internal/scram"
	"chmail/internal/sqldb"
)

// A refused proof is answered no sooner than this after it came. Whether there were keys to compare it with takes microseconds, which then nobody measures.
const proofTime = 30 * time.Millisecond

// useKnown is for how long the last use of an app password is not written again: a mail client polls every minute, and each write would have to reach the disk.
const useKnown = time.Hour

// proofs are what signing in by SCRAM needs beside the throttle.
type proofs struct {
	turns turns // a burst of wrong proofs is looked at one a processor, as wrong passwords are

	mu   sync.Mutex
	salt []byte // nil: not read yet

	some *memo[struct{}, bool] // whether anybody has keys
}

func newProofs() *proofs {
	return &proofs{turns: turns{free: runtime.NumCPU()}, some: newMemo[struct{}, bool](1, recordLife)}
}

// secret is what a login may sign in with besides its password's hash.
type secret struct {
	app  string // its name; "": the account's password
	keys scram.Keys
	used time.Time // last, as far as it was written down
}

// AuthenticateClient is Authenticate for a mail client, which may have an app password as well: these send and fetch mail, and open no desk.
func (s *Accounts) AuthenticateClient(ctx context.Context, user, password string, peer netip.Addr) (login string, ok bool, err error) {
	return s.authenticate(ctx, user, password, peer, isAppPassword(password))
}

// byAppPassword tells whether a password is an app password of a login. It is asked without a turn: what is one of 2^140 is not guessed, however often it is tried.
func (s *Accounts) byAppPassword(ctx context.Context, login, password string) (bool, error) {
	var is secret
	hash := appHash(login, password)
	err := s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT name, used FROM account_app_password WHERE login = ? AND hash = ?`, login, hash[:]).Scan(&is.app, &is.used)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, signingIn(err)
	}
	s.noteUse(ctx, login, is)
	return true, nil
}

// Proving tells whether an account's own password can be proved by SCRAM, as an administrator has asked for it. Where none can, it is not to be offered unless he says so, though app passwords
// could use it: a client that has an account's password takes the best that is offered, and would fail with it.
func (s *Accounts) Proving(ctx context.Context) (bool, error) {
	now := time.Now()
	if is, ok := s.proofs.some.get(struct{}{}, now); ok {
		return is, nil
	}
	mark := s.proofs.some.mark()
	var is bool
	if err := s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM account_scram)`).Scan(&is)
	}); err != nil {
		return false, fmt.Errorf("looking whether SCRAM is of use: %w", err)
	}
	s.proofs.some.put(struct{}{}, is, now, mark)
	return is, nil
}

func (s *Accounts) forgetProving() { s.proofs.some.forget(struct{}{}) }

// ProofSalt is the salt of a login for SCRAM, of one that does not exist as well (scram.Salt). User is any spelling; what is no address has a salt too.
func (s *Accounts) ProofSalt(ctx context.Context, user string) ([]byte, error) {
	s.proofs.mu.Lock()
	defer s.proofs.mu.Unlock()
	if s.proofs.salt == nil {
		if err := s.loadSalt(ctx); err != nil {
			return nil, fmt.Errorf("reading the key of the SCRAM salts: %w", err)
		}
	}
	if a, err := address.Parse(user); err == nil {
		user = a.Login()
	}
	return scram.Salt(s.proofs.salt, user), nil
}

// loadSalt reads the key of the salts, which is made when it is first asked for. s.proofs.mu is held.
func (s *Accounts) loadSalt(ctx context.Context) error {
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return err
	}
	var key []byte
	if err := s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`INSERT INTO account_salt (only, key) VALUES (1, ?) ON CONFLICT DO NOTHING`, fresh); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT key FROM account_salt`).Scan(&key)
	}); err != nil {
		return err
	}
	s.proofs.salt = key
	return nil
}

// Prove tells whether a mail client that signs in as user by SCRAM has shown that it has one of its passwords: fits looks at the keys of each until one is proved. ok is false for a wrong
// proof, an unknown login and one without keys alike, after the same time; delays and errors are those of Authenticate.
func (s *Accounts) Prove(ctx context.Context, user string, peer netip.Addr, fits func(scram.Keys) bool) (login string, ok bool, err error) {
	began := time.Now()
	if a, err := address.Parse(user); err == nil {
		login = a.Login()
	}
	who := s.throttle.attempt(login, peer)
	if err := s.throttle.wait(ctx, who); err != nil {
		return "", false, signingIn(err)
	}
	is, ok, err := s.proved(ctx, who, login, fits)
	switch {
	case err != nil:
		s.throttle.undecided(who)
		return "", false, signingIn(err)
	case !ok:
		s.refused(who, login, peer)
		if err := sleep(ctx, proofTime-time.Since(began)); err != nil {
			return "", false, signingIn(err)
		}
		return "", false, nil
	}
	s.throttle.succeeded(who)
	if is.app != "" {
		s.noteUse(ctx, login, is)
	}
	return login, true, nil
}

// proved looks at a proof, in turn with all others; whoever is known here need not wait for that.
func (s *Accounts) proved(ctx context.Context, who *attempt, login string, fits func(scram.Keys) bool) (is secret, ok bool, err error) {
	for who.pass == nil {
		if err := s.proofs.turns.take(ctx, s.throttle.isKnown(who)); err != nil {
			return secret{}, false, err
		}
		if s.throttle.claim(who) {
			defer s.proofs.turns.give()
			break
		}
		s.proofs.turns.give()
		if err := s.throttle.wait(ctx, who); err != nil {
			return secret{}, false, err
		}
	}
	all, err := s.secrets(ctx, login)
	if err != nil {
		return secret{}, false, err
	}
	for _, is := range all {
		if fits(is.keys) {
			return is, true, nil
		}
	}
	if !slices.ContainsFunc(all, func(is secret) bool { return is.app == "" }) {
		s.tellKeyless(ctx, login)
	}
	return secret{}, false, nil
}

// tellKeyless tells the administrator, and nobody else, of a mail client that may have the account's own password, which cannot be proved.
func (s *Accounts) tellKeyless(ctx context.Context, login string) {
	if r, err := s.record(ctx, login); err == nil && r.hash != "" {
		s.o.Log.Warn("account: a mail client uses SCRAM, for which this account's own password has no keys; if that is what it has", "login", login,
			"how", "chmail account set "+login+" scram=on, and sign in once at the desk; or give the client an app password; or set it to PLAIN")
	}
}

// secrets are all keys of a login: read anew each time, so that what was removed is so at once.
func (s *Accounts) secrets(ctx context.Context, login string) (all []secret, err error) {
	err = s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT name, stored, server, used FROM account_app_password WHERE login = ?`, login)
		if err != nil {
			return err
		}
		for rows.Next() {
			var is secret
			if err := rows.Scan(&is.app, &is.keys.Stored, &is.keys.Server, &is.used); err != nil {
				return err
			}
			all = append(all, is)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		var own secret
		err = tx.QueryRow(`SELECT k.stored, k.server FROM account_scram k JOIN account_login a USING (login) WHERE login = ? AND a.scram = 1 AND a.version = k.version`, login).
			Scan(&own.keys.Stored, &own.keys.Server)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		all = append(all, own)
		return err
	})
	return all, err
}

// noteUse writes down that an app password was used, unless that is known to the hour. Failing costs nothing but the note.
func (s *Accounts) noteUse(ctx context.Context, login string, is secret) {
	now := time.Now()
	if now.Sub(is.used) < useKnown {
		return
	}
	if err := s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE account_app_password SET used = ? WHERE login = ? AND name = ?`, now, login, is.app)
		return err
	}); err != nil && !errors.Is(err, context.Canceled) {
		s.o.Log.Warn("account: noting the use of an app password", "login", login, "err", err)
	}
}

// keepKeys keeps the SCRAM keys of an account's password, prepared, which was just found right, where the account wants them and they are not there yet. Failing costs nothing but another
// try at the next login.
func (s *Accounts) keepKeys(ctx context.Context, r record, password string) {
	if !r.keyless {
		return
	}
	salt, err := s.ProofSalt(ctx, r.login)
	if err == nil {
		err = s.writeKeys(ctx, r, password, salt)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.o.Log.Warn("account: keeping the SCRAM keys of a password", "login", r.login, "err", err)
	}
}

func (s *Accounts) writeKeys(ctx context.Context, r record, password string, salt []byte) error {
	keys, err := scram.Derive(password, salt)
	if err != nil {
		return err
	}
	return s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		tx.AfterCommit(func() {
			s.records.forget(r.login)
			s.forgetProving()
		})
		_, err := tx.Exec(`INSERT INTO account_scram (login, version, stored, server) SELECT login, version, ?3, ?4 FROM account_login WHERE login = ?1 AND version = ?2 AND scram = 1
			ON CONFLICT (login) DO UPDATE SET version = excluded.version, stored = excluded.stored, server = excluded.server`, r.login, r.version, keys.Stored, keys.Server)
		return err
	})
}

// keysOfNew keeps the keys of a password that has just been set.
func (s *Accounts) keysOfNew(ctx context.Context, login, password string) {
	r, err := s.record(ctx, login)
	if err != nil || !r.keyless {
		return // the next login has another try
	}
	if prepared, err := prepare(password); err == nil {
		s.keepKeys(ctx, r, prepared)
	}
}
