package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"chmail/internal/sqldb"
)

const (
	sessionCookie = "session"
	sessionIdle   = 30 * 24 * time.Hour  // unused for so long, a session is over
	sessionLife   = 180 * 24 * time.Hour // and in any case after this
	sessionTouch  = 10 * time.Minute     // "last used" is written at most so often
	maxSessions   = 50                   // of one login; the longest unused go first
)

// ErrNoSession says that the request carries no valid session.
var ErrNoSession = errors.New("not signed in")

// Schema is the sessions' part of the database. The table holds no secret: a stolen copy opens no session.
func Schema() sqldb.Schema {
	return sqldb.Schema{Room: "web", Steps: []string{`
CREATE TABLE web_session (
	id      BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the cookie
	login   TEXT    NOT NULL,
	version TEXT    NOT NULL,             -- of the login's credentials at sign-in
	agent   TEXT    NOT NULL,             -- browser and system, for the person to recognise
	created INTEGER NOT NULL,
	used    INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_session_login ON web_session(login, used);
CREATE INDEX web_session_expires ON web_session(expires);
`}}
}

// SessionOptions are what Sessions need.
type SessionOptions struct {
	Site *Site
	DB   *sqldb.DB
	Log  *slog.Logger // nil: slog.Default()
	// Version names the present version of a login's credentials; ok is false when the login is gone. A session whose login
	// has another version than at sign-in is over: a changed password signs out everywhere. Nil: versions are not compared.
	Version func(ctx context.Context, login string) (version string, ok bool, err error)
}

// Sessions knows who is signed in. The cookie holds 256 random bits, the table their hash.
type Sessions struct {
	o SessionOptions

	mu    sync.Mutex
	bound map[[32]byte]map[*context.CancelFunc]string // what ends with a session, and the session's login
}

// NewSessions makes the sessions of a site; the database must carry Schema.
func NewSessions(o SessionOptions) *Sessions {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Sessions{o: o, bound: make(map[[32]byte]map[*context.CancelFunc]string)}
}

// A Session is one browser in which somebody has signed in.
type Session struct {
	Login   string
	Agent   string // "Firefox on Linux"
	Created time.Time
	Used    time.Time // last used, to within ten minutes

	id [32]byte
}

// Start signs login in: a new session, never one that the browser brought along, and its cookie on w.
func (s *Sessions) Start(w http.ResponseWriter, r *http.Request, login string) error {
	version, ok, err := s.version(r.Context(), login)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("starting a session for %s: %w", login, ErrNoSession)
	}
	return s.StartUnder(w, r, login, version)
}

// Under names the version of a login's credentials, in any spelling, before they are looked at; "" where there is none.
func (s *Sessions) Under(ctx context.Context, login string) (version string, err error) {
	version, _, err = s.version(ctx, login)
	return version, err
}

// StartUnder is Start with what Under has named: credentials that were changed while they were looked at begin no session.
func (s *Sessions) StartUnder(w http.ResponseWriter, r *http.Request, login, version string) error {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("making a session: %w", err)
	}
	id := sha256.Sum256(secret)
	old, hadOld := s.presented(r)
	now := time.Now()
	err := s.o.DB.Update(r.Context(), func(tx *sqldb.Tx) error {
		if hadOld {
			if _, err := tx.Exec(`DELETE FROM web_session WHERE id = ?`, old[:]); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`DELETE FROM web_session WHERE expires < ?`, now.UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO web_session (id, login, version, agent, created, used, expires) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			id[:], login, version, agentLabel(r.UserAgent()), now.UnixMilli(), now.UnixMilli(), now.Add(sessionIdle).UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM web_session WHERE id IN
			(SELECT id FROM web_session WHERE login = ? ORDER BY used DESC, id LIMIT -1 OFFSET ?)`, login, maxSessions)
		return err
	})
	if err != nil {
		return fmt.Errorf("storing a session: %w", err)
	}
	if hadOld {
		s.cut(old)
	}
	http.SetCookie(w, s.o.Site.Cookie(sessionCookie, base64.RawURLEncoding.EncodeToString(secret), int(sessionLife/time.Second)))
	return nil
}

// ID names the session to other rooms. It opens nothing.
func (s Session) ID() string { return base64.RawURLEncoding.EncodeToString(s.id[:]) }

// Session is the session that the request belongs to; ErrNoSession when there is none, another error when that could not be
// found out.
func (s *Sessions) Session(r *http.Request) (Session, error) {
	id, ok := s.presented(r)
	if !ok {
		return Session{}, ErrNoSession
	}
	ctx, now := r.Context(), time.Now()
	sess, err := s.look(ctx, id, now)
	if err == nil && now.Sub(sess.Used) >= sessionTouch {
		s.touch(ctx, id, now)
	}
	return sess, err
}

// Current tells whether the session of that ID is one of login's still. Asking is no use of it.
func (s *Sessions) Current(ctx context.Context, login, id string) (bool, error) {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(raw) != 32 {
		return false, nil
	}
	sess, err := s.look(ctx, [32]byte(raw), time.Now())
	if errors.Is(err, ErrNoSession) {
		return false, nil
	}
	return err == nil && sess.Login == login, err
}

// look reads a session, and removes it when it is over.
func (s *Sessions) look(ctx context.Context, id [32]byte, now time.Time) (Session, error) {
	sess := Session{id: id}
	var version string
	var created, used, expires int64
	err := s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT login, version, agent, created, used, expires FROM web_session WHERE id = ?`, id[:]).
			Scan(&sess.Login, &version, &sess.Agent, &created, &used, &expires)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Session{}, ErrNoSession
	case err != nil:
		return Session{}, fmt.Errorf("looking up a session: %w", err)
	}
	sess.Created, sess.Used = time.UnixMilli(created), time.UnixMilli(used)
	current, ok, err := s.version(ctx, sess.Login)
	if err != nil {
		return Session{}, err
	}
	if !ok || current != version || now.UnixMilli() >= expires || now.Sub(sess.Created) >= sessionLife {
		return Session{}, errors.Join(ErrNoSession, s.remove(ctx, id))
	}
	return sess, nil
}

