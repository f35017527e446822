package mailbox

import (
	"math"
	"sync"
)

// sessions are the Drops that are open in this process, which is the only one that reads maildrops of this database (sqldb has one writer). What
// no session can see any more need not wait for its hour.
type sessions struct {
	mu    sync.Mutex
	boxes map[string]*sighted // by login
}

// sighted is a maildrop that somebody looks at, or from which something is to be removed.
type sighted struct {
	open map[*Drop]int64 // the deletion number of its snapshot, -1 while it is not known
	owed int64           // the latest deletion whose entries are not removed; 0: none
}

func (s *sessions) box(login string) *sighted {
	b := s.boxes[login]
	if b == nil {
		b = &sighted{open: make(map[*Drop]int64, 1)}
		s.boxes[login] = b
	}
	return b
}

// tidy forgets a login of which there is nothing to know.
func (s *sessions) tidy(login string, b *sighted) {
	if len(b.open) == 0 && b.owed == 0 {
		delete(s.boxes, login)
	}
}

// begin must come before the snapshot is read: it stops removals until saw.
func (s *sessions) begin(d *Drop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.box(d.login).open[d] = -1
}

func (s *sessions) saw(d *Drop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.box(d.login).open[d] = d.deletion
}

// end takes a session out. It tells whether something can now be removed that its snapshot kept.
func (s *sessions) end(d *Drop) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.box(d.login)
	was := b.open[d]
	delete(b.open, d)
	s.tidy(d.login, b)
	return b.owed > was && b.seen() > was
}

// owe notes that a deletion is committed and its entries are still there.
func (s *sessions) owe(login string, deletion int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.box(login)
	b.owed = max(b.owed, deletion)
}

// paid notes that the entries of all deletions up to this one are removed.
func (s *sessions) paid(login string, deletion int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.box(login)
	if b.owed <= deletion {
		b.owed = 0
	}
	s.tidy(login, b)
}

// seen is the highest deletion that every open session of a login knows of. What went by then can be removed, if the deletion was
// committed before seen was asked: a session that begins later knows of it.
func (s *sessions) seen(login string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.box(login)
	s.tidy(login, b)
	return b.seen()
}

func (b *sighted) seen() int64 {
	lowest := int64(math.MaxInt64)
	for _, deletion := range b.open {
		lowest = min(lowest, deletion)
	}
	return lowest
}
