package main

import (
	"strings"
	"testing"
	"time"

	"chmail/internal/admin"
)

func TestATableIsAlignedAndSteersNoTerminal(t *testing.T) {
	t.Parallel()
	tab := newTable("LOGIN", "NAME")
	tab.add("alice@example.com", "Alice Example")
	tab.add("bob@example.com", "")
	tab.add("eve@example.com", "\x1b[2Jgone\nnext\u202egnp")
	var out strings.Builder
	if err := tab.write(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "alice@example.com  Alice Example") || !strings.HasPrefix(lines[2], "bob@example.com    –") {
		t.Errorf("the table:\n%s", out.String())
	}
	if strings.ContainsAny(out.String(), "\x1b\u202e") {
		t.Errorf("control characters came through: %q", out.String())
	}
}

func TestATableIsAlignedWhateverTheScript(t *testing.T) {
	t.Parallel()
	tab := newTable("LOGIN", "NAME", "MADE")
	for _, name := range []string{"Alice Example", "山田太郎", "김철수", "ﾔﾏﾀﾞ Ｘ", "Zoe\u0308", "", "👍 ok"} {
		tab.add("a@example.com", name, "|")
	}
	var out strings.Builder
	if err := tab.write(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n")[1:] {
		before, _, _ := strings.Cut(line, "|")
		if n := columns(before); n != len("a@example.com  Alice Example  ") {
			t.Errorf("the last column begins at %d in %q", n, line)
		}
	}
	for text, want := range map[string]int{"": 0, "abc": 3, "山田": 4, "김": 2, "Ｘ": 2, "ﾔ": 1, "e\u0301": 1, "–": 1} {
		if n := columns(text); n != want {
			t.Errorf("%q takes %d columns, want %d", text, n, want)
		}
	}
}

func TestTimesAreToldInTheWordsPeopleUse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, seen := range map[string]time.Time{
		"": {}, "5 s ago": now.Add(-5 * time.Second), "59 min ago": now.Add(-59*time.Minute - 59*time.Second), "47 h ago": now.Add(-47 * time.Hour),
		"3 days ago": now.Add(-80 * time.Hour), "in 30s": now.Add(30 * time.Second),
	} {
		if got := ago(seen, now); got != want {
			t.Errorf("%v is told as %q, want %q", seen, got, want)
		}
	}
}

func TestPresenceShowsTheLastSignWhenAllHaveRunOut(t *testing.T) {
	t.Parallel()
	now := time.Now()
	touched := now.Add(-4 * time.Minute)
	latest := &admin.Latest{IP: "192.0.2.7", Host: "laptop", Source: "smtp", Seen: now.Add(-3 * time.Hour)}
	var out strings.Builder
	if err := presenceTable([]admin.Person{
		{Login: "alice@example.com", Verdict: "off", Latest: latest},
		{Login: "bob@example.com", Verdict: "active", Latest: latest, Evidence: []admin.Evidence{{Source: "desk", IP: "192.0.2.9", Seen: now}}},
		{Login: "carol@example.com", Verdict: "unknown"},
		{Login: "dave@example.com", Verdict: "on", Evidence: []admin.Evidence{{Source: "desk", IP: "192.0.2.8", Seen: now, Input: &touched}, {Source: "pop3", IP: "192.0.2.8", Seen: now}}},
	}, now).write(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{"", "alice@example.com off 3 h ago 192.0.2.7 laptop smtp", "bob@example.com active connected 192.0.2.9 – desk", "carol@example.com unknown – – – –", "dave@example.com on connected, input 4 min ago 192.0.2.8 – desk", "0 s ago 192.0.2.8 – pop3"} {
		if got := strings.Join(strings.Fields(lines[i]), " "); want != "" && got != want {
			t.Errorf("line %d: %q, want %q", i, got, want)
		}
	}
}
