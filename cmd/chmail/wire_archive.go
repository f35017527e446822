package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chmail/chatd"
	"chmail/internal/account"
	"chmail/internal/admin"
)

// Conversations lists what a login's visitors have said, a page of conversations at most.
func (c clerk) Conversations(ctx context.Context, login string, after int64) ([]admin.Conversation, error) {
	login, err := c.known(ctx, login)
	if err != nil {
		return nil, err
	}
	all, err := c.core.archive.List(ctx, login, after)
	return convert(all, keptWords), err
}

// Conversation is one of a login's conversations.
func (c clerk) Conversation(ctx context.Context, login, id string) (admin.Conversation, error) {
	login, err := c.known(ctx, login)
	if err != nil {
		return admin.Conversation{}, err
	}
	k, err := c.core.archive.Conversation(ctx, login, id)
	return keptWords(k), missing(login, id, err)
}

// Events is what happened in a conversation, a page at most.
func (c clerk) Events(ctx context.Context, login, id string, after int64) ([]admin.Event, error) {
	login, err := c.known(ctx, login)
	if err != nil {
		return nil, err
	}
	all, err := c.core.archive.Events(ctx, login, id, after)
	return convert(all, func(e chatd.Entry) admin.Event {
		out := admin.Event{N: e.N, Kind: e.Kind, From: e.From, Who: e.Who, Name: e.Name, At: e.At.UTC(), Text: e.Text, Of: e.Of}
		if f := e.File; f != nil {
			out.File = &admin.File{Type: f.Type, Size: f.Size, Width: f.Width, Height: f.Height}
		}
		return out
	}), missing(login, id, err)
}

// DeleteConversation removes a conversation for good, and ends what is live of it.
func (c clerk) DeleteConversation(ctx context.Context, login, id string, before time.Time) (bool, error) {
	login, err := c.known(ctx, login)
	if err != nil {
		return false, err
	}
	deleted, err := c.core.archive.Delete(ctx, login, id, before)
	if deleted { // what is left of it, if anything, is nobody's
		c.core.ahead.deleted(ctx, login, id)
	}
	return deleted, err
}

// known is a login as its account spells it.
func (c clerk) known(ctx context.Context, login string) (string, error) {
	a, ok, err := c.core.accounts.Lookup(ctx, login)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w", login, account.ErrNoAccount)
	}
	return a.Login, err
}

func keptWords(k chatd.Kept) admin.Conversation {
	k.Created, k.At = k.Created.UTC(), k.At.UTC()
	return admin.Conversation(k)
}

// missing says of a conversation that is not there where to find those that are.
func missing(login, id string, err error) error {
	if errors.Is(err, chatd.ErrNoConversation) {
		return fmt.Errorf("%s has no conversation %q: chmail conversation list %[1]s shows those there are", login, id)
	}
	return err
}
