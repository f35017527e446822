package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"chmail/config"
	"chmail/internal/dnsbl"
	"chmail/internal/intake"
	"chmail/internal/message"
	"chmail/internal/metrics"
	"chmail/internal/relay"
	"chmail/internal/rspamd"
	"chmail/smtpd"
)

// newGuard makes what stands before port 25.
func newGuard(cfg *config.Config, log *slog.Logger) (smtpd.Guard, error) {
	c := cfg.SMTP.MX
	g := smtpd.Guard{Rate: c.PerMinute, Delay: time.Second}
	if c.Own == config.OwnRefuse {
		g.Domains = cfg.Domains
	}
	if len(c.DNSBL) == 0 {
		return g, nil
	}
	zones, dns, err := lists(cfg)
	if err != nil {
		return g, err
	}
	g.Listed = dnsbl.New(zones, dns, log).Listed
	return g, nil
}

// lists are those of the configuration, and whom they are asked by.
func lists(cfg *config.Config) (zones []dnsbl.Zone, dns dnsbl.Resolver, err error) {
	for _, text := range cfg.SMTP.MX.DNSBL {
		z, err := dnsbl.ParseZone(text)
		if err != nil {
			return nil, nil, fmt.Errorf("smtp.mx.dnsbl: %w", err)
		}
		zones = append(zones, z)
	}
	if cfg.Relay.Resolver != "" {
		return zones, relay.NewDNS([]string{cfg.Relay.Resolver}, false), nil
	}
	return zones, net.DefaultResolver, nil
}

// newRspamd makes who asks the configured rspamd.
func newRspamd(cfg *config.Config) *rspamd.Client {
	c := cfg.SMTP.MX.Rspamd
	return rspamd.New(rspamd.Options{URL: c.URL, Password: c.Password, Within: c.Within, Hostname: cfg.Hostname})
}

// newFilter makes what looks into mail from outside; nil where none is configured.
func newFilter(cfg *config.Config, figures *metrics.Metrics, log *slog.Logger) intake.Filter {
	c := cfg.SMTP.MX.Rspamd
	if c.URL == "" {
		return nil
	}
	return filter{newRspamd(cfg), c.Required, figures, log}
}

// filter does what rspamd says.
type filter struct {
	rspamd   *rspamd.Client
	required bool
	figures  *metrics.Metrics
	log      *slog.Logger
}

// Judge asks. Without an answer the administrator's word decides.
func (f filter) Judge(ctx context.Context, env *message.Envelope, src message.Source) (intake.Judgement, string) {
	v, err := f.rspamd.Check(ctx, env, src)
	if err != nil {
		f.figures.Unjudged.Add("", 1)
		f.log.Warn("rspamd has no answer that can be followed", "id", env.ID, "err", err)
		if f.required {
			return intake.Later, "no answer of rspamd"
		}
		return intake.Take, ""
	}
	f.log.Info("rspamd has looked at a mail", "id", env.ID, "action", v.Action.String(), "score", v.Score)
	does := map[rspamd.Action]intake.Judgement{rspamd.Accept: intake.Take, rspamd.Mark: intake.Suspect, rspamd.Later: intake.Later, rspamd.Reject: intake.Refuse}
	return does[v.Action], fmt.Sprintf("rspamd score %.1f", v.Score)
}
