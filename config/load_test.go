package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// minimal is the configuration of design section 4, as it stands there.
const minimal = `hostname: mail.example.com          # greetings, HELO, Received
domains: [example.com]              # delivered here
data: /var/lib/chmail               # SQLite, blobs, keys, control socket
tls: {cert: fullchain.pem, key: privkey.pem}   # must cover hostname and the chat host
smtp:
  mx:          {listen: [":25"]}
  submission:  {listen: [":587"]}   # STARTTLS
  submissions: {listen: [":465"]}   # implicit TLS
pop3:
  listen: [":110"]                  # login only after STLS
  listen_tls: [":995"]
chat:
  url: https://chat.example.com     # what links begin with
  listen: [":443"]
  ports: 24000-24999                # the chat listeners
redis: {url: "redis://127.0.0.1:6379/0"}       # leave out: presence in memory
`

func TestTheMinimalFileWorksAsItStands(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file := filepath.Join(dir, "chmail.yaml")
	write(t, file, minimal)
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "mail.example.com" || c.Domains[0] != "example.com" || c.Data != "/var/lib/chmail" || c.ControlSocket() != "/var/lib/chmail/control.sock" ||
		c.TLS.Cert != filepath.Join(dir, "fullchain.pem") || c.TLS.Key != filepath.Join(dir, "privkey.pem") || c.SMTP.MX.Listen[0] != ":25" ||
		c.Chat.URL != "https://chat.example.com" || c.Chat.Ports != (Ports{24000, 24999}) || c.Redis.URL != "redis://127.0.0.1:6379/0" || !c.Secure() {
		t.Errorf("read as %+v", c)
	}
	if c.SMTP.MaxMessage != 50<<20 || c.Chat.LinkLife != 30*24*time.Hour || c.Health.Listen != "127.0.0.1:9180" || c.SMTP.Submission.BareLF != Refuse {
		t.Errorf("the defaults are %+v", c)
	}
	if c.IsSet("health.listen") || !c.IsSet("chat.ports") || !c.IsSet("smtp.mx.listen") {
		t.Error("what the file sets cannot be told from what it does not")
	}
}

func TestExceptionsByDomainAreReadInOneSpelling(t *testing.T) {
	t.Parallel()
	file := filepath.Join(folder(t), "chmail.yaml")
	write(t, file, strings.Replace(minimal, "  listen: [\":443\"]\n", "  listen: [\":443\"]\n  stamp: header-only\n  stamp_to: {Example.ORG: off, bücher.example: \"on\"}\n", 1))
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Chat.Stamp != StampHeader || len(c.Chat.StampTo) != 2 || c.Chat.StampTo["example.org"] != StampOff || c.Chat.StampTo["xn--bcher-kva.example"] != StampOn {
		t.Errorf("read as %q, %v", c.Chat.Stamp, c.Chat.StampTo)
	}
}

