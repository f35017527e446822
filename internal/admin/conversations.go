package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Conversations are what was said. They come in pages: none is held in memory as a whole. Their errors are shown to the administrator as they are and
// must hold nothing that was said.
type Conversations interface {
	// Conversations of a login behind a number, the oldest first; none: there are no more.
	Conversations(ctx context.Context, login string, after int64) ([]Conversation, error)
	// Conversation is one of them.
	Conversation(ctx context.Context, login, id string) (Conversation, error)
	// Events of a conversation behind event number after; none: that was all.
	Events(ctx context.Context, login, id string, after int64) ([]Event, error)
	// DeleteConversation removes one for good; false when there is none or, unless before is the zero time, something has happened in it since.
	DeleteConversation(ctx context.Context, login, id string, before time.Time) (bool, error)
}

// Conversation is a conversation in `chmail conversation list`.
type Conversation struct {
	Number  int64     `json:"number"` // a later one has a higher one
	ID      string    `json:"id"`
	Who     string    `json:"who"`   // as the visitor called himself; "" when he did not
	About   string    `json:"about"` // the mail's subject
	Events  int64     `json:"events"`
	Created time.Time `json:"created"`
	At      time.Time `json:"at"` // of the last event that was no leaving
}

// Event is a thing that happened in a conversation, in `chmail conversation show`; of kind "call", a state into which its call has come.
type Event struct {
	N    int64     `json:"n"` // of a call's state, that of the event behind which it was
	Kind string    `json:"kind"`
	From string    `json:"from"`           // visitor, owner or guest; "" of a call's state, which is the text
	Who  int64     `json:"who,omitempty"`  // a guest's number
	Name string    `json:"name,omitempty"` // and his name, if he gave one
	At   time.Time `json:"at"`
	Text string    `json:"text,omitempty"`
	Of   int64     `json:"of,omitempty"` // number of the message that is changed or taken back
	File *File     `json:"file,omitempty"`
}

// File is a file that was sent; the event's text is its name. What is in it is not part of a transcript.
type File struct {
	Type   string `json:"type"`
	Size   int64  `json:"size"` // octets
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
}

const (
	pathConversations      = "/v1/conversations"
	pathConversation       = "/v1/conversations/one"
	pathEvents             = "/v1/conversations/events"
	pathDeleteConversation = "/v1/conversations/delete"
)

// removed is the answer to an order to delete.
type removed struct {
	Deleted bool `json:"deleted"`
}

// conversationVerbs adds what is asked about conversations.
func (s *Server) conversationVerbs(mux *http.ServeMux) {
	behind := func(r *http.Request) (login, id string, after int64, err error) {
		q := r.URL.Query()
		if after, err = strconv.ParseInt(q.Get("after"), 10, 64); err != nil {
			err = fmt.Errorf("%s needs a number after which to go on", r.URL.Path)
		}
		return q.Get("login"), q.Get("id"), after, err
	}
	mux.HandleFunc("GET "+pathConversations, func(w http.ResponseWriter, r *http.Request) {
		login, _, after, err := behind(r)
		var v any
		if err == nil {
			v, err = list(s.o.Conversations.Conversations(r.Context(), login, after))
		}
		s.answer(w, r, v, err)
	})
	mux.HandleFunc("GET "+pathConversation, func(w http.ResponseWriter, r *http.Request) {
		v, err := s.o.Conversations.Conversation(r.Context(), r.URL.Query().Get("login"), r.URL.Query().Get("id"))
		s.answer(w, r, v, err)
	})
	mux.HandleFunc("GET "+pathEvents, func(w http.ResponseWriter, r *http.Request) {
		login, id, after, err := behind(r)
		var v any
		if err == nil {
			v, err = list(s.o.Conversations.Events(r.Context(), login, id, after))
		}
		s.answer(w, r, v, err)
	})
	mux.HandleFunc("POST "+pathDeleteConversation, func(w http.ResponseWriter, r *http.Request) {
		o, err := readOrder(w, r)
		var v removed
		if err == nil {
			v.Deleted, err = s.o.Conversations.DeleteConversation(r.Context(), o.Login, o.Conversation, o.Before)
		}
		if v.Deleted {
			s.o.Log.Info("admin: conversation deleted", "login", canonical(o.Login), "conv", o.Conversation)
		}
		s.answer(w, r, v, err)
	})
}

// Conversations lists those of a login behind a number, a page at most.
func (c *Client) Conversations(ctx context.Context, login string, after int64) (all []Conversation, err error) {
	err = c.get(ctx, pathConversations, url.Values{"login": {login}, "after": {strconv.FormatInt(after, 10)}}, &all)
	return all, err
}

// Conversation shows one.
func (c *Client) Conversation(ctx context.Context, login, id string) (one Conversation, err error) {
	err = c.get(ctx, pathConversation, url.Values{"login": {login}, "id": {id}}, &one)
	return one, err
}

// Events shows what happened in a conversation behind event number after, a page at most.
func (c *Client) Events(ctx context.Context, login, id string, after int64) (all []Event, err error) {
	err = c.get(ctx, pathEvents, url.Values{"login": {login}, "id": {id}, "after": {strconv.FormatInt(after, 10)}}, &all)
	return all, err
}

// DeleteConversation removes a conversation; false when there is none, or when something has happened in it since before, unless that is the zero time.
func (c *Client) DeleteConversation(ctx context.Context, login, id string, before time.Time) (bool, error) {
	var v removed
	err := c.order(ctx, pathDeleteConversation, order{Login: login, Conversation: id, Before: before}, &v)
	return v.Deleted, err
}
