package acme

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"chmail/internal/sqldb"
)

const (
	leaseTime = time.Minute // a lock whose holder has died is free after this
	lockLook  = time.Second // how often one that is taken is looked at again
)

// errLost says that a lock was another's already when it was given back.
var errLost = errors.New("the lock was lost")

// lease is a lock that is held: its row is kept alive until stop is closed.
type lease struct {
	holder string
	going  bool // it is being given back; guarded by locks.mu
	stop   chan struct{}
	done   chan struct{}
}

// locks are the locks of a Storage: rows that name their holder and run out, so that those of a process that was killed are free again.
type locks struct {
	mu   sync.Mutex
	held map[string]*lease
	free chan struct{} // closed, and made anew, when one is given back here
}

// Lock takes the lock of a name, and waits while another holds it. It implements certmagic.Locker.
func (s *Storage) Lock(ctx context.Context, name string) error {
	for {
		s.locks.mu.Lock()
		free := s.locks.free
		s.locks.mu.Unlock()
		ok, err := s.TryLock(ctx, name)
		if ok || err != nil {
			return err
		}
		wait := time.NewTimer(lockLook)
		select {
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("waiting for the lock %s: %w", name, context.Cause(ctx))
		case <-free:
			wait.Stop()
		case <-wait.C:
		}
	}
}

// TryLock takes the lock of a name if nobody holds it. It implements certmagic.TryLocker.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	s.locks.mu.Lock()
	here := s.locks.held[name] != nil
	s.locks.mu.Unlock()
	if here { // whatever has become of its row
		return false, nil
	}
	l := &lease{holder: rand.Text(), stop: make(chan struct{}), done: make(chan struct{})}
	taken := false
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		now := time.Now()
		// No end lies further ahead than a lease: such a one is from before the clock was put back, and its holder would have moved it since. Twice a lease, for a clock that
		// is only a little behind.
		if _, err := tx.Exec(`DELETE FROM acme_lock WHERE name = ? AND (until <= ? OR until > ?)`, name, now, now.Add(2*leaseTime)); err != nil {
			return err
		}
		got, err := tx.Exec(`INSERT INTO acme_lock (name, holder, until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, name, l.holder, now.Add(leaseTime))
		if err != nil {
			return err
		}
		n, err := got.RowsAffected()
		taken = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("taking the lock %s: %w", name, err)
	}
	if !taken {
		return false, nil
	}
	s.locks.mu.Lock()
	s.locks.held[name] = l
	s.locks.mu.Unlock()
	go s.keep(name, l)
	return true, nil
}

// keep moves the end of a lease on for as long as it is held.
func (s *Storage) keep(name string, l *lease) {
	defer close(l.done)
	tick := time.NewTicker(leaseTime / 3)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), leaseTime/3)
		n, err := s.change(ctx, `UPDATE acme_lock SET until = ? WHERE name = ? AND holder = ?`, time.Now().Add(leaseTime), name, l.holder)
		cancel()
		if err != nil {
			s.log.Warn("a certificate's lock could not be kept", "lock", name, "err", err)
		} else if n == 0 {
			s.log.Warn("a certificate's lock was lost: this process stood still for too long", "lock", name)
			return
		}
	}
}

// Unlock gives a lock back. It implements certmagic.Locker.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.locks.mu.Lock()
	l := s.locks.held[name]
	if l == nil || l.going {
		s.locks.mu.Unlock()
		return fmt.Errorf("giving the lock %s back: it is not held", name)
	}
	l.going = true
	s.locks.mu.Unlock()
	close(l.stop)
	<-l.done
	n, err := s.change(ctx, `DELETE FROM acme_lock WHERE name = ? AND holder = ?`, name, l.holder)
	s.locks.mu.Lock()
	delete(s.locks.held, name)
	close(s.locks.free)
	s.locks.free = make(chan struct{})
	s.locks.mu.Unlock()
	if err == nil && n == 0 {
		err = errLost
	}
	if err != nil {
		return fmt.Errorf("giving the lock %s back: %w", name, err)
	}
	return nil
}

// idle waits until no lock is held here any more, or ctx ends.
func (s *Storage) idle(ctx context.Context) error {
	for {
		s.locks.mu.Lock()
		n, free := len(s.locks.held), s.locks.free
		s.locks.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// change runs one statement and tells how many rows it met.
func (s *Storage) change(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		got, err := tx.Exec(query, args...)
		if err != nil {
			return err
		}
		n, err = got.RowsAffected()
		return err
	})
	return n, err
}
