package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"chmail/config"
	"chmail/smtpd"
)

const (
	dataPatience = 3 * time.Second // a verb may hold the data for a moment when the server starts
	goodbyeTime  = 6 * time.Second // until all have heard their goodbye; the rest of the promised 8 s is for writing what is left
)

type serveVerb struct{}

// Help shows the verb at work.
func (serveVerb) Help() string {
	return `The event "ready" is logged once every configured port listens. SIGTERM and SIGINT stop the server within 8 seconds: clients hear a
goodbye first. A second one ends it at once. New certificates are taken up by themselves; any other change of the configuration needs
a restart.

Examples:

    chmail serve --config /etc/chmail/chmail.yaml
    systemctl restart chmail`
}

// Run serves until it is told to stop.
func (v *serveVerb) Run(ctx context.Context, o *outside, line *cli) error {
	cfg, faults, err := line.loadTolerant()
	if err != nil {
		return err
	}
	log := newLog(o.err, cfg.LogLevel(), cfg.Log.Format)
	if slices.ContainsFunc(faults, func(f config.Fault) bool { return !f.Expired }) {
		return usageError{&config.Error{Faults: faults}}
	}
	for _, f := range faults { // mail goes first: many servers bring it whatever the certificate says
		log.Error("the certificate is no good, and clients will say so", "fault", f.String())
	}
	lacks, _ := (&dataFolder{path: cfg.Data}).lacks() // an error comes again below
	// A hook that says "reload" after a new certificate must not end the server: it has noticed the certificate already.
	signal.Ignore(syscall.SIGHUP)
	return runSystem(ctx, cfg, log, func(ctx context.Context, s *system) error {
		if lacks {
			log.Warn("there was no database yet: a new, empty one was made", "data", cfg.Data)
		}
		return tellAccounts(ctx, s.accounts, cfg.Domains, log)
	})
}

// runSystem runs the whole until ctx ends or a server fails. open is called once every configured port listens.
func runSystem(ctx context.Context, cfg *config.Config, log *slog.Logger, open func(context.Context, *system) error) (err error) {
	began := time.Now()
	data, err := openData(cfg.Data)
	if errors.Is(err, errDataInUse) {
		log.Info("waiting a moment for the data", "for", dataPatience, "err", err)
		data, err = waitForData(ctx, cfg.Data, dataPatience)
	}
	if errors.Is(err, errDataInUse) {
		return fmt.Errorf("%w; stop that first: one server alone works on a data folder", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	s, err := wire(ctx, cfg, data, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.core.Close()) }()
	postmaster, err := s.accounts.EnsurePostmaster(ctx)
	if err != nil {
		return err
	}
	services, err := s.listen(ctx)
	if err != nil {
		return err
	}
	if err := s.broker.Start(ctx); err != nil {
		return errors.Join(err, closeAll(services))
	}
	failed := start(services)
	s.keys.start()
	if !cfg.Relay.Off {
		tellUnsigned(dkimFolder(cfg), cfg.Domains, log)
		s.queue.Start()
	}
	log.Info("ready", "version", thisBuild().Version, "pid", os.Getpid(), "hostname", cfg.Hostname, "url", s.site.Origin(), "postmaster", postmaster,
		"maps", mapsAt(cfg.Redis.URL), "took", time.Since(began).Round(time.Millisecond))
	if err = open(ctx, s); err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	} else if ctx.Err() != nil {
		err = nil // it was told to stop before it was open
	}
	return errors.Join(err, s.stop(context.Cause(ctx)))
}

// mapsAt says where presence and ports are kept: in memory, or in which Redis; without its password.
func mapsAt(redis string) string {
	if redis == "" {
		return "memory"
	}
	u, err := url.Parse(redis)
	if err != nil {
		return "Redis" // the configuration has been checked: it does not come to this
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// service is a listener and who accepts on it.
type service struct {
	net.Listener
	serve func(net.Listener) error
}

// listen opens every configured port, and reports every one that cannot be opened; then none stays open.
func (s *system) listen(ctx context.Context) ([]service, error) {
	smtp := func(p smtpd.Profile) func(net.Listener) error {
		return func(ln net.Listener) error { return s.smtp.Serve(ln, p) }
	}
	pop3 := func(tls bool) func(net.Listener) error {
		return func(ln net.Listener) error { return s.pop3.Serve(ln, tls) }
	}
	var all []service
	var errs []error
	for _, c := range []struct {
		key       string
		addresses []string
		serve     func(net.Listener) error
	}{
		{"smtp.mx.listen", s.cfg.SMTP.MX.Listen, smtp(smtpd.MX)},
		{"smtp.submission.listen", s.cfg.SMTP.Submission.Listen, smtp(smtpd.Submission)},
		{"smtp.submissions.listen", s.cfg.SMTP.Submissions.Listen, smtp(smtpd.Submissions)},
		{"pop3.listen", s.cfg.POP3.Listen, pop3(false)},
		{"pop3.listen_tls", s.cfg.POP3.ListenTLS, pop3(true)},
		{"chat.listen", s.cfg.Chat.Listen, s.pages.Serve},
	} {
		listeners, err := listen(ctx, c.key, c.addresses)
		errs = append(errs, err)
		for _, ln := range listeners {
			all = append(all, service{ln, c.serve})
		}
	}
	for _, open := range []func(context.Context) ([]service, error){s.listenForAuthority, s.listenForAdmins} {
		own, err := open(ctx)
		all, errs = append(all, own...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, closeAll(all))
	}
	return all, nil
}

func closeAll(services []service) error {
	var errs []error
	for _, s := range services {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// start lets every service accept. The first that fails is told; one that was shut down has not failed.
func start(services []service) (failed <-chan error) {
	first := make(chan error, len(services))
	for _, s := range services {
		go func() {
			if err := s.serve(s.Listener); err != nil {
				first <- fmt.Errorf("serving %s: %w", s.Addr(), err)
			}
		}()
	}
	return first
}

// stop lets nobody in any more, says goodbye to those who are here, each protocol in its own way and all at the same time, and waits for
// what they had begun. The broker and the database are closed after it, since that still needs them.
func (s *system) stop(why error) error {
	began := time.Now()
	s.log.Info("stopping", "why", why)
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	for name, shut := range map[string]func(context.Context) error{
		"SMTP": s.smtp.Shutdown, "POP3": s.pop3.Shutdown, "chat": s.chat.Shutdown, "pages": s.pages.Shutdown, "control socket": s.admin.Shutdown, "certificates": s.keys.Shutdown,
		"queue": func(context.Context) error { return s.queue.Close() },
	} {
		all.Go(func() {
			if err := shut(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("stopping %s: %w", name, err))
			}
		})
	}
	all.Wait()
	// Whoever did not leave in time was broken off, as was said he would be: worth a line, but no failure of the program.
	if err := errors.Join(errs...); err != nil {
		s.log.Warn("some had to be broken off", "err", err)
	}
	s.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond))
	return nil
}
