package main

import (
	"context"
	"errors"
	"log/slog"

	"chmail/chatd"
	"chmail/chbroker"
	"chmail/config"
	"chmail/internal/account"
	"chmail/internal/acme"
	"chmail/internal/call"
	"chmail/internal/mailbox"
	"chmail/internal/metrics"
	"chmail/internal/push"
	"chmail/internal/queue"
	"chmail/internal/relay"
	"chmail/internal/sqldb"
	"chmail/internal/web"
)

// core is the database and the rooms that keep something in it. The servers stand on it; while none runs, the program's verbs
// work with it alone.
type core struct {
	db       *sqldb.DB
	accounts *account.Accounts
	mail     *mailbox.Store
	site     *web.Site
	sessions *web.Sessions
	broker   *chbroker.Broker
	archive  *chatd.Archive
	push     *push.Pusher
	ahead    *ahead
	figures  *metrics.Metrics
}

// ahead is what the broker needs of servers that are built after it, since they need the broker: the two circles of the house. It is
// filled in before the broker starts.
type ahead struct {
	word      func(context.Context, call.Word) error // leaves word by mail
	tell      func(conv string, s call.State)        // tells the reader
	listening func() []int                           // the chat ports that listen
	pushWords func(lang string, a call.Alert) (title, text string)
	turned    func(login string)                            // his settings are others now
	dismiss   func(login string)                            // hangs up on everybody who chats with a removed login, or as him
	deleted   func(ctx context.Context, login, conv string) // ends what is live of a deleted conversation
}

// errNotServing is the answer of what is not there while no server runs.
var errNotServing = errors.New("no server runs")

