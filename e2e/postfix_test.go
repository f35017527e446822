package e2e

import (
	"fmt"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"chmail/internal/dnstest"
)

const carl = "carl@far.test"

// postfix is an instance of its own, in a folder of the test, at home for far.test; it gives all that is for others to the server under test.
type postfix struct {
	dir  string
	port int
	log  *logBuffer
}

// newPostfix starts one. It is master that has to be root: it gives its privileges up for each of its services.
func newPostfix(t *testing.T, next *server) *postfix {
	t.Helper()
	program := need(t, "postfix")
	lacks := func(what string) { // as need has it for a program
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatal(what + ": with CI=true it must run")
		}
		t.Skip(what)
	}
	if os.Getuid() != 0 {
		lacks("postfix starts as root only")
	}
	if _, err := user.Lookup("postfix"); err != nil {
		lacks("there is no user postfix")
	}
	dir, err := os.MkdirTemp("", "chmail-postfix") // t.TempDir's parents are closed to others
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	p := &postfix{dir: dir, port: portBlock(t, 1), log: newLogBuffer()}
	for _, d := range []string{"config", "queue", "data", "drops"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	owner, err := user.Lookup("postfix")
	must(t, err)
	uid, _ := strconv.Atoi(owner.Uid)
	must(t, os.Chown(filepath.Join(dir, "data"), uid, -1))
	must(t, os.Chown(filepath.Join(dir, "drops"), uid, -1))
	certificates(t, dir, "mail.far.test")
	p.configure(t, owner, next)
	cmd := exec.Command(program, "-c", filepath.Join(dir, "config"), "start-fg")
	cmd.Stdout, cmd.Stderr = p.log, p.log
	must(t, cmd.Start())
	t.Cleanup(func() {
		out, err := exec.Command(program, "-c", filepath.Join(dir, "config"), "stop").CombinedOutput()
		if err != nil {
			t.Logf("postfix stop: %v %s", err, out)
			_ = cmd.Process.Kill() // it may have ended
		}
		_ = cmd.Wait() // its status is that of a program told to stop
		if t.Failed() {
			t.Logf("postfix:\n%s", p.log)
		}
		must(t, os.RemoveAll(dir))
	})
	select {
	case <-p.log.wait("daemon started"):
	case <-time.After(20 * time.Second):
		t.Fatalf("postfix does not start:\n%s", p.log)
	}
	return p
}

