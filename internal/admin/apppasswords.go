package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// AppPasswords are those by which mail clients send and fetch mail. Their errors are shown to the administrator as they are and must hold no password.
type AppPasswords interface {
	// AddAppPassword makes one, which is shown this once.
	AddAppPassword(ctx context.Context, login, name string) (password string, err error)
	AppPasswords(ctx context.Context, login string) ([]AppPassword, error)
	RemoveAppPassword(ctx context.Context, login, name string) error
}

// AppPassword is one in `chmail account app-password list`. Times are UTC.
type AppPassword struct {
	Name    string     `json:"name"`
	Created time.Time  `json:"created"`
	Used    *time.Time `json:"last_used"` // to the hour; null: never
}

// newSecret is the answer that holds a new app password.
type newSecret struct {
	Password string `json:"password"`
}

const (
	pathAppPasswords      = "/v1/accounts/app-passwords"
	pathAppPasswordAdd    = "/v1/accounts/app-passwords/add"
	pathAppPasswordRemove = "/v1/accounts/app-passwords/remove"
)

func (s *Server) appPasswordVerbs(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathAppPasswords, func(w http.ResponseWriter, r *http.Request) {
		all, err := list(s.o.AppPasswords.AppPasswords(r.Context(), r.URL.Query().Get("login")))
		s.answer(w, r, all, err)
	})
	change := func(path, event string, f func(context.Context, order) (any, error)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var v any
			o, err := readOrder(w, r)
			if err == nil {
				if v, err = f(r.Context(), o); err == nil {
					s.o.Log.Info("admin: "+event, "login", canonical(o.Login), "name", o.Name)
				}
			}
			s.answer(w, r, v, err)
		})
	}
	change(pathAppPasswordAdd, "app password added", func(ctx context.Context, o order) (any, error) {
		password, err := s.o.AppPasswords.AddAppPassword(ctx, o.Login, o.Name)
		return newSecret{password}, err
	})
	change(pathAppPasswordRemove, "app password removed", func(ctx context.Context, o order) (any, error) {
		return struct{}{}, s.o.AppPasswords.RemoveAppPassword(ctx, o.Login, o.Name)
	})
}

// AddAppPassword makes an app password, which is shown this once.
func (c *Client) AddAppPassword(ctx context.Context, login, name string) (password string, err error) {
	var made newSecret
	err = c.order(ctx, pathAppPasswordAdd, order{Login: login, Name: name}, &made)
	return made.Password, err
}

// AppPasswords lists the app passwords of an account.
func (c *Client) AppPasswords(ctx context.Context, login string) (all []AppPassword, err error) {
	err = c.get(ctx, pathAppPasswords, url.Values{"login": {login}}, &all)
	return all, err
}

// RemoveAppPassword ends one at once.
func (c *Client) RemoveAppPassword(ctx context.Context, login, name string) error {
	return c.order(ctx, pathAppPasswordRemove, order{Login: login, Name: name}, new(struct{}))
}
