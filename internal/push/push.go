package push

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
	"chmail/internal/webpush"
)

const (
	// perLogin is how many browsers of one login are kept; a further one takes the place of the oldest.
	perLogin  = 4
	missedTTL = 24 * time.Hour  // a missed call is told of so long after it,
	overTTL   = 2 * time.Minute // and so long that a ring needs no answer any more: one that is told of later was hardly shown
	queued    = 256             // messages whose browsers are not looked up yet
	workers   = 8               // that look them up
	clipText  = 120             // characters of a subject or name in a message
)

// Schema is the room's part of the database. An endpoint is a secret: whoever has it can tell a browser something, though nothing that it would show.
func Schema() sqldb.Schema {
	return sqldb.Schema{Room: "push", Steps: []string{`
CREATE TABLE push_subscription (
	hash         BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the endpoint: a browser has one, whoever is signed in there
	login        TEXT    NOT NULL,
	session      TEXT    NOT NULL, -- with which it was allowed: it is woken no longer than that lasts
	subscription TEXT    NOT NULL, -- JSON, as the browser has given it
	lang         TEXT    NOT NULL, -- of the page on which it was allowed
	added        INTEGER NOT NULL
) STRICT;
CREATE INDEX push_subscription_login ON push_subscription(login, added);
CREATE INDEX push_subscription_session ON push_subscription(session);
`}}
}

// Options are what a Pusher is made from.
type Options struct {
	DB      *sqldb.DB
	KeyFile string // holds this server's keys, made where it is missing
	Subject string // mailto: URL of this server's people, for the push services'
	// Words are the title and the text of what is shown, in a language of the pages.
	Words func(lang string, a call.Alert) (title, text string)
	// Current tells whether a session of a login lasts: it was not signed out, is not too old, and the password is the one of then.
	Current func(ctx context.Context, login, session string) (bool, error)
	// Remains tells, in a transaction that writes, whether a login has the account still that it had at a moment of the last day.
	Remains func(tx *sqldb.Tx, login string, since time.Time) (bool, error)
	Log     *slog.Logger // nil: slog.Default()
	// Send hands a message to a push service. Nil: webpush does.
	Send func(context.Context, *webpush.Subscription, webpush.Message) error
	// Sent hears how a message to a browser fared, for figures. It does not wait. Nil: nobody.
	Sent func(err error)
}

// A Pusher is the room. Its methods may be called by many goroutines.
type Pusher struct {
	o    Options
	keys webpush.Keys

	mu     sync.Mutex
	known  map[string]tally // who can be woken; mu is never held while the database works, since whoever asks must not wait
	turn   uint64           // of the last count
	closed bool
	queue  chan job
	lines  *lines
	done   sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
}

// A tally is how many browsers a login has. Commits are told of in any order, the count with the highest turn is the newest.
type tally struct {
	browsers int
	turn     uint64
}

type job struct {
	login  string
	alert  call.Alert
	until  time.Time // when it is of no use any more
	urgent bool
}

// New makes the room and begins to work.
func New(ctx context.Context, o Options) (*Pusher, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	keys, err := loadKeys(o.KeyFile)
	if err != nil {
		return nil, err
	}
	if o.Sent == nil {
		o.Sent = func(error) {}
	}
	if o.Send == nil {
		o.Send = webpush.NewSender(keys, o.Subject).Send
	}
	p := &Pusher{o: o, keys: keys, known: make(map[string]tally), queue: make(chan job, queued), lines: newLines()}
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for range workers {
		p.done.Go(p.work)
	}
	return p, nil
}

// loadKeys reads the keys, or makes them. Losing the file makes every subscription void.
func loadKeys(file string) (webpush.Keys, error) {
	secret, err := os.ReadFile(file)
	if err == nil {
		return webpush.ParseKeys(secret)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return webpush.Keys{}, fmt.Errorf("reading the keys for web push: %w", err)
	}
	keys, err := webpush.NewKeys()
	if err != nil {
		return webpush.Keys{}, err
	}
	if secret, err = keys.Bytes(); err != nil {
		return webpush.Keys{}, err
	}
	return keys, writeSecret(file, secret)
}

// writeSecret writes a file for its owner's eyes only: there as a whole or not at all, also after a power cut.
func writeSecret(file string, secret []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".push-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the keys for web push: %w", err)
	}
	_, err = f.Write(secret)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("writing the keys for web push: %w", errors.Join(err, os.Remove(f.Name())))
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Key is what a page subscribes with.
func (p *Pusher) Key() string { return p.keys.Public() }

// A Session is a browser in which somebody is signed in.
type Session struct {
	Login, ID string
	Began     time.Time
}

