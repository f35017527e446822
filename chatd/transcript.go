package chatd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

const (
	transcriptRetry  = 5 * time.Minute // after a failure
	transcriptEvents = 2000            // of one transcript: the latest
	transcriptTexts  = 512 << 10       // octets of their texts
	dueMost          = 100_000         // conversations that are looked at; the others at the next start
)

// A Transcript is what was said in a conversation since its owner was last sent one.
type Transcript struct {
	Login   string
	Conv    string
	Link    int64 // the broker's number of the link
	Who     string
	About   string
	Ended   bool    // the owner has ended it
	Whole   bool    // it is all that was said, not only the latest
	Entries []Entry // messages and files, in order
	More    bool    // there was more before them

	Attach []*Shelved // files among the entries that go along with a mail, in order: as many as fit (FileLimits.Attach)
	Token  string     // of the visitor's link, in a mail that he has just asked for; "" otherwise, since it is kept nowhere
}

// errAttach is an error of a file that goes along with a mail, not of the mail.
var errAttach = errors.New("a file cannot be attached")

// attach adds the files that fit. One that is gone meanwhile stays out: nobody finds it in the conversation either.
func (s *Server) attach(ctx context.Context, t *Transcript) error {
	left := s.store.files.limits.Attach
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.File == nil || e.File.Size > left {
			continue
		}
		f, err := s.store.file(ctx, t.Conv, e.File.ID)
		if errors.Is(err, ErrNoFile) {
			continue
		}
		if err != nil {
			return err
		}
		send := f.Send
		f.Send = func(ctx context.Context, w io.Writer) error {
			if err := send(ctx, w); err != nil {
				return errors.Join(errAttach, err)
			}
			return nil
		}
		t.Attach, left = append(t.Attach, f), left-f.Size
	}
	return nil
}

// withFiles mails what was said with the files that fit, and without them where one of these cannot be read, or the mail is refused with them.
func (s *Server) withFiles(ctx context.Context, t Transcript, mail func(Transcript) error) error {
	if err := s.attach(ctx, &t); err != nil {
		return err
	}
	err := mail(t)
	if len(t.Attach) > 0 && ctx.Err() == nil && (errors.Is(err, errAttach) || forGood(err)) { // it may be too large with them
		s.log.Warn("chatd: what was said is mailed without its files", "conv", t.Conv, "err", err)
		t.Attach = nil
		err = mail(t)
	}
	return err
}

// forGood tells whether a mail was refused in a way that no later try changes.
func forGood(err error) bool {
	var refused *message.Refusal
	return errors.As(err, &refused) && refused.Code >= 500
}

// dues are the conversations that may be due for a transcript, and when they are to be looked at.
type dues struct {
	mu  sync.Mutex
	at  map[string]time.Time
	now chan struct{} // something is to be looked at sooner than was thought; holds one
}

func newDues() *dues { return &dues{at: make(map[string]time.Time), now: make(chan struct{}, 1)} }

