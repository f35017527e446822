package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chmail/internal/address"
	"chmail/internal/doctor"
	"chmail/internal/mailauth"
)

// dkimVerbs make and change the keys that mail is signed with. They work on the data folder, whether a server runs or not: it notices.
type dkimVerbs struct {
	New    dkimNew    `cmd:"" help:"Make a domain's keys, and print the records to publish."`
	List   dkimList   `cmd:"" help:"List the keys."`
	Use    dkimUse    `cmd:"" help:"Let other keys sign."`
	Retire dkimRetire `cmd:"" help:"Remove keys that sign no more."`
}

type dkimNew struct {
	Domain   string `arg:"" help:"One of the configuration's domains."`
	Selector string `placeholder:"S" help:"The keys are to be called S-rsa and S-ed25519; S is today's date where none is given."`
}

// Help shows the verb at work.
func (dkimNew) Help() string {
	return `Makes two keys, RSA with 2048 bits and Ed25519, since old receivers know the first alone. A domain's first keys sign at once: publish their records now. Later ones wait for
chmail dkim use. Private keys stay in the data folder, in dkim/DOMAIN.

To change keys without a gap: make new ones, publish their records, and give the DNS a day; let them sign (use); five days later, when no mail that the old
ones have signed is on its way any more, remove those (retire), and their records.

Examples:

    chmail dkim new example.com
    chmail dkim new example.com --selector spring
    sudo -u chmail chmail dkim new example.com`
}

// Run makes the keys.
func (v *dkimNew) Run(o *outside, line *cli) error {
	cfg, err := line.load()
	if err != nil {
		return err
	}
	domain, err := address.ParseDomain(v.Domain)
	if err != nil || !slices.Contains(cfg.Domains, domain) {
		return fmt.Errorf("%q is none of the configuration's domains", v.Domain)
	}
	if err := ownData(cfg.Data); err != nil {
		return err
	}
	keys := dkimFolder(cfg)
	before, err := keys.List(domain)
	if err != nil {
		return err
	}
	stem, err := freeStem(v.Selector, before)
	if err != nil {
		return err
	}
	var made []*mailauth.Key
	for _, a := range []mailauth.Algorithm{mailauth.RSA, mailauth.Ed25519} {
		k, err := keys.New(domain, stem+"-"+string(a), a)
		if err != nil {
			return err
		}
		made = append(made, k)
	}
	signs := "They sign from now on."
	if !made[0].Signs || !made[1].Signs {
		signs = fmt.Sprintf("Once the DNS has them everywhere, which takes a day: chmail dkim use %s %s %s", domain, made[0].Selector, made[1].Selector)
	}
	if err := o.printf("; publish these records; chmail dns print has them as well\n"); err != nil {
		return err
	}
	for _, k := range made {
		if err := o.printf("%s. 3600 IN TXT %s\n", k.Name(), mailauth.Quoted(k.TXT())); err != nil {
			return err
		}
	}
	return o.printf("; %s\n", signs)
}

// freeStem is what new keys are called: as was wished, else by the day, with a letter behind it where that is taken.
func freeStem(wish string, taken []*mailauth.Key) (string, error) {
	free := func(stem string) bool {
		return !slices.ContainsFunc(taken, func(k *mailauth.Key) bool {
			return k.Selector == stem+"-"+string(mailauth.RSA) || k.Selector == stem+"-"+string(mailauth.Ed25519)
		})
	}
	if wish != "" {
		if !free(wish) {
			return "", fmt.Errorf("there is a key called %s already: choose another --selector", wish)
		}
		return wish, nil
	}
	day := time.Now().UTC().Format("20060102")
	for _, letter := range append([]string{""}, strings.Split("bcdefghijklmnopqrstuvwxyz", "")...) {
		if free(day + letter) {
			return day + letter, nil
		}
	}
	return "", errors.New("so many keys were made today: choose a --selector")
}

type dkimList struct {
	JSON bool `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (dkimList) Help() string {
	return `A key that signs is marked so; the others are on their way in or out, and their records have to be published just as well.

Examples:

    chmail dkim list
    chmail dkim list --json | jq -r '.[] | select(.signs) | .name, .record'`
}

// listedKey is a key as programs get it.
type listedKey struct {
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"`
	Signs     bool   `json:"signs"`
	Name      string `json:"name"`   // of the TXT record, without a final dot
	Record    string `json:"record"` // its text
}

// Run lists the keys.
func (v *dkimList) Run(o *outside, line *cli) error {
	cfg, err := line.load()
	if err != nil {
		return err
	}
	folder := dkimFolder(cfg)
	domains, err := folder.Domains()
	if err != nil {
		return err
	}
	all := []listedKey{}
	for _, d := range domains {
		keys, err := folder.List(d)
		if err != nil {
			return err
		}
		for _, k := range keys {
			all = append(all, listedKey{Domain: k.Domain, Selector: k.Selector, Algorithm: string(k.Algorithm), Signs: k.Signs, Name: k.Name(), Record: k.TXT()})
		}
	}
	if v.JSON {
		return o.json(all)
	}
	if len(all) == 0 {
		return o.printf("There is no key yet, and mail goes out unsigned. Make some: chmail dkim new %s\n", cfg.Domains[0])
	}
	t := newTable("DOMAIN", "SELECTOR", "ALGORITHM", "SIGNS", "RECORD AT")
	for _, k := range all {
		signs := "no"
		if k.Signs {
			signs = "yes"
		}
		t.add(k.Domain, k.Selector, k.Algorithm, signs, k.Name)
	}
	return t.write(o.out)
}

