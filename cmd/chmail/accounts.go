package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"chmail/config"
	"chmail/internal/account"
	"chmail/internal/address"
	"chmail/internal/admin"
	"chmail/internal/delivery"
	"chmail/internal/message"
	"chmail/internal/octets"
)

// accountVerbs change the accounts: through the running server, or in the data itself while none runs.
type accountVerbs struct {
	Add    accountAdd    `cmd:"" help:"Make an account."`
	Passwd accountPasswd `cmd:"" help:"Give an account a new password."`
	Set    accountSet    `cmd:"" help:"Change an account's settings: name, chat, language, publish-host, ring, quiet, timezone, scram, quota, sent."`
	List   accountList   `cmd:"" help:"List the accounts."`
	Show   accountShow   `cmd:"" help:"Show one account: its settings, how full its maildrop is, its aliases and app passwords, whether its mail is held."`
	SendAs sendAsVerbs   `cmd:"" name:"send-as" help:"Allow, list and end that a login writes as another address."`
	Remove accountRemove `cmd:"" help:"Remove an account with its mail."`

	AppPassword appPasswordVerbs `cmd:"" help:"Make, list and end passwords for single mail clients."`
}

type accountAdd struct {
	Login loginArg `arg:"" help:"Mail address; the mail client signs in with it."`
	Name  string   `help:"Display name, for chats and their links."`
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
	if err := account.Check(map[string]string{"name": v.Name}); err != nil {
		return wrongUsage("--name: %w", err)
	}
	login := canonical(v.Login)
	return line.withPassword(ctx, o, string(v.Login), true, func(cfg *config.Config, all []admin.Account) error {
		if domain := domainOf(login); !slices.Contains(cfg.Domains, domain) {
			return fmt.Errorf("%s: %w: %s is not one of the configured domains", login, account.ErrBadLogin, domain)
		}
		if i := find(all, login); i >= 0 && all[i].HasPassword { // without one, it is the postmaster's maildrop, which waits for it
			return fmt.Errorf("%s: %w", login, account.ErrExists)
		}
		return nil
	}, func(k keeper, password string) error {
		if err := k.AddAccount(ctx, string(v.Login), password, v.Name); err != nil {
			return err
		}
		return o.printf("%s is ready to use.\n", login)
	})
}

func find(all []admin.Account, login string) int {
	return slices.IndexFunc(all, func(a admin.Account) bool { return a.Login == login })
}

func domainOf(login string) string { return login[strings.LastIndexByte(login, '@')+1:] }

type accountPasswd struct {
	Login loginArg `arg:"" help:"The account's mail address."`
}

// Help shows the verb at work.
func (accountPasswd) Help() string {
	return `The old password ends at once: web sessions are signed out, mail clients have to be given the new one.
App passwords stay as they are: each is ended on its own, by chmail account app-password remove.

Examples:

    chmail account passwd alice@example.com
    chmail account passwd alice@example.com < new-password`
}

// Run sets the password.
func (v *accountPasswd) Run(ctx context.Context, o *outside, line *cli) error {
	login := canonical(v.Login)
	return line.withPassword(ctx, o, string(v.Login), false, func(cfg *config.Config, all []admin.Account) error {
		switch domain := domainOf(login); {
		case find(all, login) >= 0:
			return nil
		case !slices.Contains(cfg.Domains, domain):
			return fmt.Errorf("%s: %w: %s is not one of the configured domains", login, account.ErrNoAccount, domain)
		}
		return fmt.Errorf("%s: %w", login, account.ErrNoAccount)
	}, func(k keeper, password string) error {
		if err := k.SetPassword(ctx, string(v.Login), password); err != nil {
			return err
		}
		if err := o.printf("%s has a new password.\n", login); err != nil {
			return err
		}
		apps, err := k.AppPasswords(ctx, string(v.Login))
		if err != nil || len(apps) == 0 {
			return err
		}
		return o.printf("It has app passwords too (%d), which still work: chmail account app-password list %s\n", len(apps), login)
	})
}

