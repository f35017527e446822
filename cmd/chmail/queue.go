package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"chmail/internal/account"
	"chmail/internal/delivery"
)

// queueVerbs show and change what waits for other hosts: through the running server, or in the data itself while none runs.
type queueVerbs struct {
	List    queueList    `cmd:"" help:"List the recipients that mail waits for."`
	Show    queueShow    `cmd:"" help:"Show one mail and each of its recipients."`
	Why     queueWhy     `cmd:"" help:"Say why a mail is still here: every attempt, and when it is tried next."`
	Stopped queueStopped `cmd:"" help:"List the accounts whose mail is held as it comes."`
	Retry   queueRetry   `cmd:"" help:"Try now what would be tried later."`
	Hold    queueHold    `cmd:"" help:"Let mail wait until it is released."`
	Release queueRelease `cmd:"" help:"Let held mail go."`
	Fail    queueFail    `cmd:"" help:"Give mail up, with a report to its sender."`
	Drop    queueDrop    `cmd:"" help:"Remove mail, and tell nobody."`
}

// queueFilter are the flags that choose among recipients; those that are given must all fit.
type queueFilter struct {
	Login       string      `placeholder:"LOGIN" help:"What this account has submitted."`
	To          string      `placeholder:"ADDRESS" help:"For this recipient; a domain: for everybody there."`
	Destination string      `placeholder:"NAME" help:"What goes there: a domain, [192.0.2.1], or smarthost:NAME."`
	Held        bool        `help:"Only what is held."`
	Older       durationArg `placeholder:"TIME" help:"Only what was accepted longer ago than this, such as 30m, 4h or 2d."`
}

// words are the filter as it goes to the queue.
func (f *queueFilter) words(now time.Time) delivery.Filter {
	out := delivery.Filter{To: f.To, Destination: f.Destination, Held: f.Held}
	if f.Login != "" {
		out.Login = canonical(loginArg(f.Login))
	}
	if f.Older.given {
		out.Before = now.Add(-f.Older.Duration)
	}
	return out
}

// known refuses a login that is neither an account nor anybody whose mail waits still: a mistyped one is not told that nothing of it waits.
func (f *queueFilter) known(ctx context.Context, k keeper) error {
	login := f.words(time.Time{}).Login
	if login == "" {
		return nil
	}
	all, err := k.Accounts(ctx)
	if err != nil || find(all, login) >= 0 {
		return err
	}
	page, err := k.Waiting(ctx, delivery.Filter{Login: login}, 0)
	if err != nil || len(page.Waiting) > 0 { // of a removed account
		return err
	}
	return fmt.Errorf("%s: %w, and no mail of it waits: chmail account list shows those there are", login, account.ErrNoAccount)
}

// durationArg is a time on the command line.
type durationArg struct {
	time.Duration
	given bool
}

// UnmarshalText reads 30m, 4h, 2d.
func (d *durationArg) UnmarshalText(text []byte) error {
	var err error
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		d.Duration = time.Duration(n) * 24 * time.Hour
	} else {
		d.Duration, err = time.ParseDuration(string(text))
	}
	if err != nil || d.Duration < 0 {
		return fmt.Errorf("%q is no time: write it like 30m, 4h or 2d", text)
	}
	d.given = true
	return nil
}

type queueList struct {
	queueFilter
	Limit int  `default:"1000" help:"So many lines at most; 0: all. Does not count for --json."`
	JSON  bool `help:"Print one JSON document, with all that fits."`
}

// Help shows the verb at work.
func (queueList) Help() string {
	return `A line for each recipient, the oldest first, with what was said to the last attempt. "held" waits for chmail queue release, "on its way" is being sent.

Examples:

    chmail queue list
    chmail queue list --held
    chmail queue list --login alice@example.com --older 4h
    chmail queue list --json | jq -r '.[].destination' | sort | uniq -c | sort -n`
}

// eachWaiting goes through who waits, of whom a page at a time is in memory.
func eachWaiting(ctx context.Context, k keeper, f delivery.Filter, do func(delivery.Waiting) error) error {
	for after := int64(0); ; {
		page, err := k.Waiting(ctx, f, after)
		if err != nil {
			return err
		}
		for _, w := range page.Waiting {
			if err := do(w); err != nil {
				return err
			}
		}
		if after = page.Next; after == 0 {
			return nil
		}
	}
}

