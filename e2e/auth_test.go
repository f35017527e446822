package e2e

import (
	"encoding/json"
	"errors"
	"net/mail"
	"net/smtp"
	"strings"
	"testing"
)

// publish makes one.test's keys and puts what belongs into the DNS: SPF, DKIM and DMARC.
func (w *two) publish(t *testing.T) {
	t.Helper()
	w.dns.Set("one.test TXT", "v=spf1 ip4:127.0.0.1 -all")
	w.dns.Set("_dmarc.one.test TXT", "v=DMARC1; p=reject")
	if _, errs, code := w.one.chmail(t, "", "dkim", "new", "one.test"); code != 0 {
		t.Fatal(errs)
	}
	out, errs, _ := w.one.chmail(t, "", "dkim", "list", "--json")
	var keys []struct{ Name, Record string }
	if err := json.Unmarshal([]byte(out), &keys); err != nil || len(keys) != 2 {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	for _, k := range keys {
		w.dns.Set(k.Name+" TXT", k.Record)
	}
}

// results is the one Authentication-Results field of a mail, unfolded.
func results(t *testing.T, m *mail.Message) string {
	t.Helper()
	all := m.Header["Authentication-Results"]
	if len(all) != 1 {
		t.Fatalf("%d Authentication-Results fields: %q", len(all), all)
	}
	return strings.Join(strings.Fields(all[0]), " ")
}

func TestMailBetweenServersIsSignedAndVerified(t *testing.T) {
	t.Parallel()
	w := twoServers(t, "")
	w.publish(t)
	w.one.start(t)
	w.two.start(t)
	if err := w.one.submit(ann, annsPassword, bert, letter(ann, bert, "Signed", "In my own name.")); err != nil {
		t.Fatal(err)
	}
	got, _ := w.two.fetched(t, bert, bertsPassword, about("Signed"))
	found := results(t, got)
	for _, want := range []string{"mail.two.test; spf=pass", "dmarc=pass header.from=one.test"} {
		if !strings.Contains(found, want) {
			t.Errorf("%s lacks %s", found, want)
		}
	}
	if strings.Count(found, "dkim=pass header.d=one.test") != 2 || len(got.Header["Dkim-Signature"]) != 2 {
		t.Errorf("signatures: %s", found)
	}
	if got.Header.Get("CH-Login") == "" || got.Header.Get("CH-Link") == "" {
		t.Errorf("the CH fields, which are signed, are gone: %v", got.Header)
	}
	// Bert's domain has no keys: nothing vouches for his CH fields.
	if err := w.two.submit(bert, bertsPassword, ann, letter(bert, ann, "Unsigned", "Who knows?")); err != nil {
		t.Fatal(err)
	}
	got, _ = w.one.fetched(t, ann, annsPassword, about("Unsigned"))
	if found := results(t, got); !strings.Contains(found, "dkim=none") || got.Header.Get("CH-Login")+got.Header.Get("CH-Link") != "" {
		t.Errorf("%s, and CH fields in %v", found, got.Header)
	}
}

func TestAForgerIsRefusedOrFoundOut(t *testing.T) {
	t.Parallel()
	w := twoServers(t, "")
	w.dns.Set("bank.test TXT", "v=spf1 -all")
	w.dns.Set("_dmarc.bank.test TXT", "v=DMARC1; p=reject")
	w.dns.Set("shop.test TXT", "v=spf1 -all")
	w.dns.Set("_dmarc.shop.test TXT", "v=DMARC1; p=quarantine")
	w.dns.Fail("lost.test", "_dmarc.lost.test")
	w.two.start(t)
	forged := func(domain string) error {
		text := letter("boss@"+domain, bert, "From "+domain, "Pay this.")
		c, err := smtp.Dial(w.two.mx())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := errors.Join(c.Mail("boss@"+domain), c.Rcpt(bert)); err != nil {
			t.Fatal(err)
		}
		body, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		_, err = body.Write([]byte("Authentication-Results: mail.two.test; dmarc=pass header.from=" + domain + "\r\n" + text))
		return errors.Join(err, body.Close())
	}
	if err := forged("bank.test"); err == nil || !strings.Contains(err.Error(), "550") || !strings.Contains(err.Error(), "5.7.1") {
		t.Errorf("a mail that bank.test disowns: %v", err)
	}
	if err := forged("lost.test"); err == nil || !strings.Contains(err.Error(), "451") {
		t.Errorf("a mail whose domain's policy cannot be asked for: %v", err)
	}
	for domain, want := range map[string]string{"two.test": "dmarc=none", "shop.test": "dmarc=fail header.from=shop.test policy.dmarc=quarantine"} {
		if err := forged(domain); err != nil {
			t.Fatalf("%s: %v", domain, err)
		}
		got, _ := w.two.fetched(t, bert, bertsPassword, about("From "+domain))
		if found := results(t, got); !strings.Contains(found, want) || strings.Contains(found, "dmarc=pass") {
			t.Errorf("%s: %s", domain, found)
		}
		if flag, is := got.Header.Get("X-Spam-Flag"), domain == "shop.test"; (flag == "YES") != is {
			t.Errorf("%s: X-Spam-Flag %q", domain, flag)
		}
	}
}
