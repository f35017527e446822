package chbroker

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// hung are maps that never answer by themselves.
type hung struct{ Maps }

func (hung) Put(ctx context.Context, _ []Sighting) error { <-ctx.Done(); return ctx.Err() }
func (hung) Check(ctx context.Context) (bool, error)     { <-ctx.Done(); return false, ctx.Err() }
func (hung) Places(ctx context.Context, _ []string) (map[string][]Place, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (hung) Take(ctx context.Context, _ string, _ []Lease) ([]Lease, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hung) Leases(ctx context.Context, _ string) ([]Lease, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (hung) Lease(ctx context.Context, _ string, _ int) (Lease, bool, error) {
	<-ctx.Done()
	return Lease{}, false, ctx.Err()
}

// is checks the verdict on a login.
func (h *house) is(login string, want Verdict) {
	h.t.Helper()
	if got, err := h.verdict(h.t.Context(), login); err != nil || got != want {
		h.t.Errorf("%s is %s (%v), want %s", login, got, err, want)
	}
}

func TestEvidenceDecides(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.is(alice, Unknown)
		h.mailLogin(alice)
		h.is(alice, On)
		after(14 * time.Minute)
		h.is(alice, On)
		after(2 * time.Minute)
		h.is(alice, Off)
		d := h.desk(alice, "study", true)
		h.is(alice, On)
		h.Input(alice, "study")
		h.is(alice, Active)
		after(61 * time.Second)
		h.is(alice, On)
		after(10 * time.Hour) // nobody does anything, but the desk is connected
		h.is(alice, On)
		d.detach()
		h.is(alice, Off)
		h.Input(alice, "study") // of a device that is gone
		h.is(alice, Off)
		h.is(bob, Unknown)
	})
}

func TestADeviceThatConnectsAnewReplacesItself(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		old := h.desk(alice, "study", true)
		now := h.desk(alice, "study", true)
		old.detach()
		h.is(alice, On)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		old.shows()
		now.shows("visit c1", "ring c1")
		now.detach()
		now.detach()
		h.is(alice, Off)
	})
}

func TestOffDiffersFromUnknownAfterARestart(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.mailLogin(alice)
		h.maps = NewMemory()
		h.o.Maps = h.maps
		h.restart()
		h.is(alice, Off)
		h.is(bob, Unknown)
		if v := h.person(alice); v.Latest == nil || v.Latest.IP != "192.0.2.7" || v.Latest.Source != "pop3" {
			t.Errorf("alice was last seen at %+v", v.Latest)
		}
	})
}

func (h *house) person(login string) PersonView {
	h.t.Helper()
	all, err := h.Presence(h.t.Context(), login)
	if err != nil || len(all) != 1 {
		h.t.Fatalf("presence of %s: %+v %v", login, all, err)
	}
	return all[0]
}