// Run lists the queue.
func (v *queueList) Run(ctx context.Context, o *outside, line *cli) error {
	now := time.Now()
	return line.withKeeper(ctx, o, func(k keeper) (err error) {
		if err := v.known(ctx, k); err != nil {
			return err
		}
		if v.JSON {
			return o.jsonArray(func(add func(any) error) error {
				return eachWaiting(ctx, k, v.words(now), func(w delivery.Waiting) error { return add(w) })
			})
		}
		defer func() {
			if err == nil {
				err = v.stopped(ctx, o, k)
			}
		}()
		t, more := newTable("ID", "ACCEPTED", "FROM", "TO", "DESTINATION", "TRIES", "NEXT", "LAST ANSWER"), 0
		if err := eachWaiting(ctx, k, v.words(now), func(w delivery.Waiting) error {
			if v.Limit > 0 && len(t.rows) > v.Limit {
				more++
				return nil
			}
			t.add(w.ID, ago(w.At, now), sender(w), w.To, w.Destination, strconv.Itoa(w.Tries), nextWords(w, now), lastWords(w))
			return nil
		}); err != nil {
			return err
		}
		if len(t.rows) == 1 {
			if v.words(now) == (delivery.Filter{}) {
				return o.printf("Nothing waits for other hosts.\n")
			}
			return o.printf("Nothing that waits for other hosts fits.\n")
		}
		if err := t.write(o.out); err != nil || more == 0 {
			return err
		}
		return o.printf("… and %d more: choose with --login, --to, --destination, --held or --older, or say --limit 0.\n", more)
	})
}

// stopped adds to a list whose mail is held as it comes.
func (v *queueList) stopped(ctx context.Context, o *outside, k keeper) error {
	page, err := k.Waiting(ctx, delivery.Filter{Login: v.words(time.Now()).Login}, 0)
	if err != nil {
		return err
	}
	for _, s := range page.Stopped {
		if err := o.printf("What %s submits is held as it comes, since %s: %s. chmail queue release --login %[1]s lets it go.\n", printable(s.Login), day(s.At), printable(s.Why)); err != nil {
			return err
		}
	}
	return nil
}

