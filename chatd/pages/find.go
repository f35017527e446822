package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"chmail/chatd"
	"chmail/internal/web"
)

var _ Finder = (*chatd.Server)(nil)

// Finder looks through a login's conversations.
type Finder interface {
	// Find returns a page of a login's conversations in which all words are, behind the place older; see chatd.Server.Find.
	Find(ctx context.Context, login, words, older string) (chatd.Found, error)
}

// foundAnswer is a page of conversations as the desk is told of it: in the shape of its "list" frame, with what was found in each.
type foundAnswer struct {
	Talks []foundTalk `json:"talks"`
	Older string      `json:"older,omitempty"`
	Code  string      `json:"code,omitempty"` // why there is no answer
}

type foundTalk struct {
	Conv   string     `json:"conv"`
	Who    string     `json:"who"`
	About  string     `json:"about"`
	Text   string     `json:"text"`
	State  string     `json:"state"`
	Here   bool       `json:"here"`
	Unread int        `json:"unread"`
	Last   int64      `json:"last"`
	At     time.Time  `json:"at"`
	Hits   []foundHit `json:"hits,omitempty"`
}

type foundHit struct {
	N    int64     `json:"n"`
	From string    `json:"from"`
	Who  int64     `json:"who,omitempty"`
	Name string    `json:"name,omitempty"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// find serves /desk/find. It is a POST, so that what is looked for stands in no address.
func (p *Pages) find(w http.ResponseWriter, r *http.Request) error {
	if !p.o.Site.SameOrigin(r) {
		p.o.Site.Error(w, r, http.StatusForbidden)
		return nil
	}
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		return p.answerFound(w, http.StatusForbidden, foundAnswer{Code: "signed-out"})
	}
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return p.answerFound(w, http.StatusBadRequest, foundAnswer{Code: "frame"})
	}
	found, err := p.o.Chat.Find(r.Context(), sess.Login, r.PostForm.Get("words"), r.PostForm.Get("older"))
	switch {
	case errors.Is(err, chatd.ErrFinding):
		w.Header().Set("Retry-After", "1")
		return p.answerFound(w, http.StatusTooManyRequests, foundAnswer{Code: "busy"})
	case errors.Is(err, chatd.ErrPlace):
		return p.answerFound(w, http.StatusBadRequest, foundAnswer{Code: "frame"})
	case r.Context().Err() != nil:
		return nil // nobody waits for it any more
	case err != nil:
		return fmt.Errorf("looking through conversations: %w", err)
	}
	a := foundAnswer{Talks: make([]foundTalk, 0, len(found.Talks)), Older: found.Older}
	for _, t := range found.Talks {
		f := foundTalk{Conv: t.ID, Who: t.Who, About: t.About, Text: t.Text, State: t.State, Here: t.Here, Unread: t.Unread, Last: t.Last, At: t.At.UTC()}
		for _, h := range t.Hits {
			f.Hits = append(f.Hits, foundHit{h.N, h.From, h.Who, h.Name, h.At.UTC(), h.Text})
		}
		a.Talks = append(a.Talks, f)
	}
	return p.answerFound(w, http.StatusOK, a)
}

func (p *Pages) answerFound(w http.ResponseWriter, status int, a foundAnswer) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(a); err != nil {
		p.o.Log.Debug("pages: a desk did not take what was found", "err", err)
	}
	return nil
}
