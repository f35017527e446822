package main

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"chmail/config"
	"chmail/internal/push"
)

// A browser is woken as long as its session lasts, through the rooms as they are wired.
func TestANewPasswordAndTheEndOfTheAccountEndThatABrowserIsWoken(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(writeConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	k, err := findKeeper(t.Context(), cfg, slog.New(slog.DiscardHandler), true)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	c := k.(*localKeeper).core
	const login = "dora@localhost.test"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// signIn is a browser in which Dora signs in.
	signIn := func() push.Session {
		t.Helper()
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/desk", nil)
		must(c.sessions.Start(w, r, login))
		r.AddCookie(w.Result().Cookies()[0])
		sess, err := c.sessions.Session(r)
		must(err)
		return push.Session{Login: sess.Login, ID: sess.ID(), Began: sess.Created}
	}
	allow := func(by push.Session) bool {
		t.Helper()
		must(c.push.Subscribe(t.Context(), by, "en", []byte(`{"endpoint":"https://push.example.net/x","keys":{"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}}`)))
		return c.push.Has(login)
	}
	current := func(s push.Session) bool {
		t.Helper()
		ok, err := c.sessions.Current(t.Context(), login, s.ID)
		must(err)
		return ok
	}
	must(c.accounts.Add(t.Context(), login, "a long first password", ""))
	first := signIn()
	if !allow(first) || !current(first) {
		t.Error("who has allowed it cannot be woken")
	}
	must(c.accounts.SetPassword(t.Context(), login, "a long second password"))
	if c.push.Has(login) || current(first) {
		t.Error("a new password leaves the browsers of the old one to be woken")
	}
	second := signIn()
	if !allow(second) {
		t.Error("who has signed in anew cannot be woken")
	}
	must(c.accounts.Remove(t.Context(), login))
	must(c.accounts.Add(t.Context(), login, "a long third password", ""))
	if allow(second) {
		t.Error("the old owner's browser is told who calls the new one")
	}
}
