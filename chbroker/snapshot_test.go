package chbroker

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
)

// What was written after the snapshot is gone with the process, though the mark of the last check is in the snapshot.
func TestTheMapsHealWhenRedisComesBackFromASnapshot(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	h := openHouse(t, func(o *Options) { o.Maps = server.maps(t) })
	lease := func(port string) string {
		l, err := server.ask.HGet(t.Context(), "ch:ports:{chat.example.com}", port).Result()
		if err != nil {
			return err.Error()
		}
		return l
	}
	const healed = 10 * time.Second
	h.mailLogin(alice)
	h.port(alice)
	eventually(t, healed, "alice is in Redis", func() bool { return server.fieldsOf(t, alice) == "pop3" && strings.Contains(lease("24000"), alice) })
	// The checks' mark is there, too.
	eventually(t, healed, "a mark is in Redis", func() bool {
		keys, err := server.ask.Keys(t.Context(), markPrefix+"*").Result()
		return err == nil && len(keys) == 1
	})
	if err := server.ask.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	h.desk(alice, "study", true)
	h.mailLogin(bob)
	h.port(bob)
	all := func() bool {
		return server.fieldsOf(t, alice) == "desk pop3" && server.fieldsOf(t, bob) == "pop3" && strings.Contains(lease("24001"), bob)
	}
	eventually(t, healed, "all is in Redis", all)
	server.kill()
	server.again(t)
	eventually(t, healed, "all is in the Redis that came back", all)
}

func TestACheckKnowsAnOlderRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	m := server.maps(t)
	check := func(what string, want bool) {
		t.Helper()
		if kept, err := m.Check(t.Context()); err != nil || kept != want {
			t.Errorf("%s: %v %v, want %v", what, kept, err, want)
		}
	}
	check("the first", false)
	check("nothing happened", true)
	older, err := server.ask.Get(t.Context(), m.mark).Result()
	if err != nil {
		t.Fatal(err)
	}
	check("nothing happened", true)
	if err := server.ask.Set(t.Context(), m.mark, older, 0).Err(); err != nil {
		t.Fatal(err)
	}
	check("an older state, as of a replica that took over", false)
	check("and then nothing happened", true)

	if err := server.ask.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	server.kill()
	if _, err := m.Check(t.Context()); err == nil {
		t.Error("a dead Redis answers")
	}
	server.again(t)
	eventually(t, 5*time.Second, "Redis serves again", func() bool { return server.ask.Ping(t.Context()).Err() == nil })
	m.mu.Lock()
	m.written = m.number - 1 // as if no check had come between
	m.mu.Unlock()
	check("started anew on a snapshot with the last mark", false)
	check("and then nothing happened", true)
}

// slow are maps that take their time.
type slow struct {
	Maps
	takes *atomic.Int64 // nanoseconds
	asked *atomic.Int64 // by somebody who waited too long
}

func (s slow) wait(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(s.takes.Load())):
		return nil
	case <-ctx.Done():
		s.asked.Add(1)
		return ctx.Err()
	}
}

func (s slow) Put(ctx context.Context, all []Sighting) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Maps.Put(ctx, all)
}

func (s slow) Check(ctx context.Context) (bool, error) {
	if err := s.wait(ctx); err != nil {
		return false, err
	}
	return s.Maps.Check(ctx)
}

// A Redis that answers too late for everybody but the keeper is left alone by everybody but the keeper, and is not tried anew all the time.
func TestMapsThatAnswerTooLateAreAwayUntilTheyAreQuick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slow{Maps: NewMemory(), takes: new(atomic.Int64), asked: new(atomic.Int64)}
		s.takes.Store(int64(200 * time.Millisecond))
		h := openHouse(t, func(o *Options) { o.Maps = s })
		after(time.Second)
		for range 120 {
			h.mailLogin(alice)
			after(500 * time.Millisecond)
		}
		if n := s.asked.Load(); n > tolerated+1 {
			t.Errorf("%d logins of a minute waited for nothing", n)
		}
		if got := placesOf(t, s, alice); len(got) != 1 {
			t.Errorf("the slow maps have %+v", got)
		}
		s.takes.Store(0)
		after(2 * checkEvery)
		h.Seen(t.Context(), call.Sign{Login: bob, Source: call.POP3})
		if got := placesOf(t, s, bob); len(got) != 1 {
			t.Errorf("quick again, they have %+v", got)
		}
	})
}

func TestARedisThatHasNeverAnsweredIsNotThere(t *testing.T) {
	t.Parallel()
	maps, err := NewRedis("redis://127.0.0.1:1/0", quiet())
	if err != nil {
		t.Fatal(err)
	}
	h := openHouse(t, func(o *Options) { o.Maps = maps })
	if up, _ := h.MapsStats(); up {
		t.Error("from the first moment it is counted as there")
	}
	eventually(t, 10*time.Second, "it has been asked, and is not there", func() bool {
		up, failures := h.MapsStats()
		return !up && failures > 0
	})
	h = openHouse(t)
	eventually(t, 10*time.Second, "what is kept in memory is there", func() bool { up, _ := h.MapsStats(); return up })
}
