package admin

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Aliases of a town: one, and whoever asks for ghost@ has asked for too much.
type directory struct{ *town }

func (d directory) Aliases(context.Context) ([]Alias, error) {
	return []Alias{{Address: "sales@example.com", Logins: []string{alice, bob}, Send: []string{bob}}}, nil
}

func (d directory) AddAlias(_ context.Context, address string, logins []string, send bool) error {
	d.note("alias %s %v %v", address, logins, send)
	return nil
}

func (d directory) RemoveAlias(_ context.Context, address string, logins []string) error {
	d.note("unalias %s %v", address, logins)
	return nil
}

func (d directory) Grants(context.Context) ([]Grant, error) { return nil, nil }

func (d directory) AddGrant(_ context.Context, login, address string) error {
	d.note("grant %s %s", login, address)
	return nil
}

func (d directory) RemoveGrant(context.Context, string, string) error {
	return errors.New("there is no such grant")
}

func TestAliasesAreChangedThroughTheSocket(t *testing.T) {
	t.Parallel()
	d := directory{&town{}}
	path := filepath.Join(t.TempDir(), "control.sock")
	ln, err := ListenControl(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Aliases: d, Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- s.ServeControl(ln) }()
	defer func() {
		if err := errors.Join(s.Shutdown(context.Background()), <-ended); err != nil {
			t.Error(err)
		}
	}()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.AddAlias(t.Context(), "sales@example.com", []string{alice, bob}, true), c.RemoveAlias(t.Context(), "sales@example.com", nil),
		c.AddGrant(t.Context(), bob, "sales@example.com")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"alias sales@example.com [alice@example.com bob@example.com] true", "unalias sales@example.com []", "grant bob@example.com sales@example.com"}; !slices.Equal(d.done, want) {
		t.Errorf("done was %q, want %q", d.done, want)
	}
	if err := c.RemoveGrant(t.Context(), bob, alice); err == nil || !strings.Contains(err.Error(), "no such grant") {
		t.Errorf("the server's words are lost: %v", err)
	}
	all, err := c.Aliases(t.Context())
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Logins, []string{alice, bob}) || !slices.Equal(all[0].Send, []string{bob}) {
		t.Errorf("the list: %+v, %v", all, err)
	}
	if grants, err := c.Grants(t.Context()); err != nil || grants == nil || len(grants) != 0 {
		t.Errorf("no grants: %+v, %v", grants, err)
	}
}
