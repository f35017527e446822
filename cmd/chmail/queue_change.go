package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chmail/internal/delivery"
)

type queueRetry struct{ queueChoice }

// Help shows the verb at work.
func (queueRetry) Help() string {
	return `What is held stays held. While no server runs, it is tried when one starts.

Examples:

    chmail queue retry 4f1dZ0nqT3mY
    chmail queue retry --destination example.org
    chmail queue retry --all`
}

// Run has mail be tried now.
func (v *queueRetry) Run(ctx context.Context, o *outside, line *cli) error {
	return v.change(ctx, o, line, delivery.Retry, "to be tried now")
}

type queueHold struct{ queueChoice }

// Help shows the verb at work.
func (queueHold) Help() string {
	return `What is held is not tried, however long; its sender is told nothing meanwhile. With --login alone, what that account submits from
now on for other hosts is held as well, until chmail queue release --login. To people here it can still write: chmail account passwd and
chmail account app-password remove end that.

Examples:

    chmail queue hold 4f1dZ0nqT3mY
    chmail queue hold --login alice@example.com
    chmail queue hold --to example.org`
}

// Run holds mail.
func (v *queueHold) Run(ctx context.Context, o *outside, line *cli) error {
	return v.change(ctx, o, line, delivery.Hold, "held")
}

type queueRelease struct{ queueChoice }

// Help shows the verb at work.
func (queueRelease) Help() string {
	return `It is tried at once. An account that has sent more than it may in a day, or whose mail you hold, has all of it held, what it sends later as well: with --login
alone its mail goes again, and what it has sent today does not count any more.

Examples:

    chmail queue release 4f1dZ0nqT3mY
    chmail queue release --login alice@example.com`
}

// Run lets mail go.
func (v *queueRelease) Run(ctx context.Context, o *outside, line *cli) error {
	return v.change(ctx, o, line, delivery.Release, "released")
}

type queueFail struct {
	queueChoice
	Yes bool `help:"Do not ask back."`
}

// Help shows the verb at work.
func (queueFail) Help() string {
	return `Its sender is told that it was not delivered, unless he has asked not to be. It is asked back at a terminal; a script says --yes.

Examples:

    chmail queue fail 4f1dZ0nqT3mY
    chmail queue fail --to nobody@example.org --yes`
}

// Run gives mail up.
func (v *queueFail) Run(ctx context.Context, o *outside, line *cli) error {
	if err := v.sure(ctx, o, line, v.Yes, delivery.Fail, "Give up mail for %d recipient%s? Its senders are told."); err != nil {
		return err
	}
	return v.change(ctx, o, line, delivery.Fail, "given up")
}

type queueDrop struct {
	queueChoice
	Yes bool `help:"Do not ask back."`
}

// Help shows the verb at work.
func (queueDrop) Help() string {
	return `For what nobody should have sent, such as the mail of a stolen account. It is asked back at a terminal; a script says --yes.

Examples:

    chmail queue drop 4f1dZ0nqT3mY
    chmail queue drop --login alice@example.com --held --yes`
}

// Run removes mail.
func (v *queueDrop) Run(ctx context.Context, o *outside, line *cli) error {
	if err := v.sure(ctx, o, line, v.Yes, delivery.Drop, "Remove mail for %d recipient%s for good? Nobody is told."); err != nil {
		return err
	}
	return v.change(ctx, o, line, delivery.Drop, "dropped")
}

// sure asks back, with how many are concerned. The data is not held while a person thinks.
func (c *queueChoice) sure(ctx context.Context, o *outside, line *cli, yes bool, act delivery.Act, question string) error {
	filters, err := c.filters(string(act), time.Now())
	if err != nil || yes {
		return err
	}
	n := 0
	if err := line.withKeeper(ctx, o, func(k keeper) error {
		if err := c.known(ctx, k); err != nil {
			return err
		}
		for _, f := range filters {
			if err := eachWaiting(ctx, k, f, func(delivery.Waiting) error { n++; return nil }); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if n == 0 {
		return nil // that there is nothing is said by what follows
	}
	return o.sure(ctx, yes, fmt.Sprintf(question, n, plural(n)))
}

// change does something with all that is chosen, a page at a time. An id that is not in the queue does not keep the others from it.
func (c *queueChoice) change(ctx context.Context, o *outside, line *cli, act delivery.Act, done string) error {
	filters, err := c.filters(string(act), time.Now())
	if err != nil {
		return err
	}
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := c.known(ctx, k); err != nil {
			return err
		}
		var sum delivery.Done
		var errs []error
		for _, f := range filters {
			for after := int64(0); ; {
				d, err := k.Do(ctx, act, f, after)
				if err != nil {
					errs = append(errs, err)
					break
				}
				add(&sum, d)
				if after = d.Next; after == 0 {
					break
				}
			}
		}
		if len(errs) == len(filters) && sum.Changed == 0 {
			return errors.Join(errs...)
		}
		if c.JSON {
			text, err := safeJSON(sum)
			return errors.Join(append(errs, err, o.printf("%s\n", text))...)
		}
		return errors.Join(append(errs, o.printf("%s", doneWords(sum, done, filters[0].Login)))...)
	})
}

// add sums up pages.
func add(sum *delivery.Done, d delivery.Done) {
	sum.Changed += d.Changed
	sum.InWork += d.InWork
	sum.Already += d.Already
	sum.Held += d.Held
	sum.Kept += d.Kept
	sum.Pardoned, sum.Holds, sum.Off = sum.Pardoned || d.Pardoned, sum.Holds || d.Holds, sum.Off || d.Off
	for _, login := range d.Stopped {
		if !slices.Contains(sum.Stopped, login) {
			sum.Stopped = append(sum.Stopped, login)
		}
	}
}

// doneWords says what became of a change, and what to do about the rest.
func doneWords(d delivery.Done, done, login string) string {
	already, inWork := "not held", "left alone since they are on their way this moment: look again with chmail queue list"
	if done == "held" {
		already, inWork = "held already", "on their way this moment, and held if they do not arrive: look again with chmail queue list"
	}
	var b strings.Builder
	for _, c := range []struct {
		n     int
		words string
	}{
		{d.Changed, done}, {d.Already, already},
		{d.Held, "left alone since they are held: chmail queue release lets them go"},
		{d.InWork, inWork},
		{d.Kept, "still here, since no report could be written: the server's log says why"},
	} {
		if c.n == 1 {
			c.words = strings.NewReplacer("since they are", "since it is", "on their way", "on its way", "if they do not arrive", "if it does not arrive", "lets them go", "lets it go").Replace(c.words)
		}
		if c.n > 0 {
			fmt.Fprintf(&b, "%d recipient%s: %s.\n", c.n, plural(c.n), c.words)
		}
	}
	if d.Holds {
		fmt.Fprintf(&b, "What %s submits from now on for other hosts is held as well: chmail queue release --login %[1]s lets it go.\n"+
			"Mail to people here goes on: chmail account passwd %[1]s, and chmail account app-password remove for each of its app passwords, end that.\n", printable(login))
	}
	if d.Pardoned {
		fmt.Fprintf(&b, "What %s sends is not held any more, and counts from nothing again.\n", printable(login))
	}
	for _, s := range d.Stopped {
		fmt.Fprintf(&b, "What %s sends is still held: chmail queue release --login %[1]s lets all of it go.\n", printable(s))
	}
	if b.Len() == 0 {
		return "Nothing that waits for other hosts fits.\n"
	}
	if d.Off {
		b.WriteString("Nothing is sent to other hosts while relay.off is true in the configuration.\n")
	}
	return b.String()
}