// TestEveryFaultIsNamedWithItsPlace compares what is said about each file of testdata/faults.txtar with what stands beside it.
func TestEveryFaultIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	cases, err := txtar.ParseFile("testdata/faults.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	for i := 0; i+1 < len(cases.Files); i += 2 {
		file, want := cases.Files[i], cases.Files[i+1]
		if want.Name != file.Name+" says" {
			t.Fatalf("%s is followed by %s", file.Name, want.Name)
		}
		t.Run(file.Name, func(t *testing.T) {
			t.Parallel()
			_, err := load(filepath.Join(dir, "chmail.yaml"), file.Data, environment)
			got := ""
			if err != nil {
				got = strings.NewReplacer(dir+"/", "", dir, "DIR").Replace(err.Error()) + "\n"
			}
			if got != string(want.Data) {
				t.Errorf("it says\n%s\nwant\n%s", got, want.Data)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("a secret is printed")
			}
			for _, goName := range []string{"Config", "yaml: ", "go-yaml", "reflect", "int64", "strconv", "struct"} {
				if strings.Contains(got, goName) {
					t.Errorf("%q means nothing to an administrator", goName)
				}
			}
		})
	}
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "large.yaml"), strings.Repeat("#", maxFile+1))
	for path, want := range map[string]string{
		filepath.Join(dir, "missing.yaml"): "does not exist", dir: "is no file", "/dev/zero": "is no file", filepath.Join(dir, "large.yaml"): "is larger than",
	} {
		_, err := Load(path)
		var e *Error
		if !errors.As(err, &e) || len(e.Faults) != 1 || e.Faults[0].Line != 0 || !strings.HasPrefix(err.Error(), path+": ") ||
			!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--config") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestVariablesAreFilledIn(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	text := strings.NewReplacer("hostname: mail.example.com", "hostname: ${HOST}", "/var/lib/chmail", "${NOWHERE:-/var/lib}/${EMPTY:-chmail}",
		`"redis://127.0.0.1:6379/0"`, `"redis://:${SECRET}@127.0.0.1:6379/${EMPTY}"`, "24000-24999", "${CHAT_PORTS:-25000-25099}").Replace(minimal)
	c, err := load(filepath.Join(dir, "chmail.yaml"), []byte(text), environment)
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "mail.example.com" || c.Data != "/var/lib/chmail" || c.Redis.URL != "redis://:hunter2@127.0.0.1:6379/" || c.Chat.Ports != (Ports{25000, 25099}) {
		t.Errorf("read as %+v", c)
	}
	for in, want := range map[string]string{"$${HOST}": "${HOST}", "a$b": "a$b", "${HOST}${HOST}": "mail.example.commail.example.com", "$": "$", "${EMPTY}": ""} {
		if got, _, err := expand(in, environment); got != want || err != nil {
			t.Errorf("%q becomes %q (%v), want %q", in, got, err, want)
		}
	}
}

func TestAConfigurationCanBeMadeWithoutAFile(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c, err := New(func(c *Config) {
		c.Hostname, c.Domains, c.Data = "LOCALHOST", []string{"Bücher.test"}, "play-data"
		c.TLS = TLS{Cert: filepath.Join(dir, "local.pem"), Key: filepath.Join(dir, "local-key.pem")}
		c.Chat.URL, c.Chat.Listen = "HTTP://localhost:8080/", []string{"127.0.0.1:8080"}
		c.Postmaster = "Alice@bücher.test"
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "localhost" || c.Domains[0] != "xn--bcher-kva.test" || !filepath.IsAbs(c.Data) || c.Chat.URL != "http://localhost:8080" || c.Secure() ||
		c.Postmaster != "alice@xn--bcher-kva.test" || c.IsSet("health.listen") {
		t.Errorf("made %+v", c)
	}
	_, err = New(func(c *Config) { c.Chat.URL = "http://chat.example.com" })
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "hostname is missing") || !strings.Contains(err.Error(), "http is for localhost only") {
		t.Errorf("what Load refuses New takes: %v", err)
	}
}

func TestValuesAreReadAndWritten(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Size{"50MiB": 50 << 20, "20 MB": 20_000_000, "1024": 1024, "1kib": 1024, "7B": 7, "0": 0} {
		if got, err := parseSize(in); got != want || err != nil {
			t.Errorf("%q is %d (%v), want %d", in, got, err, want)
		} else if again, err := parseSize(got.String()); again != got || err != nil {
			t.Errorf("%q is written %s", in, got)
		}
	}
	for in, want := range map[string]time.Duration{"30s": 30 * time.Second, "30d": 30 * day, "1h30m": 90 * time.Minute, "24h": day, "1.5s": 1500 * time.Millisecond} {
		if got, err := parseDuration(in); got != want || err != nil {
			t.Errorf("%q is %s (%v), want %s", in, got, err, want)
		} else if again, err := parseDuration(formatDuration(got)); again != got || err != nil {
			t.Errorf("%q is written %s", in, formatDuration(got))
		}
	}
	for _, bad := range []string{"", "x", "-1", "-5s", "9999999999999999999", "1TB", "MiB", "5 m", "d", "99999999d", "-1d"} {
		if n, err := parseSize(bad); err == nil {
			t.Errorf("size %q is %d", bad, n)
		}
		if d, err := parseDuration(bad); err == nil {
			t.Errorf("duration %q is %s", bad, d)
		}
		if p, err := parsePorts(bad); err == nil {
			t.Errorf("ports %q are %s", bad, p)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(minimal))
	for _, s := range []string{
		"", "a: [1", "a: *x", "&a {b: *a}", "<<: {a: 1}", "? [a]\n: b", "hostname: ${", "hostname: ${A:-${B}}", "tls: {cert: /dev/zero, key: /dev/tty}",
		"data: \x00", "domains: [[[[]]]]", "chat: {url: 'http://[::1%25x]:0'}", "smtp: {max_message: 99999999999GiB}", "chat: {ports: 1-0}", "a:\n- b\n c",
		"redis: {url: '://:hunter2@'}", "hostname: !!binary aGk=",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := load("nowhere/chmail.yaml", text, environment)
		var e *Error
		switch {
		case err == nil && (c.Hostname == "" || len(c.Domains) == 0 || c.Chat.Ports.First > c.Chat.Ports.Last || !filepath.IsAbs(c.Data)):
			t.Fatalf("accepted: %+v", c)
		case err != nil && (!errors.As(err, &e) || len(e.Faults) == 0):
			t.Fatalf("an error without a fault: %v", err)
		case err == nil:
			return
		}
		for _, f := range e.Faults {
			if f.Line < 1 || f.Column < 1 || f.What == "" || strings.ContainsAny(f.String(), "\r\n\x1b") {
				t.Fatalf("fault %+v", f)
			}
			if strings.Contains(f.String(), "hunter2") && !strings.Contains(string(text), "hunter2") {
				t.Fatalf("a secret of the environment is printed: %s", f)
			}
		}
	})
}

func TestAMissingAuthorityIsToldApartToo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "chmail.yaml")
	const text = "hostname: mail.example.com\ndomains: [example.com]\ndata: data\nchat: {url: https://chat.example.com}\ntls: {acme: {agree: true, ca: ca.pem}}\n"
	write(t, file, text)
	cfg, faults, err := LoadTolerant(file)
	if err != nil || cfg == nil || len(faults) != 1 || !strings.Contains(faults[0].What, "tls.acme.ca") || faults[0].Expired {
		t.Errorf("%v, %v", faults, err)
	}
	if _, err := Load(file); err == nil {
		t.Error("strictly it is no fault")
	}
	write(t, file, strings.Replace(text, "agree: true", "agree: true, challenge: prayer", 1))
	if cfg, _, err := LoadTolerant(file); err == nil || cfg != nil {
		t.Errorf("with a fault of another kind it can be used: %v", err)
	}
}

