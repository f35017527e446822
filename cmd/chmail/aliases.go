package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"chmail/internal/account"
	"chmail/internal/admin"
	"chmail/internal/delivery"
)

// aliasVerbs change the addresses that lead to accounts: through the running server, or in the data itself while none runs.
type aliasVerbs struct {
	Add    aliasAdd    `cmd:"" help:"Have an address lead to one or more accounts."`
	List   aliasList   `cmd:"" help:"List the aliases."`
	Remove aliasRemove `cmd:"" help:"Remove an alias, or accounts from it."`
}

type aliasAdd struct {
	Address loginArg   `arg:"" help:"The alias, an address of a configured domain."`
	Logins  []loginArg `arg:"" name:"login" help:"Accounts whose maildrops get its mail."`
	Send    bool       `help:"Let them write as this address, too."`
}

// Help shows the verb at work.
func (aliasAdd) Help() string {
	return `Each of the accounts gets its own copy of what is sent to the alias. An alias that exists leads to them as well from then on. It leads to accounts
of this server only, not to addresses elsewhere and not to other aliases.

To get an alias's mail is no right to write as it: --send gives that, as does ` + "`chmail account send-as add LOGIN ADDRESS`" + `.

Examples:

    chmail alias add sales@example.com alice@example.com bob@example.com
    chmail alias add a.example@example.com alice@example.com --send`
}

// Run makes the alias.
func (v *aliasAdd) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := k.AddAlias(ctx, string(v.Address), words(v.Logins), v.Send); err != nil {
			return err
		}
		may := ""
		if v.Send {
			may = ", and may be written as by them"
		}
		return o.printf("%s leads to %s%s.\n", canonical(v.Address), canonicals(v.Logins), may)
	})
}

type aliasList struct {
	JSON bool `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (aliasList) Help() string {
	return `Examples:

    chmail alias list
    chmail alias list --json | jq -r '.[] | select(.logins | index("bob@example.com")) | .address'`
}

// Run lists the aliases.
func (v *aliasList) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		all, err := k.Aliases(ctx)
		if err != nil {
			return err
		}
		if v.JSON {
			return o.json(all)
		}
		if len(all) == 0 {
			return o.printf("There is no alias. Make one: chmail alias add ADDRESS LOGIN\n")
		}
		t := newTable("ADDRESS", "LEADS TO", "MAY WRITE AS IT")
		for _, a := range all {
			t.add(a.Address, strings.Join(a.Logins, " "), strings.Join(a.Send, " "))
		}
		return t.write(o.out)
	})
}

type aliasRemove struct {
	Address loginArg   `arg:"" help:"The alias."`
	Logins  []loginArg `arg:"" optional:"" name:"login" help:"Accounts that it is not to lead to any more; without any, the alias goes."`
}

// Help shows the verb at work.
func (aliasRemove) Help() string {
	return `The accounts stay, and so does what they have got. With a login its grant to write as the alias goes, with the last login the alias itself.

Examples:

    chmail alias remove sales@example.com bob@example.com
    chmail alias remove sales@example.com`
}

// Run removes it.
func (v *aliasRemove) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := k.RemoveAlias(ctx, string(v.Address), words(v.Logins)); err != nil {
			return err
		}
		if len(v.Logins) > 0 {
			return o.printf("%s does not lead to %s any more.\n", canonical(v.Address), canonicals(v.Logins))
		}
		return o.printf("%s is removed.\n", canonical(v.Address))
	})
}

// sendAsVerbs are about who may write as whom.
type sendAsVerbs struct {
	Add    sendAsAdd    `cmd:"" help:"Let a login write as an address that is not its own."`
	List   sendAsList   `cmd:"" help:"List who may write as whom."`
	Remove sendAsRemove `cmd:"" help:"End that a login may write as an address."`
}

type sendAsAdd struct {
	Login   loginArg `arg:"" help:"The account's mail address."`
	Address loginArg `arg:"" help:"As which it may write: an alias, or another account's address."`
}

// Help shows the verb at work.
func (sendAsAdd) Help() string {
	return `The login may then put the address into From and Sender, and give it as the envelope's sender. Answers go to the address, so to whoever gets its mail. The chat link
in such a mail is the login's own: whoever follows it talks with the person who wrote.

Examples:

    chmail account send-as add alice@example.com sales@example.com`
}

// Run grants it.
func (v *sendAsAdd) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := k.AddGrant(ctx, string(v.Login), string(v.Address)); err != nil {
			return err
		}
		return o.printf("%s may write as %s.\n", canonical(v.Login), canonical(v.Address))
	})
}

type sendAsList struct {
	Login loginArg `arg:"" optional:"" help:"Only this login's."`
	JSON  bool     `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (sendAsList) Help() string {
	return `Examples:

    chmail account send-as list
    chmail account send-as list alice@example.com --json`
}

// Run lists the grants.
func (v *sendAsList) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		all, err := k.Grants(ctx)
		if err != nil {
			return err
		}
		who, login := "Nobody may write as another. Let somebody", "LOGIN"
		if v.Login != "" {
			login = canonical(v.Login)
			who = login + " may write as nobody else. Let it"
			accounts, err := k.Accounts(ctx)
			if err != nil {
				return err
			}
			if find(accounts, login) < 0 {
				return fmt.Errorf("%s: %w", login, account.ErrNoAccount)
			}
			all = slices.DeleteFunc(all, func(g admin.Grant) bool { return g.Login != login })
		}
		if v.JSON {
			return o.json(all)
		}
		if len(all) == 0 {
			return o.printf("%s: chmail account send-as add %s ADDRESS\n", who, login)
		}
		t := newTable("LOGIN", "MAY WRITE AS")
		for _, g := range all {
			t.add(g.Login, g.Address)
		}
		return t.write(o.out)
	})
}