type dkimUse struct {
	Domain   string   `arg:"" help:"The keys' domain."`
	Selector []string `arg:"" help:"Of each kind, the key that is to sign from now on."`
	Force    bool     `help:"Do not look whether the DNS has their records."`
}

// Help shows the verb at work.
func (dkimUse) Help() string {
	return `Of each kind, RSA and Ed25519, one key signs. The one that has signed until now stays, and so must its record, until it is retired.
A key whose record is not in the DNS does not sign: what it signs would be taken for forged. The name server asked is relay.resolver, or the system's.

Examples:

    chmail dkim use example.com spring-rsa spring-ed25519
    chmail dkim use example.com spring-rsa --force`
}

// Run lets the keys sign.
func (v *dkimUse) Run(ctx context.Context, o *outside, line *cli) error {
	if !v.Force {
		cfg, err := line.load()
		if err != nil {
			return err
		}
		resolver, err := doctor.NewServer(cfg.Relay.Resolver)
		if err != nil {
			return err
		}
		if err := v.published(ctx, dkimFolder(cfg), resolver); err != nil {
			return err
		}
	}
	return v.each(o, line, (*mailauth.Keys).Use, "signs from now on")
}

// published refuses keys that nobody could verify with.
func (v *dkimUse) published(ctx context.Context, keys *mailauth.Keys, resolver doctor.Resolver) error {
	all, err := keys.List(v.Domain)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Signs || !slices.Contains(v.Selector, k.Selector) {
			continue
		}
		if err := doctor.Published(ctx, resolver, k.Name(), k.TXT()); err != nil {
			return fmt.Errorf("the record at %s: %w; publish it (chmail dns print), or say --force", k.Name(), err)
		}
	}
	return nil
}

func (v *dkimUse) each(o *outside, line *cli, do func(keys *mailauth.Keys, domain, selector string) error, done string) error {
	cfg, err := line.load()
	if err != nil {
		return err
	}
	if err := ownData(cfg.Data); err != nil {
		return err
	}
	for _, s := range v.Selector {
		if err := do(dkimFolder(cfg), v.Domain, s); err != nil {
			return err
		}
		if err := o.printf("%s of %s %s.\n", s, v.Domain, done); err != nil {
			return err
		}
	}
	return nil
}

type dkimRetire struct {
	Domain   string   `arg:"" help:"The keys' domain."`
	Selector []string `arg:"" help:"Keys that sign no more."`
	Yes      bool     `help:"Do not ask back."`
	Force    bool     `help:"Also keys whose mail may still be on its way."`
}

// Help shows the verb at work.
func (dkimRetire) Help() string {
	return `The private keys go for good. Take their records out of the DNS when no mail that they have signed is on its way any more, five days after they have signed the last one; mail that still
waits here is signed anew. A key that signs is not removed: let another sign first; nor, without --force, one that has signed within relay.life, for as long as which a mail may wait. It is asked back at a terminal; a script says --yes.

Examples:

    chmail dkim retire example.com winter-rsa winter-ed25519
    chmail dkim retire example.com winter-rsa --yes`
}

// Run removes the keys.
func (v *dkimRetire) Run(ctx context.Context, o *outside, line *cli) error {
	if err := o.sure(ctx, v.Yes, fmt.Sprintf("Remove the keys %s of %s for good?", strings.Join(v.Selector, ", "), v.Domain)); err != nil {
		return err
	}
	if err := v.rested(line); err != nil {
		return err
	}
	both := dkimUse{Domain: v.Domain, Selector: v.Selector}
	return both.each(o, line, (*mailauth.Keys).Retire, "is retired")
}

// rested refuses keys that have signed not long ago.
func (v *dkimRetire) rested(line *cli) error {
	cfg, err := line.load()
	if err != nil || v.Force {
		return err
	}
	keys := dkimFolder(cfg)
	all, err := keys.List(v.Domain)
	if err != nil {
		return err
	}
	for _, s := range v.Selector {
		if slices.ContainsFunc(all, func(k *mailauth.Key) bool { return k.Selector == s && k.Signs }) {
			continue // what is to be done first, Retire tells
		}
		last, err := keys.LastSigned(v.Domain, s)
		if err != nil {
			return err
		}
		if until := last.Add(cfg.Relay.Life); time.Now().Before(until) {
			return fmt.Errorf("%s of %s may have signed until %s, and mail of it can be on its way until %s: wait for that, or say --force", s, v.Domain, day(last), day(until))
		}
	}
	return nil
}