type queueStopped struct {
	JSON bool `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (queueStopped) Help() string {
	return `Those that have sent more than they may in a day, and those whose mail an administrator holds.

Examples:

    chmail queue stopped
    chmail queue stopped --json | jq -r '.[].login'`
}

// Run lists them.
func (v *queueStopped) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		page, err := k.Waiting(ctx, delivery.Filter{}, 0)
		if err != nil {
			return err
		}
		if v.JSON {
			return o.jsonArray(func(add func(any) error) error {
				for _, s := range page.Stopped {
					if err := add(s); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if len(page.Stopped) == 0 {
			return o.printf("No account's mail is held as it comes.\n")
		}
		t := newTable("LOGIN", "SINCE", "WHY")
		for _, s := range page.Stopped {
			t.add(s.Login, day(s.At), s.Why)
		}
		return t.write(o.out)
	})
}

// sender is the envelope sender as it is written in dialogues.
func sender(w delivery.Waiting) string {
	if w.From == "" {
		return "<>"
	}
	return w.From
}

// nextWords says in a word or two what happens next.
func nextWords(w delivery.Waiting, now time.Time) string {
	switch {
	case w.InWork:
		return "on its way"
	case w.Held != "":
		return "held"
	case !w.Next.After(now):
		return "now"
	}
	return "in " + w.Next.Sub(now).Round(time.Second).String()
}

// lastWords is what was said to the last attempt.
func lastWords(w delivery.Waiting) string {
	if w.Last == nil {
		return ""
	}
	return saidWords(*w.Last)
}

// saidWords is an attempt's answer in one line.
func saidWords(a delivery.Attempt) string {
	if a.Code == 0 {
		return strings.TrimSpace(a.Status + " " + a.Text)
	}
	return fmt.Sprintf("%d %s %s", a.Code, a.Status, a.Text)
}

type queueShow struct {
	ID   string `arg:"" help:"The mail's queue id, from chmail queue list, the log or a report."`
	JSON bool   `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (queueShow) Help() string {
	return `Examples:

    chmail queue show 4f1dZ0nqT3mY
    chmail queue show 4f1dZ0nqT3mY --json`
}

// Run shows a mail.
func (v *queueShow) Run(ctx context.Context, o *outside, line *cli) error {
	if v.ID == "" {
		return errNoID
	}
	now := time.Now()
	return line.withKeeper(ctx, o, func(k keeper) error {
		if v.JSON {
			return o.jsonArray(func(add func(any) error) error {
				return eachWaiting(ctx, k, delivery.Filter{ID: v.ID}, func(w delivery.Waiting) error { return add(w) })
			})
		}
		t, first := newTable("TO", "DESTINATION", "TRIES", "NEXT", "LAST ANSWER"), true
		if err := eachWaiting(ctx, k, delivery.Filter{ID: v.ID}, func(w delivery.Waiting) error {
			if first {
				if err := o.printf("%s", aboutMail(w)); err != nil {
					return err
				}
			}
			first = false
			next := nextWords(w, now)
			if w.Held != "" {
				next += " " + w.Held
			}
			t.add(w.To, w.Destination, strconv.Itoa(w.Tries), next, lastWords(w))
			return nil
		}); err != nil {
			return err
		}
		return t.write(o.out)
	})
}

// aboutMail is what all recipients of a mail share.
func aboutMail(w delivery.Waiting) string {
	login := w.Login
	if login == "" {
		login = "the system itself"
	}
	return fmt.Sprintf("Mail %s\nFrom:      %s\nSubmitted: by %s\nSize:      %d octets\nAccepted:  %s\nGiven up:  %s\n\n", printable(w.ID), printable(sender(w)), printable(login), w.Size, day(w.At), day(w.Until))
}

type queueWhy struct {
	ID   string `arg:"" help:"The mail's queue id, from chmail queue list, the log or a report."`
	JSON bool   `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (queueWhy) Help() string {
	return `Of each recipient that is left, every attempt: when, how long it took, which server, with or without TLS, what it said; and when it is tried next.

Examples:

    chmail queue why 4f1dZ0nqT3mY
    chmail queue why 4f1dZ0nqT3mY --json | jq -r '.[].attempts[].text'`
}

// Run says why a mail is still here.
func (v *queueWhy) Run(ctx context.Context, o *outside, line *cli) error {
	if v.ID == "" {
		return errNoID
	}
	now := time.Now()
	return line.withKeeper(ctx, o, func(k keeper) error {
		first := true
		tell := func(w delivery.Waiting, tries []delivery.Attempt) error {
			if first {
				if err := o.printf("%s", aboutMail(w)); err != nil {
					return err
				}
			}
			first = false
			return o.printf("%s", whyWords(w, tries, now))
		}
		each := func(do func(delivery.Waiting, []delivery.Attempt) error) error {
			return eachWaiting(ctx, k, delivery.Filter{ID: v.ID}, func(w delivery.Waiting) error {
				tries, err := k.Attempts(ctx, w.Number)
				if err != nil {
					return err
				}
				return do(w, tries)
			})
		}
		if !v.JSON {
			return each(tell)
		}
		return o.jsonArray(func(add func(any) error) error {
			return each(func(w delivery.Waiting, tries []delivery.Attempt) error {
				return add(struct {
					delivery.Waiting
					Attempts []delivery.Attempt `json:"attempts"`
				}{w, tries})
			})
		})
	})
}

// whyWords tells of one recipient what was tried and what comes.
func whyWords(w delivery.Waiting, tries []delivery.Attempt, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "To %s, by way of %s:\n", printable(w.To), printable(w.Destination))
	for _, a := range tries {
		remote, tls := a.Remote, a.TLS
		if remote == "" {
			remote, tls = "no server reached", ""
		} else if tls == "" && a.Code != 0 {
			tls = "without TLS" // which nobody knows of a server that has not said a word
		}
		if tls != "" {
			tls = ", " + printable(tls)
		}
		fmt.Fprintf(&b, "  %d. %s, %s: %s%s\n     %s\n", a.N, a.At.Local().Format(time.DateTime), a.Took.Round(time.Millisecond), printable(remote), tls, printable(saidWords(a)))
	}
	if len(tries) == 0 {
		b.WriteString("  Not tried yet.\n")
	}
	switch {
	case w.InWork:
		b.WriteString("  It is on its way this moment.\n\n")
	case w.Held != "":
		fmt.Fprintf(&b, "  It is held: %s. chmail queue release lets it go.\n\n", printable(w.Held))
	case !w.Next.After(now):
		b.WriteString("  It is tried as soon as there is a connection for it.\n\n")
	default:
		fmt.Fprintf(&b, "  It is tried next at %s, in %s.\n\n", clock(w.Next, now), w.Next.Sub(now).Round(time.Second))
	}
	return b.String()
}

// errNoID is what an empty shell variable gets, instead of everybody's mail.
var errNoID = errors.New("an empty word is no queue id: chmail queue list shows those there are")

// queueChoice is which recipients a verb changes.
type queueChoice struct {
	ID []string `arg:"" optional:"" help:"Queue ids, from chmail queue list, the log or a report."`
	queueFilter
	All  bool `help:"All that waits."`
	JSON bool `help:"Print one JSON document."`
}

// filters are those for a choice, one for each id.
func (c *queueChoice) filters(verb string, now time.Time) ([]delivery.Filter, error) {
	f := c.words(now)
	some := len(c.ID) > 0 || f != delivery.Filter{}
	if some == c.All {
		return nil, wrongUsage("say which mail to %s: queue ids, which chmail queue list shows, or a filter such as --to, --login or --destination, or --all alone", verb)
	}
	if len(c.ID) == 0 {
		return []delivery.Filter{f}, nil
	}
	var all []delivery.Filter
	for _, id := range c.ID {
		if id == "" {
			return nil, errNoID
		}
		f.ID = id
		all = append(all, f)
	}
	return all, nil
}
