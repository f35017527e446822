package main

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"chmail/internal/play"
)

func TestAtTheStartItIsToldWhichAccountsNobodyCanUse(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	if _, errs, code := chmail(t, "correct horse battery\n", "account", "add", "bob@"+play.Domain, "--config", file); code != statusDone {
		t.Fatal(errs)
	}
	cfg, err := (&cli{ConfigFile: file}).load()
	if err != nil {
		t.Fatal(err)
	}
	data, err := openData(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, data.Close()) })
	c, err := openCore(t.Context(), cfg, data, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, c.Close()) })
	postmaster, err := c.accounts.EnsurePostmaster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	tell := func(domains ...string) string {
		log.Reset()
		if err := tellAccounts(t.Context(), c.accounts, domains, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	if got := tell(play.Domain); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "login="+postmaster) || !strings.Contains(got, "chmail account passwd "+postmaster) {
		t.Errorf("a postmaster whom nobody reads: %s", got)
	}
	if got := tell("elsewhere.test"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "domain="+play.Domain+" accounts=2") || !strings.Contains(got, "can still be fetched") {
		t.Errorf("a domain that was taken out: %s", got)
	}
}

func TestTheAddressesOfTheZoneAreThoseThatAreListenedAt(t *testing.T) {
	t.Parallel()
	v4, v6 := netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5")
	for _, c := range []struct{ listen, want []string }{
		{[]string{":25"}, nil}, {[]string{"0.0.0.0:25"}, nil}, {[]string{"[::]:25"}, nil}, {[]string{"127.0.0.1:25"}, nil},
		{[]string{v4.String() + ":25", "[" + v6.String() + "]:25"}, []string{v4.String(), v6.String()}},
		{[]string{v4.String() + ":25", "[::]:25"}, nil},
	} {
		var got []string
		for _, ip := range namedAddresses(c.listen) {
			got = append(got, ip.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v", c.listen, got)
		}
	}
}

// noError is the end of what a test has opened.
func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