func (d *dues) add(conv string, at time.Time) {
	if d == nil { // nobody wants transcripts
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, ok := d.at[conv]; ok && old.Before(at) || !ok && len(d.at) >= dueMost {
		return
	}
	d.at[conv] = at
	select {
	case d.now <- struct{}{}:
	default:
	}
}

// take returns what is due, and when the next is; the zero time when there is none.
func (d *dues) take(now time.Time) (due []string, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for conv, at := range d.at {
		switch {
		case !at.After(now):
			due = append(due, conv)
			delete(d.at, conv)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next
}

// serve does what is due until ctx ends: first finds what an earlier run did not get to.
func (d *dues) serve(ctx context.Context, first func() error, do func(conv string) error, failed func(conv string, err error)) {
	for begun := false; ; {
		if !begun {
			err := first()
			if begun = err == nil; err != nil {
				failed("", err)
			}
		}
		due, next := d.take(time.Now())
		for _, conv := range due {
			if err := do(conv); err != nil {
				failed(conv, err)
				d.add(conv, time.Now().Add(transcriptRetry))
			}
		}
		if len(due) > 0 {
			continue
		}
		if !begun && (next.IsZero() || time.Until(next) > transcriptRetry) {
			next = time.Now().Add(transcriptRetry)
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-timer:
		case <-d.now:
		case <-ctx.Done():
			return
		}
	}
}

// mail begins to send what people are to have by mail, until the server stops.
func (s *Server) mail() {
	failed := func(conv string, err error) {
		if s.ctx.Err() == nil {
			s.log.Warn("chatd: what was said was not mailed", "conv", conv, "err", err)
		}
	}
	if s.o.TranscriptAfter > 0 {
		s.store.due = newDues()
		s.kept.Go(func() {
			s.store.due.serve(s.ctx, func() error { return s.store.untold(s.ctx, s.store.due) }, func(conv string) error { return s.transcript(s.ctx, conv) }, failed)
		})
	}
	s.kept.Go(func() {
		for {
			select {
			case send := <-s.limits.posts.queue:
				send(s.ctx)
			case <-s.ctx.Done():
				return
			}
		}
	})
	s.store.answers = newDues()
	s.kept.Go(func() {
		s.store.answers.serve(s.ctx, func() error { return s.store.unanswered(s.ctx, s.store.answers) }, func(conv string) error { return s.answer(s.ctx, conv) }, failed)
	})
}

// untold finds the conversations in which something has happened since their last transcript.
func (s *store) untold(ctx context.Context, d *dues) error {
	for after, more := int64(0), true; more; {
		err := s.db.View(ctx, func(tx *sqldb.Tx) error {
			more = false
			rows, err := tx.Query(`SELECT key, id FROM chatd_conversation WHERE key > ? AND last > sent AND login <> '' ORDER BY key LIMIT ?`, after, archivePage)
			if err != nil {
				return err
			}
			for rows.Next() {
				var id string
				if err := rows.Scan(&after, &id); err != nil {
					return err
				}
				d.add(id, time.Time{})
				more = true
			}
			return rows.Err()
		})
		if err != nil {
			return fmt.Errorf("looking for transcripts that are due: %w", err)
		}
	}
	return nil
}

// transcript sends what was said in one conversation, if it is over and something was.
func (s *Server) transcript(ctx context.Context, conv string) error {
	t := Transcript{Conv: conv}
	var key, last, sent int64
	var at time.Time
	var state string
	err := s.store.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT key, login, link, name, about, state, last, sent, at FROM chatd_conversation WHERE id = ?`, conv).Scan(&key, &t.Login, &t.Link, &t.Who, &t.About, &state, &last, &sent, &at)
	})
	if errors.Is(err, sql.ErrNoRows) || err == nil && (last <= sent || t.Login == "") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading a conversation: %w", err)
	}
	t.Ended = call.State(state) == call.Ended
	if over := at.Add(s.o.TranscriptAfter); !t.Ended && time.Now().Before(over) {
		s.store.due.add(conv, over)
		return nil
	}
	if !t.Ended && s.rooms.isLive(conv) {
		return nil // somebody is there; when nobody is, it is looked at again
	}
	if t.Entries, t.More, err = s.store.spoken(ctx, key, sent, last); err != nil {
		return err
	}
	if len(t.Entries) > 0 {
		err := s.withFiles(ctx, t, func(t Transcript) error { return s.o.Post.Transcript(ctx, t) })
		if forGood(err) {
			s.log.Warn("chatd: a transcript is refused for good", "conv", conv, "login", t.Login, "err", err)
		} else if err != nil {
			return err
		} else {
			s.log.Info("chatd: transcript sent", "conv", conv, "login", t.Login, "events", len(t.Entries))
		}
	}
	// A program that is killed before this sends it once more: twice is better than never.
	err = s.store.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chatd_conversation SET sent = max(sent, ?) WHERE key = ? AND id = ?`, last, key, conv)
		return err
	})
	if err != nil {
		return fmt.Errorf("noting that a transcript was sent: %w", err)
	}
	return nil
}

// spoken are the messages and files behind event number after up to number to; of many, the latest.
func (s *store) spoken(ctx context.Context, key, after, to int64) (list []Entry, more bool, err error) {
	size := 0
	for after < to {
		page, err := s.events(ctx, key, after+1)
		if err != nil {
			return nil, false, err
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if after = e.N; after > to {
				break
			}
			if e.Kind != kindSay && e.Kind != kindFile || e.Text == "" {
				continue
			}
			list = append(list, e.entry())
			for size += len(e.Text); len(list) > transcriptEvents || size > transcriptTexts && len(list) > 1; {
				size, list, more = size-len(list[0].Text), list[1:], true
			}
		}
	}
	return list, more, nil
}
