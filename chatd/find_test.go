package chatd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// kept makes a conversation of a login's, so many minutes old, in which the visitor has said something.
func (h *house) kept(login string, who int, name, about string, age int, texts ...string) (conv string) {
	h.t.Helper()
	link := call.Link{ID: int64(1000 + who), Login: login}
	link.Mail.Subject = about
	id, err := h.srv.store.create(h.t.Context(), link, browserVisitor(fmt.Sprint(who)), name, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	rec, err := h.srv.store.own(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	var list []*event
	for i, text := range texts {
		list = append(list, &event{Kind: kindSay, From: visitor, CID: fmt.Sprint("c", i), Text: text, At: time.Now().Add(-time.Duration(age) * time.Minute)})
	}
	if _, err := h.srv.store.save(h.t.Context(), &rec, list); err != nil {
		h.t.Fatal(err)
	}
	return id
}

// finds are the conversations that are found, in order, however many pages they are on.
func (h *house) finds(login, words string) (convs []string, hits map[string][]Hit) {
	h.t.Helper()
	hits = map[string][]Hit{}
	for older := ""; ; {
		found, err := h.srv.Find(h.t.Context(), login, words, older)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, t := range found.Talks {
			convs, hits[t.ID] = append(convs, t.ID), t.Hits
		}
		if older = found.Older; older == "" {
			return convs, hits
		}
	}
}

func TestAnOwnerFindsWhatWasSaid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	roof := h.kept(alice, 1, "Bob Brown", "Offer for the roof", 1, "Does it include the SCAFFOLDING?", "Straße or Strasse?")
	tokyo := h.kept(alice, 2, "佐藤 健太郎", "屋根の葺き替え", 2, "ｶﾀｶﾅとＡＢＣ１２３です", "足場の費用は含まれていますか？")
	seoul := h.kept(alice, 3, "이도윤", "지붕 교체", 3, "비계 비용도 포함되어 있나요?")
	foreign := h.kept(carol, 4, "Bob Brown", "Offer for the roof", 4, "scaffolding")
	for words, want := range map[string][]string{
		"scaffolding": {roof}, "Scaffold include": {roof}, "include brown": {roof}, "STRASSE": {roof}, "straße": {roof}, "bob": {roof}, "OFFER roof": {roof},
		"カタカナ": {tokyo}, "abc123": {tokyo}, "ＡＢＣ": {tokyo}, "足場": {tokyo}, "佐藤": {tokyo}, "葺き替え 費用": {tokyo}, "비계": {seoul}, "지붕": {seoul}, "도윤 포함": {seoul},
		"scaffolding strasse": {}, "nothing": {}, "%": {}, "_": {}, "' OR 1=1 --": {}, "": {roof, tokyo, seoul}, " \n ": {roof, tokyo, seoul}, "\xff": {},
	} {
		got, _ := h.finds(alice, words)
		if !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%q: %v, want %v", words, got, want)
		}
	}
	if got, _ := h.finds(carol, "scaffolding"); !slices.Equal(got, []string{foreign}) {
		t.Errorf("Carol finds %v", got)
	}
	_, hits := h.finds(alice, "scaffolding")
	if hs := hits[roof]; len(hs) != 1 || hs[0].N != 1 || hs[0].From != "visitor" || hs[0].Text != "Does it include the SCAFFOLDING?" {
		t.Errorf("hits: %+v", hs)
	}
	if _, hits = h.finds(alice, "bob"); len(hits[roof]) != 0 {
		t.Errorf("hits by the name: %+v", hits)
	}
}

func TestWhatWasTakenBackIsNotFound(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "my PIN is 4711"})
	n := bob.expect("ack")["n"]
	if got, _ := h.finds(alice, "4711"); !slices.Equal(got, []string{conv}) {
		t.Errorf("found: %v", got)
	}
	bob.send(frame{"t": "edit", "cid": "2", "n": n, "text": "my PIN is secret"})
	bob.expect("ack")
	if got, _ := h.finds(alice, "4711"); len(got) != 0 {
		t.Errorf("what it said before is found: %v", got)
	}
	if _, hits := h.finds(alice, "secret"); len(hits[conv]) != 1 || hits[conv][0].N != int64(n.(float64)) {
		t.Errorf("hits: %v", hits)
	}
	bob.send(frame{"t": "delete", "cid": "3", "n": n})
	bob.expect("ack")
	if got, _ := h.finds(alice, "PIN"); len(got) != 0 {
		t.Errorf("found: %v", got)
	}
}

