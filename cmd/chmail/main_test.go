package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chmail/internal/play"
)

// chmail runs the program as a shell would, with text on its standard input.
func chmail(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs strings.Builder
	status = run(t.Context(), outside{in: strings.NewReader(stdin), out: &out, err: &errs, lastly: new(lastly)}, args)
	return out.String(), errs.String(), status
}

var verbs = [][]string{
	{"play"}, {"serve"}, {"account", "add"}, {"account", "passwd"}, {"account", "set"}, {"account", "list"}, {"account", "show"}, {"account", "remove"},
	{"account", "send-as", "add"}, {"account", "send-as", "list"}, {"account", "send-as", "remove"}, {"alias", "add"}, {"alias", "list"}, {"alias", "remove"},
	{"conversation", "list"}, {"conversation", "show"}, {"conversation", "export"}, {"conversation", "delete"},
	{"queue", "list"}, {"queue", "show"}, {"queue", "why"}, {"queue", "retry"}, {"queue", "hold"}, {"queue", "release"}, {"queue", "fail"}, {"queue", "drop"},
	{"config", "check"}, {"dns", "print"}, {"dkim", "new"}, {"dkim", "list"}, {"dkim", "use"}, {"dkim", "retire"}, {"doctor"}, {"doctor", "smuggle"}, {"presence"}, {"ports"}, {"whois"}, {"chat"}, {"version"},
}

func TestEveryVerbShowsHowItIsUsed(t *testing.T) {
	t.Parallel()
	out, _, status := chmail(t, "", "--help")
	if status != statusDone {
		t.Errorf("--help: status %d", status)
	}
	for _, v := range verbs {
		if !strings.Contains(out, v[0]) {
			t.Errorf("the help does not name %s:\n%s", v[0], out)
		}
		help, errs, status := chmail(t, "", append(v, "--help")...)
		if status != statusDone || errs != "" || !strings.Contains(help, "Examples:") || !strings.Contains(help, "chmail "+strings.Join(v, " ")) {
			t.Errorf("%v --help: status %d, %s%s", v, status, help, errs)
		}
	}
}

func TestWrongUsageSaysWhatIsRight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		says string
	}{
		{"", "Usage: chmail"}, {"fly", "chmail --help"}, {"account", "chmail account --help"}, {"account add", "chmail account add --help"},
		{"whois x", "chmail whois --help"}, {"whois 99999", "no port number"}, {"whois abc", `"abc" is no port number: write the number in a mail's CH-Port field`}, {"play --port-base 1", "--port-base"},
		{"play --port-base -5", "914 to 10668"}, {"play --port-base abc", "needs a number"}, {"play --port-base", "needs a number"}, {"play --config x.yaml", "--config"},
		{"help fly", "chmail --help"},
		{"account set alice@example.com colour=blue", "name"}, {"account set alice@example.com name", "KEY=VALUE"},
		{"account set alice@example.com chat=loud", "chat is one of on, header-only, off, default"}, {"account set alice@example.com language=de", "en, ja, ko"},
		{"account set alice@example.com publish-host=true", "yes, no"}, {"account set alice@example.com chat=on chat=off", "set twice"},
		{"account set alice chat=off", `"alice" is no login: write a full mail address, for instance alice@example.com`}, {"account add alice", `"alice" is no login`},
		{"alias add sales alice@example.com", `"sales" is no login`}, {"alias add sales@example.com", "chmail alias add --help"}, {"alias add sales@example.com alice", `"alice" is no login`},
		{"account set alice@example.com quota=much", "500MiB or 2GiB, none, or default"}, {"account set alice@example.com sent=yes", "on, off"},
		{"account passwd alice", `"alice" is no login`}, {"account remove alice", `"alice" is no login`}, {"presence alice", `"alice" is no login`},
		{"account add alice@example.com --name \x01", "--name: this name cannot be used"},
		{"dns print --address x", `"x" is no address`},
		{"presence --config /no/such/file.yaml", "/no/such/file.yaml"}, {"serve --config", "config"},
	} {
		out, errs, status := chmail(t, "", strings.Fields(c.args)...)
		if status != statusUsage || !strings.Contains(out+errs, c.says) {
			t.Errorf("chmail %s: status %d, want 2 and %q:\n%s%s", c.args, status, c.says, out, errs)
		}
	}
}

