package account

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"chmail/internal/call"
)

func (h *house) stamps(login string, want call.Manner) {
	h.t.Helper()
	if got, err := h.Manner(h.t.Context(), login); err != nil || got != want {
		h.t.Errorf("mail of %s is stamped by %+v (%v), want %+v", login, got, err, want)
	}
}

func (h *house) set(login string, changes map[string]string) {
	h.t.Helper()
	h.must(h.Set(h.t.Context(), login, changes))
}

func TestTheNextMailGoesByANewSetting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "account.db")
	h := openHouse(t, path).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword})
	h.stamps(alice, call.Manner{}) // remembered from now on
	h.set("Alice@Example.com", map[string]string{"chat": "header-only", "language": "ja", "publish-host": "yes", "name": "Alice"})
	h.stamps(alice, call.Manner{Chat: "header-only", Language: "ja", PublishHost: true})
	h.stamps(bob, call.Manner{})
	h.stamps("nobody@example.com", call.Manner{})
	h.expect(true, alice, alicesPassword, home)

	h.set(alice, map[string]string{"chat": "off"}) // what is not named stays
	h.stamps(alice, call.Manner{Chat: "off", Language: "ja", PublishHost: true})
	a, _, err := h.Lookup(t.Context(), alice)
	if err != nil || a.Name != "Alice" || a.Chat != "off" || a.Language != "ja" || !a.PublishHost {
		t.Errorf("alice is %+v, %v", a, err)
	}
	openHouse(t, path).stamps(alice, call.Manner{Chat: "off", Language: "ja", PublishHost: true})

	h.set(alice, map[string]string{"chat": "default", "language": "en", "publish-host": "no", "name": ""})
	h.stamps(alice, call.Manner{})
	if all, err := h.List(t.Context()); err != nil || all[0].Name != "" || all[0].Chat != "" || all[0].Language != "" || all[0].PublishHost {
		t.Errorf("listed %+v, %v", all, err)
	}
}

func TestAWrongSettingChangesNothingAndSaysWhatIsRight(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	for _, c := range []struct {
		changes map[string]string
		says    string
		is      error
	}{
		{map[string]string{"chat": "loud"}, `chat is one of on, header-only, off, default, not "loud"`, ErrBadSetting},
		{map[string]string{"chat": ""}, "on, header-only, off, default", ErrBadSetting},
		{map[string]string{"language": "JA"}, "language is one of en, ja, ko", ErrBadSetting},
		{map[string]string{"publish-host": "1"}, "publish-host is one of yes, no", ErrBadSetting},
		{map[string]string{"colour": "blue"}, "what there is: name, chat, language, publish-host", ErrBadSetting},
		{nil, "what there is: name", ErrBadSetting},
		{map[string]string{"name": "A\nB"}, "control character", ErrBadName},
		{map[string]string{"chat": "loud", "language": "ja", "publish-host": "maybe"}, `not "maybe"`, ErrBadSetting},
	} {
		err := h.Set(t.Context(), alice, c.changes)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.changes, err, c.says)
		}
		if same := Check(c.changes); same == nil || same.Error() != err.Error() {
			t.Errorf("%v: checking says %v, setting %v", c.changes, same, err)
		}
	}
	h.stamps(alice, call.Manner{})
	if err := h.Set(t.Context(), bob, map[string]string{"chat": "off"}); !errors.Is(err, ErrNoAccount) {
		t.Errorf("settings of nobody: %v", err)
	}
	if err := h.Set(t.Context(), "no address", map[string]string{"chat": "off"}); !errors.Is(err, ErrBadLogin) {
		t.Errorf("settings of no login: %v", err)
	}
}

// BenchmarkManner is what each mail asks: no SQL, no allocation.
func BenchmarkManner(b *testing.B) {
	h := newHouse(b).with([2]string{alice, alicesPassword})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Manner(b.Context(), alice); err != nil {
			b.Fatal(err)
		}
	}
}
