package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Aliases are the addresses that lead to accounts, and who may write as whom. Their errors are shown to the administrator as they are.
type Aliases interface {
	Aliases(ctx context.Context) ([]Alias, error)
	// AddAlias has an address lead to these logins too; with send, they may write as it.
	AddAlias(ctx context.Context, address string, logins []string, send bool) error
	// RemoveAlias takes these logins from an alias; none: the whole alias goes.
	RemoveAlias(ctx context.Context, address string, logins []string) error
	Grants(ctx context.Context) ([]Grant, error)
	AddGrant(ctx context.Context, login, address string) error
	RemoveGrant(ctx context.Context, login, address string) error
}

// Alias is an alias in `chmail alias list`.
type Alias struct {
	Address string   `json:"address"`
	Logins  []string `json:"logins"`         // who get its mail
	Send    []string `json:"send,omitempty"` // who may write as it
}

// Grant is a line of `chmail account send-as list`.
type Grant struct {
	Login   string `json:"login"`
	Address string `json:"address"` // as which it may write
}

const (
	pathAliases     = "/v1/aliases"
	pathAliasAdd    = "/v1/aliases/add"
	pathAliasRemove = "/v1/aliases/remove"
	pathGrants      = "/v1/grants"
	pathGrantAdd    = "/v1/grants/add"
	pathGrantRemove = "/v1/grants/remove"
)

// aliasOrder is what is to be done to an alias or a grant.
type aliasOrder struct {
	Address string   `json:"address"`
	Logins  []string `json:"logins,omitempty"`
	Send    bool     `json:"send,omitempty"`
	Login   string   `json:"login,omitempty"` // of a grant
}

// aliasVerbs adds what is asked about aliases and grants.
func (s *Server) aliasVerbs(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathAliases, func(w http.ResponseWriter, r *http.Request) {
		v, err := list(s.o.Aliases.Aliases(r.Context()))
		s.answer(w, r, v, err)
	})
	mux.HandleFunc("GET "+pathGrants, func(w http.ResponseWriter, r *http.Request) {
		v, err := list(s.o.Aliases.Grants(r.Context()))
		s.answer(w, r, v, err)
	})
	change := func(path, event string, f func(context.Context, aliasOrder) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var o aliasOrder
			err := read(w, r, &o)
			if err == nil {
				if err = f(r.Context(), o); err == nil {
					s.o.Log.Info("admin: "+event, "address", canonical(o.Address), "logins", o.Logins, "login", o.Login, "send", o.Send)
				}
			}
			s.answer(w, r, struct{}{}, err)
		})
	}
	change(pathAliasAdd, "alias added", func(ctx context.Context, o aliasOrder) error {
		return s.o.Aliases.AddAlias(ctx, o.Address, o.Logins, o.Send)
	})
	change(pathAliasRemove, "alias removed", func(ctx context.Context, o aliasOrder) error {
		return s.o.Aliases.RemoveAlias(ctx, o.Address, o.Logins)
	})
	change(pathGrantAdd, "send-as granted", func(ctx context.Context, o aliasOrder) error { return s.o.Aliases.AddGrant(ctx, o.Login, o.Address) })
	change(pathGrantRemove, "send-as ended", func(ctx context.Context, o aliasOrder) error {
		return s.o.Aliases.RemoveGrant(ctx, o.Login, o.Address)
	})
}

// Aliases lists the aliases.
func (c *Client) Aliases(ctx context.Context) (all []Alias, err error) {
	err = c.get(ctx, pathAliases, nil, &all)
	return all, err
}

// AddAlias makes an alias, or has it lead to further logins.
func (c *Client) AddAlias(ctx context.Context, address string, logins []string, send bool) error {
	return c.change(ctx, pathAliasAdd, aliasOrder{Address: address, Logins: logins, Send: send})
}

// RemoveAlias takes logins from an alias, or the whole alias away.
func (c *Client) RemoveAlias(ctx context.Context, address string, logins []string) error {
	return c.change(ctx, pathAliasRemove, aliasOrder{Address: address, Logins: logins})
}

// Grants lists who may write as whom.
func (c *Client) Grants(ctx context.Context) (all []Grant, err error) {
	err = c.get(ctx, pathGrants, nil, &all)
	return all, err
}

// AddGrant lets a login write as an address.
func (c *Client) AddGrant(ctx context.Context, login, address string) error {
	return c.change(ctx, pathGrantAdd, aliasOrder{Login: login, Address: address})
}

// RemoveGrant ends that.
func (c *Client) RemoveGrant(ctx context.Context, login, address string) error {
	return c.change(ctx, pathGrantRemove, aliasOrder{Login: login, Address: address})
}

func (c *Client) change(ctx context.Context, path string, o aliasOrder) error {
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("writing the order: %w", err)
	}
	return c.ask(ctx, http.MethodPost, "http://chmail"+path, body, new(struct{}))
}
