package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"chmail/chbroker"
	"chmail/config"
	"chmail/internal/admin"
	"chmail/internal/delivery"
	"chmail/internal/dnsbl"
	"chmail/internal/doctor"
)

// newDoctor hands the doctor what it looks at. done closes what was opened for it.
func newDoctor(cfg *config.Config, file string, resolver doctor.Resolver, addresses []ipAddress) (d *doctor.Doctor, done func(), err error) {
	o := doctor.Options{
		Keys: publishedKeys{dkimFolder(cfg)}, Resolver: resolver, Listeners: listeners(cfg), Space: diskSpace, Clock: systemClock, Dial: new(net.Dialer).DialContext,
		Files:   doctor.Files{Config: file, Cert: cfg.TLS.Cert, Key: cfg.TLS.Key, Data: cfg.Data, Lacks: (&dataFolder{path: cfg.Data}).lacks},
		Running: doctor.Running{Postmaster: postmaster(cfg), Held: held(cfg)},
	}
	if o.Smarthosts, err = smarthosts(cfg); err != nil {
		return nil, nil, err
	}
	if o.Lists, err = doctorLists(cfg); err != nil {
		return nil, nil, err
	}
	if c := cfg.SMTP.MX.Rspamd; c.URL != "" {
		o.Rspamd = doctor.Rspamd{Required: c.Required, Ping: func(ctx context.Context) error {
			client := newRspamd(cfg)
			defer client.Close()
			return client.Ping(ctx)
		}}
	}
	if cfg.TLS.ACME.Agree {
		o.Managed = managed(cfg)
	}
	if o.Setup, err = setup(cfg, addresses); err != nil {
		return nil, nil, err
	}
	done = func() {}
	if cfg.Redis.URL != "" {
		maps, err := chbroker.NewRedis(cfg.Redis.URL, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, nil, err
		}
		// A question that the server asks too, so that what this user may not read shows.
		o.Redis = func(ctx context.Context) error {
			_, err := maps.Leases(ctx, o.Setup.Chat)
			return err
		}
		done = func() { _ = maps.Close() } // nothing was written
	}
	return doctor.New(o), done, nil
}

// doctorLists are those that hosts are looked up in, each asked by whom the server asks.
func doctorLists(cfg *config.Config) (all []doctor.List, err error) {
	zones, dns, err := lists(cfg)
	if err != nil {
		return nil, err
	}
	for i, z := range zones {
		if z.Least != 1 { // with 1, the answer 127.0.0.1 is none of an error; otherwise a test address need not have one that counts
			z.Least, z.Most = 0, 0
		}
		all = append(all, doctor.List{Name: cfg.SMTP.MX.DNSBL[i], Has: func(ctx context.Context, ip netip.Addr) (bool, error) {
			listed, err := z.Ask(ctx, dns, ip)
			if err != nil && !errors.As(err, new(*dnsbl.UselessError)) {
				err = fmt.Errorf("%w: %w", doctor.ErrNoAnswer, err)
			}
			return listed, err
		}})
	}
	return all, nil
}

// smarthosts are those by which mail goes, each tried as the relay does.
func smarthosts(cfg *config.Config) (all []doctor.Smarthost, err error) {
	if cfg.Relay.Off || len(cfg.Relay.Smarthosts) == 0 {
		return nil, nil
	}
	client, err := newRelay(cfg, nil, signer{})
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Relay.Smarthosts)) {
		all = append(all, doctor.Smarthost{Name: name, Try: func(ctx context.Context) error {
			line, err := client.Open(ctx, "smarthost:"+name, delivery.Mail{})
			if err == nil {
				line.Close()
			}
			return err
		}})
	}
	return all, nil
}

// postmaster asks the running server for the account that gets the postmaster's mail.
func postmaster(cfg *config.Config) func(context.Context) (string, bool, error) {
	login := canonical(loginArg(cmp.Or(cfg.Postmaster, "postmaster@"+cfg.Domains[0])))
	return func(ctx context.Context) (string, bool, error) {
		server, err := admin.Dial(ctx, cfg.ControlSocket())
		if err != nil {
			return login, false, err
		}
		defer server.Close()
		all, err := server.Accounts(ctx)
		if err != nil {
			return login, false, err
		}
		i := find(all, login)
		return login, i >= 0 && all[i].HasPassword, nil
	}
}

