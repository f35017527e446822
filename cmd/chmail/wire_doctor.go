package main

import (
	"context"
	"log/slog"
	"net"

	"chmail/chbroker"
	"chmail/config"
	"chmail/internal/doctor"
)

// newDoctor hands the doctor what it looks at. done closes what was opened for it.
func newDoctor(cfg *config.Config, file string, resolver doctor.Resolver, addresses []ipAddress) (d *doctor.Doctor, done func(), err error) {
	o := doctor.Options{
		Keys: publishedKeys{dkimFolder(cfg)}, Resolver: resolver, Listeners: listeners(cfg), Space: diskSpace, Clock: systemClock, Dial: new(net.Dialer).DialContext,
		Files: doctor.Files{Config: file, Cert: cfg.TLS.Cert, Key: cfg.TLS.Key, Data: cfg.Data},
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