type sendAsRemove struct {
	Login   loginArg `arg:"" help:"The account's mail address."`
	Address loginArg `arg:"" help:"As which it may write no more."`
}

// Help shows the verb at work.
func (sendAsRemove) Help() string {
	return `It counts for the next mail, in open sessions as well.

Examples:

    chmail account send-as remove alice@example.com sales@example.com`
}

// Run ends it.
func (v *sendAsRemove) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := k.RemoveGrant(ctx, string(v.Login), string(v.Address)); err != nil {
			return err
		}
		return o.printf("%s may not write as %s any more.\n", canonical(v.Login), canonical(v.Address))
	})
}

type accountShow struct {
	Login loginArg `arg:"" help:"The account's mail address."`
	JSON  bool     `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (accountShow) Help() string {
	return `Examples:

    chmail account show alice@example.com
    chmail account show alice@example.com --json | jq .maildrop.used`
}

// shown is an account with what belongs to it elsewhere.
type shown struct {
	admin.Account
	Aliases []string `json:"aliases"` // whose mail it gets
	SendAs  []string `json:"send_as"` // as which it may write besides its own address

	AppPasswords int            `json:"app_passwords"`  // how many
	Held         *delivery.Stop `json:"held,omitempty"` // why what it submits for other hosts is held as it comes, and since when
}

// look finds the account's app passwords, and whether its mail is held.
func (s *shown) look(ctx context.Context, k keeper) error {
	apps, err := k.AppPasswords(ctx, s.Login)
	if err != nil {
		return err
	}
	s.AppPasswords = len(apps)
	page, err := k.Waiting(ctx, delivery.Filter{Login: s.Login}, 0)
	if err != nil {
		return err
	}
	if len(page.Stopped) > 0 { // the filter's alone
		s.Held = &page.Stopped[0]
	}
	return nil
}

// held says in words whether what the account submits for other hosts is held.
func (s *shown) held() string {
	if s.Held == nil {
		return "not held"
	}
	return fmt.Sprintf("held as it comes, since %s: %s (chmail queue release --login %s)", day(s.Held.At), s.Held.Why, s.Login)
}

// Run shows the account.
func (v *accountShow) Run(ctx context.Context, o *outside, line *cli) error {
	login := canonical(v.Login)
	return line.withKeeper(ctx, o, func(k keeper) error {
		all, err := k.Accounts(ctx)
		if err != nil {
			return err
		}
		i := find(all, login)
		if i < 0 {
			return fmt.Errorf("%s: %w", login, account.ErrNoAccount)
		}
		s := shown{Account: all[i], Aliases: []string{}, SendAs: []string{}}
		aliases, err := k.Aliases(ctx)
		if err != nil {
			return err
		}
		for _, a := range aliases {
			if slices.Contains(a.Logins, login) {
				s.Aliases = append(s.Aliases, a.Address)
			}
		}
		grants, err := k.Grants(ctx)
		if err != nil {
			return err
		}
		for _, g := range grants {
			if g.Login == login {
				s.SendAs = append(s.SendAs, g.Address)
			}
		}
		if err := s.look(ctx, k); err != nil {
			return err
		}
		if v.JSON {
			return o.json(s)
		}
		t := newTable("Login", s.Login)
		for _, row := range [][2]string{
			{"Name", s.Name}, {"Made", day(s.Created)}, {"Password set", passwordSet(s.Account)}, {"Maildrop", used(s.Box)}, {"Settings", settings(s.Account)},
			{"Aliases", strings.Join(s.Aliases, " ")}, {"May write as", strings.Join(s.SendAs, " ")}, {"App passwords", strconv.Itoa(s.AppPasswords)},
			{"To other hosts", s.held()},
		} {
			t.add(row[0], row[1])
		}
		return t.write(o.out)
	})
}

func words(logins []loginArg) []string {
	all := make([]string, len(logins))
	for i, l := range logins {
		all[i] = string(l)
	}
	return all
}

// canonicals are logins as the accounts spell them, for answers.
func canonicals(logins []loginArg) string {
	all := make([]string, len(logins))
	for i, l := range logins {
		all[i] = canonical(l)
	}
	return strings.Join(all, ", ")
}
