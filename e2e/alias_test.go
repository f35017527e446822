package e2e

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// office is a server with accounts whose passwords are "a password for NAME".
func office(t *testing.T, names ...string) *server {
	t.Helper()
	s := newServer(t, "")
	for _, name := range names {
		s.account(t, name+"@example.com", "a password for "+name)
	}
	s.start(t)
	return s
}

// verb runs a verb of the program that must succeed.
func (s *server) verb(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := s.chmail(t, "", args...)
	if code != 0 {
		t.Fatalf("chmail %v: exit %d: %s", args, code, errs)
	}
	return out
}

// swaks submits as somebody what somebody is said to have written, and returns the dialogue and whether it went well.
func (s *server) swaks(t *testing.T, name string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need(t, "swaks"), append([]string{
		"--server", s.submission(), "--tls", "--auth", "PLAIN", "--auth-user", name + "@example.com", "--auth-password", "a password for " + name, "--helo", "laptop.example",
	}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// curl fetches from a maildrop in TLS.
func (s *server) curl(t *testing.T, name, path string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need(t, "curl"), append([]string{
		"--silent", "--show-error", "--max-time", "20", "--cacert", filepath.Join(s.dir, "cert.pem"), "--user", name + "@example.com:a password for " + name,
		fmt.Sprintf("pop3s://localhost:%d/%s", s.base+4, path),
	}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("curl as %s for %q: %v\n%s", name, path, err, out)
	}
	return string(out)
}

// inside are the messages that a maildrop lists.
func (s *server) inside(t *testing.T, name string) int {
	t.Helper()
	return strings.Count(s.curl(t, name, ""), "\n")
}

func read(t *testing.T, raw string) *mail.Message {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return m
}

func TestAnAddressLeadsToTwoPeople(t *testing.T) {
	t.Parallel()
	need(t, "swaks")
	s := office(t, "alice", "bob", "carol")
	s.verb(t, "alias", "add", "sales@example.com", "bob@example.com", "carol@example.com")
	out, ok := s.swaks(t, "alice", "--from", "alice@example.com", "--to", "sales@example.com,bob@example.com", "--header", "Subject: An order")
	if !ok {
		t.Fatalf("to an alias:\n%s", out)
	}
	for _, name := range []string{"bob", "carol"} {
		if n := s.inside(t, name); n != 1 {
			t.Errorf("%s has %d copies", name, n)
		}
	}
	if raw := s.curl(t, "carol", "1"); read(t, raw).Header.Get("Subject") != "An order" || read(t, raw).Header.Get("CH-Link") == "" {
		t.Errorf("carol has:\n%s", raw)
	}

	// Bob answers in the name of sales: not before he may, and then it is he who is called.
	from := []string{"--from", "sales@example.com", "--to", "alice@example.com", "--header", "Subject: Your order", "--header", "From: Sales <sales@example.com>"}
	if out, ok := s.swaks(t, "bob", from...); ok || !strings.Contains(out, "553 5.7.1") || !strings.Contains(out, "can allow it (send-as)") {
		t.Errorf("bob writes as sales without a grant:\n%s", out)
	}
	if out, ok := s.swaks(t, "bob", append(from, "--from", "bob@example.com")...); ok || !strings.Contains(out, "550 5.7.1") || !strings.Contains(out, "can allow it (send-as)") {
		t.Errorf("bob writes From: sales without a grant:\n%s", out)
	}
	s.verb(t, "account", "send-as", "add", "bob@example.com", "sales@example.com")
	if out, ok := s.swaks(t, "bob", from...); !ok {
		t.Fatalf("bob may not write as sales:\n%s", out)
	}
	got := read(t, s.curl(t, "alice", "1"))
	if got.Header.Get("Return-Path") != "<sales@example.com>" || got.Header.Get("CH-Login") != "bob@example.com" {
		t.Errorf("the answer: %v", got.Header)
	}
	var owner struct{ Login string }
	if err := json.Unmarshal([]byte(s.verb(t, "whois", got.Header.Get("CH-Port"), "--json")), &owner); err != nil || owner.Login != "bob@example.com" {
		t.Errorf("the port in it is that of %v, %v", owner, err)
	}
	reader := follow(t, chatLink(t, got)) // and it is bob's desk that hears of it
	reader.Until(`document.querySelector('#text') !== null`)
	if out, ok := s.swaks(t, "carol", from...); ok {
		t.Errorf("carol writes as sales with bob's grant:\n%s", out)
	}
	s.verb(t, "account", "send-as", "remove", "bob@example.com", "sales@example.com")
	if out, ok := s.swaks(t, "bob", from...); ok {
		t.Errorf("a grant that was taken back still counts:\n%s", out)
	}
	s.verb(t, "account", "remove", "bob@example.com", "--yes")
	if out, ok := s.swaks(t, "alice", "--from", "alice@example.com", "--to", "sales@example.com"); !ok || s.inside(t, "carol") != 2 {
		t.Errorf("carol alone is left of sales, and has %d mails:\n%s", s.inside(t, "carol"), out)
	}
}

func TestAFullMailboxIsPutOffUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	need(t, "swaks")
	s := office(t, "alice", "bob", "carol")
	s.verb(t, "account", "set", "bob@example.com", "quota=20KiB")
	body := strings.Repeat("A line of a mail that is rather long.\n", 400) // 15 KiB
	write := func(to ...string) (string, bool) {
		return s.swaks(t, "alice", "--from", "alice@example.com", "--to", strings.Join(to, ","), "--body", body)
	}
	if out, ok := write("bob@example.com"); !ok {
		t.Fatalf("there is room:\n%s", out)
	}
	if out, ok := write("bob@example.com"); ok || !strings.Contains(out, "452 4.2.2 the mailbox of a recipient is full") { // swaks announces no size
		t.Errorf("more than there is room for:\n%s", out)
	}
	if out, ok := write("bob@example.com", "carol@example.com"); !ok || s.inside(t, "carol") != 1 || s.inside(t, "bob") != 2 {
		t.Errorf("the others are concerned as well:\n%s", out)
	}
	if out, ok := write("bob@example.com", "carol@example.com"); !ok || !strings.Contains(out, "452 4.2.2 this mailbox is full") || s.inside(t, "carol") != 2 || s.inside(t, "bob") != 2 {
		t.Errorf("a full one among others:\n%s", out)
	}
	// From outside, with the size as hosts announce it.
	out, err := exec.Command("swaks", "--server", s.mx(), "--from", "dave@elsewhere.test", "--to", "bob@example.com", "--quit-after", "RCPT").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "452 4.2.2 this mailbox is full, try again later") {
		t.Errorf("from outside: %v\n%s", err, out)
	}
	if text := s.verb(t, "account", "list"); !strings.Contains(text, " of 20KiB, full") || !strings.Contains(text, "quota=20KiB") {
		t.Errorf("the list:\n%s", text)
	}
	s.curl(t, "bob", "1", "--request", "DELE", "--head")
	if out, ok := write("carol@example.com"); !ok {
		t.Fatal(out)
	}
	if out, ok := s.swaks(t, "alice", "--from", "alice@example.com", "--to", "bob@example.com", "--body", "A short one."); !ok || s.inside(t, "bob") != 2 {
		t.Errorf("a deletion makes no room:\n%s", out)
	}
}