// Subscribe lets whoever is signed in be woken in that browser, which belongs to whoever subscribed last, for as long as the session lasts; a login whose account has been removed
// since it began keeps nothing. A fault in raw, the JSON of a PushSubscription, is webpush.ErrSubscription.
func (p *Pusher) Subscribe(ctx context.Context, by Session, lang string, raw []byte) error {
	s, err := webpush.ParseSubscription(raw)
	if err != nil {
		return err
	}
	text, err := s.JSON()
	if err != nil {
		return err
	}
	login := by.Login
	return p.change(ctx, "keeping a browser of "+login, func(tx *sqldb.Tx) error {
		if remains, err := p.o.Remains(tx, login, by.Began); err != nil || !remains {
			return err
		}
		hash, before := endpointHash(s.Endpoint), ""
		if err := tx.QueryRow(`SELECT login FROM push_subscription WHERE hash = ?`, hash).Scan(&before); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO push_subscription (hash, login, session, subscription, lang, added) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (hash) DO UPDATE SET login = excluded.login, session = excluded.session, subscription = excluded.subscription, lang = excluded.lang, added = excluded.added`,
			hash, login, by.ID, string(text), lang, time.Now()); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM push_subscription WHERE login = ? AND hash NOT IN (
			SELECT hash FROM push_subscription WHERE login = ? ORDER BY added DESC, rowid DESC LIMIT ?)`, login, login, perLogin); err != nil {
			return err
		}
		if before != "" && before != login {
			if err := p.count(tx, before); err != nil {
				return err
			}
		}
		return p.count(tx, login)
	})
}

// Unsubscribe ends that in one browser, if it is login's.
func (p *Pusher) Unsubscribe(ctx context.Context, login, endpoint string) error {
	return p.change(ctx, "forgetting a browser of "+login, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM push_subscription WHERE hash = ? AND login = ?`, endpointHash(endpoint), login); err != nil {
			return err
		}
		return p.count(tx, login)
	})
}

// SignedOut ends it in the browser of a session that is over.
func (p *Pusher) SignedOut(ctx context.Context, login, session string) error {
	return p.change(ctx, "forgetting a browser in which "+login+" has signed out", func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM push_subscription WHERE session = ? AND login = ?`, session, login); err != nil {
			return err
		}
		return p.count(tx, login)
	})
}

func endpointHash(endpoint string) []byte {
	sum := sha256.Sum256([]byte(endpoint))
	return sum[:]
}

// change changes the table.
func (p *Pusher) change(ctx context.Context, what string, f func(*sqldb.Tx) error) error {
	if err := p.o.DB.Update(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// count counts a login's browsers within the transaction that has changed them, and takes the number into memory once that is committed.
func (p *Pusher) count(tx *sqldb.Tx, login string) error {
	n := 0
	if err := tx.QueryRow(`SELECT count(*) FROM push_subscription WHERE login = ?`, login).Scan(&n); err != nil {
		return err
	}
	p.mu.Lock()
	p.turn++
	now := tally{n, p.turn}
	p.mu.Unlock()
	tx.AfterCommit(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if now.turn > p.known[login].turn {
			p.known[login] = now
		}
	})
	return nil
}

// load reads who can be woken, before anybody asks.
func (p *Pusher) load(ctx context.Context) error {
	err := p.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		clear(p.known)
		rows, err := tx.Query(`SELECT login, count(*) FROM push_subscription GROUP BY login`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var login string
			var n int
			if err := rows.Scan(&login, &n); err != nil {
				return err
			}
			p.known[login] = tally{browsers: n}
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("reading who can be woken: %w", err)
	}
	return nil
}

// Remove forgets a login's browsers, in the transaction that removes its account or gives it another password.
func (p *Pusher) Remove(tx *sqldb.Tx, login string) error {
	_, err := tx.Exec(`DELETE FROM push_subscription WHERE login = ?`, login)
	if err == nil {
		err = p.count(tx, login)
	}
	if err != nil {
		return fmt.Errorf("forgetting the browsers of %s: %w", login, err)
	}
	return nil
}

// Has tells whether a login can be woken at all. It asks memory only.
func (p *Pusher) Has(login string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[login].browsers > 0
}

// Ring tells a login's browsers that somebody rings, which is of use for ttl. It does not wait.
func (p *Pusher) Ring(login string, a call.Alert, ttl time.Duration) {
	p.put(job{login, a, time.Now().Add(ttl), true})
}

// Missed tells them of a call that is over. It does not wait.
func (p *Pusher) Missed(login string, a call.Alert) {
	a.Missed = true
	p.put(job{login, a, time.Now().Add(missedTTL), false})
}

// Over tells them that a ring which they were woken for needs no answer any more. It does not wait.
func (p *Pusher) Over(login string, a call.Alert) {
	a.Kind = call.AlertSilence
	p.put(job{login, a, time.Now().Add(overTTL), false})
}

func (p *Pusher) put(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.known[j.login].browsers == 0 {
		return
	}
	select {
	case p.queue <- j:
	default:
		p.o.Log.Warn("push: too much waits for push services", "login", j.login, "call", j.alert.Call)
	}
}

// Close ends the room; what waits is not sent.
func (p *Pusher) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.queue)
	}
	p.mu.Unlock()
	p.cancel()
	p.done.Wait()
	return nil
}

