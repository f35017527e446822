package main

import (
	"fmt"
	"strings"
	"time"

	"chmail/internal/admin"
)

// describePerson explains a verdict in sentences: the evidence, how old it is, what was learned, and until when it holds. stopped says that no
// server runs, whose memory the evidence is, unless it is in Redis.
func describePerson(p admin.Person, stopped bool, now time.Time) string {
	var b strings.Builder
	words := verdictWords(p.Verdict)
	if stopped && p.Verdict == "off" && len(p.Evidence) == 0 {
		words = "off: no server is running, so nothing counts at the moment"
	}
	fmt.Fprintf(&b, "%s is %s", printable(p.Login), words)
	if p.Until != nil {
		fmt.Fprintf(&b, ", until %s unless there is a new sign", clock(*p.Until, now))
	}
	b.WriteString(".\n")
	for _, e := range p.Evidence {
		fmt.Fprintf(&b, "  %s\n", describeEvidence(e, now))
	}
	if len(p.Evidence) == 0 && p.Latest != nil {
		fmt.Fprintf(&b, "  %s\n", describeLatest(*p.Latest, now))
	}
	return b.String()
}

func verdictWords(v string) string {
	switch v {
	case "active":
		return "active: a person is at a desk"
	case "off":
		return "off: there were signs, and none of them holds any more"
	case "unknown":
		return "unknown: there never was a sign"
	}
	return v
}

// describeEvidence is a sentence or two about one sign.
func describeEvidence(e admin.Evidence, now time.Time) string {
	if e.Source == "desk" {
		text := fmt.Sprintf("An open desk at %s is connected", printable(e.IP))
		if e.Input != nil {
			text += ", with a person's input " + ago(*e.Input, now)
		}
		return text + fmt.Sprintf("; without its next sign it counts until %s.", clock(e.Until, now))
	}
	text := fmt.Sprintf("A mail client %s %s %s.", clientWords(e.IP, e.Host), didWords(e.Source), ago(e.Seen, now))
	switch {
	case e.Interval > 0:
		text += fmt.Sprintf(" By its last %d polls it comes every %s; two may be missed, so this counts until %s.", e.Polls, spell(e.Interval), clock(e.Until, now))
		if e.Polls == 0 { // another process has learned it
			text = strings.Replace(text, "By its last 0 polls it comes", "It comes", 1)
		}
	case e.Polls > 0:
		text += fmt.Sprintf(" How often it comes is not known from %d poll%s; this counts until %s.", e.Polls, plural(e.Polls), clock(e.Until, now))
	default:
		text += fmt.Sprintf(" This counts until %s.", clock(e.Until, now))
	}
	return text
}

// describeLatest is about a last sign that counts no more.
func describeLatest(l admin.Latest, now time.Time) string {
	if l.Source == "desk" {
		return fmt.Sprintf("The last sign: a desk at %s, %s. It is not connected any more.", printable(l.IP), ago(l.Seen, now))
	}
	text := fmt.Sprintf("The last sign: a mail client %s %s %s.", clientWords(l.IP, l.Host), didWords(l.Source), ago(l.Seen, now))
	if l.Until == nil || l.Until.After(now) { // it has not run out: the memory of it has ended with a server
		return text
	}
	if l.Interval > 0 {
		text += fmt.Sprintf(" It used to come every %s, and has missed two polls.", spell(l.Interval))
	}
	return text + fmt.Sprintf(" It counted until %s.", clock(*l.Until, now))
}

func clientWords(ip, host string) string {
	text := "at " + printable(ip)
	if host != "" {
		text += ", calling itself " + printable(host) + ","
	}
	return text
}

func didWords(source string) string {
	if source == "pop3" {
		return "came for mail by POP3"
	}
	return "signed in by " + strings.ToUpper(printable(source))
}

// spell is a number of seconds as people say it.
func spell(seconds int64) string {
	text := (time.Duration(seconds) * time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// clock is a time of day in the administrator's own zone, with the day where that is another one.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2006-01-02 15:04:05")
}
