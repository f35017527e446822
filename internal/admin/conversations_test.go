package admin

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

// attic keeps one conversation of Alice's with two events.
type attic struct {
	town
	gone bool
}

var talk = Conversation{Number: 7, ID: "talk", Who: "Bob", About: "The roof", Events: 2, Created: then, At: then}

func (a *attic) Conversations(_ context.Context, login string, after int64) ([]Conversation, error) {
	if login != alice || after >= talk.Number || a.gone {
		return nil, nil
	}
	return []Conversation{talk}, nil
}

func (a *attic) Conversation(_ context.Context, login, id string) (Conversation, error) {
	if login != alice || id != talk.ID || a.gone {
		return Conversation{}, errors.New("no such conversation")
	}
	return talk, nil
}

func (a *attic) Events(_ context.Context, _, _ string, after int64) ([]Event, error) {
	return []Event{{N: 1, Kind: "join", From: "visitor", At: then}, {N: 2, Kind: "say", From: "visitor", At: then, Text: "Hello"}}[after:], nil
}

func (a *attic) DeleteConversation(_ context.Context, login, id string, before time.Time) (bool, error) {
	if login != alice || id != talk.ID || !before.IsZero() && !talk.At.Before(before) {
		return false, nil
	}
	a.gone = true
	return true, nil
}

func TestWhatWasSaidIsAskedForThroughTheSocket(t *testing.T) {
	t.Parallel()
	s, network := New(Options{Conversations: &attic{}, Log: slog.New(slog.DiscardHandler)}), newInMemory()
	over := make(chan error, 1)
	go func() { over <- s.ServeControl(network) }()
	c, ctx := network.client(), t.Context()
	if all, err := c.Conversations(ctx, alice, 0); err != nil || len(all) != 1 || all[0] != talk {
		t.Errorf("listed %+v, %v", all, err)
	}
	if all, err := c.Conversations(ctx, alice, talk.Number); err != nil || all == nil || len(all) != 0 {
		t.Errorf("behind the last: %#v, %v", all, err)
	}
	if one, err := c.Conversation(ctx, alice, "talk"); err != nil || one != talk {
		t.Errorf("one: %+v, %v", one, err)
	}
	if events, err := c.Events(ctx, alice, "talk", 1); err != nil || len(events) != 1 || events[0].Text != "Hello" {
		t.Errorf("events: %+v, %v", events, err)
	}
	for _, before := range []time.Time{then, {}} {
		if deleted, err := c.DeleteConversation(ctx, alice, "talk", before); err != nil || deleted != before.IsZero() {
			t.Errorf("deleted, if older than %v: %v, %v", before, deleted, err)
		}
	}
	if _, err := c.Conversation(ctx, alice, "talk"); err == nil || err.Error() != "no such conversation" {
		t.Errorf("deleted: %v", err)
	}
	must(t, c.Close())
	must(t, s.Shutdown(ctx))
	must(t, <-over)
}
