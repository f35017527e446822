package chatd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chmail/internal/sqldb"
)

func TestAnOwnerKeepsAnswersThatHeGivesOften(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	keep := func(login string, id int64, text string, want error) {
		t.Helper()
		if err := h.srv.KeepPhrase(t.Context(), login, id, text); !errors.Is(err, want) {
			t.Errorf("%s keeps %d %.20q: %v, want %v", login, id, text, err, want)
		}
	}
	texts := func(login string) (list []string, ids []int64) {
		t.Helper()
		all, err := h.srv.Phrases(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			list, ids = append(list, p.Text), append(ids, p.ID)
		}
		return list, ids
	}
	keep(alice, 0, "Good morning,\nhow can I help?", nil)
	keep(alice, 0, "いつもお世話になっております。", nil)
	keep(alice, 0, "Good morning,\nhow can I help?", nil) // twice is once
	keep(carol, 0, "Hers", nil)
	list, ids := texts(alice)
	if !slices.Equal(list, []string{"Good morning,\nhow can I help?", "いつもお世話になっております。"}) {
		t.Fatalf("kept: %q", list)
	}
	keep(alice, ids[0], "Good evening", nil)
	keep(carol, ids[0], "stolen", ErrNoPhrase)
	keep(carol, ids[1], "", ErrNoPhrase)
	keep(alice, 1<<40, "", ErrNoPhrase)
	for _, text := range []string{" \n", "bell\a", "\xff", strings.Repeat("x", 4001)} {
		keep(alice, 0, text, ErrPhraseText)
		keep(alice, ids[0], text, ErrPhraseText)
	}
	keep(alice, 0, "", ErrPhraseText)
	keep(alice, ids[1], "", nil)
	if list, _ := texts(alice); !slices.Equal(list, []string{"Good evening"}) {
		t.Errorf("kept: %q", list)
	}
	for i := range maxPhrases - 1 {
		keep(alice, 0, fmt.Sprint("answer ", i), nil)
	}
	keep(alice, 0, "one more", ErrPhraseFull)
	keep(alice, ids[0], "changed all the same", nil)
	h.stop()
	h.start()
	if list, _ := texts(alice); len(list) != maxPhrases || list[0] != "changed all the same" {
		t.Errorf("after a restart %d, the first %q", len(list), list[0])
	}
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return Remove(tx, alice) }); err != nil {
		t.Fatal(err)
	}
	if list, _ := texts(alice); len(list) != 0 {
		t.Errorf("of a removed login: %q", list)
	}
	if list, _ := texts(carol); !slices.Equal(list, []string{"Hers"}) {
		t.Errorf("Carol's: %q", list)
	}
}