func (p *postfix) configure(t *testing.T, owner *user.User, next *server) {
	t.Helper()
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = /dev/stdout
myhostname = mail.far.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:%[2]d
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = mail.one.test
smtp_tls_CAfile = %[5]s
smtpd_tls_security_level = may
smtpd_tls_cert_file = %[1]s/cert.pem
smtpd_tls_key_file = %[1]s/key.pem
smtp_host_lookup = native
virtual_mailbox_domains = far.test
virtual_mailbox_base = %[1]s/drops
virtual_mailbox_maps = inline:{carl@far.test=carl/}
virtual_minimum_uid = 1
virtual_uid_maps = static:%[3]s
virtual_gid_maps = static:%[4]s
smtpd_recipient_restrictions = check_recipient_access inline:{closed@far.test=REJECT}, permit_mynetworks, reject
smtpd_reject_unlisted_recipient = no
alias_maps =
alias_database =
`, p.dir, next.base, owner.Uid, owner.Gid, filepath.Join(next.dir, "cert.pem"))
	master := fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd\n", p.port)
	for _, l := range []string{
		"pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
		"defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush", "smtp unix - - n - - smtp", "relay unix - - n - - smtp",
		"error unix - - n - - error", "retry unix - - n - - error", "discard unix - - n - - discard", "virtual unix - n n - - virtual", "anvil unix - - n - 1 anvil", "proxymap unix - - n - - proxymap",
		"tlsmgr unix - - n 1000? 1 tlsmgr", "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd",
	} {
		master += l + "\n"
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "config", "main.cf"), []byte(main), 0o644))
	must(t, os.WriteFile(filepath.Join(p.dir, "config", "master.cf"), []byte(master), 0o644))
}

// fetched waits for a mail of carl's that fits.
func (p *postfix) fetched(t *testing.T, subject string) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		names, err := filepath.Glob(filepath.Join(p.dir, "drops", "carl", "new", "*"))
		must(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			must(t, err)
			if strings.Contains(string(text), "\nSubject: "+subject+"\n") {
				return string(text)
			}
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("carl does not get %q; postfix says\n%s", subject, p.log)
	return ""
}

// speaks is a client at Postfix's door, who says all of a mail in one go (RFC 2920), or its body in chunks (RFC 3030).
func (p *postfix) speaks(t *testing.T, mailArgs, rcpt, rcptArgs, text string, chunks bool) {
	t.Helper()
	c := plainClient(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)))
	must(t, c.expect("220"))
	must(t, c.ask("250", "EHLO client.far.test"))
	head := fmt.Sprintf("MAIL FROM:<%s>%s\r\nRCPT TO:<%s>%s\r\n", carl, mailArgs, rcpt, rcptArgs)
	if chunks {
		half := len(text) / 2
		head += fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", half, text[:half], len(text)-half, text[half:])
		must(t, errOf(fmt.Fprint(c.conn, head)))
		for range 4 {
			must(t, c.expect("250"))
		}
		return
	}
	must(t, errOf(fmt.Fprintf(c.conn, "%sDATA\r\n", head)))
	must(t, c.expect("250"))
	must(t, c.expect("250"))
	must(t, c.expect("354"))
	must(t, c.ask("250", "%s.", text))
}

// TestMailIsExchangedWithPostfix has it as the other side, both ways: pipelined, in chunks, with eight bits, with the parameters of DSN, and bounced by each; over TLS, in which Postfix
// insists on a certificate for our name, and we on the one that its TLSA records name (DANE).
func TestMailIsExchangedWithPostfix(t *testing.T) {
	t.Parallel()
	d := dnstest.Start(t, dnstest.Records{"far.test MX": {"10 mail.far.test."}, "mail.far.test A": {"127.0.0.1"}, "one.test MX": {"10 mail.one.test."}, "mail.one.test A": {"127.0.0.1"}})
	s := newServerFor(t, "mail.one.test", "one.test", "", "@")
	p := newPostfix(t, s)
	text, err := os.ReadFile(s.config)
	must(t, err)
	relay := fmt.Sprintf("relay: {resolver: %q, port: %d, private: true, validates: true, retry: [1s]}\n", d.Addr(), p.port)
	d.Set(fmt.Sprintf("_%d._tcp.mail.far.test TLSA", p.port), "3 0 1 "+fingerprint(t, p.dir))
	d.Validate(true)
	must(t, os.WriteFile(s.config, []byte(strings.TrimSuffix(string(text), "@")+relay), 0o600))
	s.account(t, ann, annsPassword)
	s.start(t)
	toPostfix(t, s, p)
	fromPostfix(t, s, p)
}

func toPostfix(t *testing.T, s *server, p *postfix) {
	c, err := s.dialSubmission(ann, annsPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	for subject, body := range map[string]string{"Plain": "Hello.\n..and a dot\n.\n", "Eight bits": "Gr\u00fc\u00dfe aus \u00c5lesund\n"} {
		text := crlf(strings.Replace(letter(ann, carl, subject, body), "\n\n", "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n", 1))
		must(t, c.ask("250", "MAIL FROM:<%s> BODY=8BITMIME", ann))
		must(t, c.ask("250", "RCPT TO:<%s>", carl))
		must(t, c.ask("250", "BDAT %d LAST\r\n%s", len(text)+2, text)) // the line end of ask belongs to it
		got := p.fetched(t, subject)
		if !strings.Contains(got, strings.TrimSuffix(body, "\n")) {
			t.Errorf("%s arrives as\n%s", subject, got)
		}
		if !strings.Contains(got, "with ESMTPS") {
			t.Errorf("%s came to Postfix without TLS:\n%s", subject, got)
		}
	}
	must(t, c.ask("250", "MAIL FROM:<%s> RET=HDRS ENVID=QQ314159", ann))
	must(t, c.ask("250", "RCPT TO:<%s> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;carl@far.test", carl))
	must(t, c.ask("354", "DATA"))
	must(t, c.ask("250", "%s.", crlf(letter(ann, carl, "Told of", "Did it arrive?"))))
	p.fetched(t, "Told of")
	told := func(m *mail.Message) bool { return strings.Contains(m.Header.Get("From"), "far.test") }
	if _, body := s.fetched(t, ann, annsPassword, told); !strings.Contains(body, "Action: delivered") || !strings.Contains(body, "QQ314159") {
		t.Errorf("Postfix's report of success:\n%s", body)
	}
	if err := s.submit(ann, annsPassword, "ghost@far.test", letter(ann, "ghost@far.test", "To a ghost", "Boo.")); err != nil {
		t.Fatal(err)
	}
	// Postfix takes it and reports later: its own report is mail to us.
	ghost := func(m *mail.Message) bool {
		return strings.Contains(m.Header.Get("From"), "MAILER-DAEMON") && strings.Contains(m.Header.Get("Subject"), "Undelivered")
	}
	if m, body := s.fetched(t, ann, annsPassword, ghost); m.Header.Get("Return-Path") != "<>" || !strings.Contains(body, "ghost@far.test") || !strings.Contains(body, "Action: failed") {
		t.Errorf("Postfix's report of failure: %v\n%s", m.Header, body)
	}

	// What it refuses at once, the sender hears from us, in Postfix's words.
	if err := s.submit(ann, annsPassword, "closed@far.test", letter(ann, "closed@far.test", "To a closed door", "Open?")); err != nil {
		t.Fatal(err)
	}
	if _, body := s.fetched(t, ann, annsPassword, about("Not delivered: To a closed door")); !strings.Contains(body, "554 5.7.1") || !strings.Contains(body, "closed@far.test") {
		t.Errorf("our report of what Postfix refused:\n%s", body)
	}
}

func fromPostfix(t *testing.T, s *server, p *postfix) {
	p.speaks(t, " BODY=8BITMIME", ann, "",
		crlf("From: "+carl+"\nTo: "+ann+"\nSubject: In one go\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\u00fc\u00dfe\n..x\n"), false)
	got, body := s.fetched(t, ann, annsPassword, about("In one go"))
	if body != "Gr\u00fc\u00dfe\n.x\n" || !strings.Contains(got.Header["Received"][0], "mail.far.test") || !strings.Contains(got.Header["Received"][0], "with ESMTPS") {
		t.Errorf("it arrives as %v\n%q", got.Header, body)
	}
	p.speaks(t, " RET=FULL ENVID=QQ2", ann, " NOTIFY=FAILURE ORCPT=rfc822;ann@one.test", crlf("From: "+carl+"\nTo: "+ann+"\nSubject: In chunks\n\nHello.\n.\nafter a dot\n"), true)
	if _, body := s.fetched(t, ann, annsPassword, about("In chunks")); body != "Hello.\n.\nafter a dot\n" {
		t.Errorf("chunks arrive as %q", body)
	}
	p.speaks(t, "", "ghost@one.test", " NOTIFY=FAILURE ORCPT=rfc822;ghost@one.test", crlf("From: "+carl+"\nTo: ghost@one.test\nSubject: To nobody\n\nAnybody?\n"), false)
	report := p.fetched(t, "Undelivered Mail Returned to Sender")
	for _, want := range []string{"Action: failed", "Final-Recipient: rfc822; ghost@one.test", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 no such mailbox here", "Subject: To nobody"} {
		if !strings.Contains(report, want) {
			t.Errorf("Postfix's report does not say %q:\n%s", want, report)
		}
	}
}