func TestASenderFetchesHisCopyWithItsLink(t *testing.T) {
	t.Parallel()
	need(t, "swaks")
	s := office(t, "alice", "bob")
	s.verb(t, "account", "set", "alice@example.com", "sent=on", "quota=10KiB")
	if out, ok := s.swaks(t, "alice", "--from", "alice@example.com", "--to", "bob@example.com", "--header", "Subject: An offer"); !ok {
		t.Fatal(out)
	}
	copied, sent := s.curl(t, "alice", "1"), s.curl(t, "bob", "1")
	if copied != sent || chatLink(t, read(t, copied)) == "" || !strings.Contains(copied[strings.Index(copied, "\r\n\r\n"):], "/c/") {
		t.Errorf("alice's copy:\n%s\nbob's:\n%s", copied, sent)
	}
	// To herself as well: once.
	if out, ok := s.swaks(t, "alice", "--from", "alice@example.com", "--to", "bob@example.com,alice@example.com"); !ok || s.inside(t, "alice") != 2 {
		t.Errorf("she has %d:\n%s", s.inside(t, "alice"), out)
	}
	// Her maildrop is full: she sends all the same.
	if out, ok := s.swaks(t, "alice", "--from", "alice@example.com", "--to", "bob@example.com", "--body", strings.Repeat("A long line of a long mail.\n", 500)); !ok || s.inside(t, "bob") != 3 || s.inside(t, "alice") != 2 {
		t.Errorf("with a full maildrop:\n%s", out)
	}
	if !strings.Contains(s.log.String(), "without a copy for its sender") {
		t.Error("the log does not say that the copy is missing")
	}
}
