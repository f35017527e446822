package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"chmail/config"
	"chmail/internal/sqldb"
)

// keepTalks puts conversations of Alice's into the data as a chat server leaves them there: an old one and a new one.
func keepTalks(t *testing.T, file, login string) {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	k, err := findKeeper(t.Context(), cfg, slog.New(slog.DiscardHandler), true)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.(*localKeeper).db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for i, at := range []time.Time{time.Now().AddDate(0, 0, -100), time.Now()} {
			if _, err := tx.Exec(`INSERT INTO chatd_conversation (key, id, link, visitor, login, owner, name, about, state, said, last, seen, size, epoch, created, at)
				VALUES (?, ?, ?, x'00', ?, '', ?, 'The roof', '', '', 3, 0, 0, 0, ?, ?)`, i+1, fmt.Sprintf("talk%d", i), i, login, "Bo\x1b[31mb", at, at); err != nil {
				return err
			}
			for n, text := range []string{"", "one\n2000-01-01 00:00  Alice: two\x1b]0;x\a\u009b", ""} {
				kind := []string{"join", "say", "say"}[n]
				if _, err := tx.Exec(`INSERT INTO chatd_event (conv, n, kind, side, at, text) VALUES (?, ?, ?, 'visitor', ?, ?)`, i+1, n+1, kind, at, text); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasSaidIsShownExportedAndDeleted(t *testing.T) {
	t.Parallel()
	const login = "dora@localhost.test"
	file := writeConfig(t)
	verb := func(want int, args ...string) string {
		t.Helper()
		out, errs, status := chmail(t, "", append(args, "--config", file)...)
		if status != want {
			t.Errorf("chmail %v: status %d, want %d: %s%s", args, status, want, out, errs)
		}
		if strings.ContainsAny(out+errs, "\x1b\a\u009b") {
			t.Errorf("chmail %v steers the terminal: %q", args, out+errs)
		}
		return out + errs
	}
	if out, errs, status := chmail(t, "a fine long password\n", "account", "add", login, "--config", file); status != statusDone {
		t.Fatalf("%s%s", out, errs)
	}
	if text := verb(statusDone, "conversation", "list", login); !strings.Contains(text, "has no conversation") {
		t.Errorf("none: %s", text)
	}
	keepTalks(t, file, login)
	if text := verb(statusDone, "conversation", "list", login); strings.Count(text, "The roof") != 2 || !strings.Contains(text, "talk0") {
		t.Errorf("the list:\n%s", text)
	}
	if text := verb(statusDone, "conversation", "show", login, "talk1"); !strings.Contains(text, ": one\n    ") || !strings.Contains(text, "has come in") || !strings.Contains(text, "(taken back)") {
		t.Errorf("shown:\n%s", text)
	}
	var events []struct{ Kind, Text string }
	if err := json.Unmarshal([]byte(verb(statusDone, "conversation", "show", login, "talk1", "--json")), &events); err != nil || len(events) != 3 || !strings.HasSuffix(events[1].Text, "\x1b]0;x\a\u009b") {
		t.Errorf("as JSON: %+v, %v", events, err)
	}
	if text := verb(statusDone, "conversation", "export", login, "--all", "--format", "json"); strings.Count(text, "\n") != 6 || strings.Count(text, `"conversation":"talk0"`) != 3 {
		t.Errorf("exported:\n%s", text)
	}
	for says, args := range map[string]string{
		"chmail conversation list": "show " + login + " talk9",
		"no such account":          "list nobody@localhost.test",
		"talk9":                    "delete " + login + " talk9 --yes",
		"either an ID":             "export " + login,
		"--before DATE":            "delete " + login + " --yes",
		"write it like 2026-01-31": "delete " + login + " --before yesterday",
		"say --yes":                "delete " + login + " --all",
	} {
		want := statusUsage
		if strings.Contains(args, "talk9") || strings.Contains(args, "nobody") {
			want = statusRefused
		}
		if text := verb(want, append([]string{"conversation"}, strings.Fields(args)...)...); !strings.Contains(text, says) {
			t.Errorf("chmail conversation %s: %s", args, text)
		}
	}
	if text := verb(statusDone, "conversation", "delete", login, "--before", time.Now().AddDate(0, 0, -50).Format(time.DateOnly), "--yes"); text != "1 conversation deleted.\n" {
		t.Errorf("the old ones: %s", text)
	}
	if text := verb(statusDone, "conversation", "list", login); strings.Contains(text, "talk0") || !strings.Contains(text, "talk1") {
		t.Errorf("left:\n%s", text)
	}
	verb(statusDone, "conversation", "delete", login, "talk1", "--yes")
	if text := verb(statusDone, "conversation", "list", login, "--json"); text != "[]\n" {
		t.Errorf("left: %s", text)
	}
}