type accountSet struct {
	Login    loginArg `arg:"" help:"The account's mail address."`
	Settings []string `arg:"" name:"key=value" help:"What to set."`
}

// Help shows the verb at work.
func (accountSet) Help() string {
	return `What can be set:

    name=TEXT                         the display name, for chats and their links; empty for none
    chat=on|header-only|off|default   whether mails get a chat link: in the text and the header, in the header only, or not at
                                      all; default: as chat.stamp in the configuration has it. A mail's own header field
                                      CH-Chat goes before it
    language=en|ja|ko                 of the chat line in mails, and of the mails that tell of missed calls and of what was said
    publish-host=yes|no               yes: the field CH-Host of every mail names the address of the computer that was last used,
                                      for every recipient to read. no, unless set: it names the chat server
    ring=at-once|after-words|proved   when whoever follows a chat link rings; until then he is shown silently. at-once, unless
                                      set: as soon as he shows that he is there; after-words: once he has written something;
                                      proved: once he has proved a mail address. What is set for a link goes before it
    quiet=FROM-TO                     hours in which nothing rings, by the account's timezone, and so in UTC unless that is set;
                                      22:00-07:00, several with commas, empty for none
    timezone=NAME                     IANA name of the zone in which they count, such as Asia/Seoul; empty for UTC
    scram=on|off                      on: mail clients may prove this password by SCRAM-SHA-256 without saying it, from the next
                                      time that it is said or set; kept for that are keys that a thief of the database could
                                      guess it from with less work than from its hash. off, unless set; app passwords always can,
                                      where SCRAM is offered (smtp.scram)
    quota=SIZE|none|default           what the maildrop may hold, such as 500MiB or 2GiB; none, or 0: any number; default: as
                                      pop3.quota in the configuration has it. Mail to a full maildrop is put off (452 4.2.2), not
                                      bounced at once
    sent=on|off                       on: a copy of each mail that the login sends is delivered to its own maildrop, as it went
                                      out: with its chat link. off, unless set

Examples:

    chmail account set alice@example.com name="Alice Example" language=ja
    chmail account set alice@example.com chat=header-only
    chmail account set alice@example.com quiet=22:00-07:00,12:30-13:30 timezone=Asia/Seoul
    chmail account set alice@example.com quota=2GiB sent=on
    chmail account set alice@example.com name= chat=default publish-host=no`
}

// Run changes the settings; all of them are checked before the first is changed.
func (v *accountSet) Run(ctx context.Context, o *outside, line *cli) error {
	changes := make(map[string]string)
	for _, s := range v.Settings {
		key, value, found := strings.Cut(s, "=")
		if !found {
			return wrongUsage("%q is no setting: write KEY=VALUE, for instance name=\"Alice Example\"", s)
		}
		if _, twice := changes[key]; twice {
			return wrongUsage("%s is set twice: choose one", key)
		}
		if key == "quota" && value == "0" { // as pop3.quota says it
			value = "none"
		}
		changes[key] = value
	}
	if err := account.Check(changes); err != nil {
		return usageError{err}
	}
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := k.Set(ctx, string(v.Login), changes); err != nil {
			return err
		}
		login := canonical(v.Login)
		err := o.printf("%s is changed.\n", login)
		if err == nil && changes["scram"] == "on" {
			err = o.printf("Unless smtp.scram is off, SCRAM is offered to all mail clients from the next time that this password is said. Some choose it and try nothing else (mutt; msmtp where it says auth scram-sha-256):\n" +
				"those of accounts without scram=on then need an app password, or to be told to use PLAIN.\n")
		}
		if err != nil || changes["publish-host"] != "yes" {
			return err
		}
		return o.printf("From now on every recipient of a mail from %s sees, in its field CH-Host, the address of the computer that %[1]s last used:\n"+
			"at home that is the address of the home. It is off by default; `chmail account set %[1]s publish-host=no` ends it for further mails.\n", login)
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
		t := newTable("LOGIN", "NAME", "MADE", "PASSWORD SET", "USED", "SETTINGS")
		for _, a := range all {
			t.add(a.Login, a.Name, day(a.Created), passwordSet(a), used(a.Box), settings(a))
		}
		return t.write(o.out)
	})
}

