package admin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

// keysmith stands for the room that makes app passwords.
type keysmith struct{ made []AppPassword }

func (k *keysmith) AddAppPassword(_ context.Context, login, name string) (string, error) {
	if login != alice {
		return "", errors.New(login + ": there is no such account")
	}
	k.made = append(k.made, AppPassword{Name: name, Created: then})
	return "a-secret-of-many-letters", nil
}

func (k *keysmith) AppPasswords(context.Context, string) ([]AppPassword, error) { return k.made, nil }

func (k *keysmith) RemoveAppPassword(_ context.Context, _, name string) error {
	if len(k.made) == 0 || k.made[0].Name != name {
		return errors.New(name + ": there is no such app password")
	}
	k.made = nil
	return nil
}

func TestAnAppPasswordPassesTheSocketOnceAndNoLog(t *testing.T) {
	t.Parallel()
	smith, log := new(keysmith), new(bytes.Buffer)
	s, network := New(Options{AppPasswords: smith, Log: slog.New(slog.NewTextHandler(log, nil))}), newInMemory()
	over := make(chan error, 1)
	go func() { over <- s.ServeControl(network) }()
	c, ctx := network.client(), t.Context()
	if all, err := c.AppPasswords(ctx, alice); err != nil || len(all) != 0 {
		t.Errorf("at first there are %+v, %v", all, err)
	}
	if p, err := c.AddAppPassword(ctx, alice, "telephone"); p != "a-secret-of-many-letters" || err != nil {
		t.Errorf("made %q, %v", p, err)
	}
	if p, err := c.AddAppPassword(ctx, bob, "telephone"); p != "" || err == nil || !strings.Contains(err.Error(), "no such account") {
		t.Errorf("bob's is %q, %v", p, err)
	}
	if all, err := c.AppPasswords(ctx, alice); err != nil || !reflect.DeepEqual(all, []AppPassword{{Name: "telephone", Created: then, Used: (*time.Time)(nil)}}) {
		t.Errorf("there are %+v, %v", all, err)
	}
	if err := c.RemoveAppPassword(ctx, alice, "laptop"); err == nil {
		t.Error("what is not there is removed")
	}
	if err := c.RemoveAppPassword(ctx, alice, "telephone"); err != nil || len(smith.made) != 0 {
		t.Errorf("removed: %v, there are %+v", err, smith.made)
	}
	must(t, c.Close())
	must(t, s.Shutdown(ctx))
	must(t, <-over)
	for _, want := range []string{"app password added", "app password removed", "name=telephone"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), "many-letters") {
		t.Errorf("the log has it:\n%s", log)
	}
}