func TestSignsAreWrittenToSQLAtMostOnceAMinute(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		seen := func() (s time.Time) {
			if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT seen FROM chbroker_seen`).Scan(&s) }); err != nil {
				t.Error(err)
			}
			return s
		}
		h.mailLogin(alice)
		after(16 * time.Second)
		synctest.Wait()
		first := seen()
		changes := 0
		for range 60 {
			h.mailLogin(alice)
			after(10 * time.Second)
			synctest.Wait()
			if s := seen(); s != first {
				first = s
				changes++
			}
		}
		if changes < 8 || changes > 10 {
			t.Errorf("in ten minutes the sign was written %d times", changes)
		}
	})
}

func TestASignIsNotHeldUpByMapsThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.Maps = hung{NewMemory()} })
		var all time.Duration
		for range 1000 {
			began := time.Now()
			h.mailLogin(alice)
			took := time.Since(began)
			if took > 50*time.Millisecond {
				t.Fatalf("a sign took %v", took)
			}
			all += took
		}
		if all > time.Second {
			t.Errorf("a thousand signs waited %v: nobody noticed that it is no use", all)
		}
		h.is(alice, On)
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		h.hears("c1", call.Opened, call.Noticed)
	})
}

func TestACallerWhoGivesUpSaysNothingAboutTheMaps(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 10 {
			if err := h.guard.do(ctx, "nothing", func(ctx context.Context) error { return ctx.Err() }); err == nil {
				t.Error("no error")
			}
		}
		if h.guard.away() {
			t.Error("the maps are taken for away")
		}
	})
}

func TestWhatTheVerbsShow(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.Seen(t.Context(), call.Sign{Login: alice, Source: call.SMTP, IP: netip.MustParseAddr("::ffff:192.0.2.7"), Host: "laptop\x1b[2J.example"})
		h.mailLogin(bob)
		after(time.Second)
		h.desk(alice, "study", true)
		h.port(alice)
		synctest.Wait()
		shows := func(what any, err error, want string) {
			t.Helper()
			got, jerr := json.Marshal(what)
			want = strings.Join(strings.Fields(want), "")
			if err := errors.Join(err, jerr); err != nil || string(got) != want {
				t.Errorf("shown is\n%s (%v), want\n%s", got, err, want)
			}
		}
		people, err := h.Presence(t.Context(), "")
		shows(people, err, `[
			{"login":"alice@example.com","verdict":"on","latest":{"ip":"192.0.2.7","host":"","source":"desk","seen":"2000-01-01T00:00:01Z"},"evidence":[
				{"source":"desk","client":"study","ip":"192.0.2.7","host":"","seen":"2000-01-01T00:00:01Z","until":"2000-01-01T00:01:31Z","interval_s":0,"age_s":0},
				{"source":"smtp","client":"`+clientKey(netip.MustParseAddr("192.0.2.7"), "laptop[2J.example")+`","ip":"192.0.2.7","host":"laptop[2J.example",
					"seen":"2000-01-01T00:00:00Z","until":"2000-01-01T00:15:00Z","interval_s":0,"age_s":1}],"until":"2000-01-01T00:15:00Z"},
			{"login":"bob@example.com","verdict":"on","latest":{"ip":"192.0.2.7","host":"","source":"pop3","seen":"2000-01-01T00:00:00Z","until":"2000-01-01T00:15:00Z"},"evidence":[
				{"source":"pop3","client":"`+clientKey(netip.MustParseAddr("192.0.2.7"), "")+`","ip":"192.0.2.7","host":"",
					"seen":"2000-01-01T00:00:00Z","until":"2000-01-01T00:15:00Z","interval_s":0,"age_s":1,"polls":1}],"until":"2000-01-01T00:15:00Z"}]`)
		nobody, err := h.Presence(t.Context(), carol)
		shows(nobody, err, `[{"login":"carol@example.com","verdict":"unknown","latest":null,"evidence":[],"until":null}]`)
		ports, err := h.Ports(t.Context())
		shows(ports, err, `[{"port":24000,"login":"alice@example.com","host":"chat.example.com","listening":false,"until":"2000-01-31T00:00:00Z"}]`)
		owner, err := h.Whois(t.Context(), 24000)
		shows(owner, err, `{"port":24000,"login":"alice@example.com","latest":{"ip":"192.0.2.7","host":"","source":"desk","seen":"2000-01-01T00:00:01Z"}}`)
		if _, err := h.Whois(t.Context(), 24001); !errors.Is(err, ErrNoPort) {
			t.Errorf("whose is a port that nobody has: %v", err)
		}
	})
}

func TestTheVerbsDoWithoutTheMaps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.Maps = hung{NewMemory()} })
		h.mailLogin(alice)
		h.port(alice)
		if v := h.person(alice); v.Verdict != On || len(v.Evidence) != 1 {
			t.Errorf("presence: %+v", v)
		}
		if ports, err := h.Ports(t.Context()); err != nil || len(ports) != 1 || ports[0].Login != alice {
			t.Errorf("ports: %+v %v", ports, err)
		}
		if owner, err := h.Whois(t.Context(), 24000); err != nil || owner.Login != alice || owner.Latest == nil {
			t.Errorf("whois: %+v %v", owner, err)
		}
	})
}