func TestWhatPeopleTryOnAnyProgram(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{{"help", "--help"}, {"help account add", "account add --help"}, {"help whois", "whois --help"}, {"--version", "version"}} {
		out, errs, status := chmail(t, "", strings.Fields(same[0])...)
		want, _, _ := chmail(t, "", strings.Fields(same[1])...)
		if out != want || out == "" || errs != "" || status != statusDone {
			t.Errorf("chmail %s: status %d, %s%s", same[0], status, out, errs)
		}
	}
	for verb, offers := range map[string]bool{"play": false, "chat": false, "version": false, "serve": true, "presence": true} {
		if out, _, _ := chmail(t, "", verb, "--help"); strings.Contains(out, "--config=FILE") != offers {
			t.Errorf("that %s --help offers --config is not %v:\n%s", verb, offers, out)
		}
	}
}

func TestVersionSaysWhichOneThisIs(t *testing.T) {
	t.Parallel()
	out, _, status := chmail(t, "", "version")
	if status != statusDone || !strings.HasPrefix(out, "chmail ") || !strings.Contains(out, "go1.") {
		t.Errorf("status %d: %q", status, out)
	}
	out, _, _ = chmail(t, "", "version", "--json")
	var b build
	if err := json.Unmarshal([]byte(out), &b); err != nil || b.Go == "" || b.Version == "" {
		t.Errorf("%v: %s", err, out)
	}
}

