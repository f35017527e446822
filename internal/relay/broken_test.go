package relay

import (
	"strings"
	"testing"
	"testing/synctest"

	"chmail/internal/delivery"
)

const wholeMail = `S: 220 ready
C: EHLO relay.example.com
S: 250-mx.example.org
S: 250 DSN
C: MAIL FROM:<alice@example.com>
S: 250 ok
C: RCPT TO:<a@example.org>
S: 250 ok
C: RCPT TO:<b@example.org>
S: 550 5.1.1 no b
C: DATA
S: 354 go on
C: Subject: x
C: 
C: .
S: 250 ok
C: QUIT
S: 221 bye
`

// TestWhereverAConnectionEndsTheMailIsTriedAgain cuts a dialogue before each of its lines, in four ways. The mail counts as accepted exactly when its 250 came.
func TestWhereverAConnectionEndsTheMailIsTriedAgain(t *testing.T) {
	t.Parallel()
	lines := strings.SplitAfter(strings.TrimSuffix(wholeMail, "\n"), "\n")
	for name, cut := range map[string]string{
		"closed": "! reset\n", "silent": "! wait 3h\n", "half a line": "S\" 25\n! reset\n", "nonsense": "S: hello?\n! closed\n", "421": "S: 421 4.3.2 closing\n! closed\n",
	} {
		for n, line := range lines {
			if !strings.HasPrefix(line, "S:") && name != "closed" {
				continue
			}
			t.Run(name+" before "+strings.TrimSpace(line), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { cutOff(t, n, strings.Join(lines[:n], "")+cut) })
			})
		}
	}
}

func cutOff(t *testing.T, n int, script string) {
	p := &peers{t: t, scripts: []string{script}}
	defer p.playing.Wait()
	m := mailOf(t, "to a@example.org\nto b@example.org\n\nSubject: x\n\n")
	line, err := New(Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Dial: p.dial}).Open(t.Context(), "example.org", m)
	if err != nil {
		if v := err.(*delivery.Verdict); n > 3 || !v.Temporary || v.Accepted() || v.Remote == "" {
			t.Errorf("no line: %s", told(v))
		}
		return
	}
	verdicts, again := line.Send(t.Context(), m)
	line.Close()
	a, b := verdicts[0], verdicts[1]
	const taken, refused = 15, 9
	if a.Accepted() != (n > taken) || a.Accepted() == a.Temporary || again != (n > taken) {
		t.Errorf("a: %s, again %v", told(&a), again)
	}
	if b.Accepted() || b.Temporary != (n <= refused) {
		t.Errorf("b: %s", told(&b))
	}
}
