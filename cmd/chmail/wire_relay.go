package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"chmail/config"
	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/intake"
	"chmail/internal/metrics"
	"chmail/internal/queue"
	"chmail/internal/relay"
	"chmail/internal/sqldb"
)

// newQueue makes the way out: the durable queue, and the relay that it sends by.
func (s *system) newQueue(ctx context.Context) (*queue.Queue, error) {
	c := s.cfg.Relay
	keys := dkimFolder(s.cfg)
	client, err := newRelay(s.cfg, s.db, signer{keys})
	if err != nil {
		return nil, err
	}
	return queue.New(ctx, queue.Options{
		DB: s.db, Store: s.mail, Carrier: carrier{client, s.figures}, Post: &s.post, Route: routes(c), Signer: timedSigner{signer{keys}, s.figures}, Hostname: s.cfg.Hostname, Postmaster: s.accounts.Postmaster(), Log: s.log,
		Reader: s.reader,
		Times:  queue.Times{Retry: c.Retry, Life: c.Life, Late: c.Late},
		Limits: queue.Limits{Lines: c.Connections, PerDestination: c.PerDestination},
		Caps:   queue.Caps{Recipients: unlimited(c.PerDay), Strangers: unlimited(c.NewPerDay)},
		Tried:  tried(s.figures),
	})
}

// reader is how the reader of a report has his language and his time.
func (s *system) reader(ctx context.Context, login string) (string, *time.Location) {
	a, _, err := s.accounts.Lookup(ctx, login)
	if err != nil {
		s.log.Warn("a report is written in English, how its reader wants it is not known", "login", login, "err", err)
	}
	if a.Timezone == "" {
		return a.Language, nil
	}
	zone, err := time.LoadLocation(a.Timezone)
	if err != nil {
		s.log.Warn("a report has its times in UTC, its reader's zone is not known", "login", login, "err", err)
		return a.Language, nil
	}
	return a.Language, zone
}

// unlimited is a limit of the configuration, where 0 is none, as the queue has it.
func unlimited(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// newRelay makes the client side of SMTP; without a database it keeps no policies (MTA-STS), and asks for none.
func newRelay(cfg *config.Config, db *sqldb.DB, sign signer) (*relay.Relay, error) {
	c := cfg.Relay
	roots, err := trusted(c.CA)
	if err != nil {
		return nil, fmt.Errorf("relay.ca: %w", err)
	}
	o := relay.Options{
		Timeouts: relay.Timeouts{Quit: time.Second}, // when the server stops, all has to be over in 8 s
		Name:     cfg.Hostname, Port: uint16(c.Port), PolicyPort: uint16(c.PolicyPort), Roots: roots, AnyAddress: c.Private, Smarthosts: make(map[string]relay.Smarthost, len(c.Smarthosts)), Downgrade: sign.downgrade,
	}
	if db != nil {
		o.Policies = relay.NewSQLPolicies(db)
	}
	for name, s := range c.Smarthosts {
		modes := map[string]relay.TLSMode{config.TLSStart: relay.TLSStart, config.TLSImplicit: relay.TLSImplicit, config.TLSMay: relay.TLSOpportunistic}
		o.Smarthosts[name] = relay.Smarthost{Host: s.Host, Port: uint16(s.Port), TLS: modes[s.TLS], Login: s.Login, Password: s.Password}
	}
	if c.Resolver != "" {
		o.Resolver = relay.NewDNS([]string{c.Resolver}, c.Validates)
	}
	return relay.New(o), nil
}

// routes tells where mail goes: by the first of the configuration's routes that fits, otherwise to the recipient's domain.
func routes(c config.Relay) func(from, to address.Address) string {
	return func(from, to address.Address) string {
		for _, r := range c.Routes {
			if (r.From == "" || r.From == from.Domain) && (r.To == "" || r.To == to.Domain) {
				if r.Via == config.ByMX {
					break
				}
				return "smarthost:" + r.Via
			}
		}
		return to.Domain
	}
}

// carrier hands the queue the relay's connections under the name that it knows them by.
type carrier struct {
	*relay.Relay
	figures *metrics.Metrics
}

// Open makes a connection.
func (c carrier) Open(ctx context.Context, destination string, m delivery.Mail) (queue.Line, error) {
	line, err := c.Relay.Open(ctx, destination, m)
	if err != nil {
		c.figures.Relay.Connections.Add("failed", 1)
		return nil, err // never a typed nil: the queue would take that for a connection
	}
	c.figures.Relay.Connections.Add(string(line.Security()), 1)
	return line, nil
}

// postOffice delivers the queue's reports through the one doorway, which is built after the queue: it needs one to give mail to.
type postOffice struct{ intake *intake.Intake }

// errNoDoorway is the answer before the doorway is there.
var errNoDoorway = errors.New("the doorway for mail is not open yet")

// Prepare stores a report until its transaction.
func (p *postOffice) Prepare(ctx context.Context, to string, since time.Time, raw io.Reader) (queue.Parcel, error) {
	if p.intake == nil {
		return nil, errNoDoorway
	}
	parcel, err := p.intake.Prepare(ctx, to, since, raw)
	if err != nil {
		return nil, err
	}
	return parcel, nil
}
