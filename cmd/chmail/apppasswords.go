package main

import (
	"context"
	"fmt"

	"chmail/internal/account"
)

// appPasswordVerbs look after the passwords of an account's mail clients.
type appPasswordVerbs struct {
	Add    appPasswordAdd    `cmd:"" help:"Make an app password, and show it this once."`
	List   appPasswordList   `cmd:"" help:"List an account's app passwords."`
	Remove appPasswordRemove `cmd:"" help:"End an app password."`
}

type appPasswordAdd struct {
	Login loginArg `arg:"" help:"The account's mail address."`
	Name  string   `arg:"" help:"What it is for: the device, the program."`
	JSON  bool     `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (appPasswordAdd) Help() string {
	return fmt.Sprintf(`A mail client that has an app password sends and fetches mail with it; it opens no desk. It can be ended without the others and without the account's own password, which stays with its owner. It goes into
the mail client as it is printed, hyphens and all; it is kept nowhere, and cannot be shown again. An account has %d at most.

Examples:

    chmail account app-password add alice@example.com telephone
    chmail account app-password add alice@example.com "printer in the hall" --json | jq -r .password`, account.MaxAppPasswords)
}

// Run makes the app password.
func (v *appPasswordAdd) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		password, err := k.AddAppPassword(ctx, string(v.Login), v.Name)
		if err != nil {
			return err
		}
		if v.JSON {
			return o.json(struct {
				Login    string `json:"login"`
				Name     string `json:"name"`
				Password string `json:"password"`
			}{canonical(v.Login), v.Name, password})
		}
		return o.printf("%s\n\nThis is the app password of %s for %q, for sending and fetching mail. It is not shown again.\n",
			password, canonical(v.Login), v.Name)
	})
}

type appPasswordList struct {
	Login loginArg `arg:"" help:"The account's mail address."`
	JSON  bool     `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (appPasswordList) Help() string {
	return `When one was last used is told to the hour.

Examples:

    chmail account app-password list alice@example.com
    chmail account app-password list alice@example.com --json | jq -r '.[] | select(.last_used == null) | .name'`
}

// Run lists the app passwords.
func (v *appPasswordList) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		all, err := k.AppPasswords(ctx, string(v.Login))
		if err != nil {
			return err
		}
		if v.JSON {
			return o.json(all)
		}
		if len(all) == 0 {
			return o.printf("%s has no app password. Make one: chmail account app-password add %[1]s NAME\n", canonical(v.Login))
		}
		t := newTable("NAME", "MADE", "LAST USED")
		for _, a := range all {
			used := "never"
			if a.Used != nil {
				used = day(*a.Used)
			}
			t.add(a.Name, day(a.Created), used)
		}
		return t.write(o.out)
	})
}

type appPasswordRemove struct {
	Login loginArg `arg:"" help:"The account's mail address."`
	Name  string   `arg:"" help:"What it was made for."`
}

// Help shows the verb at work.
func (appPasswordRemove) Help() string {
	return `Nobody signs in with it from now on; open connections of the account's mail clients end at their next command, and those with another password sign in again.

Examples:

    chmail account app-password remove alice@example.com telephone`
}

// Run ends the app password.
func (v *appPasswordRemove) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := k.RemoveAppPassword(ctx, string(v.Login), v.Name); err != nil {
			return err
		}
		return o.printf("The app password of %s for %q is ended.\n", canonical(v.Login), v.Name)
	})
}
