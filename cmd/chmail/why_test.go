package main

import (
	"strings"
	"testing"
	"time"

	"chmail/internal/admin"
)

func TestPresenceExplainsItsVerdict(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.Local)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	mail := admin.Evidence{Source: "pop3", IP: "192.0.2.7", Seen: now.Add(-3 * time.Minute), Until: now.Add(8 * time.Minute), Interval: 300, Polls: 9}
	young := admin.Evidence{Source: "pop3", IP: "192.0.2.7", Seen: now.Add(-3 * time.Minute), Until: now.Add(12 * time.Minute), Polls: 1}
	sent := admin.Evidence{Source: "smtp", IP: "192.0.2.7", Host: "lap\x1b[2Jtop", Seen: now.Add(-20 * time.Second), Until: now.Add(14 * time.Hour)}
	desk := admin.Evidence{Source: "desk", IP: "2001:db8::1", Seen: now, Until: now.Add(90 * time.Second), Input: at(-20 * time.Second)}
	for name, c := range map[string]struct {
		p       admin.Person
		want    string
		stopped bool
	}{
		"polls": {admin.Person{Login: "alice@example.com", Verdict: "on", Until: at(8 * time.Minute), Evidence: []admin.Evidence{mail}},
			`alice@example.com is on, until 12:08:00 unless there is a new sign.
			A mail client at 192.0.2.7 came for mail by POP3 3 min ago. By its last 9 polls it comes every 5m; two may be missed, so this counts until 12:08:00.`, false},
		"polled once": {admin.Person{Login: "alice@example.com", Verdict: "on", Until: at(12 * time.Minute), Evidence: []admin.Evidence{young}},
			`alice@example.com is on, until 12:12:00 unless there is a new sign.
			A mail client at 192.0.2.7 came for mail by POP3 3 min ago. How often it comes is not known from 1 poll; this counts until 12:12:00.`, false},
		"at a desk": {admin.Person{Login: "alice@example.com", Verdict: "active", Until: at(40 * time.Second), Evidence: []admin.Evidence{desk, sent}},
			`alice@example.com is active: a person is at a desk, until 12:00:40 unless there is a new sign.
			An open desk at 2001:db8::1 is connected, with a person's input 20 s ago; without its next sign it counts until 12:01:30.
			A mail client at 192.0.2.7, calling itself lap�[2Jtop, signed in by SMTP 20 s ago. This counts until 2026-03-05 02:00:00.`, true},
		"off": {admin.Person{Login: "alice@example.com", Verdict: "off", Latest: &admin.Latest{
			Source: "pop3", IP: "192.0.2.7", Seen: now.Add(-time.Hour), Interval: 3600 / 4, Until: at(-29 * time.Minute)}},
			`alice@example.com is off: there were signs, and none of them holds any more.
			The last sign: a mail client at 192.0.2.7 came for mail by POP3 1 h ago. It used to come every 15m, and has missed two polls. It counted until 11:31:00.`, false},
		"desk closed": {admin.Person{Login: "alice@example.com", Verdict: "off", Latest: &admin.Latest{Source: "desk", IP: "192.0.2.7", Seen: now.Add(-time.Hour)}},
			`alice@example.com is off: there were signs, and none of them holds any more.
			The last sign: a desk at 192.0.2.7, 1 h ago. It is not connected any more.`, false},
		"never": {admin.Person{Login: "carol@example.com", Verdict: "unknown"}, `carol@example.com is unknown: there never was a sign.`, true},
		"the server has just stopped": {admin.Person{Login: "alice@example.com", Verdict: "off", Latest: &admin.Latest{
			Source: "pop3", IP: "192.0.2.7", Seen: now.Add(-2 * time.Minute), Interval: 300, Until: at(9 * time.Minute)}},
			`alice@example.com is off: no server is running, so nothing counts at the moment.
			The last sign: a mail client at 192.0.2.7 came for mail by POP3 2 min ago.`, true},
		"it has stopped long ago": {admin.Person{Login: "alice@example.com", Verdict: "off", Latest: &admin.Latest{
			Source: "smtp", IP: "192.0.2.7", Seen: now.Add(-2 * time.Hour), Until: at(-time.Hour)}},
			`alice@example.com is off: no server is running, so nothing counts at the moment.
			The last sign: a mail client at 192.0.2.7 signed in by SMTP 2 h ago. It counted until 11:00:00.`, true},
	} {
		got := strings.Split(strings.TrimSpace(describePerson(c.p, c.stopped, now)), "\n")
		want := strings.Split(c.want, "\n")
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || strings.TrimSpace(got[i]) != strings.TrimSpace(want[i]) {
				t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.ReplaceAll(c.want, "\t", ""))
				break
			}
		}
	}
}

func TestIntervalsAreSpelled(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]string{45: "45s", 60: "1m", 300: "5m", 330: "5m30s", 600: "10m", 3600: "1h", 5400: "1h30m", 36000: "10h", 86400: "24h"} {
		if got := spell(seconds); got != want {
			t.Errorf("%d s are spelled %q, want %q", seconds, got, want)
		}
	}
}