func (p *Pusher) work() {
	for j := range p.queue {
		if p.ctx.Err() == nil {
			p.send(j)
		}
	}
}

// send sends one thing to all browsers of a login, and waits for none of them. One that is gone is forgotten.
func (p *Pusher) send(j job) {
	browsers, err := p.browsers(j.login)
	if err != nil {
		p.o.Log.Error("push: browsers could not be read", "login", j.login, "err", err)
		return
	}
	for _, b := range browsers {
		host := b.sub.Host()
		l, ok := p.lines.join(host)
		if !ok {
			p.o.Log.Warn("push: too much waits for a push service", "host", host, "login", j.login, "call", j.alert.Call)
			continue
		}
		p.done.Go(func() {
			defer p.lines.leave(host, l)
			p.tell(j, b, l)
		})
	}
}

// tell tells one browser when it is its turn, unless that is too late.
func (p *Pusher) tell(j job, b browser, l *line) {
	defer func() {
		if v := recover(); v != nil {
			p.o.Log.Error("push: panic", "login", j.login, "panic", v)
		}
	}()
	ctx, cancel := context.WithDeadline(p.ctx, j.until)
	defer cancel()
	if err := l.take(ctx); err != nil {
		p.o.Log.Warn("push: too late for a browser to be told", "login", j.login, "call", j.alert.Call)
		return
	}
	defer l.give()
	if current, err := p.o.Current(ctx, j.login, b.session); err != nil || !current {
		p.ended(j.login, b.session, err)
		return
	}
	text, err := p.text(b.lang, j.alert)
	if err == nil {
		topic := sha256.Sum256([]byte(j.alert.Call))
		err = p.o.Send(ctx, b.sub, webpush.Message{Text: text, TTL: time.Until(j.until), Urgent: j.urgent, Topic: base64.RawURLEncoding.EncodeToString(topic[:18])})
		p.o.Sent(err)
	}
	switch {
	case errors.Is(err, webpush.ErrGone):
		p.o.Log.Info("push: a browser is gone", "login", j.login)
		if err := p.Unsubscribe(p.ctx, j.login, b.sub.Endpoint); err != nil {
			p.o.Log.Error("push: a browser could not be forgotten", "login", j.login, "err", err)
		}
	case err != nil:
		p.o.Log.Warn("push: a browser was not told", "login", j.login, "call", j.alert.Call, "err", err)
	default:
		p.o.Log.Info("push: a browser was told", "login", j.login, "call", j.alert.Call, "missed", j.alert.Missed)
	}
}

// ended forgets the browsers of a session that is over, unless err says that this could not be found out: who calls whom is no stranger's to know.
func (p *Pusher) ended(login, session string, err error) {
	if err == nil {
		p.o.Log.Info("push: a browser is signed out", "login", login)
		err = p.SignedOut(p.ctx, login, session)
	}
	if err != nil && p.ctx.Err() == nil {
		p.o.Log.Error("push: whether a browser is signed in could not be seen to", "login", login, "err", err)
	}
}

type browser struct {
	sub           *webpush.Subscription
	session, lang string
}

func (p *Pusher) browsers(login string) (list []browser, err error) {
	err = p.o.DB.View(p.ctx, func(tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(`SELECT subscription, session, lang FROM push_subscription WHERE login = ? ORDER BY added DESC, rowid DESC`, login)
		if err != nil {
			return err
		}
		for rows.Next() {
			var raw, session, lang string
			if err := rows.Scan(&raw, &session, &lang); err != nil {
				return err
			}
			s, err := webpush.ParseSubscription([]byte(raw))
			if err != nil {
				return err
			}
			list = append(list, browser{s, session, lang})
		}
		return rows.Err()
	})
	return list, err
}

// text is what the service worker reads: everything that it shows, since it has no words of its own.
func (p *Pusher) text(lang string, a call.Alert) ([]byte, error) {
	a.Who, a.Proved, a.About = clip(a.Who), clip(a.Proved), clip(a.About)
	title, body := p.o.Words(lang, a)
	return json.Marshal(map[string]any{"call": a.Call, "conv": a.Conv, "title": title, "text": body, "missed": a.Missed, "over": a.Kind == call.AlertSilence, "lang": lang})
}

func clip(s string) string {
	if r := []rune(s); len(r) > clipText {
		return string(r[:clipText-1]) + "…"
	}
	return s
}
