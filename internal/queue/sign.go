package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"chmail/internal/sqldb"
)

// signatures are those of mails in work: a mail that goes to several destinations is signed once. What is left of it after the first attempt keeps its signature in the
// database, since a later one must not differ, unless a key has been retired meanwhile: then receivers could verify nothing.
type signatures struct {
	mu  sync.Mutex
	all map[int64]*signature
}

type signature struct {
	once  sync.Once
	users int
	bytes []byte
	err   error
}

func (s *signatures) get(mail int64) *signature {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[int64]*signature)
	}
	one := s.all[mail]
	if one == nil {
		one = new(signature)
		s.all[mail] = one
	}
	one.users++
	return one
}

func (s *signatures) put(mail int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[mail]
	if one.users--; one.users == 0 {
		delete(s.all, mail)
	}
}

// kept is the signature that a mail has in the database; nil: none yet.
func (q *Queue) kept(ctx context.Context, mail int64) (signature []byte, err error) {
	err = q.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT signature FROM queue_mail WHERE id = ?`, mail).Scan(&signature)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the signature of a mail: %w", err)
	}
	return signature, nil
}

// sign gives a job its signature, if it has none yet or one that holds no more; a report or a code of our own as well, whose author's domain is ours. The returned
// function ends the job's use of it.
func (q *Queue) sign(ctx context.Context, j *job, bytes outward) (done func(), err error) {
	if q.o.Signer == nil || j.signature != nil && q.o.Signer.Holds(j.signature) {
		return func() {}, nil
	}
	one := q.signed.get(j.id)
	ended := false
	defer func() {
		if !ended { // by a panic
			q.signed.put(j.id)
		}
	}()
	one.once.Do(func() {
		one.err = errors.New("the signature could not be made") // unless what follows comes to its end
		// Another destination may have had it signed, and be done with it, since this job was taken into work.
		signature, err := q.kept(ctx, j.id)
		if err == nil && (signature == nil || !q.o.Signer.Holds(signature)) {
			signature, err = q.o.Signer.Sign(ctx, bytes)
		}
		one.bytes, one.err = signature, err
	})
	ended = true
	j.signature, j.signed = one.bytes, one.err == nil
	return func() { q.signed.put(j.id) }, one.err
}
