package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"chmail/chatd"
	"chmail/internal/web"
)

var _ Phrases = (*chatd.Server)(nil)

// Phrases are the canned answers of a login.
type Phrases interface {
	// Phrases are a login's canned answers.
	Phrases(ctx context.Context, login string) ([]chatd.Phrase, error)
	// KeepPhrase adds, changes or removes one; see chatd.Server.KeepPhrase.
	KeepPhrase(ctx context.Context, login string, id int64, text string) error
}

// phrasesAnswer is how a login's canned answers stand.
type phrasesAnswer struct {
	Phrases []phrase `json:"phrases"`
	Code    string   `json:"code,omitempty"` // why a change was not made
}

type phrase struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

// phrases serves the canned answers of whoever is signed in.
func (p *Pages) phrases(w http.ResponseWriter, r *http.Request) error {
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		return p.answerPhrases(w, r, "", http.StatusForbidden, "signed-out")
	}
	if err != nil {
		return err
	}
	return p.answerPhrases(w, r, sess.Login, http.StatusOK, "")
}

// keepPhrase changes them, and answers how they stand then.
func (p *Pages) keepPhrase(w http.ResponseWriter, r *http.Request) error {
	if !p.o.Site.SameOrigin(r) {
		p.o.Site.Error(w, r, http.StatusForbidden)
		return nil
	}
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		return p.answerPhrases(w, r, "", http.StatusForbidden, "signed-out")
	}
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return p.answerPhrases(w, r, sess.Login, http.StatusBadRequest, "frame")
	}
	id := int64(0)
	if text := r.PostForm.Get("id"); text != "" {
		if id, err = strconv.ParseInt(text, 10, 64); err != nil || id < 1 {
			return p.answerPhrases(w, r, sess.Login, http.StatusBadRequest, "frame")
		}
	}
	switch err := p.o.Chat.KeepPhrase(r.Context(), sess.Login, id, r.PostForm.Get("text")); {
	case err == nil:
		return p.answerPhrases(w, r, sess.Login, http.StatusOK, "")
	case errors.Is(err, chatd.ErrPhraseText):
		return p.answerPhrases(w, r, sess.Login, http.StatusBadRequest, "text")
	case errors.Is(err, chatd.ErrPhraseFull):
		return p.answerPhrases(w, r, sess.Login, http.StatusConflict, "full")
	case errors.Is(err, chatd.ErrNoPhrase): // removed at another desk
		return p.answerPhrases(w, r, sess.Login, http.StatusNotFound, "gone")
	default:
		return err
	}
}

// answerPhrases answers with the canned answers of a login, "" for nobody, whatever became of what was asked for.
func (p *Pages) answerPhrases(w http.ResponseWriter, r *http.Request, login string, status int, code string) error {
	a := phrasesAnswer{Phrases: []phrase{}, Code: code}
	if login != "" {
		list, err := p.o.Chat.Phrases(r.Context(), login)
		if err != nil {
			return fmt.Errorf("reading canned answers: %w", err)
		}
		for _, one := range list {
			a.Phrases = append(a.Phrases, phrase{one.ID, one.Text})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(a); err != nil {
		p.o.Log.Debug("pages: a desk did not take its canned answers", "err", err)
	}
	return nil
}
