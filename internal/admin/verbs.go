package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"chmail/internal/address"
)

// The paths of the control socket. Reading is GET with a query, changing is POST with an order.
const (
	pathAccounts = "/v1/accounts"
	pathAdd      = "/v1/accounts/add"
	pathPassword = "/v1/accounts/passwd"
	pathSet      = "/v1/accounts/set"
	pathRemove   = "/v1/accounts/remove"
	pathPresence = "/v1/presence"
	pathPorts    = "/v1/ports"
	pathWhois    = "/v1/whois"
)

// order is what is to be done to an account, or to a conversation of it.
type order struct {
	Login    string            `json:"login"`
	Password string            `json:"password,omitempty"`
	Name     string            `json:"name,omitempty"`
	Set      map[string]string `json:"set,omitempty"`
	// Of a conversation.
	Conversation string    `json:"conversation,omitempty"`
	Before       time.Time `json:"before,omitzero"`
}

// trouble is the answer to what was refused or failed.
type trouble struct {
	Error string `json:"error"`
}

func (s *Server) verbs() http.Handler {
	mux := http.NewServeMux()
	read := func(path string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			v, err := f(r)
			s.answer(w, r, v, err)
		})
	}
	read(pathAccounts, func(r *http.Request) (any, error) { return list(s.o.Reports.Accounts(r.Context())) })
	read(pathPresence, func(r *http.Request) (any, error) {
		return list(s.o.Reports.Presence(r.Context(), r.URL.Query().Get("login")))
	})
	read(pathPorts, func(r *http.Request) (any, error) { return list(s.o.Reports.Ports(r.Context())) })
	read(pathWhois, func(r *http.Request) (any, error) {
		port, err := strconv.Atoi(r.URL.Query().Get("port"))
		if err != nil {
			return nil, errors.New("whois needs a port number")
		}
		return s.o.Reports.Whois(r.Context(), port)
	})
	change := func(path, event string, f func(context.Context, order) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			o, err := readOrder(w, r)
			if err == nil {
				if err = f(r.Context(), o); err == nil {
					s.o.Log.Info("admin: "+event, "login", canonical(o.Login))
				}
			}
			s.answer(w, r, struct{}{}, err)
		})
	}
	change(pathAdd, "account added", func(ctx context.Context, o order) error { return s.o.Accounts.Add(ctx, o.Login, o.Password, o.Name) })
	change(pathPassword, "password set", func(ctx context.Context, o order) error { return s.o.Accounts.SetPassword(ctx, o.Login, o.Password) })
	change(pathSet, "account changed", func(ctx context.Context, o order) error { return s.o.Accounts.Set(ctx, o.Login, o.Set) })
	change(pathRemove, "account removed", func(ctx context.Context, o order) error { return s.o.Accounts.Remove(ctx, o.Login) })
	s.appPasswordVerbs(mux)
	s.aliasVerbs(mux)
	s.conversationVerbs(mux)
	s.queueVerbs(mux)
	read(pathCertificates, func(*http.Request) (any, error) {
		if s.o.Certificates == nil {
			return []Certificate{}, nil
		}
		return list(s.o.Certificates(), nil)
	})
	return mux
}

// canonical is a login as the accounts spell it, so that the log has one spelling of each.
func canonical(login string) string {
	if a, err := address.Parse(login); err == nil {
		return a.Login()
	}
	return login
}

// list makes an empty list of none, so that it is [] in JSON and not null.
func list[T any](all []T, err error) (any, error) {
	if all == nil {
		all = []T{}
	}
	return all, err
}

// readOrder reads an order to accounts or conversations.
func readOrder(w http.ResponseWriter, r *http.Request) (o order, err error) {
	if err := read(w, r, &o); err != nil {
		return order{}, err
	}
	return o, nil
}

// read reads a request's body, strictly: a misspelt field must not become an empty password, nor a filter that chooses everything.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("more than one document")
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		err = fmt.Errorf("it has more than %d bytes", maxBody)
	}
	return fmt.Errorf("the order cannot be read: %w", err)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	status := http.StatusOK
	if err != nil {
		status, v = http.StatusUnprocessableEntity, trouble{err.Error()}
		s.o.Log.Info("admin: refused", "path", r.URL.Path, "err", err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		s.o.Log.Error("admin: encoding an answer", "path", r.URL.Path, "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	say(w, string(text)+"\n")
}