func TestWhatIsWrongWithTheCertificateIsToldApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "chmail.yaml")
	const text = "hostname: mail.example.com\ndomains: [example.com]\ndata: data\ntls: {cert: c.pem, key: k.pem}\nchat: {url: https://chat.example.com}\n"
	for name, c := range map[string]struct {
		names            []string
		until            time.Duration
		faults           int
		expired, missing bool
	}{
		"sound":   {[]string{"mail.example.com", "chat.example.com"}, time.Hour, 0, false, false},
		"expired": {[]string{"mail.example.com", "chat.example.com"}, -time.Hour, 1, true, false},
		"a name":  {[]string{"mail.example.com"}, time.Hour, 1, false, false},
		"missing": {nil, time.Hour, 2, false, true},
	} {
		write(t, file, text)
		for _, pem := range []string{"c.pem", "k.pem"} {
			_ = os.Remove(filepath.Join(dir, pem)) // of the case before, perhaps
		}
		if !c.missing {
			certificate(t, dir, "c.pem", "k.pem", time.Now().Add(c.until), c.names...)
		}
		cfg, faults, err := LoadTolerant(file)
		if err != nil || cfg == nil || cfg.Hostname != "mail.example.com" || len(faults) != c.faults || c.expired != (len(faults) == 1 && faults[0].Expired) {
			t.Errorf("%s: %v, %v", name, faults, err)
		}
		if _, err := Load(file); (err != nil) != (c.faults > 0) {
			t.Errorf("%s: strictly: %v", name, err)
		}
		write(t, file, text+"nonsense: 1\n")
		if cfg, _, err := LoadTolerant(file); err == nil || cfg != nil {
			t.Errorf("%s, and a fault of another kind: %v", name, err)
		}
	}
}
