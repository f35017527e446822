package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"chmail/config"
	"chmail/internal/doctor"
)

// doctorVerbs look at a server as it stands.
type doctorVerbs struct {
	All     doctorVerb    `cmd:"" default:"withargs" help:"Look at everything (what chmail doctor does by itself)."`
	Smuggle doctorSmuggle `cmd:"" help:"Probe the server's own ports and its smarthosts: can a mail be hidden in a mail?"`
}

// Help shows both at work.
func (doctorVerbs) Help() string {
	return "Without a command it is chmail doctor all, whose help lists the flags.\n\n" + doctorVerb{}.Help() + "\n    chmail doctor smuggle"
}

type doctorSmuggle struct {
	Login loginArg `placeholder:"LOGIN" help:"Probe the submission ports as well, in this account's name."`
	JSON  bool     `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (doctorSmuggle) Help() string {
	return `Gives mails in whose text holds what some mail servers take for the end of a mail, with commands behind it, by DATA and BDAT: at the SMTP ports of the configuration, as seen from this
computer, and at its smarthosts, and nowhere else. One line for each variant: refused, or harmless (taken as text), or SMUGGLED: what stood behind it was obeyed. The probes are mails for the
postmaster with so many Received fields that no server takes them as mail. Ports that want a login of this server are skipped, unless --login names one: its password, or an app password, is
asked for, or read as one line where standard input is no terminal, and said only to a server with a certificate for its name. Run it while the server runs.

Exit status 0: nothing was smuggled; 1: something was, or nothing could be probed, or not all of it where mail is taken, or a port that --login asks for could not be; 2: the configuration is faulty, or this line.

Examples:

    chmail doctor smuggle
    chmail doctor smuggle --login alice@example.com
    chmail doctor smuggle --json | jq -r '.[] | select(.state == "fail") | .subject'`
}

// dialer finds names by the name server that mail goes out by.
func dialer(cfg *config.Config) *net.Dialer {
	if cfg.Relay.Resolver == "" {
		return new(net.Dialer)
	}
	return &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, cfg.Relay.Resolver)
	}}}
}

// Run probes all doors.
func (v *doctorSmuggle) Run(ctx context.Context, o *outside, line *cli) error {
	cfg, err := line.load()
	if err != nil {
		return err
	}
	password := ""
	if v.Login != "" {
		if password, err = o.knownPassword(ctx, string(v.Login)); err != nil {
			return err
		}
	}
	places, err := doors(cfg, canonical(v.Login), password)
	if err != nil {
		return err
	}
	all := []doctor.Finding{}
	var printing error
	probed, smuggled, missed := 0, 0, 0
	asked, entered := 0, 0 // ports that --login is for
	for _, d := range places {
		before := probed + missed
		doctor.Smuggle(ctx, d, dialer(cfg).DialContext, func(f doctor.Finding) {
			all = append(all, f)
			switch f.State {
			case doctor.OK:
				probed++
			case doctor.Warn:
				missed++
			case doctor.Fail:
				probed++
				smuggled++
			}
			if printing == nil && !v.JSON {
				printing = o.finding(f)
			}
		})
		if d.Submission {
			asked++
			if probed+missed > before {
				entered++
			}
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("broken off: not everything was probed: %w", context.Cause(ctx))
	}
	if v.JSON {
		printing = o.json(all)
	}
	switch {
	case printing != nil:
		return printing
	case probed == 0:
		return fmt.Errorf("nothing could be probed: does the server run?")
	case smuggled > 0:
		return fmt.Errorf("%d of %d probes were smuggled", smuggled, probed)
	case missed > 0:
		return fmt.Errorf("%d probes came to nothing: what those servers make of them is not known", missed)
	case entered < asked: // with a wrong password for one: that the others are sound says nothing of them
		return fmt.Errorf("--login asks for the submission ports, and %d of %d could not be probed: the findings of state skip say why", asked-entered, asked)
	case v.Login != "" && asked == 0:
		return errors.New("--login asks for the submission ports, and the configuration opens none")
	case v.JSON:
		return nil
	}
	return o.printf("%d probes, nothing smuggled\n", probed)
}
