package main

import (
	"context"
	"log/slog"
	"slices"

	"chmail/internal/account"
)

// tellAccounts says at the start which accounts nobody can use, since an administrator may not know of it: those without a password, as a misspelt
// postmaster makes one, and how many are of a domain that the configuration has no more.
func tellAccounts(ctx context.Context, accounts *account.Accounts, domains []string, log *slog.Logger) error {
	all, err := accounts.List(ctx)
	if err != nil {
		return err
	}
	foreign := make(map[string]int)
	for _, a := range all {
		switch domain := domainOf(a.Login); {
		case !slices.Contains(domains, domain):
			foreign[domain]++
		case !a.HasPassword:
			log.Warn("an account has no password, and nobody reads its mail: set one, or name another postmaster", "login", a.Login, "how", "chmail account passwd "+a.Login)
		}
	}
	for domain, n := range foreign {
		log.Warn("accounts are of a domain that is not among the configured ones: they get no mail and send none in its name; what they have can still be fetched", "domain", domain, "accounts", n)
	}
	return nil
}
