package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"strings"
	"sync"
	"time"

	"chmail/internal/address"
	"chmail/internal/sqldb"
)

// Authenticate tells whether password is that of user, a full address in any spelling, who tries from peer. ok is false for a wrong password and
// an unknown user alike, after the same work. It waits as long as guessing from there has earned it (see throttle). An error,
// ErrBusy among them, says nothing about the password: the client is to come again.
func (s *Accounts) Authenticate(ctx context.Context, user, password string, peer netip.Addr) (login string, ok bool, err error) {
	return s.authenticate(ctx, user, password, peer, false)
}

// authenticate is Authenticate; apps tells that the password may be an app password. One that is not has the work and the strikes of any wrong password.
func (s *Accounts) authenticate(ctx context.Context, user, password string, peer netip.Addr, apps bool) (login string, ok bool, err error) {
	if a, err := address.Parse(user); err == nil {
		login = a.Login() // and what is no address goes the same way, as an unknown login
	}
	who := s.throttle.attempt(login, peer)
	if err := s.throttle.wait(ctx, who); err != nil {
		return "", false, signingIn(err)
	}
	if apps {
		if ok, err := s.byAppPassword(ctx, login, password); err != nil {
			s.throttle.undecided(who)
			return "", false, err
		} else if ok {
			s.throttle.succeeded(who)
			return login, true, nil
		}
	}
	r, err := s.record(ctx, login)
	if err != nil {
		s.throttle.undecided(who)
		return "", false, err
	}
	prepared, err := prepare(password)
	if err != nil { // no account has such a password
		s.refused(who, login, peer)
		return "", false, nil
	}
	key := s.keys.of(login, prepared)
	if who.pass != nil && s.remembered(key, r) {
		s.throttle.succeeded(who)
		s.keepKeys(ctx, r, prepared)
		return login, true, nil
	}
	match, err := s.verify(ctx, who, login, key, prepared)
	switch {
	case err != nil:
		if ctx.Err() != nil || who.pass != nil {
			// Neither not staying for the answer nor a full line must make a question to the memory of right passwords free.
			s.throttle.failed(who)
		} else {
			s.throttle.undecided(who)
		}
		return "", false, signingIn(err)
	case !match:
		s.refused(who, login, peer)
		return "", false, nil
	}
	s.throttle.succeeded(who)
	s.keepKeys(ctx, r, prepared)
	return login, true, nil
}

func signingIn(err error) error { return fmt.Errorf("signing in: %w", err) }

// remembered tells whether this very password was found right lately.
func (s *Accounts) remembered(key [32]byte, r record) bool {
	version, ok := s.verified.get(key, time.Now())
	return ok && r.login != "" && version == r.version
}

// verify compares the password with the stored hash, in turn with all others.
func (s *Accounts) verify(ctx context.Context, who *attempt, login string, key [32]byte, password string) (match bool, err error) {
	known := s.throttle.isKnown(who)
	for {
		if err := s.hasher.turns.take(ctx, known); err != nil {
			return false, err
		}
		if s.throttle.claim(who) {
			break
		}
		s.hasher.turns.give()
		if err := s.throttle.wait(ctx, who); err != nil {
			return false, err
		}
	}
	defer s.hasher.turns.give()
	r, err := s.record(ctx, login) // anew: the wait may have been long
	if err != nil {
		return false, err
	}
	if s.remembered(key, r) { // a mail client opens several connections at once
		return true, nil
	}
	mark := s.verified.mark()
	match, stale, err := s.hasher.check(r.hash, password)
	if err != nil || !match {
		return false, err
	}
	s.verified.put(key, r.version, time.Now(), mark)
	if stale {
		s.upgrade(ctx, r, password)
	}
	return true, nil
}

// upgrade hashes a password that was just found right at today's costs; the caller has a turn. It is the same password, so its version stays. Failing costs
// nothing but another try at the next login.
func (s *Accounts) upgrade(ctx context.Context, r record, password string) {
	hashed, err := s.hasher.make(password)
	if err == nil {
		err = s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(`UPDATE account_login SET hash = ? WHERE login = ? AND version = ?`, hashed, r.login, r.version); err != nil {
				return err
			}
			tx.AfterCommit(func() { s.records.forget(r.login) })
			return nil
		})
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.o.Log.Warn("account: upgrading a password hash", "login", r.login, "err", err)
	}
}

// refused notes a wrong password: the one line that the log has about it, whatever door it was tried at. A user name that is no address is not logged: people
// type passwords into the wrong field.
func (s *Accounts) refused(who *attempt, login string, peer netip.Addr) {
	s.throttle.failed(who)
	if !s.domains[login[strings.LastIndexByte(login, '@')+1:]] {
		login = "(nobody's here)" // some people type their password where the name belongs
	}
	s.o.Log.Info("account: wrong password", "login", login, "peer", peer.String())
}

// keyring makes the keys under which right passwords are remembered: HMAC-SHA-256 with a key of this process, so that
// its memory cannot be searched for passwords without that.
type keyring struct {
	key  []byte
	macs *sync.Pool
}

func newKeyring() (keyring, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return keyring{}, fmt.Errorf("reading random bytes: %w", err)
	}
	return keyring{key, new(sync.Pool)}, nil
}

func (k keyring) of(login, password string) (sum [32]byte) {
	mac, ok := k.macs.Get().(hash.Hash)
	if !ok {
		mac = hmac.New(sha256.New, k.key)
	}
	mac.Reset()
	buf := make([]byte, 0, 256)
	buf = append(append(append(buf, login...), 0), password...) // no login holds a NUL
	mac.Write(buf)
	mac.Sum(sum[:0])
	k.macs.Put(mac)
	return sum
}
