package e2e

import (
	"fmt"
	"net/mail"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"chmail/internal/dnstest"
)

const (
	ann, annsPassword   = "ann@one.test", "a password for ann"
	bert, bertsPassword = "bert@two.test", "a password for bert"
)

// two are two servers of different domains that find each other by a name server of the test.
type two struct {
	one, two *server
	dns      *dnstest.Server
}

// twoServers starts them: ann is at home on one, bert on the other. Each has its MX on an address of its own, since all servers of the world listen on the same port.
func twoServers(t *testing.T, extra string) *two {
	t.Helper()
	d := dnstest.Start(t, dnstest.Records{
		"one.test MX": {"10 mail.one.test."}, "two.test MX": {"10 mail.two.test."}, "mail.one.test A": {"127.0.0.1"}, "mail.two.test A": {"127.0.0.1"}, "nomail.test MX": {"0 ."},
	})
	w := &two{dns: d}
	relay := func(port int) string {
		return fmt.Sprintf("relay: {resolver: %q, port: %d, private: true, retry: [1s, 2s]%s}\n", d.Addr(), port, extra)
	}
	w.two = newServerFor(t, "mail.two.test", "two.test", "", "@")
	w.one = newServerFor(t, "mail.one.test", "one.test", "", relay(w.two.base))
	text, err := os.ReadFile(w.two.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.two.config, []byte(strings.TrimSuffix(string(text), "@")+relay(w.one.base)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.one.account(t, ann, annsPassword)
	w.two.account(t, bert, bertsPassword)
	return w
}

// fetched waits for a mail of a maildrop that fits, and returns it.
func (s *server) fetched(t *testing.T, login, password string, fits func(m *mail.Message) bool) (*mail.Message, string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		m := s.maildrop(t, login, password)
		for i := 1; i <= m.count(); i++ {
			if msg, body := m.message(i); fits(msg) {
				m.quit()
				return msg, body
			}
		}
		m.quit()
		<-time.After(100 * time.Millisecond)
	}
	t.Fatalf("no such mail for %s; the log of the server says:\n%s", login, s.log)
	return nil, ""
}

func about(subject string) func(*mail.Message) bool {
	return func(m *mail.Message) bool { return m.Header.Get("Subject") == subject }
}

func TestTwoServersExchangeMail(t *testing.T) {
	t.Parallel()
	w := twoServers(t, "")
	w.one.start(t)
	w.two.start(t)
	if err := w.one.submit(ann, annsPassword, bert, letter(ann, bert, "Offer for the roof", "Have a look at this, please.")); err != nil {
		t.Fatal(err)
	}
	got, body := w.two.fetched(t, bert, bertsPassword, about("Offer for the roof"))
	if got.Header.Get("Return-Path") != "<"+ann+">" || len(got.Header["Received"]) != 2 || len(got.Header["Return-Path"]) != 1 || !strings.Contains(body, "/c/") {
		t.Errorf("it arrives as %v\n%s", got.Header, body)
	}
	if !strings.Contains(got.Header["Received"][0], "with ESMTPS") {
		t.Errorf("it came without TLS: %s", got.Header["Received"][0])
	}
	if err := w.two.submit(bert, bertsPassword, ann, letter(bert, ann, "Re: Offer for the roof", "Yes.")); err != nil {
		t.Fatal(err)
	}
	w.one.fetched(t, ann, annsPassword, about("Re: Offer for the roof"))

	// Whoever is not there, and a domain that takes no mail: reports, in the thread.
	for _, to := range []string{"ghost@two.test", "anybody@nomail.test"} {
		if err := w.one.submit(ann, annsPassword, to, letter(ann, to, "To "+to, "Are you there?")); err != nil {
			t.Fatal(err)
		}
		report, text := w.one.fetched(t, ann, annsPassword, about("Not delivered: To "+to))
		if !strings.HasPrefix(report.Header.Get("Content-Type"), "multipart/report") || report.Header.Get("Return-Path") != "<>" || !strings.Contains(text, to) || !strings.Contains(text, "Action: failed") || !strings.Contains(text, "Subject: To "+to) {
			t.Errorf("the report about %s: %v\n%s", to, report.Header, text)
		}
	}
}

// TestAReaderOfAnotherProviderIsReachedByMail: he proves his address there, and what was said is mailed to him (R12).
func TestAReaderOfAnotherProviderIsReachedByMail(t *testing.T) {
	t.Parallel()
	w := twoServers(t, "")
	w.one.start(t)
	w.two.start(t)
	if err := w.one.submit(ann, annsPassword, bert, letter(ann, bert, "Offer", "Have a look at this, please.")); err != nil {
		t.Fatal(err)
	}
	_, body := w.two.fetched(t, bert, bertsPassword, about("Offer"))
	reader := follow(t, regexp.MustCompile(`https://localhost:[0-9]+/c/[A-Za-z0-9_-]{22}`).FindString(body))
	reader.Run(chromedp.SendKeys("#text", "Is it available?\r"))
	said(reader, "Is it available?")
	reader.Run(chromedp.Click("#leave-address"))
	reader.Until(`document.activeElement.id === 'address'`)
	reader.Run(chromedp.SendKeys("#address", bert+"\r"))
	reader.Until(`document.activeElement.id === 'address-code'`)
	_, body = w.two.fetched(t, bert, bertsPassword, func(m *mail.Message) bool { return strings.Contains(m.Header.Get("From"), "postmaster@one.test") })
	reader.Run(chromedp.SendKeys("#address-code", regexp.MustCompile(`\b[0-9]{8}\b`).FindString(body)+"\r"))
	reader.Until(`document.querySelector('#address-box [role=status]').textContent.includes('reaches you at ` + bert + `')`)
	reader.Run(chromedp.Click("#address-box .choices button"))
	_, body = w.two.fetched(t, bert, bertsPassword, about("Re: Offer"))
	if !strings.Contains(body, "Is it available?") {
		t.Errorf("the conversation:\n%s", body)
	}
}

func TestMailWaitsForAServerThatIsDown(t *testing.T) {
	t.Parallel()
	w := twoServers(t, "")
	w.one.start(t)
	if err := w.one.submit(ann, annsPassword, bert, letter(ann, bert, "Patience", "No hurry.")); err != nil {
		t.Fatal(err)
	}
	w.one.logs(t, "mail deferred")
	w.one.kill()
	w.two.start(t)
	w.one.start(t) // what it has acknowledged is still there
	w.two.fetched(t, bert, bertsPassword, about("Patience"))
}

// logs waits for a word in the server's log.
func (s *server) logs(t *testing.T, word string) {
	t.Helper()
	select {
	case <-s.log.wait(word):
	case <-time.After(30 * time.Second):
		t.Fatalf("the server does not say %q:\n%s", word, s.log)
	}
}
