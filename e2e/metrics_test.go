package e2e

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// figures asks the server for them, by series, and returns the page as well.
func (s *server) figures(t *testing.T) (map[string]float64, string) {
	t.Helper()
	resp, err := http.Get("http://" + s.health() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("GET /metrics: %s, %v\n%s", resp.Status, err, page)
	}
	all := make(map[string]float64)
	for line := range strings.Lines(string(page)) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			v, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64)
			if err != nil {
				t.Errorf("%q: %v", line, err)
			}
			all[line[:i]] = v
		}
	}
	return all, string(page)
}

// TestTheFiguresTellWhatHasHappened: mail comes and goes and waits, somebody mistakes his password, a stranger is refused; a monitor sees all of it, and nobody's name.
func TestTheFiguresTellWhatHasHappened(t *testing.T) {
	t.Parallel()
	w := twoServers(t, "")
	s := w.one
	s.start(t)
	must(t, s.submit(ann, annsPassword, ann, letter(ann, ann, "A note to myself", "Do not forget the roof.")))
	must(t, s.submit(ann, annsPassword, bert, letter(ann, bert, "Offer", "Have a look at this, please."))) // whose server is down
	if err := s.submit(ann, "wrong", bert, letter(ann, bert, "x", "y")); err == nil {
		t.Error("a wrong password was right")
	}
	s.fetched(t, ann, annsPassword, about("A note to myself"))
	c := plainClient(t, s.mx())
	must(t, c.expect("220"))
	must(t, c.ask("250", "EHLO mallory.two.test"))
	must(t, c.ask("250", "MAIL FROM:<%s>", bert))
	must(t, c.ask("550", "RCPT TO:<stranger@elsewhere.example>"))
	must(t, c.ask("550", "RCPT TO:<ghost@one.test>"))
	must(t, c.ask("250", "RCPT TO:<%s>", ann))
	must(t, c.ask("354", "DATA"))
	must(t, c.ask("250", "%s.", crlf(letter(bert, ann, "From outside", "Hello."))))
	s.logs(t, "mail deferred")

	want := map[string]float64{
		`chmail_mails_taken_total{port="submission"}`:                                2,
		`chmail_mails_taken_total{port="mx"}`:                                        1,
		`chmail_mail_recipients_total{port="submission",where="here"}`:               1,
		`chmail_mail_recipients_total{port="submission",where="elsewhere"}`:          1,
		`chmail_smtp_refused_total{class="5xx",port="mx",reason="policy"}`:           1, // no relay for strangers
		`chmail_smtp_refused_total{class="5xx",port="mx",reason="address"}`:          1, // no such mailbox
		`chmail_smtp_refused_total{class="5xx",port="submission",reason="password"}`: 1,
		`chmail_logins_total{outcome="ok",protocol="smtp"}`:                          2,
		`chmail_logins_total{outcome="wrong",protocol="smtp"}`:                       1,
		`chmail_relay_recipients_total{outcome="delivered"}`:                         0,
		`chmail_queue_recipients{state="waiting"}`:                                   1,
		`chmail_queue_recipients{state="held"}`:                                      0,
		`chmail_queue_held_logins`:                                                   0,
		`chmail_mail_checks_total{method="dkim",result="none"}`:                      1,
		`chmail_connections{listener="mx"}`:                                          1,
		`chmail_connections_refused_total{listener="mx"}`:                            0,
		`chmail_db_commit_failures_total`:                                            0,
		`chmail_redis_up`:                                                            1,
	}
	atLeast := map[string]float64{
		`chmail_relay_recipients_total{outcome="deferred"}`: 1, `chmail_relay_connections_total{security="failed"}`: 1, `chmail_relay_attempt_seconds_count`: 1,
		`chmail_mails_taken_bytes_total{port="mx"}`: 100, `chmail_logins_total{outcome="ok",protocol="pop3"}`: 1, `chmail_pop3_sessions_total`: 1, `chmail_pop3_messages_total`: 1,
		`chmail_pop3_bytes_total`: 100, `chmail_db_commit_seconds_count`: 4, `chmail_db_commit_changes_sum`: 4, `chmail_db_bytes`: 4096, `chmail_disk_free_bytes`: 1,
		`chmail_queue_oldest_seconds`: 0.001, `chmail_certificate_expires_timestamp_seconds{use="mail"}`: float64(time.Now().Unix()), `go_goroutines`: 10,
	}
	var wrong []string
	var page string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		wrong = nil
		var got map[string]float64
		got, page = s.figures(t)
		for series, n := range want {
			if v, ok := got[series]; !ok || v != n {
				wrong = append(wrong, fmt.Sprintf("%s is %v (%v), want %v", series, v, ok, n))
			}
		}
		for series, n := range atLeast {
			if got[series] < n {
				wrong = append(wrong, fmt.Sprintf("%s is %v, want %v at least", series, got[series], n))
			}
		}
		if len(wrong) == 0 { // between two attempts: while one is on its way, nothing waits
			break
		}
	}
	for _, line := range wrong {
		t.Error(line)
	}
	nobodyIsNamed(t, page)
}

// nobodyIsNamed walks over all series: each label has a value that is known beforehand, and no word of the story is anywhere.
func nobodyIsNamed(t *testing.T, page string) {
	t.Helper()
	known := map[string][]string{
		"port": {"submission", "submissions", "mx"}, "where": {"here", "elsewhere"}, "class": {"4xx", "5xx"},
		"reason":   {"address", "mailbox", "system", "route", "protocol", "content", "policy", "password"},
		"protocol": {"smtp", "pop3", "web"}, "listener": {"submission", "submissions", "mx", "pop3", "pop3s", "web", "chat"},
		"outcome": {"ok", "wrong", "refused", "trouble", "delivered", "deferred", "failed", "begun", "answered", "declined", "missed", "unverified", "sent", "gone"},
		"method":  {"spf", "dkim", "dmarc", "arc"}, "result": {"none", "pass", "fail", "softfail", "neutral", "policy", "temperror", "permerror"},
		"state": {"waiting", "active", "held"}, "security": {"none", "starttls", "verified", "sts", "dane", "failed"}, "kind": {"failed", "delayed", "relayed", "reader", "desk", "terminal"},
		"status": {"1xx", "2xx", "3xx", "4xx", "5xx", "none"}, "use": {"mail", "chat", "other"},
	}
	label := regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	for line := range strings.Lines(page) {
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			_, err := strconv.ParseFloat(m[2], 64)
			switch name, value := m[1], m[2]; {
			case line[0] == '#', value == "other", slices.Contains(known[name], value):
			case (name == "le" || name == "quantile") && err == nil:
			case name == "version" && (strings.HasPrefix(line, "go_info{") || strings.HasPrefix(line, "chmail_build_info{")):
			default:
				t.Errorf("%s=%q in %s", name, value, line)
			}
		}
	}
	for _, word := range []string{"@", "ann", "bert", "one.test", "two.test", "mallory", "ghost", "elsewhere.example", "127.0.0.1", "localhost"} {
		if at := regexp.MustCompile(`\b` + regexp.QuoteMeta(word)).FindStringIndex(page); at != nil {
			t.Errorf("%q is shown: %s", word, page[max(0, at[0]-60):min(len(page), at[1]+60)])
		}
	}
}
