package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"chmail/internal/doctor"
)

type doctorVerb struct {
	Resolver string      `placeholder:"ADDR" help:"The resolver to ask, such as 9.9.9.9 or 127.0.0.1:5353; without it relay.resolver, else this computer's own."`
	Address  []ipAddress `placeholder:"IP" help:"This server's public addresses; without it those of its interfaces."`
	JSON     bool        `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (doctorVerb) Help() string {
	return `Looks whether a server is as it has to be on the Internet: its names and every record of its zone, where its address leads back to, the certificate, the ports and the policy they serve,
smarthosts, rspamd and the lists of senders of spam that it asks, the clock, Redis, the disk, and who can read the data folder. One line for each finding, which begins with ok, warn, fail, or skip for what cannot honestly be told from
here; below it, where something is to be done, one that says what. Nothing is changed. Run it on the server, as the server's user, while it runs.

Ports are seen from this computer: what a firewall does to others only they see. The clock is compared with nobody's; it is said whether a time service keeps it.

Exit status 0: nothing fails, though there may be warnings; 1: something fails; 2: the configuration is faulty, or this line.

Examples:

    chmail doctor
    chmail doctor --resolver 9.9.9.9 --address 203.0.113.5
    chmail doctor --json | jq -r '.[] | select(.state == "fail") | .mend'`
}

// Run examines the server.
func (v *doctorVerb) Run(ctx context.Context, o *outside, line *cli) error {
	cfg, faults, err := line.loadTolerant()
	if err != nil {
		return err
	}
	resolver, err := doctor.NewServer(cmp.Or(v.Resolver, cfg.Relay.Resolver))
	if err != nil {
		return wrongUsage("%w; name one with --resolver", err)
	}
	d, done, err := newDoctor(cfg, line.configFile(), resolver, v.Address)
	if err != nil {
		return err
	}
	defer done()
	all := []doctor.Finding{}
	var printing error
	tell := func(f doctor.Finding) {
		all = append(all, f)
		if printing == nil && !v.JSON {
			printing = o.finding(f)
		}
	}
	for _, f := range faults {
		for _, key := range []string{"tls.acme.ca", "relay.ca"} { // at files of a certificate the doctor looks by itself
			if what, ours := strings.CutPrefix(f.What, key+" "); ours {
				tell(doctor.Finding{State: doctor.Fail, Check: "certificate", Subject: key, Text: what, Mend: f.Right})
			}
		}
	}
	d.Examine(ctx, tell)
	if ctx.Err() != nil {
		return fmt.Errorf("broken off: not everything was looked at: %w", context.Cause(ctx))
	}
	if v.JSON {
		printing = o.json(all)
	}
	if printing != nil {
		return printing
	}
	return v.verdict(o, all)
}

// finding prints one in a line, and what mends it in another. What strangers have written into the DNS cannot steer the terminal.
func (o *outside) finding(f doctor.Finding) error {
	text := fmt.Sprintf("%-4s  %s %s: %s\n", f.State, f.Check, printable(f.Subject), printable(f.Text))
	if f.Mend != "" {
		text += fmt.Sprintf("      mend: %s\n", printable(f.Mend))
	}
	return o.printf("%s", text)
}

// verdict is the last line, and the exit status.
func (v *doctorVerb) verdict(o *outside, all []doctor.Finding) error {
	count := make(map[doctor.State]int)
	for _, f := range all {
		count[f.State]++
	}
	summary := fmt.Sprintf("%d ok, %d warn, %d fail", count[doctor.OK], count[doctor.Warn], count[doctor.Fail])
	if n := count[doctor.Skip]; n > 0 {
		summary += fmt.Sprintf(", %d skip", n)
	}
	if count[doctor.Fail] > 0 {
		return fmt.Errorf("not all is well: %s", summary)
	}
	if v.JSON {
		return nil
	}
	return o.printf("%s\n", summary)
}
