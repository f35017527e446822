package chbroker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestKeysAndValuesAreAsOthersReadThem(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	m := server.maps(t)
	p := popPlace(0, time.Hour)
	put(t, m, "alice@example.com", p)
	take(t, m, "chat.example.com", Lease{Port: 24001, Login: "alice@example.com", Number: 7, Until: p.Until})
	fields, err := server.ask.HGetAll(t.Context(), "ch:pres:{alice@example.com}").Result()
	want := fmt.Sprintf(`{"ip":"192.0.2.7","host":"","seen":%d,"until":%d,"interval_s":0}`, p.Seen.Unix(), p.Until.Unix())
	if err != nil || len(fields) != 1 || fields["pop3:c0ffee"] != want {
		t.Errorf("presence in Redis: %v %v, want pop3:c0ffee %s", fields, err, want)
	}
	lease, err := server.ask.HGet(t.Context(), "ch:ports:{chat.example.com}", "24001").Result()
	if want := fmt.Sprintf(`{"login":"alice@example.com","n":7,"until":%d}`, p.Until.Unix()); err != nil || lease != want {
		t.Errorf("lease in Redis: %s %v, want %s", lease, err, want)
	}
	for _, key := range []string{"ch:pres:{alice@example.com}", "ch:ports:{chat.example.com}"} {
		if ttl := server.ask.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("%s goes away by itself after %v, want within an hour", key, ttl)
		}
	}
}

