package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAliasesAndGrantsWithoutARunningServer(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	emptyDatabase(t, file)
	step := func(want int, says string, args ...string) string {
		t.Helper()
		out, errs, status := chmail(t, "a fine long password\n", append(args, "--config", file)...)
		if status != want || !strings.Contains(out+errs, says) {
			t.Errorf("chmail %v: status %d, want %d with %q: %s%s", args, status, want, says, out, errs)
		}
		return out + errs
	}
	step(statusDone, "There is no alias.", "alias", "list")
	step(statusDone, "Nobody may write as another", "account", "send-as", "list")
	for _, login := range []string{"alice@localhost.test", "bob@localhost.test"} {
		step(statusDone, "", "account", "add", login)
	}
	step(statusDone, "sales@localhost.test leads to alice@localhost.test, bob@localhost.test.\n", "alias", "add", "Sales@localhost.test", "alice@localhost.test", "bob@localhost.test")
	step(statusDone, "may be written as by them", "alias", "add", "b.example@localhost.test", "bob@localhost.test", "--send")
	step(statusRefused, "accounts of this server", "alias", "add", "away@localhost.test", "alice@elsewhere.example")
	step(statusRefused, "chmail alias remove sales@localhost.test", "account", "add", "sales@localhost.test")
	step(statusRefused, "no such account", "account", "send-as", "add", "ghost@localhost.test", "sales@localhost.test")
	step(statusDone, "bob@localhost.test may write as sales@localhost.test.\n", "account", "send-as", "add", "bob@localhost.test", "sales@localhost.test")
	step(statusDone, "alice@localhost.test may write as nobody else. Let it: chmail account send-as add alice@localhost.test ADDRESS\n", "account", "send-as", "list", "Alice@localhost.test")
	step(statusRefused, "ghost@localhost.test: there is no such account", "account", "send-as", "list", "ghost@localhost.test", "--json")
	if text := step(statusDone, "", "alias", "list"); !strings.Contains(text, "sales@localhost.test      alice@localhost.test bob@localhost.test  bob@localhost.test\n") {
		t.Errorf("the list:\n%s", text)
	}
	var aliases []struct {
		Address      string
		Logins, Send []string
	}
	if err := json.Unmarshal([]byte(step(statusDone, "", "alias", "list", "--json")), &aliases); err != nil || len(aliases) != 2 || len(aliases[1].Logins) != 2 || len(aliases[0].Send) != 1 {
		t.Errorf("in JSON: %+v, %v", aliases, err)
	}
	var grants []struct{ Login, Address string }
	if err := json.Unmarshal([]byte(step(statusDone, "", "account", "send-as", "list", "Bob@localhost.test", "--json")), &grants); err != nil || len(grants) != 2 || grants[1].Address != "sales@localhost.test" {
		t.Errorf("bob's grants: %+v, %v", grants, err)
	}
	step(statusDone, "", "account", "set", "bob@localhost.test", "quota=0")
	step(statusDone, "0 octets  quota=none\n", "account", "list")
	step(statusDone, "", "account", "set", "bob@localhost.test", "quota=2GiB", "sent=on")
	step(statusDone, "0 octets of 2GiB", "account", "list")
	step(statusDone, "0 octets of 2GiB  quota=2GiB sent=on", "account", "list")
	step(statusDone, "b.example@localhost.test sales@localhost.test", "account", "show", "bob@localhost.test")
	var shown struct {
		Maildrop struct{ Quota, Used int64 }
		Aliases  []string
		SendAs   []string `json:"send_as"`
	}
	if err := json.Unmarshal([]byte(step(statusDone, "", "account", "show", "bob@localhost.test", "--json")), &shown); err != nil || shown.Maildrop.Quota != 2<<30 || len(shown.Aliases) != 2 || len(shown.SendAs) != 2 {
		t.Errorf("bob in JSON: %+v, %v", shown, err)
	}
	step(statusRefused, "no such account", "account", "show", "ghost@localhost.test")
	step(statusDone, "not write as sales@localhost.test any more", "account", "send-as", "remove", "bob@localhost.test", "sales@localhost.test")
	step(statusRefused, "no such grant", "account", "send-as", "remove", "bob@localhost.test", "sales@localhost.test")
	step(statusDone, "does not lead to bob@localhost.test any more", "alias", "remove", "sales@localhost.test", "bob@localhost.test")
	step(statusDone, "sales@localhost.test is removed", "alias", "remove", "sales@localhost.test")
	step(statusRefused, "no such alias", "alias", "remove", "sales@localhost.test")
	step(statusDone, "", "account", "remove", "bob@localhost.test", "--yes")
	if text := step(statusDone, "", "alias", "list", "--json"); text != "[]\n" {
		t.Errorf("left: %s", text)
	}
}
