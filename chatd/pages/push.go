package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"chmail/internal/call"
	"chmail/internal/web"
	"chmail/internal/webpush"
)

// Push wakes browsers whose desk is closed.
type Push interface {
	// Key is what a browser subscribes with.
	Key() string
	// Subscribe keeps the browser of a session, as long as that lasts, with the language of its pages; webpush.ErrSubscription for what is none.
	Subscribe(ctx context.Context, sess web.Session, lang string, subscription []byte) error
	// Unsubscribe forgets it.
	Unsubscribe(ctx context.Context, login, endpoint string) error
	// SignedOut forgets the browser of a session that is over.
	SignedOut(ctx context.Context, sess web.Session) error
	// Rung says that a browser of login's has shown a ring.
	Rung(login, callID string)
}

const maxPush = 4 << 10 // octets of what a browser hands in

// pushRoutes adds what has to do with waking browsers.
func (p *Pages) pushRoutes(page func(string, func(http.ResponseWriter, *http.Request) error)) error {
	worker, err := bundle.ReadFile("static/worker.js")
	if err != nil {
		return fmt.Errorf("preparing the service worker: %w", err)
	}
	page("GET /desk/worker.js", func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("Service-Worker-Allowed", "/desk")
		h.Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'")
		_, err := w.Write(worker)
		return err
	})
	page("GET /desk/manifest.webmanifest", p.manifest)
	if p.o.Push == nil {
		return nil
	}
	page("POST /desk/push", p.pushed(func(r *http.Request, sess web.Session, raw []byte) error {
		return p.o.Push.Subscribe(r.Context(), sess, p.render.Speech(r).Lang(), raw)
	}))
	page("POST /desk/push/end", p.pushed(func(r *http.Request, sess web.Session, raw []byte) error {
		var q struct{ Endpoint string }
		if err := json.Unmarshal(raw, &q); err != nil {
			return fmt.Errorf("%w: %w", webpush.ErrSubscription, err)
		}
		return p.o.Push.Unsubscribe(r.Context(), sess.Login, q.Endpoint)
	}))
	page("POST /desk/push/rung", p.pushed(func(_ *http.Request, sess web.Session, raw []byte) error {
		var q struct{ Call string }
		if err := json.Unmarshal(raw, &q); err != nil || q.Call == "" || len(q.Call) > 64 {
			return fmt.Errorf("%w: which call?", webpush.ErrSubscription)
		}
		p.o.Push.Rung(sess.Login, q.Call)
		return nil
	}))
	return nil
}

// manifest lets the desk be installed as a program of its own.
func (p *Pages) manifest(w http.ResponseWriter, r *http.Request) error {
	mark, err := p.render.File("web:mark.svg")
	if err != nil {
		return err
	}
	speech := p.render.Speech(r)
	raw, err := json.Marshal(map[string]any{
		"name": speech.T("desk.title"), "short_name": speech.T("desk.name"), "lang": speech.Lang(), "id": "/desk", "start_url": "/desk", "scope": "/desk", "display": "standalone",
		"icons": []map[string]string{{"src": mark, "sizes": "any", "type": "image/svg+xml", "purpose": "any"}},
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/manifest+json")
	w.Header().Add("Vary", "Accept-Language")
	_, err = w.Write(raw)
	return err
}

// pushed is a request of a script of ours with JSON, by somebody who is signed in. The site has seen to its origin.
func (p *Pages) pushed(f func(r *http.Request, sess web.Session, raw []byte) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		sess, err := p.o.Sessions.Session(r)
		if errors.Is(err, web.ErrNoSession) {
			p.o.Site.Error(w, r, http.StatusForbidden)
			return nil
		}
		if err != nil {
			return err
		}
		raw, err := io.ReadAll(io.LimitReader(r.Body, maxPush+1))
		if err != nil || len(raw) > maxPush || r.Header.Get("Content-Type") != "application/json" {
			p.o.Site.Error(w, r, http.StatusBadRequest)
			return nil
		}
		err = f(r, sess, raw)
		if errors.Is(err, webpush.ErrSubscription) {
			p.o.Log.Info("pages: a browser cannot be woken", "login", sess.Login, "err", err)
			p.o.Site.Error(w, r, http.StatusBadRequest)
			return nil
		}
		if err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// PushWords are what a browser shows that is woken, in a language of the pages.
func (p *Pages) PushWords(lang string, a call.Alert) (title, text string) {
	words := p.render.Words().For(lang)
	who := a.Who
	if who == "" {
		who = words.T("desk.someone")
	}
	if a.Kind == call.AlertSilence {
		return words.T("desk.push.over", "who", who), a.About
	}
	if a.Missed {
		return words.T("desk.missed", "who", who), a.About
	}
	if a.Proved != "" { // beside what he calls himself, which may look like an address
		return words.T("desk.ring", "who", who), words.T("desk.proved", "address", a.Proved) + "\n" + a.About
	}
	return words.T("desk.ring", "who", who), a.About
}