func TestHostileContentOfRedisDoesNoHarm(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	m := server.maps(t)
	const alice, host = "alice@example.com", "chat.example.com"
	hostile := []string{
		"", "null", "[]", "7", `"x"`, "{", "{}", `{"seen":1e400,"until":1e400}`, `{"seen":"1","until":"9999999999999999999"}`,
		`{"seen":{},"until":[]}`, `{"seen":1,"until":-5}`, `{"seen":NaN,"until":NaN}`, strings.Repeat("[", 5000), "\xff\xfe", `{"ip":7,"until":99999999999}`,
		fmt.Sprintf(`{"ip":"<script>","host":"\u001b[2J\u0000","seen":1,"until":%d}`, time.Now().Add(time.Hour).Unix()),
	}
	fill := func(key, prefix string) {
		for i, v := range hostile {
			if err := server.ask.HSet(t.Context(), key, fmt.Sprint(prefix, i), v).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(presenceKey(alice), "smtp:")
	fill(presenceKey(alice), "")
	fill(portsKey(host), "")
	fill(portsKey(host), "x")
	for _, p := range placesOf(t, m, alice) {
		if p.IP.IsValid() || strings.ContainsAny(p.Host, "\x1b\x00") {
			t.Errorf("believed %+v", p)
		}
	}
	p := popPlace(0, time.Hour)
	put(t, m, alice, p)
	if got := placesOf(t, m, alice); !slices.Contains(got, p) {
		t.Errorf("found %+v, want %+v among it", got, p)
	}
	var leases []Lease
	for i := range hostile {
		leases = append(leases, Lease{Port: i + 1, Login: alice, Number: 1, Until: second(time.Hour)})
	}
	if held := take(t, m, host, leases...); len(held) != 0 {
		t.Errorf("rubbish holds ports: %+v", held)
	}
	if all, err := m.Leases(t.Context(), host); err != nil || len(all) != len(leases) {
		t.Errorf("leases %+v %v, want %d", all, err, len(leases))
	}

	// A key of another type is that login's trouble alone.
	if err := server.ask.Set(t.Context(), presenceKey("bob@example.com"), "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	all, err := m.Places(t.Context(), []string{"bob@example.com", alice})
	if err != nil || len(all) != 1 || len(all[alice]) == 0 {
		t.Errorf("beside a key of another type: %+v %v", all, err)
	}
}

func TestARedisThatForgotItsScriptsOrItsDataIsNoticed(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	m := server.maps(t)
	check := func(want bool) {
		t.Helper()
		if kept, err := m.Check(t.Context()); err != nil || kept != want {
			t.Errorf("check: %v %v, want %v", kept, err, want)
		}
	}
	check(false)
	put(t, m, "alice@example.com", popPlace(0, time.Hour))
	if err := server.ask.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	put(t, m, "bob@example.com", popPlace(0, time.Hour))
	put(t, m, "carol@example.com", popPlace(0, time.Hour), popPlace(0, time.Hour))
	if err := server.ask.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(t.Context(), []Sighting{{"alice@example.com", popPlace(0, time.Hour)}, {"bob@example.com", popPlace(0, time.Hour)}}); err != nil {
		t.Error(err)
	}
	check(true)
	if err := server.ask.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	check(false)
}

// A frozen Redis keeps what was sent to it and does it when it wakes: late, after newer things.
func TestNothingWaitsLongerForRedisThanItsDeadline(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	m := server.maps(t)
	put(t, m, "alice@example.com", popPlace(0, time.Hour))
	const budget, tolerance = 40 * time.Millisecond, 500 * time.Millisecond // the machine is shared
	tries := func(state string) {
		for range 2 * redisConns {
			for what, f := range map[string]func(context.Context) error{
				"put": func(ctx context.Context) error {
					return m.Put(ctx, []Sighting{{"alice@example.com", popPlace(0, time.Hour)}})
				},
				"batch": func(ctx context.Context) error { _, err := m.Places(ctx, []string{"a", "b"}); return err },
				"take": func(ctx context.Context) error {
					_, err := m.Take(ctx, "h", []Lease{{Port: 1, Login: "a"}})
					return err
				},
				"check": func(ctx context.Context) error { _, err := m.Check(ctx); return err },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), budget)
				began := time.Now()
				err := f(ctx)
				cancel()
				if took := time.Since(began); err == nil || took > budget+tolerance {
					t.Errorf("%s at a Redis that is %s: %v after %v", what, state, err, took)
				}
			}
		}
	}
	server.freeze(t)
	tries("frozen")
	server.thaw(t)
	eventually(t, 5*time.Second, "Redis serves again", func() bool {
		_, err := m.Check(t.Context())
		return err == nil
	})
	server.kill()
	tries("dead")
	server.again(t)
	eventually(t, 5*time.Second, "the new Redis serves", func() bool {
		_, err := m.Check(t.Context())
		return err == nil
	})
}

func TestTheURLOfRedisIsInNoErrorAndNoLog(t *testing.T) {
	t.Parallel()
	var log logBook
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, url := range []string{"redis://u:s3cret@host:bad/0", "redis://:s3cret#x@host", "s3cret", "http://u:s3cret@host", "redis://u:s3cret@host/db"} {
		if _, err := NewRedis(url, logger); !errors.Is(err, ErrRedisURL) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	m, err := NewRedis(fmt.Sprintf("redis://u:s3cret@127.0.0.1:%d/0", freePort(t)), logger)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Check(t.Context())
	if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(log.String(), "s3cret") {
		t.Errorf("error %v, log %s", err, &log)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// logBook is a log that may be read while others write it.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func FuzzPlaceFromRedis(f *testing.F) {
	f.Add("pop3:c0ffee", `{"ip":"192.0.2.7","host":"","seen":1790000000,"until":1790000900,"interval_s":0}`)
	f.Add("desk:d1", `{"ip":"2001:db8::1","host":"x","seen":1790000000,"until":1790000900,"interval_s":300,"input":1790000000}`)
	f.Add("smtp:", `{"ip":"fe80::1%eth0","host":"\u001b[2J","seen":-1,"until":9223372036854775807,"interval_s":-9}`)
	f.Add("", `null`)
	f.Add(":", `{"seen":1e3,"until":[1]}`)
	now := time.Unix(1790000100, 0)
	f.Fuzz(func(t *testing.T, field, value string) {
		p, ok := readPlace(field, value, now)
		if !ok {
			return
		}
		if !p.Until.After(now) || p.Seen.After(now.Add(skew)) || p.Input.After(now.Add(skew)) || p.Interval < 0 || len(p.Host) > maxHost || len(p.Client) > maxClient {
			t.Errorf("believed %+v", p)
		}
		for _, r := range p.Host + p.Client + string(p.Source) {
			if r < ' ' || r == 0x7f {
				t.Errorf("%q may not be printed", r)
			}
		}
		again, ok := p.value().place(p.Source, p.Client, now)
		if !ok || again != p {
			t.Errorf("written and read again: %+v, was %+v", again, p)
		}
	})
}

func FuzzLeaseFromRedis(f *testing.F) {
	f.Add("24001", `{"login":"alice@example.com","n":7,"until":1790000900}`)
	f.Add("-1", `{"login":"","n":-7,"until":1e99}`)
	f.Add("99999999999999999999", `[]`)
	now := time.Unix(1790000100, 0)
	f.Fuzz(func(t *testing.T, field, value string) {
		l, ok := readField(field, value, now)
		if ok && (l.Login == "" || l.Port < 1 || l.Port > 65535 || l.Number < 0 || !l.Until.After(now)) {
			t.Errorf("believed %+v", l)
		}
	})
}

// The manual names what the program's user must be allowed to do; with exactly that, everything works.
func TestTheRightsThatTheManualNamesAreEnough(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/presence.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(manual), "\nACL SETUSER chmail ")
	rule, _, _ := strings.Cut(rest, "\n")
	if !found {
		t.Fatal("docs/presence.md names no rights")
	}
	server := startRedis(t)
	args := []any{"ACL", "SETUSER", "chmail"}
	for _, word := range strings.Fields(strings.ReplaceAll(rule, "PASSWORD", "s3cret")) {
		args = append(args, word)
	}
	if err := server.ask.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	m, err := NewRedis(strings.Replace(server.url(), "redis://", "redis://chmail:s3cret@", 1), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	put(t, m, alice, popPlace(0, time.Hour))
	if err := m.Put(t.Context(), []Sighting{{alice, popPlace(0, time.Hour)}, {bob, popPlace(0, time.Hour)}}); err != nil {
		t.Error(err)
	}
	if got := placesOf(t, m, alice); len(got) != 1 {
		t.Errorf("found %+v", got)
	}
	l := Lease{Port: 24000, Login: alice, Number: 1, Until: second(time.Hour)}
	take(t, m, "h", l)
	if who := holder(t, m, "h", 24000); who != alice {
		t.Errorf("the port is %s's", who)
	}
	_, errLeases := m.Leases(t.Context(), "h")
	_, errCheck := m.Check(t.Context())
	if err := errors.Join(errLeases, errCheck, m.Release(t.Context(), "h", l), m.Drop(t.Context(), alice, "pop3:c0ffee")); err != nil {
		t.Error(err)
	}
	if err := m.c.Set(t.Context(), "other", "x", 0).Err(); err == nil {
		t.Error("the user may write other keys")
	}
}