// writeConfig writes the configuration of a play instance and returns its file.
func writeConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ports, err := play.PortsFrom(play.DefaultBase)
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := play.NewCertificates(dir, play.Domain)
	if err != nil {
		t.Fatal(err)
	}
	p := playInstance{ports: ports, dir: dir, certificates: certificates}
	p.state.Sender.Login = "alice@" + play.Domain
	file, err := p.writeConfig()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAccountsWithoutARunningServer(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	step := func(want int, stdin string, args ...string) string {
		t.Helper()
		out, errs, status := chmail(t, stdin, append(args, "--config", file)...)
		if status != want {
			t.Errorf("chmail %v: status %d, want %d: %s%s", args, status, want, out, errs)
		}
		if strings.Contains(out+errs, "a fine long password") {
			t.Errorf("chmail %v showed the password", args)
		}
		return out + errs
	}
	if text := step(statusDone, "a fine long password\n", "account", "add", "Bob@Localhost.Test", "--name", "Bob"); !strings.HasPrefix(text, "bob@localhost.test is ready to use.\n") || !strings.Contains(text, "a new, empty one is made") {
		t.Errorf("the answer to a new account: %q", text)
	}
	step(statusRefused, "a fine long password\n", "account", "add", "bob@localhost.test")
	step(statusRefused, "a fine long password\n", "account", "add", "alice@elsewhere.example")
	step(statusUsage, "", "account", "add", "carol@localhost.test")
	if text := step(statusUsage, "", "account", "ad"); !strings.Contains(text, "there is no command ad") {
		t.Errorf("a verb that is none: %q", text)
	}
	for _, line := range []string{"add alice@elsewhere.example", "set alice@elsewhere.example chat=off", "remove alice@elsewhere.example --yes", "passwd alice@elsewhere.example"} {
		// No password is asked for first: there is none on standard input, and nobody complains.
		if text := step(statusRefused, "", append([]string{"account"}, strings.Fields(line)...)...); !strings.Contains(text, "elsewhere.example is not one of the configured domains") {
			t.Errorf("account %s: %q", line, text)
		}
	}
	if text := step(statusRefused, "", "account", "add", "bob@localhost.test"); !strings.Contains(text, "there is such an account already") {
		t.Errorf("the answer to an account that exists: %q", text)
	}
	if text := step(statusRefused, "", "account", "passwd", "nobody@localhost.test"); !strings.Contains(text, "no such account") {
		t.Errorf("the answer to a password for nobody: %q", text)
	}
	step(statusDone, "", "account", "set", "bob@localhost.test", "name=Bob Example")
	if text := step(statusDone, "", "account", "set", "bob@localhost.test", "chat=off", "language=ko"); text != "bob@localhost.test is changed.\n" {
		t.Errorf("the answer to settings: %q", text)
	}
	if text := step(statusDone, "", "account", "set", "bob@localhost.test", "publish-host=yes"); !strings.Contains(text, "every recipient") {
		t.Errorf("what it means to publish one's address is not said: %q", text)
	}
	step(statusDone, "", "account", "set", "bob@localhost.test", "quiet=22:00-07:00", "timezone=Asia/Seoul")
	if text := step(statusUsage, "", "account", "set", "bob@localhost.test", "quiet=at night", "timezone=Seoul"); !strings.Contains(text, "22:00-07:00") || !strings.Contains(text, "Asia/Seoul") {
		t.Errorf("quiet hours that are none: %q", text)
	}
	step(statusRefused, "", "account", "set", "nobody@localhost.test", "chat=off")
	step(statusDone, "another long password\n", "account", "passwd", "bob@localhost.test")
	step(statusRefused, "another long password\n", "account", "passwd", "nobody@localhost.test")
	if text := step(statusDone, "", "account", "list"); !strings.Contains(text, "bob@localhost.test") || !strings.Contains(text, "Bob Example") || !strings.Contains(text, "chat=off language=ko publish-host=yes quiet=22:00-07:00 timezone=Asia/Seoul") {
		t.Errorf("the list:\n%s", text)
	}
	var all []struct{ Login, Name string }
	if err := json.Unmarshal([]byte(step(statusDone, "", "account", "list", "--json")), &all); err != nil || len(all) != 1 || all[0].Login != "bob@localhost.test" || all[0].Name != "Bob Example" {
		t.Errorf("the list in JSON: %+v, %v", all, err)
	}
	step(statusDone, "", "account", "set", "bob@localhost.test", "chat=default", "language=en", "publish-host=no", "quiet=", "timezone=")
	if text := step(statusDone, "", "account", "list", "--json"); strings.Contains(text, "chat") || strings.Contains(text, "language") || strings.Contains(text, "publish") || strings.Contains(text, "quiet") || strings.Contains(text, "timezone") {
		t.Errorf("settings that say nothing are listed: %s", text)
	}
	step(statusDone, "", "presence")
	step(statusDone, "", "presence", "bob@localhost.test", "--json")
	step(statusRefused, "", "presence", "nobody@localhost.test")
	step(statusDone, "", "ports")
	step(statusRefused, "", "whois", "24000")
	if out, errs, status := chmail(t, "", "whois", "24000", "--json", "--config", file); status != statusRefused || out != "" || errs == "" {
		t.Errorf("a port that is nobody's, in JSON: status %d, %q, %q", status, out, errs)
	}
	step(statusUsage, "", "account", "remove", "bob@localhost.test") // nobody can be asked
	step(statusDone, "", "account", "remove", "bob@localhost.test", "--yes")
	step(statusRefused, "", "account", "remove", "bob@localhost.test", "--yes")
}

func TestTheConfigurationIsNamedAnywhereOnTheLine(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	emptyDatabase(t, file)
	for _, line := range [][]string{
		{"--config", file, "account", "list"}, {"account", "--config", file, "list"}, {"account", "list", "--config=" + file}, {"account", "list", "--json", "--config", file},
		{"config", "check", file}, {"config", "check", "--config", file},
	} {
		if out, errs, status := chmail(t, "", line...); status != statusDone {
			t.Errorf("chmail %v: status %d: %s%s", line, status, out, errs)
		}
	}
	faulty := filepath.Join(t.TempDir(), "faulty.yaml")
	if err := os.WriteFile(faulty, []byte("hostname: mail.example.com\ncolour: blue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, status := chmail(t, "", "config", "check", faulty)
	if status != statusUsage || !strings.HasPrefix(errs, faulty+":2:1: ") && !strings.Contains(errs, "\n"+faulty+":2:1: ") {
		t.Errorf("a faulty file: status %d, and no line that begins with its place:\n%s", status, errs)
	}
}
