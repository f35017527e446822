package chatd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"chmail/internal/sqldb"
)

// An owner looks for something in his conversations. There is no index: what was taken back is nowhere, and what is looked through at once is bounded. What
// lies further back is for the next request, which the answer says how to ask.

const (
	findPage   = 20              // conversations of one answer
	olderPage  = 100             // the same where nothing is looked for
	findBytes  = 8 << 20         // of texts that one request looks through, to within a conversation's own
	findWithin = 2 * time.Second // the same in time
	findAtOnce = 3               // requests that look at the same time, one of a login
	findRunes  = 100             // of what is looked for; the rest is not
	findWords  = 8
	findHits   = 3   // messages shown of one conversation
	hitBefore  = 30  // characters shown before what was found,
	hitLength  = 120 // and in all
	findRows   = 200 // read at once
)

// ErrFinding says that a login looks for something already, or has asked for what is no place in his conversations.
var (
	ErrFinding = errors.New("this login is looking for something already")
	ErrPlace   = errors.New("this is no place in the conversations")
)

// Found is a page of a login's conversations, newest first.
type Found struct {
	Talks []FoundTalk
	Older string // where to go on; "" when all has been looked through
}

// FoundTalk is a conversation in which something was found: in its Who or About, or in the Hits.
type FoundTalk struct {
	Talk
	Hits []Hit // the newest messages that say it, a few at most
}

// A Hit is a message in which something was found, or a file by its name.
type Hit struct {
	N    int64
	From string // visitor, owner or guest
	Who  int64  // a guest's number
	Name string // and how he is called, "" when he gave no name
	At   time.Time
	Text string // what stands around it, on one line
}

// finders are who looks for something at the moment.
type finders struct {
	mu     sync.Mutex
	logins map[string]struct{}
	places chan struct{}
}

func newFinders() *finders {
	return &finders{logins: make(map[string]struct{}), places: make(chan struct{}, findAtOnce)}
}

// enter waits for a place; ErrFinding when this login has one.
func (f *finders) enter(ctx context.Context, login string) (leave func(), err error) {
	f.mu.Lock()
	_, busy := f.logins[login]
	if !busy {
		f.logins[login] = struct{}{}
	}
	f.mu.Unlock()
	if busy {
		return nil, ErrFinding
	}
	out := func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.logins, login)
	}
	select {
	case f.places <- struct{}{}:
		return func() { <-f.places; out() }, nil
	case <-ctx.Done():
		out()
		return nil, fmt.Errorf("waiting to look for something: %w", ctx.Err())
	}
}

// Find looks for words in a login's conversations, newest first, from the place older on ("": the newest), and returns those in which all words are: in the visitor's
// name, in the mail's subject, or together in one message. Without words it returns all conversations. Case and width make no difference. The errors are
// ErrFinding, ErrPlace, or what the database says.
func (s *Server) Find(ctx context.Context, login, words, older string) (Found, error) {
	from, err := parsePlace(older)
	if err != nil {
		return Found{}, err
	}
	leave, err := s.limits.finders.enter(ctx, login)
	if err != nil {
		return Found{}, err
	}
	defer leave()
	if sought := soughtWords(words); len(sought) > 0 {
		return s.find(ctx, login, sought, from)
	}
	var found Found
	talks, places, err := s.store.behind(ctx, login, from, olderPage)
	if err != nil {
		return Found{}, err
	}
	for _, t := range talks {
		s.complete(&t)
		found.Talks = append(found.Talks, FoundTalk{Talk: t})
	}
	if len(talks) == olderPage {
		found.Older = places[olderPage-1].String()
	}
	return found, nil
}

// find goes through the conversations until a page is full or enough has been looked through.
func (s *Server) find(ctx context.Context, login string, words []string, from place) (found Found, err error) {
	bytes, end := 0, time.Now().Add(findWithin)
	for {
		talks, places, err := s.store.behind(ctx, login, from, findRows)
		if err != nil {
			return Found{}, err
		}
		for i, t := range talks {
			hits, ok, n, err := s.store.hits(ctx, places[i].key, t, words)
			if err != nil {
				return Found{}, err
			}
			if ok {
				s.complete(&t)
				found.Talks = append(found.Talks, FoundTalk{t, hits})
			}
			from = places[i]
			if bytes += n; len(found.Talks) == findPage || bytes >= findBytes || time.Now().After(end) {
				found.Older = from.String()
				return found, nil
			}
		}
		if len(talks) < findRows {
			return found, nil
		}
	}
}

// A place is where a conversation stands among its owner's: those behind it are older.
type place struct{ at, key int64 }

func (p place) String() string { return fmt.Sprintf("%d.%d", p.at, p.key) }

