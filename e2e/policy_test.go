package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// replace changes a file of a server's folder.
func (s *server) replace(t *testing.T, file string, oldnew ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(oldnew...).Replace(string(text))
	if changed == string(text) {
		t.Fatalf("%s holds none of %q", file, oldnew)
	}
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

// plaintext is a mail server without TLS that takes the place of another; it counts the mails that it is offered.
func plaintext(t *testing.T, addr string) (offered *atomic.Int32, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	offered = new(atomic.Int32)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprint(conn, "220 mail.two.test ESMTP\r\n")
				for in := bufio.NewScanner(conn); in.Scan(); {
					if strings.HasPrefix(strings.ToUpper(in.Text()), "MAIL") {
						offered.Add(1)
					}
					fmt.Fprint(conn, "250 mail.two.test\r\n")
				}
			}()
		}
	}()
	return offered, func() { ln.Close() }
}

// waiting is the queue id of the one mail that waits.
func (s *server) waiting(t *testing.T) string {
	t.Helper()
	out, errs, _ := s.chmail(t, "", "queue", "list", "--json")
	var all []struct{ ID string }
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("the queue: %v\n%s%s", err, out, errs)
	}
	return all[0].ID
}

// explains has the mail tried again until the server says why it is still there.
func (s *server) explains(t *testing.T, id string, words ...string) {
	t.Helper()
	var out, errs string
	if _, errs, code := s.chmail(t, "", "queue", "retry", id); code != 0 {
		t.Fatalf("chmail queue retry: exit %d: %s", code, errs)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(200 * time.Millisecond) {
		out, errs, _ = s.chmail(t, "", "queue", "why", id)
		missing := false
		for _, w := range words {
			missing = missing || !strings.Contains(out, w)
		}
		if !missing {
			return
		}
	}
	t.Fatalf("chmail queue why does not say %q:\n%s%s", words, out, errs)
}

// TestMailGoesAsThePolicyOfTheOtherDomainWants: the policy is fetched from the other server's web port, kept over a restart, and holds when somebody has the DNS deny it
// (MTA-STS, RFC 8461): no mail goes to a server with another certificate, nor to one without TLS, and it is said why.
func TestMailGoesAsThePolicyOfTheOtherDomainWants(t *testing.T) {
	t.Parallel()
	w := twoServers(t, "")
	w.two.trust = certificates(t, w.two.dir, "mail.two.test", "mta-sts.two.test")
	renamed := t.TempDir()
	certificates(t, renamed, "other.two.test")
	trusted := filepath.Join(w.one.dir, "authorities.pem")
	var all []byte
	for _, dir := range []string{w.two.dir, renamed} {
		text, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	if err := os.WriteFile(trusted, all, 0o600); err != nil {
		t.Fatal(err)
	}
	w.one.replace(t, w.one.config, "private: true", fmt.Sprintf("private: true, ca: %q, policy_port: %d", trusted, w.two.base+5))
	w.dns.Set("_mta-sts.two.test TXT", "v=STSv1; id=20261126")
	w.dns.Set("mta-sts.two.test A", "127.0.0.1")

	w.two.start(t)
	w.one.start(t)
	if err := w.one.submit(ann, annsPassword, bert, letter(ann, bert, "By your policy", "As you like it.")); err != nil {
		t.Fatal(err)
	}
	got, _ := w.two.fetched(t, bert, bertsPassword, about("By your policy"))
	if !strings.Contains(got.Header["Received"][0], "with ESMTPS") {
		t.Errorf("it came without TLS: %s", got.Header["Received"][0])
	}

	// Somebody has the DNS say that there is no policy, and puts a server in between whose certificate is for another name.
	w.dns.Set("_mta-sts.two.test TXT")
	w.dns.Set("mta-sts.two.test A")
	w.one.stop(t)
	w.two.stop(t)
	w.two.replace(t, w.two.config, "hostname: mail.two.test", "hostname: other.two.test", "cert: cert.pem, key: key.pem", fmt.Sprintf("cert: %q, key: %q", filepath.Join(renamed, "cert.pem"), filepath.Join(renamed, "key.pem")))
	w.two.start(t)
	w.one.start(t)
	if err := w.one.submit(ann, annsPassword, bert, letter(ann, bert, "Into the wrong hands", "For your eyes only.")); err != nil {
		t.Fatal(err)
	}
	w.one.logs(t, "mail deferred")
	id := w.one.waiting(t)
	w.one.explains(t, id, "mail.two.test [127.0.0.1]", "4.7.5", "other.two.test, not mail.two.test")
	w.two.kill()

	offered, stop := plaintext(t, w.two.mx())
	w.one.explains(t, id, "4.7.4", "demanded by the policy of two.test (MTA-STS)")
	stop()
	if n := offered.Load(); n != 0 {
		t.Errorf("a server without TLS was offered %d mails", n)
	}

	// An MX that the policy does not name.
	w.dns.Set("two.test MX", "10 other.two.test.")
	w.dns.Set("other.two.test A", "127.0.0.1")
	w.two.start(t)
	w.one.explains(t, id, "4.7.5", "other.two.test is no mail server that two.test has named in its policy (MTA-STS)")

	// All is as it should be again.
	w.two.stop(t)
	w.dns.Set("two.test MX", "10 mail.two.test.")
	w.two.replace(t, w.two.config, "hostname: other.two.test", "hostname: mail.two.test", filepath.Join(renamed, "cert.pem"), "cert.pem", filepath.Join(renamed, "key.pem"), "key.pem")
	w.two.start(t)
	if _, errs, code := w.one.chmail(t, "", "queue", "retry", id); code != 0 {
		t.Fatalf("chmail queue retry: exit %d: %s", code, errs)
	}
	w.two.fetched(t, bert, bertsPassword, about("Into the wrong hands"))
}
