package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chmail/config"
	"chmail/internal/acme"
	"chmail/internal/sqldb"
)

// byAuthority is a configuration whose certificates come from an authority.
func byAuthority(t *testing.T, set func(*config.Config)) *config.Config {
	t.Helper()
	cfg, err := config.New(func(c *config.Config) {
		c.Hostname, c.Domains, c.Data, c.Chat.URL = "mail.example.com", []string{"example.com", "example.net"}, t.TempDir(), "https://chat.example.com"
		c.TLS.ACME.Agree = true
		if set != nil {
			set(c)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestACertificateIsAskedForEachNameThatOthersComeTo(t *testing.T) {
	t.Parallel()
	for want, set := range map[string]func(*config.Config){
		"mail.example.com chat.example.com mta-sts.example.com autoconfig.example.com autodiscover.example.com mta-sts.example.net autoconfig.example.net autodiscover.example.net": nil,
		"mail.example.com autoconfig.example.com autodiscover.example.com": func(c *config.Config) {
			c.Domains, c.SMTP.MX.MTASTS, c.Chat.URL = []string{"example.com"}, config.STSNone, "https://mail.example.com"
		},
		"mail.example.com": func(c *config.Config) {
			c.Chat.URL, c.Chat.Listen, c.TLS.ACME.Challenge = "http://localhost:8080", []string{"127.0.0.1:8080"}, config.ByHTTP
		},
	} {
		if got := strings.Join(certifiedNames(byAuthority(t, set)), " "); got != want {
			t.Errorf("asked for\n%s\nwant\n%s", got, want)
		}
	}
}

func TestEachPortGetsTheTLSThatIsForIt(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(t.Context(), filepath.Join(t.TempDir(), "chmail.db"), acme.Schema())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	k, err := loadCertificates(byAuthority(t, nil), db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := k.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if !k.mx.SessionTicketsDisabled || k.mail.SessionTicketsDisabled || k.pages.SessionTicketsDisabled {
		t.Error("session tickets are off on port 25, and on no other")
	}
	for name, c := range map[string]*tls.Config{"mail": k.mail, "mx": k.mx, "chat": k.chat, "pages": k.pages} {
		if c.MinVersion != tls.VersionTLS12 || slices.Contains(c.NextProtos, "acme-tls/1") || (c.GetConfigForClient != nil) != (name == "pages") {
			t.Errorf("%s: %d, %v; the authority's question is for the web port alone", name, c.MinVersion, c.NextProtos)
		}
	}
	ask := &tls.ClientHelloInfo{ServerName: "mail.example.com"}
	if _, err := k.mail.GetCertificate(ask); err == nil {
		t.Error("people's programs are shown a certificate that nobody vouches for")
	}
	if _, err := k.mx.GetCertificate(ask); err != nil {
		t.Errorf("other servers are shown none: %v", err)
	}
	if got := k.states(); len(got) != 8 || got[0].Name != "mail.example.com" || got[0].Chain != "" {
		t.Errorf("an administrator is told %+v", got)
	}
}

// administers does what needs no certificate.
func administers(t *testing.T, file string) {
	t.Helper()
	for _, args := range []string{"account list", "queue list", "dkim list", "dns print"} {
		if out, errs, status := chmail(t, "", append(strings.Fields(args), "--config", file)...); status != statusDone {
			t.Errorf("chmail %s: status %d: %s%s", args, status, out, errs)
		}
	}
}

func TestAnAdministratorWorksWithoutTheFileOfTheAuthority(t *testing.T) {
	t.Parallel()
	for key, text := range map[string]string{"tls.acme.ca": "tls: {acme: {agree: true, ca: gone.pem}}", "relay.ca": "tls: {acme: {agree: true}}\nrelay: {ca: gone.pem}"} {
		worksWithout(t, key, "hostname: mail.example.com\ndomains: [example.com]\ndata: data\nchat: {url: https://chat.example.com}\n"+text+"\n")
	}
}

// worksWithout has an administrator work with a configuration that names a file of authorities which is gone.
func worksWithout(t *testing.T, key, text string) {
	file := filepath.Join(t.TempDir(), "chmail.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := chmail(t, "correct horse battery\n", "account", "add", "alice@example.com", "--config", file); status != statusDone {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	administers(t, file)
	for _, args := range []string{"config check " + file, "serve --config " + file} {
		if out, errs, status := chmail(t, "", strings.Fields(args)...); status != statusUsage || !strings.Contains(errs, `gone.pem" does not exist`) {
			t.Errorf("chmail %s: status %d: %s%s", args, status, out, errs)
		}
	}
	if out, _, status := chmail(t, "", "doctor", "--config", file, "--resolver", "127.0.0.1:1"); status != statusRefused || !strings.HasPrefix(out, "fail  certificate "+key+": ") {
		t.Errorf("the doctor: status %d: %s", status, out)
	}
}

func TestAnAdministratorWorksWhateverHasBecomeOfTheCertificate(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	emptyDatabase(t, file)
	if err := os.WriteFile(cfg.TLS.Cert, []byte("in the midst of a renewal"), 0o600); err != nil {
		t.Fatal(err)
	}
	administers(t, file)
	for _, args := range []string{"config check " + file, "serve --config " + file} {
		if out, errs, status := chmail(t, "", strings.Fields(args)...); status != statusUsage || !strings.Contains(errs, "holds no certificate") {
			t.Errorf("chmail %s: status %d: %s%s", args, status, out, errs)
		}
	}
	if out, _, status := chmail(t, "", "doctor", "--config", file, "--resolver", "127.0.0.1:1"); status != statusRefused || !strings.Contains(out, "\nfail  certificate ") {
		t.Errorf("the doctor: status %d: %s", status, out)
	}
}