// parsePlace reads a place, or a time in milliseconds, before or at which there is more.
func parsePlace(text string) (p place, err error) {
	const newest = 1<<62 - 1
	if text == "" {
		return place{newest, newest}, nil
	}
	at, key, ok := strings.Cut(text, ".")
	p.key = newest
	if p.at, err = strconv.ParseInt(at, 10, 64); err == nil && ok {
		p.key, err = strconv.ParseInt(key, 10, 64)
	}
	if err != nil {
		return place{}, fmt.Errorf("%q: %w", text, ErrPlace)
	}
	return p, nil
}

// behind returns a login's conversations behind a place, and where each stands.
func (s *store) behind(ctx context.Context, login string, from place, limit int) (talks []Talk, places []place, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		talks, places = talks[:0], places[:0]
		rows, err := tx.Query(`SELECT c.key, `+listed[len("SELECT "):]+`WHERE login = ?1 AND at <= ?2 AND (at, key) < (?2, ?3) ORDER BY at DESC, key DESC LIMIT ?4`, login, from.at, from.key, limit)
		if err != nil {
			return err
		}
		for rows.Next() {
			var t Talk
			var p place
			if err := rows.Scan(&p.key, &t.ID, &t.Who, &t.About, &t.Text, &t.State, &t.Last, &t.At, &t.Unread); err != nil {
				return err
			}
			p.at = t.At.UnixMilli()
			talks, places = append(talks, t), append(places, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, nil, fmt.Errorf("listing conversations: %w", err)
	}
	return talks, places, nil
}

// hits looks for words in one conversation: ok when they are there, and how many bytes it has looked through. Words that its head has are not looked for in what was said.
func (s *store) hits(ctx context.Context, key int64, t Talk, words []string) (hits []Hit, ok bool, looked int, err error) {
	head := fold(t.Who) + "\n" + fold(t.About)
	left := make([]string, 0, len(words))
	for _, w := range words {
		if !strings.Contains(head, w) {
			left = append(left, w)
		}
	}
	looked = len(head)
	if len(left) == 0 {
		return nil, true, looked, nil
	}
	for before := int64(1 << 62); len(hits) < findHits; {
		var rows []Hit
		err := s.db.View(ctx, func(tx *sqldb.Tx) error {
			rows = rows[:0]
			read, err := tx.Query(`SELECT e.n, e.side, e.at, e.text, coalesce(g.name, '') FROM chatd_event e
				LEFT JOIN chatd_guest g ON e.side GLOB 'guest.*' AND g.conv = e.conv AND g.n = CAST(substr(e.side, 7) AS INTEGER)
				WHERE e.conv = ? AND e.n < ? AND e.kind IN ('say', 'file') AND e.text <> '' ORDER BY e.n DESC LIMIT ?`, key, before, findRows)
			if err != nil {
				return err
			}
			for read.Next() {
				var h Hit
				var side string
				if err := read.Scan(&h.N, &side, &h.At, &h.Text, &h.Name); err != nil {
					return err
				}
				h.From, h.Who = publicSide(side)
				rows = append(rows, h)
			}
			return read.Err()
		})
		if err != nil {
			return nil, false, looked, fmt.Errorf("looking through a conversation: %w", err)
		}
		for _, h := range rows {
			before, looked = h.N, looked+len(h.Text)
			if at, in := holds(fold(h.Text), left); in && len(hits) < findHits {
				h.Text = around(h.Text, at)
				hits = append(hits, h)
			}
		}
		if len(rows) < findRows {
			break
		}
	}
	return hits, len(hits) > 0, looked, nil
}

// soughtWords are the words of what is looked for, folded.
func soughtWords(text string) []string {
	if n := 0; utf8.RuneCountInString(text) > findRunes {
		for i := range text {
			if n == findRunes {
				text = text[:i]
				break
			}
			n++
		}
	}
	words := strings.FieldsFunc(fold(text), unicode.IsSpace)
	return words[:min(len(words), findWords)]
}

// fold makes texts that differ in case or in width alone the same.
func fold(text string) string {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(text)))
		}
	}
	return strings.ToLower(text)
}

// holds tells whether all words are in a folded text, and at which of its characters the first begins.
func holds(text string, words []string) (at int, ok bool) {
	for i, w := range words {
		found := strings.Index(text, w)
		if found < 0 {
			return 0, false
		}
		if i == 0 {
			at = utf8.RuneCountInString(text[:found])
		}
	}
	return at, true
}

// around is what stands around the character at of a text; to fold a text moves its characters a little, which what is shown has room for.
func around(text string, at int) string {
	runes := []rune(text)
	from := max(min(at, len(runes))-hitBefore, 0)
	part := beginning(string(runes[from:]), hitLength)
	if from > 0 {
		part = "… " + part
	}
	return part
}