// touch notes that the session is in use. Failing costs precision only, so it is logged and forgotten.
func (s *Sessions) touch(ctx context.Context, id [32]byte, now time.Time) {
	err := s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE web_session SET used = ?, expires = ? WHERE id = ?`,
			now.UnixMilli(), now.Add(sessionIdle).UnixMilli(), id[:])
		return err
	})
	if err != nil {
		s.o.Log.Warn("web: noting the use of a session", "err", err)
	}
}

// End signs the browser out: its session is gone from the table, whatever belonged to it is ended, its cookie is deleted.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) error {
	if id, ok := s.presented(r); ok {
		if err := s.remove(r.Context(), id); err != nil {
			return err
		}
	}
	http.SetCookie(w, s.o.Site.Cookie(sessionCookie, "", -1))
	return nil
}

func (s *Sessions) remove(ctx context.Context, id [32]byte) error {
	err := s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM web_session WHERE id = ?`, id[:])
		return err
	})
	if err != nil {
		return fmt.Errorf("removing a session: %w", err)
	}
	s.cut(id)
	return nil
}

// DeleteSessions signs login out everywhere, for instance when its password changes.
func (s *Sessions) DeleteSessions(ctx context.Context, login string) error {
	err := s.o.DB.Update(ctx, func(tx *sqldb.Tx) error { return s.Forget(tx, login) })
	if err != nil {
		return fmt.Errorf("removing the sessions of %s: %w", login, err)
	}
	return nil
}

// Forget signs login out everywhere within a transaction that does more, as when the account is removed. What is bound to the
// sessions ends once that is committed.
func (s *Sessions) Forget(tx *sqldb.Tx, login string) error {
	if _, err := tx.Exec(`DELETE FROM web_session WHERE login = ?`, login); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, what := range s.bound {
			for cancel, whose := range what {
				if whose == login {
					(*cancel)()
				}
			}
		}
	})
	return nil
}

// Bind derives a context that ends with the session: an open socket must not outlive the sign-out. The session is asked for
// again every minute as well, since another process may have ended it. release frees what Bind holds.
func (s *Sessions) Bind(r *http.Request, sess Session) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(r.Context())
	s.mu.Lock()
	if s.bound[sess.id] == nil {
		s.bound[sess.id] = make(map[*context.CancelFunc]string)
	}
	s.bound[sess.id][&cancel] = sess.Login
	s.mu.Unlock()
	go s.recheck(ctx, cancel, r)
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.bound[sess.id], &cancel)
		if len(s.bound[sess.id]) == 0 {
			delete(s.bound, sess.id)
		}
	}
}

func (s *Sessions) recheck(ctx context.Context, cancel context.CancelFunc, r *http.Request) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := s.Session(r.WithContext(ctx)); errors.Is(err, ErrNoSession) {
			cancel()
			return
		}
	}
}

// cut ends whatever is bound to a session.
func (s *Sessions) cut(id [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cancel := range s.bound[id] {
		(*cancel)()
	}
}

func (s *Sessions) version(ctx context.Context, login string) (string, bool, error) {
	if s.o.Version == nil {
		return "", true, nil
	}
	v, ok, err := s.o.Version(ctx, login)
	if err != nil {
		return "", false, fmt.Errorf("asking for the credentials' version of %s: %w", login, err)
	}
	return v, ok, nil
}

// presented is the hash of the cookie that the request carries.
func (s *Sessions) presented(r *http.Request) (id [32]byte, ok bool) {
	c, err := r.Cookie(s.o.Site.CookieName(sessionCookie))
	if err != nil {
		return id, false
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(c.Value)
	if err != nil || len(secret) != 32 {
		return id, false
	}
	return sha256.Sum256(secret), true
}

// agentLabel makes a name that a person recognises out of a User-Agent field; nothing of the field itself is kept.
func agentLabel(ua string) string {
	browser, system := "a browser", ""
	for _, b := range [][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}} {
		if strings.Contains(ua, b[0]) {
			browser = b[1]
			break
		}
	}
	for _, o := range [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "Mac"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}} {
		if strings.Contains(ua, o[0]) {
			system = " on " + o[1]
			break
		}
	}
	return browser + system
}
