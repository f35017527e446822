package main

import (
	"context"
	"fmt"
	"strings"

	"chmail/internal/address"
)

// accountVerbs change the accounts: through the running server, or in the data itself while none runs.
type accountVerbs struct {
	Add    accountAdd    `cmd:"" help:"Make an account."`
	Passwd accountPasswd `cmd:"" help:"Give an account a new password."`
	Set    accountSet    `cmd:"" help:"Change what else an account has: its display name."`
	List   accountList   `cmd:"" help:"List the accounts."`
	Remove accountRemove `cmd:"" help:"Remove an account with its mail."`
}

type accountAdd struct {
	Login string `arg:"" help:"Mail address; the mail client signs in with it."`
	Name  string `help:"Display name, for chats and their links."`
}

// Help shows the verb at work.
func (accountAdd) Help() string {
	return `The password is asked for twice; where standard input is no terminal, it is read from there as one line.

Examples:

    chmail account add alice@example.com --name "Alice Example"
    pwgen 20 1 | tee new-password | chmail account add bob@example.com --config chmail.yaml`
}

// Run makes the account.
func (v *accountAdd) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withPassword(ctx, o, v.Login, func(k keeper, password string) error {
		if err := k.AddAccount(ctx, v.Login, password, v.Name); err != nil {
			return err
		}
		return o.printf("%s is ready to use.\n", canonical(v.Login))
	})
}

type accountPasswd struct {
	Login string `arg:"" help:"The account's mail address."`
}

// Help shows the verb at work.
func (accountPasswd) Help() string {
	return `The old password ends at once: web sessions are signed out, mail clients have to be given the new one.

Examples:

    chmail account passwd alice@example.com
    chmail account passwd alice@example.com < new-password`
}

// Run sets the password.
func (v *accountPasswd) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withPassword(ctx, o, v.Login, func(k keeper, password string) error {
		if err := k.SetPassword(ctx, v.Login, password); err != nil {
			return err
		}
		return o.printf("%s has a new password.\n", canonical(v.Login))
	})
}

type accountSet struct {
	Login    string   `arg:"" help:"The account's mail address."`
	Settings []string `arg:"" name:"key=value" help:"What to set. name: the display name, empty for none."`
}

// Help shows the verb at work.
func (accountSet) Help() string {
	return `Examples:

    chmail account set alice@example.com name="Alice Example"
    chmail account set alice@example.com name=`
}

// Run changes the settings; all of them are checked before the first is changed.
func (v *accountSet) Run(ctx context.Context, o *outside, line *cli) error {
	for _, s := range v.Settings {
		key, _, found := strings.Cut(s, "=")
		if !found {
			return wrongUsage("%q is no setting: write KEY=VALUE, for instance name=\"Alice Example\"", s)
		}
		if key != "name" {
			return wrongUsage("an account has no setting %q; what there is: name", key)
		}
	}
	return line.withKeeper(ctx, o, func(k keeper) error {
		for _, s := range v.Settings {
			_, value, _ := strings.Cut(s, "=")
			if err := k.SetName(ctx, v.Login, value); err != nil {
				return err
			}
		}
		return o.printf("%s is changed.\n", canonical(v.Login))
	})
}

type accountList struct {
	JSON bool `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (accountList) Help() string {
	return `Examples:

    chmail account list
    chmail account list --json | jq -r '.[].login'`
}

// Run lists the accounts.
func (v *accountList) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		all, err := k.Accounts(ctx)
		if err != nil {
			return err
		}
		if v.JSON {
			return o.json(all)
		}
		if len(all) == 0 {
			return o.printf("There is no account yet. Make one: chmail account add LOGIN\n")
		}
		t := newTable("LOGIN", "NAME", "MADE", "PASSWORD SET")
		for _, a := range all {
			set := "none, nobody can sign in"
			if a.HasPassword {
				set = day(a.Changed)
			}
			t.add(a.Login, a.Name, day(a.Created), set)
		}
		return t.write(o.out)
	})
}

type accountRemove struct {
	Login string `arg:"" help:"The account's mail address."`
}

// Help shows the verb at work.
func (accountRemove) Help() string {
	return `The account, its mail, its chat links and its web sessions go at once and for good. It is not asked again.

Examples:

    chmail account remove bob@example.com`
}

// Run removes the account.
func (v *accountRemove) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := k.RemoveAccount(ctx, v.Login); err != nil {
			return err
		}
		return o.printf("%s is removed.\n", canonical(v.Login))
	})
}

// canonical is a login as the accounts spell it, for answers: Bob@Example.COM is bob@example.com from now on.
func canonical(login string) string {
	a, err := address.Parse(login)
	if err != nil {
		return login
	}
	return a.Login()
}

func (o *outside) printf(format string, args ...any) error {
	if _, err := fmt.Fprintf(o.out, format, args...); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}
