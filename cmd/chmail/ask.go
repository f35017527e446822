package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"chmail/internal/admin"
)

type presenceVerb struct {
	Login loginArg `arg:"" optional:"" help:"Only this one's presence, and why it is so."`
	JSON  bool     `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (presenceVerb) Help() string {
	return `The presence map says for each login where its last signs of life came from: a mail client that signed in, an open desk.
The verdict is what a call would go by: active, on, off, or unknown. Of somebody who is off the last sign is shown.
Asked for one login, it says why: which signs count, how old they are, how often that mail client polls, and until when they hold.
While no server runs nothing counts, but the last sign is known.

Examples:

    chmail presence
    chmail presence alice@example.com
    chmail presence --json | jq '.[] | {login, ip: .latest.ip}'`
}

// Run shows the presence map.
func (v *presenceVerb) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		people, err := k.Presence(ctx, string(v.Login))
		if err != nil {
			return err
		}
		if v.JSON {
			return o.json(people)
		}
		if len(people) == 0 {
			return o.printf("Nobody has been seen lately.\n")
		}
		if v.Login != "" {
			_, stopped := k.(*localKeeper)
			for _, p := range people {
				if err := o.printf("%s", describePerson(p, stopped, time.Now())); err != nil {
					return err
				}
			}
			return nil
		}
		return presenceTable(people, time.Now()).write(o.out)
	})
}

// presenceTable has a line for each sign of life that still counts; where all have run out, for the last one, which is not forgotten.
func presenceTable(people []admin.Person, now time.Time) *table {
	t := newTable("LOGIN", "VERDICT", "SEEN", "FROM", "HOST", "BY")
	for _, p := range people {
		switch l := p.Latest; {
		case len(p.Evidence) > 0:
		case l == nil:
			t.add(p.Login, p.Verdict, "", "", "", "")
		default:
			t.add(p.Login, p.Verdict, ago(l.Seen, now), l.IP, l.Host, l.Source)
		}
		for i, e := range p.Evidence {
			login, verdict := p.Login, p.Verdict
			if i > 0 {
				login, verdict = " ", " "
			}
			t.add(login, verdict, seen(e, now), e.IP, e.Host, e.Source)
		}
	}
	return t
}

// seen is when a sign was given. A desk that counts is connected: when somebody touched it last is another question.
func seen(e admin.Evidence, now time.Time) string {
	switch {
	case e.Source != "desk":
		return ago(e.Seen, now)
	case e.Input == nil:
		return "connected"
	}
	return "connected, input " + ago(*e.Input, now)
}

type portsVerb struct {
	JSON bool `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (portsVerb) Help() string {
	return `The port map says to which login each chat port is leased. A port listens only while somebody follows a link of its owner.

Examples:

    chmail ports
    chmail ports --json | jq '.[] | select(.listening)'`
}

// Run shows the port map.
func (v *portsVerb) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		ports, err := k.Ports(ctx)
		if err != nil {
			return err
		}
		if v.JSON {
			return o.json(ports)
		}
		if len(ports) == 0 {
			return o.printf("No port is leased: nobody has sent a mail yet.\n")
		}
		t := newTable("PORT", "LOGIN", "HOST", "LISTENING", "LEASED UNTIL")
		for _, p := range ports {
			listening := "no"
			if p.Listening {
				listening = "yes"
			}
			t.add(strconv.Itoa(p.Port), p.Login, p.Host, listening, day(p.Until))
		}
		return t.write(o.out)
	})
}

type whoisVerb struct {
	Port port `arg:"" help:"The number in a mail's CH-Port field."`
	JSON bool `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (whoisVerb) Help() string {
	return `From the port number alone: its owner by the port map, and his latest address by the presence map. A port that is nobody's is
exit status 1: a line on standard error says so and nothing is printed, with --json too.

Examples:

    chmail whois 24000
    chmail whois 24000 --json`
}

// port is a port number on the command line.
type port int

// Decode takes the next word whatever it looks like, so that its fault is told in terms of ports.
func (p *port) Decode(line *kong.DecodeContext) error {
	word := line.Scan.Pop()
	n, err := strconv.Atoi(word.String())
	if word.IsEOL() || err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q is no port number: write the number in a mail's CH-Port field, for instance 24000", word)
	}
	*p = port(n)
	return nil
}

// Run shows whose a port is; that it is nobody's is exit status 1.
func (v *whoisVerb) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		w, err := k.Whois(ctx, int(v.Port))
		if err != nil {
			return err
		}
		if v.JSON {
			return o.json(w)
		}
		return o.printf("%s", describeOwner(w, time.Now()))
	})
}

// describeOwner says in one or two sentences whose a port is.
func describeOwner(w admin.Owner, now time.Time) string {
	text := fmt.Sprintf("Port %d is %s's.\n", w.Port, w.Login)
	if w.Latest == nil {
		return text + "There is no sign of where that is just now.\n"
	}
	var by []string
	if w.Latest.Host != "" {
		by = append(by, "calling itself "+printable(w.Latest.Host))
	}
	if w.Latest.Source == "desk" {
		by = append(by, "at a desk, last touched "+ago(w.Latest.Seen, now))
	} else {
		by = append(by, "through "+w.Latest.Source, ago(w.Latest.Seen, now))
	}
	return text + fmt.Sprintf("Last seen at %s, %s.\n", w.Latest.IP, strings.Join(by, ", "))
}