func TestLongTextsAreFoundInPart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	conv := h.kept(alice, 1, "", "", 1, strings.Repeat("padding ", 300)+"the needle "+strings.Repeat("padding ", 150))
	_, hits := h.finds(alice, "NEEDLE")
	if hs := hits[conv]; len(hs) != 1 || !strings.Contains(hs[0].Text, "the needle") || len(hs[0].Text) > 2*hitLength || !strings.HasPrefix(hs[0].Text, "… ") {
		t.Errorf("hits: %+v", hs)
	}
	many := h.kept(alice, 2, "", "", 1, "needle 1", "needle 2", "needle 3", "needle 4", "needle 5")
	if _, hits = h.finds(alice, "needle"); len(hits[many]) != findHits || hits[many][0].N != 5 {
		t.Errorf("hits: %+v", hits[many])
	}
}

func TestAllConversationsCanBeReached(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := map[string]bool{}
	for i := range olderPage + 30 {
		want[h.kept(alice, i, fmt.Sprint("Visitor ", i), "Offer", i/3, "the same words")] = true // some at one time
	}
	for _, words := range []string{"", "same"} {
		got, _ := h.finds(alice, words)
		seen := map[string]bool{}
		for _, c := range got {
			if seen[c] || !want[c] {
				t.Errorf("%q: %s comes twice, or is nobody's", words, c)
			}
			seen[c] = true
		}
		if len(seen) != len(want) {
			t.Errorf("%q: %d conversations of %d", words, len(seen), len(want))
		}
	}
	first, err := h.srv.Conversations(t.Context(), alice, listLength)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := h.srv.Find(t.Context(), alice, "", fmt.Sprint(first[listLength-1].At.UnixMilli())) // as the desk asks, that has the first hundred
	if err != nil || rest.Older != "" || len(rest.Talks) < 30 || len(rest.Talks) > 33 {
		t.Errorf("the rest: %d, %q, %v", len(rest.Talks), rest.Older, err)
	}
	for _, older := range []string{"x", "1.x", ".", "1.2.3", "99999999999999999999"} {
		if _, err := h.srv.Find(t.Context(), alice, "", older); !errors.Is(err, ErrPlace) {
			t.Errorf("%q: %v", older, err)
		}
	}
}

func TestWhatIsLookedThroughAtOnceIsBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	big := strings.Repeat("x", 4000)
	texts := make([]string, 500)
	for i := range texts {
		texts[i] = big
	}
	for i := range 6 { // 12 MB
		h.kept(alice, i, "", "", i+1, texts...)
	}
	last := h.kept(alice, 7, "", "", 60, "the needle")
	found, err := h.srv.Find(t.Context(), alice, "needle", "")
	if err != nil || len(found.Talks) != 0 || found.Older == "" {
		t.Errorf("at once: %+v, %v", found, err)
	}
	if got, _ := h.finds(alice, "needle"); !slices.Equal(got, []string{last}) {
		t.Errorf("in the end: %v", got)
	}
	leave, err := h.srv.limits.finders.enter(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.srv.Find(t.Context(), alice, "needle", ""); !errors.Is(err, ErrFinding) {
		t.Errorf("two at once: %v", err)
	}
	if _, err := h.srv.Find(t.Context(), carol, "needle", ""); err != nil { // nobody else waits for that
		t.Error(err)
	}
	leave()
	if _, err := h.srv.Find(t.Context(), alice, "needle", ""); err != nil {
		t.Error(err)
	}
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return Remove(tx, alice) }); err != nil {
		t.Fatal(err)
	}
	if got, _ := h.finds(alice, ""); len(got) != 0 {
		t.Errorf("of a removed login: %v", got)
	}
}

func FuzzFold(f *testing.F) {
	for _, text := range []string{"", "ABC", "ＡＢＣ", "ｶﾞ", "Straße", "İ", "\u0345\u1fb3", "\xff", "가\u1100\u1161"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := fold(text)
		words := soughtWords(text)
		if len(words) > findWords {
			t.Errorf("%d words", len(words))
		}
		if at, ok := holds(once, words); ok {
			around(text, at)
		} else if len([]rune(text)) <= findRunes {
			t.Errorf("%q does not hold its own words %q", once, words)
		}
	})
}

func TestWhatAGuestSaidIsFoundUnderHisName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	h.landed(desk.invited(conv, false), "Carla")
	carla := h.guest(conv, "Carla", 0)
	carla.expect("joined")
	carla.says("1", "about the gutters", nil)
	carla.send(frame{"t": "name", "name": "Carla"})
	carla.told("name", "guest", 1)
	found, err := h.srv.Find(t.Context(), alice, "gutters", "")
	if err != nil || len(found.Talks) != 1 || len(found.Talks[0].Hits) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	if hit := found.Talks[0].Hits[0]; hit.From != "guest" || hit.Who != 1 || hit.Name != "Carla" {
		t.Errorf("it is %+v", hit)
	}
}
