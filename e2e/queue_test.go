package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/dnstest"
)

const amy, amysPassword = "amy@one.test", "a password for amy"

// waits is a recipient as `chmail queue list --json` and `why --json` tell of him.
type waits struct {
	ID, From, Login, To, Destination, Held string
	Tries                                  int
	Attempts                               []struct {
		N            int
		Remote, Text string
		Code         int
		Status       string
	}
}

// queueKeeper is an administrator at a server's queue.
type queueKeeper struct {
	t *testing.T
	s *server
}

// verb runs one that has to end with a status, and returns all that it said.
func (k *queueKeeper) verb(want int, args ...string) string {
	k.t.Helper()
	out, errs, code := k.s.chmail(k.t, "", append([]string{"queue"}, args...)...)
	if code != want {
		k.t.Fatalf("chmail queue %v: exit %d, want %d: %s%s", args, code, want, out, errs)
	}
	return out + errs
}

// says runs a verb that has to succeed and to say something.
func (k *queueKeeper) says(want string, args ...string) {
	k.t.Helper()
	if text := k.verb(0, args...); !strings.Contains(text, want) {
		k.t.Errorf("chmail queue %v does not say %q:\n%s", args, want, text)
	}
}

// told is what a verb with --json tells.
func (k *queueKeeper) told(args ...string) (all []waits) {
	k.t.Helper()
	text := k.verb(0, append(args, "--json")...)
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		k.t.Fatalf("chmail queue %v: %v\n%s", args, err, text)
	}
	return all
}

// lists makes sure of who is listed, in the order in which the mails were accepted.
func (k *queueKeeper) lists(want string, args ...string) {
	k.t.Helper()
	var who []string
	for _, w := range k.told(append([]string{"list"}, args...)...) {
		who = append(who, w.To)
	}
	if got := strings.Join(who, " "); got != want {
		k.t.Errorf("chmail queue list %v: %q, want %q", args, got, want)
	}
}

// tried waits until a recipient was tried so often, and returns what is known of him.
func (k *queueKeeper) tried(to string, tries int) waits {
	k.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if all := k.told("list", "--to", to); len(all) == 1 && all[0].Tries == tries {
			return all[0]
		}
	}
	k.t.Fatalf("%s was not tried %d times:\n%s", to, tries, k.verb(0, "list"))
	return waits{}
}

// gone waits until nothing waits for a recipient any more.
func (k *queueKeeper) gone(to string) {
	k.t.Helper()
	for end := time.Now().Add(30 * time.Second); len(k.told("list", "--to", to)) > 0; <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			k.t.Fatalf("%s is still waited for:\n%s", to, k.verb(0, "list"))
		}
	}
}

// report makes sure that a login has a report (RFC 3464) that a mail to somebody was given up by the administrator.
func (k *queueKeeper) report(login, password, subject, to string) {
	k.t.Helper()
	m, body := k.s.fetched(k.t, login, password, about("Not delivered: "+subject))
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" || m.Header.Get("Return-Path") != "<>" || !strings.HasPrefix(m.Header.Get("Auto-Submitted"), "auto-") {
		k.t.Errorf("the report about %s is no report: %v", subject, m.Header)
	}
	parts := multipart.NewReader(strings.NewReader(body), params["boundary"])
	var kinds []string
	for p, err := parts.NextPart(); err == nil; p, err = parts.NextPart() {
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		kinds = append(kinds, kind)
		text, err := io.ReadAll(p)
		must(k.t, err)
		if kind != "message/delivery-status" {
			continue
		}
		for _, want := range []string{"Final-Recipient: rfc822; " + to, "Action: failed", "Status: 5.0.0"} {
			if !strings.Contains(string(text), want) {
				k.t.Errorf("the report about %s does not say %q:\n%s", subject, want, text)
			}
		}
	}
	if !slices.Equal(kinds, []string{"text/plain", "message/delivery-status", "text/rfc822-headers"}) || !strings.Contains(body, "administrator of this server has given it up") {
		k.t.Errorf("the report about %s has the parts %v:\n%s", subject, kinds, body)
	}
}

// TestAnAdministratorLooksAfterTheQueue has one host that puts everything off and one that is down, and goes through what chmail queue can do about it: through the running server,
// then in the data while none runs.
func TestAnAdministratorLooksAfterTheQueue(t *testing.T) {
	t.Parallel()
	far := newSink(t, 1, 1, 0, func() int { return 1 })
	d := dnstest.Start(t, dnstest.Records{
		"far.test MX": {"10 mail.far.test."}, "mail.far.test A": {"127.0.0.1"}, "down.test MX": {"10 mail.down.test."}, "mail.down.test A": {"127.0.0.77"},
	})
	s := newServerFor(t, "mail.one.test", "one.test", "", fmt.Sprintf("relay: {resolver: %q, port: %d, private: true, retry: [1h]}\n", d.Addr(), far.port))
	s.account(t, ann, annsPassword)
	s.account(t, amy, amysPassword)
	s.start(t)
	k := &queueKeeper{t, s}
	k.says("Nothing waits for other hosts.", "list")
	for _, m := range []struct{ from, password, to, subject string }{
		{ann, annsPassword, "bob@far.test", "The roof"}, {ann, annsPassword, "carl@down.test", "The cellar"}, {amy, amysPassword, "dora@far.test", "The garden"}, {amy, amysPassword, "eve@far.test", "The fence"},
	} {
		must(t, s.submit(m.from, m.password, m.to, letter(m.from, m.to, m.subject, "When will you come?")))
	}
	bob, carl := k.tried("bob@far.test", 1), k.tried("carl@down.test", 1)
	dora, eve := k.tried("dora@far.test", 1), k.tried("eve@far.test", 1)
	lookAtTheQueue(k, bob, carl)
	changeTheQueue(k, far, bob, carl, dora, eve)
	s.stop(t)
	changeTheQueueAtRest(k, bob, dora)
	s.start(t)
	k.gone("bob@far.test")
	if n := far.times("bob@far.test"); n != 1 {
		t.Errorf("what was released while no server ran has arrived %d times, want once", n)
	}
	k.report(amy, amysPassword, "The garden", "dora@far.test")
	k.says("Nothing waits for other hosts.", "list")
}

