package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"chmail/internal/terminal"
)

type chatVerb struct {
	Link     string        `arg:"" help:"The chat link in a mail: https://…/c/…"`
	Name     string        `placeholder:"NAME" help:"How you are called."`
	CA       string        `name:"ca" placeholder:"FILE" help:"Trust the certificate authorities in this PEM file besides the system's."`
	Visitors string        `placeholder:"FILE" help:"Keep in FILE who you are to which server (default: chmail/visitors.json in your configuration folder)."`
	Guest    bool          `help:"Come as somebody new, and keep nothing."`
	Plain    bool          `help:"Line by line, also in a terminal."`
	Quiet    bool          `help:"No bell when the other writes."`
	Wait     time.Duration `placeholder:"DURATION" help:"Stay so long after the last line of the input, for instance 5m, to hear an answer."`
}

// Help shows the verb at work.
func (chatVerb) Help() string {
	return `Follows a chat link as a browser does and talks to whoever wrote the mail. Nobody is called before you write.

In a terminal it takes the whole screen: Enter sends, Alt-Enter or Ctrl-J begins a new line, PgUp and PgDn scroll, /leave or Ctrl-C leaves.

Where input or output is no terminal, or with --plain, it reads a message from each line of the standard input and prints the conversation: "* N TIME NAME: text" for a message, "| text" for its further lines,
"+ N" once yours is safe, "! state: words" for where the call stands. /leave leaves, /name NAME says how you are called, // begins a message with a slash.

The exit status is 0 when all that you said has arrived, 1 when the link does not work or the conversation has ended, 3 when something has not arrived.

Examples:

    chmail chat https://chat.example.com/c/9fXq2kTq0uVw3Ew7n8aZ5g
    chmail chat --name Bob https://chat.example.com/c/9fXq2kTq0uVw3Ew7n8aZ5g
    echo "The build is green." | chmail chat --wait 5m https://chat.example.com/c/9fXq2kTq0uVw3Ew7n8aZ5g`
}

// Run talks until one of the two has had enough.
func (v *chatVerb) Run(ctx context.Context, o *outside, line *cli) error {
	if line.ConfigFile != "" {
		return wrongUsage("chat needs no configuration: --config is for the other verbs")
	}
	link, err := terminal.ParseLink(v.Link)
	if err != nil {
		return usageError{err}
	}
	roots, err := v.roots()
	if err != nil {
		return err
	}
	visitors, visitor, err := v.visitor(link)
	if err != nil {
		return err
	}
	screen, plain := terminal.NewScreen(v.Quiet), terminal.NewPlain(o.out)
	options := terminal.Options{Link: link, Visitor: visitor, Name: v.Name, Roots: roots, Tell: plain.Tell}
	full := !v.Plain && isTerminal(o.in) && isTerminal(o.out)
	if full {
		options.Tell = screen.Tell
	}
	client := terminal.New(options)
	door, err := client.Open(ctx)
	if err != nil {
		return err
	}
	if !v.Guest {
		if err := visitors.Keep(link, client.Visitor()); err != nil {
			return err
		}
	}
	if full {
		return screen.Run(ctx, client, door, v.Name, o.in, o.out)
	}
	return plain.Run(ctx, client, door, o.in, v.Wait)
}

// isTerminal tells whether a person sits at this end.
func isTerminal(end any) bool {
	file, ok := end.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// visitor is who we are to the link's site, and where that is kept.
func (v *chatVerb) visitor(link terminal.Link) (file terminal.Visitors, visitor string, err error) {
	if v.Guest {
		return "", "", nil
	}
	if file = terminal.Visitors(v.Visitors); file == "" {
		if file, err = terminal.DefaultVisitors(); err != nil {
			return "", "", err
		}
	}
	if visitor, err = file.Find(link); err != nil {
		return "", "", fmt.Errorf("%w; --guest does without", err)
	}
	return file, visitor, nil
}

// roots is whom to trust; nil for the system's.
func (v *chatVerb) roots() (*x509.CertPool, error) {
	if v.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(v.CA)
	if err != nil {
		return nil, usageError{fmt.Errorf("--ca: %w", err)}
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("finding the system's certificate authorities: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, wrongUsage("--ca %s: there is no certificate in it", v.CA)
	}
	return roots, nil
}
