package main

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"chmail/config"
	"chmail/internal/sqldb"
)

// keepMail puts a mail into the data that waits for two recipients, one of whom was tried, as a server leaves it there.
func keepMail(t *testing.T, file, login string) {
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
	now := time.Now()
	if err := k.(*localKeeper).db.Update(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`INSERT INTO queue_mail (id, qid, message, size, skip, sender, login, ret, envid, flags, at) VALUES (1, 'mail1', 99, 512, 0, ?, ?, '', '', 0, ?)`, login, login, now.Add(-5*time.Hour)); err != nil {
			return err
		}
		for i, to := range []string{"bob@one.test", "carla@one.test"} {
			if _, err := tx.Exec(`INSERT INTO queue_rcpt (id, mail, address, notify, orcpt, destination, next, tries) VALUES (?, 1, ?, '', '', 'one.test', ?, ?)`, i+1, to, now.Add(time.Hour), 1-i); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO queue_try (rcpt, n, at, took, remote, tls, code, enhanced, text) VALUES (1, 1, ?, 1500, 'mx.one.test [192.0.2.1]', 'TLS1.3', 451, '4.7.1', ?)`, now, "grey\x1b]0;x\alisted")
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestTheQueueIsShownAndChangedWhileNoServerRuns(t *testing.T) {
	t.Parallel()
	const login = "dora@localhost.test"
	file := writeConfig(t)
	verb := func(want int, args string) string {
		t.Helper()
		out, errs, status := chmail(t, "", append(append([]string{"queue"}, strings.Fields(args)...), "--config", file)...)
		if status != want {
			t.Errorf("chmail queue %s: status %d, want %d: %s%s", args, status, want, out, errs)
		}
		if strings.ContainsAny(out+errs, "\x1b\a") {
			t.Errorf("chmail queue %s steers the terminal: %q", args, out+errs)
		}
		return out + errs
	}
	if out, errs, status := chmail(t, "a fine long password\n", "account", "add", login, "--config", file); status != statusDone {
		t.Fatalf("%s%s", out, errs)
	}
	if text := verb(statusDone, "list"); text != "Nothing waits for other hosts.\n" {
		t.Errorf("an empty queue: %s", text)
	}
	keepMail(t, file, login)
	if text := verb(statusDone, "list --older 4h"); strings.Count(text, "mail1") != 2 || !strings.Contains(text, "451 4.7.1 grey") {
		t.Errorf("the list:\n%s", text)
	}
	if text := verb(statusDone, "list --limit 1"); strings.Count(text, "mail1") != 1 || !strings.Contains(text, "and 1 more") {
		t.Errorf("a short list:\n%s", text)
	}
	if text := verb(statusDone, "list --older 1d"); !strings.Contains(text, "fits") {
		t.Errorf("none so old: %s", text)
	}
	if text := verb(statusDone, "show mail1"); !strings.Contains(text, "Size:      512 octets") || !strings.Contains(text, "carla@one.test") {
		t.Errorf("shown:\n%s", text)
	}
	why := verb(statusDone, "why mail1")
	for _, want := range []string{"1.5s: mx.one.test [192.0.2.1], TLS1.3\n", "451 4.7.1 grey", "It is tried next at ", "To carla@one.test, by way of one.test:\n  Not tried yet."} {
		if !strings.Contains(why, want) {
			t.Errorf("why: no %q in\n%s", want, why)
		}
	}
	var told []struct {
		To       string
		Attempts []struct{ Text string }
	}
	if err := json.Unmarshal([]byte(verb(statusDone, "why mail1 --json")), &told); err != nil || len(told) != 2 || len(told[0].Attempts) != 1 || told[0].Attempts[0].Text != "grey\x1b]0;x\alisted" {
		t.Errorf("why, as JSON: %+v, %v", told, err)
	}
	refusedVerbs(t, verb)
	for _, step := range []struct{ args, says string }{
		{"hold mail1 --to bob@one.test", "1 recipient: held.\n"},
		{"retry --to one.test", "1 recipient: to be tried now.\n1 recipient: left alone since it is held"},
		{"why mail1", "It is held: by an administrator."},
		{"release --login Dora@localhost.test", "1 recipient: released.\n1 recipient: not held.\n"},
		{"stopped", "No account's mail is held as it comes."},
		{"hold --login Dora@localhost.test", "2 recipients: held.\nWhat dora@localhost.test submits from now on for other hosts is held as well"},
		{"hold --login Dora@localhost.test", "2 recipients: held already.\n"},
		{"list", "What dora@localhost.test submits is held as it comes, since "},
		{"stopped --json", `"login":"dora@localhost.test"`},
		{"release --login Dora@localhost.test", "2 recipients: released.\nWhat dora@localhost.test sends is not held any more"},
		{"fail mail1 --to carla@one.test --yes", "1 recipient: given up.\n"},
		{"hold --login Dora@localhost.test --to nobody@one.test", "Nothing that waits for other hosts fits.\n"},
	} {
		if text := verb(statusDone, step.args); !strings.Contains(text, step.says) {
			t.Errorf("chmail queue %s: %s", step.args, text)
		}
		if strings.HasPrefix(step.args, "hold --login") || strings.HasPrefix(step.args, "release --login") {
			held := map[bool]string{true: "To other hosts  held as it comes, since ", false: "To other hosts  not held"}[step.args == "hold --login Dora@localhost.test"]
			if out, errs, _ := chmail(t, "", "account", "show", login, "--config", file); !strings.Contains(out, held) || !strings.Contains(out, "App passwords   0") {
				t.Errorf("after %s the account is shown as\n%s%s", step.args, out, errs)
			}
		}
	}
	if text := verb(statusDone, "list --json"); strings.Contains(text, "carla@") || !strings.Contains(text, "bob@one.test") {
		t.Errorf("left:\n%s", text)
	}
	removedVerbs(t, file, login, verb)
}

// removedVerbs remove an account of which mail waits.
func removedVerbs(t *testing.T, file, login string, verb func(want int, args string) string) {
	t.Helper()
	if out, errs, status := chmail(t, "", "account", "remove", login, "--yes", "--config", file); status != statusDone || !strings.Contains(out, "For 1 recipient elsewhere mail of it still waits") {
		t.Fatalf("%s%s", out, errs)
	}
	if text := verb(statusDone, "list --login "+login); !strings.Contains(text, "bob@one.test") {
		t.Errorf("what waits of a removed account:\n%s", text)
	}
	verb(statusDone, "drop --yes --login "+login)
	verb(statusRefused, "list --login "+login)
}

// refusedVerbs are what an administrator does not get, and what he is told then.
func refusedVerbs(t *testing.T, verb func(want int, args string) string) {
	t.Helper()
	for args, says := range map[string]string{
		"why mail9":        "mail9 is not in the queue: it has been delivered, has failed",
		"drop mail9 --yes": "id=mail9",
		// A mistyped login, which no mail and no account has.
		"hold --login dara@localhost.test":              "dara@localhost.test: there is no such account",
		"release --login dara@localhost.test":           "there is no such account",
		"list --login dara@localhost.test":              "there is no such account",
		"list --login dara@localhost.test --json":       "there is no such account",
		"drop --login dara@localhost.test --held --yes": "there is no such account",
		"hold":               "say which mail to hold",
		"retry --all mail1":  "--all alone",
		"list --older later": "write it like 30m, 4h or 2d",
		"fail mail1":         "say --yes",
	} {
		want := statusUsage
		if strings.Contains(args, "mail9") || strings.Contains(args, "dara@") {
			want = statusRefused
		}
		if text := verb(want, args); !strings.Contains(text, says) {
			t.Errorf("chmail queue %s: %s", args, text)
		}
	}
}