// times is how often a mail for a recipient was taken.
func (s *sink) times(rcpt string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.took[rcpt])
}

func lookAtTheQueue(k *queueKeeper, bob, carl waits) {
	k.t.Helper()
	k.lists("bob@far.test carl@down.test dora@far.test eve@far.test")
	k.lists("bob@far.test carl@down.test", "--login", "Ann@one.test")
	k.lists("bob@far.test dora@far.test eve@far.test", "--to", "far.test")
	k.lists("carl@down.test", "--destination", "down.test")
	k.lists("eve@far.test", "--login", amy, "--to", "eve@far.test")
	k.lists("", "--held")
	k.lists("", "--older", "1h")
	k.says("451 4.3.0 not now", "list", "--to", "bob@far.test")
	k.says("Submitted: by ann@one.test", "show", bob.ID)
	k.says("bob@far.test", "show", bob.ID)
	k.says("mail.far.test [127.0.0.1], without TLS\n     451 4.3.0 not now\n", "why", bob.ID)
	k.says("mail.down.test [127.0.0.77]\n     4.4.1 no connection: ", "why", carl.ID) // what follows are the system's words
	if text := k.verb(1, "why", "nosuchmail"); !strings.Contains(text, "nosuchmail is not in the queue") {
		k.t.Errorf("of a mail that there is not, chmail queue why says\n%s", text)
	}
}

func changeTheQueue(k *queueKeeper, far *sink, bob, carl, dora, eve waits) {
	k.t.Helper()
	k.says("1 recipient: to be tried now.", "retry", "--to", "carl@down.test")
	k.tried("carl@down.test", 2) // at once, though its server was found to be down a moment ago
	k.says("1 recipient: held.", "hold", bob.ID)
	k.says("left alone since it is held", "retry", bob.ID)
	k.says("It is held: by an administrator.", "why", bob.ID)
	k.lists("bob@far.test", "--held")
	k.says("1 recipient: released.", "release", bob.ID)
	k.tried("bob@far.test", 2)
	tries := k.told("why", bob.ID)[0].Attempts
	if len(tries) != 2 || tries[0].N != 1 || tries[1].N != 2 || tries[1].Code != 451 || tries[1].Status != "4.3.0" || tries[1].Text != "not now" || tries[1].Remote != "mail.far.test [127.0.0.1]" {
		k.t.Errorf("what was tried: %+v", tries)
	}

	if text := k.verb(2, "fail", carl.ID); !strings.Contains(text, "--yes") {
		k.t.Errorf("chmail queue fail asks nobody back:\n%s", text)
	}
	k.says("1 recipient: given up.", "fail", carl.ID, "--yes")
	k.report(ann, annsPassword, "The cellar", "carl@down.test")
	k.says("1 recipient: dropped.", "drop", "--to", "eve@far.test", "--yes")
	if text := k.verb(1, "show", eve.ID); !strings.Contains(text, "is not in the queue") {
		k.t.Errorf("what was dropped is shown:\n%s", text)
	}
	k.says("1 recipient: held.", "hold", bob.ID)

	far.mu.Lock()
	far.fail4 = 0 // far.test takes mail from here on
	far.mu.Unlock()
	k.lists("bob@far.test dora@far.test")
	must(k.t, k.s.submit(amy, amysPassword, "fred@far.test", letter(amy, "fred@far.test", "The gate", "Is it open?")))
	k.gone("fred@far.test")
	k.says("1 recipient: held.", "hold", dora.ID)
	if far.times("fred@far.test") != 1 || far.times("bob@far.test") != 0 || far.times("dora@far.test") != 0 {
		k.t.Errorf("far.test has taken %v", far.took)
	}
}

// changeTheQueueAtRest is the same in the data of a server that does not run.
func changeTheQueueAtRest(k *queueKeeper, bob, dora waits) {
	k.t.Helper()
	k.lists("bob@far.test dora@far.test", "--held")
	k.says("451 4.3.0 not now", "why", dora.ID)
	k.says("2 recipients: left alone since they are held", "retry", "--to", "far.test")
	k.says("1 recipient: released.", "release", bob.ID)
	k.lists("dora@far.test", "--held")
	k.says("1 recipient: given up.", "fail", dora.ID, "--yes")
	k.lists("bob@far.test")
}
