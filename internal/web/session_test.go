package web

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

const alice = "alice@example.com"

type signIn struct {
	*Sessions
	t       *testing.T
	db      *sqldb.DB
	version atomic.Value // of alice's credentials; "" when she is gone
}

func newSignIn(t *testing.T) *signIn {
	t.Helper()
	db, err := sqldb.Open(t.Context(), filepath.Join(t.TempDir(), "web.db"), Schema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &signIn{t: t, db: db}
	s.version.Store("1")
	s.Sessions = NewSessions(SessionOptions{
		Site: newSite(t, "https://chat.example.com"), DB: db, Log: slog.New(slog.DiscardHandler),
		Version: func(context.Context, string) (string, bool, error) {
			v := s.version.Load().(string)
			return v, v != "", nil
		},
	})
	return s
}

// browser signs login in and returns a request maker that carries the cookie.
func (s *signIn) browser(login string, cookies ...*http.Cookie) (*http.Cookie, func() *http.Request) {
	s.t.Helper()
	w, r := httptest.NewRecorder(), request(cookies...)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	if err := s.Start(w, r, login); err != nil {
		s.t.Fatal(err)
	}
	c := w.Result().Cookies()[0]
	return c, func() *http.Request { return request(c) }
}

func request(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "https://chat.example.com/desk", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func (s *signIn) expectNone(what string, r *http.Request) {
	s.t.Helper()
	if _, err := s.Session(r); !errors.Is(err, ErrNoSession) {
		s.t.Errorf("%s: %v, want ErrNoSession", what, err)
	}
}

// age makes every session older.
func (s *signIn) age(by time.Duration) {
	s.t.Helper()
	err := s.db.Update(s.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE web_session SET created = created - ?1, used = used - ?1, expires = expires - ?1`, by.Milliseconds())
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *signIn) count() (n int) {
	s.t.Helper()
	err := s.db.View(s.t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM web_session`).Scan(&n)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	c, ask := s.browser(alice)
	if c.Name != "__Host-session" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie %v", c)
	}
	if secret, err := base64.RawURLEncoding.DecodeString(c.Value); err != nil || len(secret) != 32 {
		t.Errorf("the cookie does not hold 256 bits: %q", c.Value)
	}
	sess, err := s.Session(ask())
	if err != nil || sess.Login != alice || sess.Agent != "Firefox on Linux" {
		t.Fatalf("session %+v, %v", sess, err)
	}
	w := httptest.NewRecorder()
	if err := s.End(w, ask()); err != nil {
		t.Fatal(err)
	}
	if gone := w.Result().Cookies()[0]; gone.MaxAge >= 0 || gone.Value != "" {
		t.Errorf("the cookie stays: %v", gone)
	}
	s.expectNone("after the sign-out", ask())
}

func TestTheTableHoldsNoCookie(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	c, _ := s.browser(alice)
	var id []byte
	err := s.db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT id FROM web_session`).Scan(&id) })
	if err != nil {
		t.Fatal(err)
	}
	s.expectNone("with the table's id as cookie", request(&http.Cookie{Name: c.Name, Value: base64.RawURLEncoding.EncodeToString(id)}))
}

func TestCookiesThatOpenNothing(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	c, _ := s.browser(alice)
	s.expectNone("no cookie", request())
	for _, bad := range []string{"", "x", c.Value[:42], c.Value + "A", strings.Repeat("A", 43), c.Value + "=", strings.Repeat("A", 10000)} {
		s.expectNone("cookie "+bad[:min(len(bad), 50)], request(&http.Cookie{Name: c.Name, Value: bad}))
	}
	s.expectNone("the bare name over TLS", request(&http.Cookie{Name: "session", Value: c.Value}))
}

func TestSigningInNeverTakesOverASessionFromOutside(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	first, before := s.browser(alice)
	second, after := s.browser(alice, first)
	if first.Value == second.Value {
		t.Error("the browser kept the session that it brought along")
	}
	s.expectNone("the session from before the sign-in", before())
	if _, err := s.Session(after()); err != nil {
		t.Error(err)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	t.Run("when the password changes", func(t *testing.T) {
		t.Parallel()
		s := newSignIn(t)
		_, ask := s.browser(alice)
		s.version.Store("2")
		s.expectNone("old session", ask())
		s.version.Store("1")
		s.expectNone("old session, the version back", ask())
	})
	t.Run("when the account goes", func(t *testing.T) {
		t.Parallel()
		s := newSignIn(t)
		_, ask := s.browser(alice)
		s.version.Store("")
		s.expectNone("session of nobody", ask())
	})
	t.Run("when they are not used", func(t *testing.T) {
		t.Parallel()
		s := newSignIn(t)
		_, ask := s.browser(alice)
		s.age(sessionIdle + time.Minute)
		s.expectNone("unused session", ask())
	})
	t.Run("in any case after half a year", func(t *testing.T) {
		t.Parallel()
		s := newSignIn(t)
		_, ask := s.browser(alice)
		for range 7 {
			s.age(sessionIdle - time.Hour)
			if _, err := s.Session(ask()); err != nil && !errors.Is(err, ErrNoSession) {
				t.Fatal(err)
			}
		}
		s.expectNone("very old session", ask())
	})
	t.Run("all of a login together, and nobody else's", func(t *testing.T) {
		t.Parallel()
		s := newSignIn(t)
		_, one := s.browser(alice)
		_, two := s.browser(alice)
		_, bob := s.browser("bob@example.com")
		if err := s.DeleteSessions(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
		s.expectNone("one", one())
		s.expectNone("two", two())
		if _, err := s.Session(bob()); err != nil {
			t.Error(err)
		}
	})
}

func TestUseKeepsASessionAlive(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	_, ask := s.browser(alice)
	for range 3 {
		s.age(sessionIdle - time.Hour)
		if _, err := s.Session(ask()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheOldestOfManySessionsGoes(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	_, oldest := s.browser(alice)
	s.age(time.Hour)
	for range maxSessions {
		s.browser(alice)
	}
	if n := s.count(); n != maxSessions {
		t.Errorf("%d sessions are kept", n)
	}
	s.expectNone("the oldest", oldest())
}

func TestAnOpenSocketEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(*signIn, *http.Request) error{
		"sign-out":      func(s *signIn, r *http.Request) error { return s.End(httptest.NewRecorder(), r) },
		"all sign-outs": func(s *signIn, r *http.Request) error { return s.DeleteSessions(r.Context(), alice) },
		"password change seen by a request": func(s *signIn, r *http.Request) error {
			s.version.Store("2")
			_, err := s.Session(r)
			if errors.Is(err, ErrNoSession) {
				return nil
			}
			return errors.New("the session is still there")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSignIn(t)
			_, ask := s.browser(alice)
			sess, err := s.Session(ask())
			if err != nil {
				t.Fatal(err)
			}
			ctx, release := s.Bind(ask(), sess)
			if ctx.Err() != nil {
				t.Fatal("ended before anything happened")
			}
			if err := end(s, ask()); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
				t.Error("the socket goes on")
			}
			release()
			if len(s.bound) != 0 {
				t.Error("something is still bound to the session")
			}
		})
	}
}

func TestBrowsersAreNamedForPeople(t *testing.T) {
	t.Parallel()
	for ua, want := range map[string]string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile/15E Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0":       "Edge on Windows",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36":                    "Chrome on Android",
		"<script>": "a browser",
		"":         "a browser",
	} {
		if got := agentLabel(ua); got != want {
			t.Errorf("%q is called %q, want %q", ua, got, want)
		}
	}
}

func TestASessionIsKnownByItsIDAsLongAsItLasts(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	current := func(login, id string) bool {
		t.Helper()
		ok, err := s.Current(t.Context(), login, id)
		if err != nil {
			t.Error(err)
		}
		return ok
	}
	signIn := func() (id string, ask func() *http.Request) {
		t.Helper()
		_, ask = s.browser(alice)
		sess, err := s.Session(ask())
		if err != nil {
			t.Fatal(err)
		}
		return sess.ID(), ask
	}
	first, out := signIn()
	second, _ := signIn()
	if !current(alice, first) || !current(alice, second) || current("bob@example.com", first) || current(alice, "") || current(alice, "x") {
		t.Error("who is signed in is not known")
	}
	if err := s.End(httptest.NewRecorder(), out()); err != nil || current(alice, first) || !current(alice, second) {
		t.Errorf("after one has signed out: %v, %v, %v", current(alice, first), current(alice, second), err)
	}
	s.version.Store("2")
	if current(alice, second) {
		t.Error("a session outlives the password")
	}
	third, _ := signIn()
	s.age(sessionIdle - time.Hour)
	if !current(alice, third) {
		t.Error("a session is over too early")
	}
	s.age(2 * time.Hour) // asking was no use of it
	if current(alice, third) {
		t.Error("a session is never too old")
	}
}

func TestCredentialsThatAreChangedWhileTheyAreLookedAtBeginNoSession(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	under, err := s.Under(t.Context(), "alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	s.version.Store("2")
	w, r := httptest.NewRecorder(), request()
	if err := s.StartUnder(w, r, "alice@example.com", under); err != nil {
		t.Fatal(err)
	}
	if sess, err := s.Session(request(w.Result().Cookies()[0])); !errors.Is(err, ErrNoSession) {
		t.Errorf("%+v, %v", sess, err)
	}
}
