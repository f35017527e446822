package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"chmail/config"
	"chmail/internal/admin"
	"chmail/internal/queue"
)

// keeper answers the verbs: the running server through its control socket, or the data itself while no server runs.
type keeper interface {
	AddAccount(ctx context.Context, login, password, name string) error
	SetPassword(ctx context.Context, login, password string) error
	Set(ctx context.Context, login string, changes map[string]string) error
	RemoveAccount(ctx context.Context, login string) error
	Accounts(ctx context.Context) ([]admin.Account, error)
	Presence(ctx context.Context, login string) ([]admin.Person, error) // "" for all
	Ports(ctx context.Context) ([]admin.Port, error)
	Whois(ctx context.Context, port int) (admin.Owner, error)
	admin.AppPasswords
	admin.Aliases
	admin.Conversations
	admin.Queue
	io.Closer
}

var (
	_ keeper = (*admin.Client)(nil)
	_ keeper = (*localKeeper)(nil)
)

// configFile is the file of --config, or where it lies on a real server.
func (c *cli) configFile() string {
	if c.ConfigFile != "" {
		return c.ConfigFile
	}
	return defaultConfig
}

// load reads the configuration for a verb that needs no certificate; its faults are exit status 2. What is wrong with the certificate's files is the doctor's to tell.
func (c *cli) load() (*config.Config, error) {
	cfg, _, err := c.loadTolerant()
	return cfg, err
}

// loadTolerant is load, and what is wrong with the certificate's files.
func (c *cli) loadTolerant() (*config.Config, []config.Fault, error) {
	if _, err := os.Stat(c.configFile()); c.ConfigFile == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil, wrongUsage("no configuration: name one with --config FILE, or put it at %s", defaultConfig)
	}
	cfg, faults, err := config.LoadTolerant(c.configFile())
	if err != nil {
		return nil, nil, usageError{err}
	}
	return cfg, faults, nil
}

// noDatabase is errNoDatabase where there has been none.
type noDatabase struct{ data string }

func (e noDatabase) Error() string {
	return fmt.Sprintf("%v in %s yet: chmail account add and chmail serve make one; or the configuration's data names the wrong folder", errNoDatabase, e.data)
}

// keeperPatience is how long a verb waits for a server that starts or stops, or for another verb.
const keeperPatience = 5 * time.Second

// withKeeper finds who answers, the server or the data, and lets do ask it. Where there is no database, errNoDatabase: nothing could be found in one that is made for a question, and a
// folder that was named wrongly would look like an empty server.
func (c *cli) withKeeper(ctx context.Context, o *outside, do func(keeper) error) error {
	return c.ask(ctx, o, false, do)
}

// ask is withKeeper that makes the database where it may.
func (c *cli) ask(ctx context.Context, o *outside, create bool, do func(keeper) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	k, err := findKeeper(ctx, cfg, newLog(o.err, slog.LevelWarn, "text"), create)
	if err != nil {
		return err
	}
	return errors.Join(do(k), k.Close())
}

// withPassword is withKeeper for what needs a new password. It is asked for before the data is opened, which nobody shall hold
// while a person types, and after may has had a look: nobody shall think of a password that would go nowhere. do has the last word. With create, the first account makes the database.
func (c *cli) withPassword(ctx context.Context, o *outside, login string, create bool, may func(*config.Config, []admin.Account) error, do func(k keeper, password string) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	err = c.withKeeper(ctx, o, func(k keeper) error {
		all, err := k.Accounts(ctx)
		if err != nil {
			return err
		}
		return may(cfg, all)
	})
	var none noDatabase
	if errors.As(err, &none) && create {
		if err = ownData(cfg.Data); err == nil {
			err = may(cfg, nil)
		}
	}
	if err != nil {
		return err
	}
	password, err := o.readPassword(ctx, login)
	if err != nil {
		return err
	}
	return c.ask(ctx, o, create, func(k keeper) error { return do(k, password) })
}

// findKeeper asks for the server first and then for the data, again and again until one is there: between the two a server may have
// started, or be about to stop.
func findKeeper(ctx context.Context, cfg *config.Config, log *slog.Logger, create bool) (keeper, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for patience := time.After(keeperPatience); ; {
		server, err := admin.Dial(ctx, cfg.ControlSocket())
		if err == nil {
			return server, nil
		}
		if !errors.Is(err, admin.ErrNoServer) {
			if errors.Is(err, fs.ErrPermission) {
				err = cmp.Or(ownData(cfg.Data), err)
			}
			return nil, err
		}
		lacks, err := (&dataFolder{path: cfg.Data}).lacks()
		switch {
		case errors.Is(err, fs.ErrPermission): // openData has the words for that
		case err != nil:
			return nil, err
		case lacks && !create:
			return nil, noDatabase{cfg.Data}
		}
		data, err := openData(cfg.Data)
		if err == nil {
			if lacks {
				log.Warn("there was no database yet: a new, empty one is made", "data", cfg.Data)
			}
			return newLocalKeeper(ctx, cfg, data, log)
		}
		if !errors.Is(err, errDataInUse) {
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-patience:
			return nil, fmt.Errorf("%w, and does not answer at %s", err, cfg.ControlSocket())
		}
	}
}

// localKeeper works on the data while no server runs.
type localKeeper struct {
	*core
	clerk
	data *dataFolder
	cfg  *config.Config
	log  *slog.Logger
	way  *queue.Queue // nil until a verb asks for it
}

func newLocalKeeper(ctx context.Context, cfg *config.Config, data *dataFolder, log *slog.Logger) (keeper, error) {
	c, err := openCore(ctx, cfg, data, log)
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	k := &localKeeper{core: c, data: data, cfg: cfg, log: log}
	k.clerk = clerk{core: c, queue: k.queueOfData, relayOff: k.cfg.Relay.Off}
	return k, nil
}

// AddAccount makes an account.
func (k *localKeeper) AddAccount(ctx context.Context, login, password, name string) error {
	return k.Add(ctx, login, password, name)
}

// RemoveAccount removes an account with all that belongs to it.
func (k *localKeeper) RemoveAccount(ctx context.Context, login string) error {
	return k.Remove(ctx, login)
}

// Close closes what was opened and gives the data free.
func (k *localKeeper) Close() error {
	var err error
	if k.way != nil {
		err = k.way.Close()
	}
	return errors.Join(err, k.core.Close(), k.data.Close())
}
