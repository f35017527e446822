package metrics

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chmail/internal/netutil"
)

// busy is a server at which something of everything is going on.
func busy(context.Context) Now {
	return Now{
		Queue: &Queue{Waiting: 3, Active: 1, Held: 2, Due: 1, Oldest: time.Hour, Logins: 1, Lines: 1},
		Conns: map[string]netutil.Stats{"mx": {Open: 4, Taken: 9, Refused: 2}}, POP3: POP3{Sessions: 5, Messages: 6, Octets: 7000, Deleted: 3},
		Chat: Chat{Readers: 1, Desks: 2, Ports: 1, Messages: 12}, Maps: Maps{Answer: true}, Disk: &Disk{Free: 10, Size: 100, Database: 5},
		Expires: map[string]time.Time{"mail": time.Unix(2000000000, 0), "chat": time.Unix(2000000001, 0), "other": time.Unix(2000000002, 0)},
		Missing: map[string]int{"other": 2},
	}
}

// page is what a monitor reads.
func page(t *testing.T, m *Metrics, now func(context.Context) Now) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(Options{Version: "v1", Now: now}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("GET /metrics: %d\n%s", w.Code, w.Body)
	}
	return w.Body.String()
}

// figures takes the values of all series of ours.
func figures(page string) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(page) {
		if series, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(series, "chmail_") {
			all[series] = value
		}
	}
	return all
}

func TestAMonitorReadsWhatHasHappened(t *testing.T) {
	t.Parallel()
	m := New()
	m.SMTP.Mails.Add("mx", 1)
	m.SMTP.Octets.Add("mx", 2500)
	m.SMTP.Refused.Add("mx", "address", "5xx", 1)
	m.Logins.Add("smtp", "wrong", 2)
	m.Relay.Attempts.Add("deferred", 3)
	m.Relay.Took.Add(300 * time.Millisecond)
	m.DB.Shared.Add(5)
	got := figures(page(t, m, busy))
	for series, want := range map[string]string{
		`chmail_mails_taken_total{port="mx"}`:                               "1",
		`chmail_mails_taken_total{port="submission"}`:                       "0", // what has not happened yet is there as well
		`chmail_mails_taken_bytes_total{port="mx"}`:                         "2500",
		`chmail_smtp_refused_total{class="5xx",port="mx",reason="address"}`: "1",
		`chmail_logins_total{outcome="wrong",protocol="smtp"}`:              "2",
		`chmail_relay_recipients_total{outcome="deferred"}`:                 "3",
		`chmail_relay_attempt_seconds_bucket{le="0.5"}`:                     "1",
		`chmail_relay_attempt_seconds_bucket{le="0.25"}`:                    "0",
		`chmail_db_commit_changes_sum`:                                      "5",
		`chmail_queue_recipients{state="held"}`:                             "2",
		`chmail_queue_oldest_seconds`:                                       "3600",
		`chmail_connections{listener="mx"}`:                                 "4",
		`chmail_connections_refused_total{listener="mx"}`:                   "2",
		`chmail_pop3_bytes_total`:                                           "7000",
		`chmail_chat_connected{kind="desk"}`:                                "2",
		`chmail_redis_up`:                                                   "1",
		`chmail_certificate_expires_timestamp_seconds{use="mail"}`:          "2e+09",
		`chmail_certificates_missing{use="other"}`:                          "2",
		`chmail_certificates_missing{use="chat"}`:                           "0", // for an alarm to end
		`chmail_build_info{version="v1"}`:                                   "1",
	} {
		if got[series] != want {
			t.Errorf("%s is %q, want %s", series, got[series], want)
		}
	}
}

// TestNobodyIsNamed: whatever a label is given that is not one of its own words is counted, and not shown.
func TestNobodyIsNamed(t *testing.T) {
	t.Parallel()
	m := New()
	before := series(t, m)
	for i := range 1000 {
		who := fmt.Sprintf("mallory%d@secret.example", i)
		m.SMTP.Mails.Add(who, 1)
		m.SMTP.Recipients.Add("mx", who, 1)
		m.SMTP.Refused.Add("mx", who, "5xx", 1)
		m.SMTP.Refused.Add("mx", "address", who, 1)
		m.Logins.Add(who, "wrong", 1)
		m.Checked.Add("dmarc", who, 1)
		m.Relay.Connections.Add(who, 1)
		m.Calls.Add(who, 1)
		m.Web.Add(who, 1)
	}
	if after := series(t, m); after != before {
		t.Errorf("%d series have become %d", before, after)
	}
	text := page(t, m, func(context.Context) Now {
		return Now{Conns: map[string]netutil.Stats{"secret.example": {Open: 1}}, Expires: map[string]time.Time{"secret.example": time.Now()}}
	})
	if strings.Contains(text, "@") || strings.Contains(text, "secret") || strings.Contains(text, "mallory") {
		t.Error("somebody is named")
	}
	if got := figures(text)[`chmail_calls_total{outcome="other"}`]; got != "1000" {
		t.Errorf("of 1000 such calls %s are counted", got)
	}
}

func series(t *testing.T, m *Metrics) (n int) {
	t.Helper()
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		n += len(f.GetMetric())
	}
	return n
}

// TestWhatCannotBeCountedIsNotShown: no figure is better than a wrong one, and the others are there.
func TestWhatCannotBeCountedIsNotShown(t *testing.T) {
	t.Parallel()
	got := figures(page(t, New(), func(context.Context) Now { return Now{} }))
	for _, absent := range []string{"chmail_queue_due", "chmail_disk_free_bytes", `chmail_certificate_expires_timestamp_seconds{use="mail"}`} {
		if _, there := got[absent]; there {
			t.Errorf("%s is shown", absent)
		}
	}
	if got["chmail_redis_up"] != "0" {
		t.Error("the others are not there")
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := New()
	if n := testing.AllocsPerRun(100, func() {
		m.SMTP.Mails.Add("mx", 1)
		m.SMTP.Refused.Add("mx", "address", "5xx", 1)
		m.Logins.Add("smtp", "ok", 1)
		m.Relay.Took.Add(time.Second)
		m.DB.Shared.Add(3)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCounting(b *testing.B) {
	m := New()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.SMTP.Mails.Add("mx", 1)
			m.SMTP.Recipients.Add("mx", "here", 1)
			m.DB.Took.Add(time.Millisecond)
		}
	})
}
