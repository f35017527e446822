package chatd

import (
	"time"

	"chmail/internal/sqldb"
)

// What is said may be a file. Who sent it waits for the answer to his request, not on a line of his.

// event is the event that something said becomes.
func (s said) event(now time.Time) *event {
	e := &event{Kind: kindSay, From: s.side, CID: s.cid, At: now, Text: s.text, File: s.file}
	if s.file != nil {
		e.Kind = kindFile
	}
	return e
}

// put tells whoever said something what became of it.
func (s said) put(f any) {
	if s.c != nil {
		s.c.put(f)
		return
	}
	select {
	case s.done <- f:
	default:
	}
}

// leave is put for what ends a connection, where there is one.
func (s said) leave(f any) {
	if s.c != nil {
		s.c.leave(f)
		return
	}
	s.put(f)
}

// acknowledge tells whoever said something that it is committed, as e.
func (r *room) acknowledge(s said, e *event, became outcome) error {
	if s.file == nil {
		s.put(ackFrame{T: "ack", Conv: r.id, CID: s.cid, N: e.N})
		return nil
	}
	f := filedFrame{n: e.N, file: *s.file}
	if became == known { // then it is the file that came first
		var err error
		if err = r.srv.store.db.View(r.srv.ctx, func(tx *sqldb.Tx) error {
			f.file, err = fileOf(tx, r.key, e.N)
			return err
		}); err != nil {
			return err
		}
	}
	s.put(f)
	return nil
}
