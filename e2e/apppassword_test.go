package e2e

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A mail client with an app password sends by SCRAM and fetches; the desk does not take it; ended, it is of no use at once.
func TestAMailClientHasAPasswordOfItsOwn(t *testing.T) {
	t.Parallel()
	msmtp := need(t, "msmtp")
	s := newServer(t, "")
	s.account(t, "alice@example.com", "a fine long password")
	if out, errs, code := s.chmail(t, "", "account", "app-password", "add", "alice@example.com", "printer"); code != 0 || !strings.Contains(out, "not shown again") {
		t.Fatalf("in the data at rest: exit %d: %s%s", code, out, errs)
	}
	s.start(t)
	out, errs, code := s.chmail(t, "", "account", "app-password", "add", "alice@example.com", "the telephone", "--json")
	var made struct{ Login, Name, Password string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 || made.Name != "the telephone" || len(made.Password) != 34 {
		t.Fatalf("exit %d: %s%s (%v)", code, out, errs, err)
	}
	send := func(subject, mechanism, password string) error {
		host, port, _ := strings.Cut(s.submission(), ":")
		cmd := exec.CommandContext(t.Context(), msmtp, "--host="+host, "--port="+port, "--tls=on", "--tls-certcheck=off", "--auth="+mechanism, "--user=alice@example.com",
			"--passwordeval=echo '"+password+"'", "--from=alice@example.com", "alice@example.com")
		cmd.Stdin = strings.NewReader(letter("alice@example.com", "alice@example.com", subject, "sent by msmtp"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("msmtp: %v: %s", err, out)
			return err
		}
		return nil
	}
	// That there is one keeps nobody out who has a password alone and a client that takes the best it is offered.
	for subject, by := range map[string][2]string{"plain": {"plain", made.Password}, "on": {"on", made.Password}, "own": {"on", "a fine long password"}} {
		if err := send(subject, by[0], by[1]); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if n := s.maildrop(t, "alice@example.com", made.Password).count(); n != 3 {
		t.Errorf("%d mails, want 3", n)
	}
	if out, errs, _ := s.chmail(t, "", "presence", "alice@example.com", "--json"); !strings.Contains(out, `"verdict": "on"`) || !strings.Contains(out, `"source": "smtp"`) {
		t.Errorf("she is where she was seen: %s%s", out, errs)
	}
	if status := s.signsIn(t, s.browsing(t), "alice@example.com", made.Password); status == http.StatusSeeOther {
		t.Error("the desk takes it")
	}
	// There is no SCRAM until somebody wants it.
	if send("own", "scram-sha-256", "a fine long password") == nil || send("app", "scram-sha-256", made.Password) == nil {
		t.Error("SCRAM is offered")
	}
	if _, errs, code := s.chmail(t, "", "account", "set", "alice@example.com", "scram=on"); code != 0 {
		t.Fatal(errs)
	}
	s.maildrop(t, "alice@example.com", "a fine long password")
	for _, password := range []string{"a fine long password", made.Password} {
		if err := send("proved", "scram-sha-256", password); err != nil {
			t.Error(err)
		}
	}
	var all []struct {
		Name string
		Used *time.Time `json:"last_used"`
	}
	out, _, _ = s.chmail(t, "", "account", "app-password", "list", "alice@example.com", "--json")
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 || all[0].Used != nil || all[1].Used == nil || time.Since(*all[1].Used) > time.Minute {
		t.Errorf("listed %s (%v)", out, err)
	}
	open := s.maildrop(t, "alice@example.com", made.Password)
	if out, errs, code := s.chmail(t, "", "account", "app-password", "remove", "alice@example.com", "the telephone"); code != 0 {
		t.Fatal(out, errs)
	}
	if err := open.c.PrintfLine("STAT"); err != nil {
		t.Fatal(err)
	}
	if line, err := open.c.ReadLine(); err != nil || !strings.HasPrefix(line, "-ERR [AUTH]") {
		t.Errorf("a session that it has begun goes on: %q, %v", line, err)
	}
	if send("ended", "scram-sha-256", made.Password) == nil {
		t.Error("it is ended, and still lets in")
	}
	if log := s.log.String(); strings.Contains(log, made.Password) {
		t.Errorf("the log has it:\n%s", log)
	}
}