func openCore(ctx context.Context, cfg *config.Config, data *dataFolder, log *slog.Logger) (_ *core, err error) {
	c := &core{figures: metrics.New(), ahead: &ahead{
		word:      func(context.Context, call.Word) error { return errNotServing },
		tell:      func(string, call.State) {},
		listening: func() []int { return nil },
		pushWords: func(string, call.Alert) (string, string) { return "", "" },
		turned:    func(string) {},
		dismiss:   func(string) {},
		deleted:   func(context.Context, string, string) {},
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if _, err = data.lacks(); err != nil {
		return nil, err
	}
	if c.db, err = sqldb.Open(ctx, data.database(), account.Schema(), acme.Schema(), mailbox.Schema(), chbroker.Schema(), chatd.Schema(), push.Schema(), queue.Schema(), relay.Schema(), web.Schema()); err != nil {
		return nil, err
	}
	c.db.Watch(committed(c.figures))
	c.archive = chatd.NewArchive(c.db)
	if c.mail, err = mailbox.New(mailbox.Options{DB: c.db, Dir: data.blobs(), Log: log, Removing: data.removing}); err != nil {
		return nil, err
	}
	if c.accounts, err = account.New(account.Options{
		DB: c.db, Domains: cfg.Domains, Postmaster: cfg.Postmaster, Quota: int64(cfg.POP3.Quota), OnRemove: c.forget, Log: log,
		// Whoever knew the old one is out at once: his desks, and the browsers that he has let be woken.
		OnPassword: func(tx *sqldb.Tx, login string) error {
			return errors.Join(c.push.Remove(tx, login), c.sessions.Forget(tx, login))
		},
		OnWishes: func(login string) { c.ahead.turned(login) },
	}); err != nil {
		return nil, err
	}
	if err = c.accounts.LoadWishes(ctx); err != nil {
		return nil, err
	}
	if c.site, err = web.New(web.Options{URL: cfg.Chat.URL, Log: log, Beside: documents(cfg).Find, Answered: answered(c.figures)}); err != nil {
		return nil, err
	}
	c.sessions = web.NewSessions(web.SessionOptions{Site: c.site, DB: c.db, Log: log, Version: c.accounts.Version})
	if c.push, err = push.New(ctx, push.Options{
		DB: c.db, KeyFile: data.pushKey(), Subject: "mailto:postmaster@" + cfg.Domains[0], Log: log, Current: c.sessions.Current, Remains: c.accounts.Remains,
		Words: func(lang string, a call.Alert) (string, string) { return c.ahead.pushWords(lang, a) },
		Sent:  pushed(c.figures),
	}); err != nil {
		return nil, err
	}
	if c.broker, err = newBroker(cfg, c, log); err != nil {
		return nil, err
	}
	c.broker.Watch(calls(c.figures))
	return c, nil
}

// newBroker makes the CH server, with its maps in Redis or, without one, in memory.
func newBroker(cfg *config.Config, c *core, log *slog.Logger) (*chbroker.Broker, error) {
	var maps chbroker.Maps = chbroker.NewMemory()
	if cfg.Redis.URL != "" {
		var err error
		if maps, err = chbroker.NewRedis(cfg.Redis.URL, log); err != nil {
			return nil, err
		}
	}
	return chbroker.New(chbroker.Options{
		DB: c.db, Maps: maps, Host: c.site.Hostname(), URL: c.site.Origin(), Log: log,
		Ports: chbroker.Range{First: cfg.Chat.Ports.First, Last: cfg.Chat.Ports.Last}, LinkLife: cfg.Chat.LinkLife,
		Times:     times(&cfg.Chat),
		Limits:    limits(cfg.Chat.Limits),
		Names:     c.displayName,
		Push:      c.push,
		Wishes:    c.accounts,
		Word:      func(ctx context.Context, w call.Word) error { return c.ahead.word(ctx, w) },
		Tell:      func(conv string, s call.State) { c.ahead.tell(conv, s) },
		Listening: func() []int { return c.ahead.listening() },
	})
}

// times are the configuration's, as the broker has them.
func times(c *config.Chat) chbroker.Times {
	t := c.Times
	return chbroker.Times{
		Ring: c.Ring, Pause: c.Pause, Rings: c.Rings, PageAge: t.PageAge, Ack: t.Ack, Verify: t.Verify, Grace: t.Grace, Again: t.Again,
		MailSign: t.MailSign, DeskSign: t.DeskSign, Active: t.Active, Moment: t.Moment,
		WordTimes: chbroker.WordTimes{Merge: t.Merge, Words: t.Words},
		PortTimes: chbroker.PortTimes{Lease: t.Lease},
	}
}

// limits are the configuration's, as the broker has them.
func limits(l config.Limits) chbroker.Limits {
	return chbroker.Limits{Link: l.Link, LinkTime: l.LinkTime, Network: l.Network, NetworkTime: l.NetworkTime}
}

// displayName is how a login is called, "" for one that has no name or is gone.
func (c *core) displayName(ctx context.Context, login string) (string, error) {
	a, _, err := c.accounts.Lookup(ctx, login)
	return a.Name, err
}

// forget takes away what every room keeps of a login, in the transaction that removes its account.
func (c *core) forget(tx *sqldb.Tx, login string) error {
	for _, remove := range []func(*sqldb.Tx, string) error{c.mail.Remove, chatd.Remove, c.broker.Remove, c.push.Remove, queue.Remove, c.sessions.Forget} {
		if err := remove(tx, login); err != nil {
			return err
		}
	}
	tx.AfterCommit(func() {
		c.accounts.ForgetWishes(login)
		c.ahead.dismiss(login)
	})
	return nil
}

// Close closes what was opened, the database last.
func (c *core) Close() error {
	var errs []error
	if c.broker != nil {
		errs = append(errs, c.broker.Close())
	}
	if c.push != nil {
		errs = append(errs, c.push.Close())
	}
	if c.mail != nil {
		errs = append(errs, c.mail.Close())
	}
	if c.db != nil {
		errs = append(errs, c.db.Close())
	}
	return errors.Join(errs...)
}