func passwordSet(a admin.Account) string {
	if !a.HasPassword {
		return "none, nobody can sign in"
	}
	return day(a.Changed)
}

// used is how full a maildrop is.
func used(b message.Box) string {
	text := octets.About(b.Used)
	if b.Quota > 0 {
		text += " of " + octets.String(b.Quota)
	}
	if b.Full(b.Used, 0) {
		text += ", full"
	}
	return text
}

// settings are those of an account that differ from what holds without them, as one sets them.
func settings(a admin.Account) string {
	var all []string
	if a.Chat != "" {
		all = append(all, "chat="+a.Chat)
	}
	if a.Language != "" {
		all = append(all, "language="+a.Language)
	}
	if a.PublishHost {
		all = append(all, "publish-host=yes")
	}
	if a.Terms != "" {
		all = append(all, "ring="+a.Terms)
	}
	if a.Quiet != "" {
		all = append(all, "quiet="+a.Quiet)
	}
	if a.Timezone != "" {
		all = append(all, "timezone="+a.Timezone)
	}
	if a.Scram {
		all = append(all, "scram=on")
	}
	switch {
	case a.Box.Own && a.Box.Quota == 0:
		all = append(all, "quota=none")
	case a.Box.Own:
		all = append(all, "quota="+octets.String(a.Box.Quota))
	}
	if a.Box.Sent {
		all = append(all, "sent=on")
	}
	return strings.Join(all, " ")
}

type accountRemove struct {
	Login loginArg `arg:"" help:"The account's mail address."`
	Yes   bool     `help:"Do not ask back."`
}

// Help shows the verb at work.
func (accountRemove) Help() string {
	return `The account, its mail, its chat links and its web sessions go at once and for good, and it is taken out of aliases and send-as grants. It is asked back at a terminal; a script says --yes.

Examples:

    chmail account remove bob@example.com
    chmail account remove bob@example.com --yes`
}

// Run removes the account.
func (v *accountRemove) Run(ctx context.Context, o *outside, line *cli) error {
	if err := o.sure(ctx, v.Yes, fmt.Sprintf("Remove %s with all its mail for good?", canonical(v.Login))); err != nil {
		return err
	}
	login := canonical(v.Login)
	return line.withKeeper(ctx, o, func(k keeper) error {
		if err := k.RemoveAccount(ctx, string(v.Login)); err != nil {
			return err
		}
		if err := o.printf("%s is removed.\n", login); err != nil {
			return err
		}
		n := 0
		if err := eachWaiting(ctx, k, delivery.Filter{Login: login}, func(delivery.Waiting) error { n++; return nil }); err != nil || n == 0 {
			return err
		}
		return o.printf("For %d recipient%s elsewhere mail of it still waits and goes out; reports about it reach nobody. chmail queue drop --login %s throws it away.\n", n, plural(n), login)
	})
}

// loginArg is a login on the command line.
type loginArg string

// Decode refuses what is no mail address at once, in whatever verb, as a mistake in how the program was called.
func (l *loginArg) Decode(line *kong.DecodeContext) error {
	word := line.Scan.Pop().String()
	if _, err := address.Parse(word); err != nil {
		return fmt.Errorf("%q is no login: write a full mail address, for instance alice@example.com", word)
	}
	*l = loginArg(word)
	return nil
}

// canonical is a login as the accounts spell it, for answers: Bob@Example.COM is bob@example.com from now on.
func canonical(login loginArg) string {
	a, err := address.Parse(string(login))
	if err != nil {
		return string(login)
	}
	return a.Login()
}

func (o *outside) printf(format string, args ...any) error {
	if _, err := fmt.Fprintf(o.out, format, args...); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}