// held asks the running server whose mail is held as it comes.
func held(cfg *config.Config) func(context.Context) ([]doctor.Held, error) {
	return func(ctx context.Context) ([]doctor.Held, error) {
		server, err := admin.Dial(ctx, cfg.ControlSocket())
		if err != nil {
			return nil, err
		}
		defer server.Close()
		page, err := server.Waiting(ctx, delivery.Filter{}, 0)
		return convert(page.Stopped, func(s delivery.Stop) doctor.Held { return doctor.Held{Login: s.Login, Why: s.Why} }), err
	}
}

// managed asks the running server once for its certificates from an authority.
func managed(cfg *config.Config) func(context.Context) ([]doctor.Managed, error) {
	var all []doctor.Managed
	var asked bool
	var err error
	return func(ctx context.Context) ([]doctor.Managed, error) {
		if asked {
			return all, err
		}
		asked = true
		var server *admin.Client
		if server, err = admin.Dial(ctx, cfg.ControlSocket()); err != nil {
			return nil, err
		}
		defer server.Close()
		var got []admin.Certificate
		got, err = server.Certificates(ctx)
		all = convert(got, func(c admin.Certificate) doctor.Managed {
			m := doctor.Managed{Name: c.Name, Trouble: c.Trouble, Tried: c.Tried}
			if c.Chain != "" {
				m.Chain = []byte(c.Chain)
			}
			return m
		})
		return all, err
	}
}

// listeners are the ports that the configuration opens.
func listeners(cfg *config.Config) []doctor.Listener {
	var all []doctor.Listener
	for _, l := range []struct {
		key, kind string
		tls       bool
		addresses []string
	}{
		{"smtp.mx.listen", doctor.ListenSMTP, false, cfg.SMTP.MX.Listen},
		{"smtp.submission.listen", doctor.ListenSMTP, false, cfg.SMTP.Submission.Listen},
		{"smtp.submissions.listen", doctor.ListenSMTP, true, cfg.SMTP.Submissions.Listen},
		{"pop3.listen", doctor.ListenPOP3, false, cfg.POP3.Listen},
		{"pop3.listen_tls", doctor.ListenPOP3, true, cfg.POP3.ListenTLS},
		{"chat.listen", doctor.ListenWeb, cfg.Secure(), cfg.Chat.Listen},
	} {
		for _, a := range l.addresses {
			all = append(all, doctor.Listener{Key: l.key, Addr: a, Kind: l.kind, TLS: l.tls})
		}
	}
	return all
}

// doors are where mail is given in: this server's own ports, and its smarthosts. login is who gives it in at the ports of submission; "": nobody.
func doors(cfg *config.Config, login, password string) ([]doctor.Door, error) {
	var all []doctor.Door
	sure := &tls.Config{ServerName: cfg.Hostname}
	if login != "" {
		var err error
		if sure.RootCAs, err = trusted(cfg.TLS.Cert); err != nil { // it may be nobody's but its own
			return nil, err
		}
	}
	postmaster := "postmaster@" + cfg.Domains[0]
	for _, l := range listeners(cfg) {
		d := doctor.Door{Name: l.Key, Addr: l.Reach(), TLS: l.TLS, From: "probe@" + cfg.Hostname, To: postmaster}
		switch {
		case l.Kind != doctor.ListenSMTP:
			continue
		case login != "" && l.Key != "smtp.mx.listen":
			d.Config, d.Login, d.Password, d.From, d.Submission = sure, login, password, login, true
		default: // its certificate is another check's concern, and no secret is said to it
			d.Config = &tls.Config{ServerName: cfg.Hostname, InsecureSkipVerify: true}
		}
		all = append(all, d)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Relay.Smarthosts)) {
		s := cfg.Relay.Smarthosts[name]
		port := s.Port
		switch {
		case port == 0 && s.TLS == config.TLSImplicit:
			port = 465
		case port == 0:
			port = 587
		}
		all = append(all, doctor.Door{
			Name: "relay.smarthosts[" + name + "]", Addr: net.JoinHostPort(s.Host, strconv.Itoa(port)), TLS: s.TLS == config.TLSImplicit, Login: s.Login, Password: s.Password, From: postmaster, To: postmaster,
			Config: &tls.Config{ServerName: s.Host, InsecureSkipVerify: s.TLS == config.TLSMay && s.Login == ""},
		})
	}
	return all, nil
}
