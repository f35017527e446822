package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"os"
	"strings"
	"testing"
)

func TestAFilterOfTheAdministratorsIsAsked(t *testing.T) {
	t.Parallel()
	rspamd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mail, _ := io.ReadAll(r.Body)
		action := "no action"
		for word, does := range map[string]string{"pills": "reject", "offer": "add header", "hello again": "soft reject", "a first letter": "greylist"} {
			if strings.Contains(string(mail), word) {
				action = does
			}
		}
		fmt.Fprintf(w, `{"action": %q, "score": 7.25}`, action)
	}))
	t.Cleanup(rspamd.Close)
	s := newServer(t, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "  mx: {", fmt.Sprintf("  mx: {subject_tag: %q, rspamd: {url: %q}, ", "[suspect]", rspamd.URL), 1)
	if err := os.WriteFile(s.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	s.account(t, "bob@example.com", bertsPassword)
	s.start(t)
	bring := func(subject string) error {
		c, err := smtp.Dial(s.mx())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := errors.Join(c.Mail("x@elsewhere.test"), c.Rcpt("bob@example.com")); err != nil {
			t.Fatal(err)
		}
		body, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		_, err = body.Write([]byte(letter("x@elsewhere.test", "bob@example.com", subject, "Read this.")))
		return errors.Join(err, body.Close())
	}
	if err := bring("pills"); err == nil || !strings.Contains(err.Error(), "550") || strings.Contains(err.Error(), "7.25") {
		t.Errorf("spam: %v", err)
	}
	if err := bring("hello again"); err == nil || !strings.Contains(err.Error(), "451") {
		t.Errorf("doubtful: %v", err)
	}
	if err := errors.Join(bring("an offer"), bring("a first letter"), bring("lunch")); err != nil {
		t.Fatal(err)
	}
	got, _ := s.fetched(t, "bob@example.com", bertsPassword, about("[suspect] an offer"))
	if got.Header.Get("X-Spam-Flag") != "YES" || got.Header.Get("X-Spam-Status") != "Yes, rspamd score 7.2" {
		t.Errorf("marked: %v", got.Header)
	}
	if got, _ = s.fetched(t, "bob@example.com", bertsPassword, about("lunch")); got.Header.Get("X-Spam-Flag") != "" {
		t.Errorf("not marked: %v", got.Header)
	}
	rspamd.Close()
	if err := bring("pills without a filter"); err != nil {
		t.Errorf("while rspamd is away: %v", err)
	}
	if all, _ := s.figures(t); all["chmail_rspamd_failures_total"] != 1 {
		t.Errorf("of one mail without an answer the figures say %v", all["chmail_rspamd_failures_total"])
	}
}
