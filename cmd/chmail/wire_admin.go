package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"chmail/chbroker"
	"chmail/internal/account"
	"chmail/internal/admin"
	"chmail/internal/sqldb"
)

// wireAdmin builds the administrator's door: the control socket, and where a monitor asks.
func (s *system) wireAdmin(context.Context) error {
	clerk := clerk{core: s.core, queue: s.thisQueue, relayOff: s.cfg.Relay.Off}
	s.admin = admin.New(admin.Options{Accounts: clerk, Reports: clerk, Aliases: clerk, AppPasswords: clerk, Conversations: clerk, Queue: clerk, Certificates: s.keys.states, Alive: s.alive, Metrics: s.metricsPage(), Log: s.log})
	return nil
}

// listenForAdmins opens the control socket and the health listener. A busy default of the latter is worth a warning, since no
// mail depends on it; a busy one that somebody chose is an error.
func (s *system) listenForAdmins(ctx context.Context) ([]service, error) {
	control, err := admin.ListenControl(ctx, s.data.control())
	if err != nil {
		return nil, err
	}
	all := []service{{control, s.admin.ServeControl}}
	if s.cfg.Health.Listen == "" {
		return all, nil
	}
	health, err := listen(ctx, "health.listen", []string{s.cfg.Health.Listen})
	if errors.Is(err, syscall.EADDRINUSE) && !s.cfg.IsSet("health.listen") {
		s.log.Warn("no health listener", "err", err)
		return all, nil
	}
	for _, ln := range health {
		all = append(all, service{ln, s.admin.ServeHealth})
	}
	return all, err
}

// alive tells whether the database answers.
func (s *system) alive(ctx context.Context) error {
	return s.db.View(ctx, func(tx *sqldb.Tx) error {
		var one int
		return tx.QueryRow(`SELECT 1`).Scan(&one)
	})
}

// clerk does for an administrator what concerns more than one room, and shows the rooms' own views in the control socket's words.
type clerk struct {
	core  *core
	queue queueAt
	// relayOff says that the queue is only looked at: nothing goes to other hosts.
	relayOff bool
}

var (
	_ admin.Accounts      = clerk{}
	_ admin.Reports       = clerk{}
	_ admin.AppPasswords  = clerk{}
	_ admin.Aliases       = clerk{}
	_ admin.Conversations = clerk{}
	_ admin.Queue         = clerk{}
)

// Add makes an account.
func (c clerk) Add(ctx context.Context, login, password, name string) error {
	return c.core.accounts.Add(ctx, login, password, name)
}

// SetPassword changes a password; web sessions that were opened with the old one end at once.
func (c clerk) SetPassword(ctx context.Context, login, password string) error {
	if err := c.core.accounts.SetPassword(ctx, login, password); err != nil {
		return err
	}
	a, _, err := c.core.accounts.Lookup(ctx, login)
	if err != nil {
		return err
	}
	return c.core.sessions.DeleteSessions(ctx, a.Login)
}

// Set changes settings of an account.
func (c clerk) Set(ctx context.Context, login string, changes map[string]string) error {
	return c.core.accounts.Set(ctx, login, changes)
}

// Remove removes an account with what every room keeps of it.
func (c clerk) Remove(ctx context.Context, login string) error {
	return c.core.accounts.Remove(ctx, login)
}

// Accounts lists the accounts, with what their maildrops hold.
func (c clerk) Accounts(ctx context.Context) ([]admin.Account, error) {
	all, err := c.core.accounts.List(ctx)
	if err != nil {
		return nil, err
	}
	used, err := c.core.mail.Sizes(ctx)
	return convert(all, func(a account.Account) admin.Account {
		a.Created, a.Changed, a.Box.Used = a.Created.UTC(), a.Changed.UTC(), used[a.Login]
		return admin.Account(a)
	}), err
}

// AddAppPassword makes an app password.
func (c clerk) AddAppPassword(ctx context.Context, login, name string) (string, error) {
	return c.core.accounts.AddAppPassword(ctx, login, name)
}

// AppPasswords lists the app passwords of an account.
func (c clerk) AppPasswords(ctx context.Context, login string) ([]admin.AppPassword, error) {
	all, err := c.core.accounts.AppPasswords(ctx, login)
	return convert(all, func(a account.AppPassword) admin.AppPassword {
		p := admin.AppPassword{Name: a.Name, Created: a.Created.UTC()}
		if used := a.Used.UTC(); !a.Used.IsZero() {
			p.Used = &used
		}
		return p
	}), err
}

// RemoveAppPassword ends an app password.
func (c clerk) RemoveAppPassword(ctx context.Context, login, name string) error {
	return c.core.accounts.RemoveAppPassword(ctx, login, name)
}

// Aliases lists the aliases.
func (c clerk) Aliases(ctx context.Context) ([]admin.Alias, error) {
	all, err := c.core.accounts.Aliases(ctx)
	return convert(all, func(a account.Alias) admin.Alias { return admin.Alias(a) }), err
}

// AddAlias makes an alias, or has it lead to further accounts.
func (c clerk) AddAlias(ctx context.Context, address string, logins []string, send bool) error {
	return c.core.accounts.AddAlias(ctx, address, logins, send)
}

// RemoveAlias takes accounts from an alias, or the whole alias away.
func (c clerk) RemoveAlias(ctx context.Context, address string, logins []string) error {
	return c.core.accounts.RemoveAlias(ctx, address, logins)
}

// Grants lists who may write as whom.
func (c clerk) Grants(ctx context.Context) ([]admin.Grant, error) {
	all, err := c.core.accounts.Grants(ctx)
	return convert(all, func(g account.Grant) admin.Grant { return admin.Grant(g) }), err
}

// AddGrant lets a login write as an address.
func (c clerk) AddGrant(ctx context.Context, login, address string) error {
	return c.core.accounts.AddGrant(ctx, login, address)
}

// RemoveGrant ends that.
func (c clerk) RemoveGrant(ctx context.Context, login, address string) error {
	return c.core.accounts.RemoveGrant(ctx, login, address)
}

// Presence shows the presence map. A login that does not exist is an error, one that was never seen is not.
func (c clerk) Presence(ctx context.Context, login string) ([]admin.Person, error) {
	if login != "" {
		a, ok, err := c.core.accounts.Lookup(ctx, login)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("%s: %w", login, account.ErrNoAccount)
		}
		login = a.Login
	}
	all, err := c.core.broker.Presence(ctx, login)
	return convert(all, func(p chbroker.PersonView) admin.Person {
		return admin.Person{
			Login: p.Login, Verdict: string(p.Verdict), Latest: (*admin.Latest)(p.Latest), Until: p.Until,
			Evidence: convert(p.Evidence, func(e chbroker.EvidenceView) admin.Evidence { return admin.Evidence(e) }),
		}
	}), err
}

// Ports shows the port map.
func (c clerk) Ports(ctx context.Context) ([]admin.Port, error) {
	all, err := c.core.broker.Ports(ctx)
	return convert(all, func(p chbroker.PortView) admin.Port { return admin.Port(p) }), err
}

// Whois shows whose a port is.
func (c clerk) Whois(ctx context.Context, port int) (admin.Owner, error) {
	w, err := c.core.broker.Whois(ctx, port)
	if err != nil {
		return admin.Owner{}, fmt.Errorf("port %d: %w", port, err)
	}
	return admin.Owner{Port: w.Port, Login: w.Login, Latest: (*admin.Latest)(w.Latest)}, nil
}

func convert[A, B any](from []A, f func(A) B) []B {
	to := make([]B, len(from))
	for i, a := range from {
		to[i] = f(a)
	}
	return to
}
