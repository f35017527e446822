package chatd

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

func TestADeletedConversationEndsAndIsGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "secret"})
	bob.expect("ack")
	_, other := h.talking(quote, "Dave")
	archive, ctx := NewArchive(h.db), t.Context()
	if list, err := archive.List(ctx, alice, 0); err != nil || len(list) != 1 || list[0].ID != conv || list[0].About != "Offer for the roof" || list[0].Events < 2 {
		t.Fatalf("Alice's: %+v, %v", list, err)
	}
	events, err := archive.Events(ctx, alice, conv, 0)
	if err != nil || !slices.ContainsFunc(events, func(e Entry) bool { return e.Kind == kindSay && e.From == visitor && e.Text == "secret" }) {
		t.Errorf("what was said: %+v, %v", events, err)
	}
	for _, id := range []string{other, "nothing", ""} { // somebody else's is none
		if deleted, err := archive.Delete(ctx, alice, id, time.Time{}); err != nil || deleted {
			t.Errorf("deleting %q: %v, %v", id, deleted, err)
		}
		if _, err := archive.Events(ctx, alice, id, 0); !errors.Is(err, ErrNoConversation) {
			t.Errorf("reading %q: %v", id, err)
		}
	}
	if deleted, err := archive.Delete(ctx, alice, conv, time.Now().Add(-time.Hour)); err != nil || deleted {
		t.Errorf("it is no hour old: %v, %v", deleted, err)
	}
	if deleted, err := archive.Delete(ctx, alice, conv, time.Time{}); err != nil || !deleted {
		t.Fatalf("deleted %v, %v", deleted, err)
	}
	h.srv.Deleted(ctx, alice, conv)
	if f := bob.expect("bye"); f["reason"] != "moved" {
		t.Errorf("bye: %v", f)
	}
	bob.hungUp()
	h.broker.until(t, "its call is over", func() bool { return slices.Contains(h.broker.ended, conv) })
	again := h.reader(offer, "Bob", 0, 0)
	if j := again.expect("joined"); j["conv"] != "" {
		t.Errorf("who comes back finds %v", j)
	}
	if got := h.texts(alice); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	if rows := h.events(conv); rows != 0 {
		t.Errorf("%d events of nobody are left", rows)
	}
	if _, err := archive.Conversation(ctx, carol, other); err != nil {
		t.Errorf("Carol's: %v", err)
	}
}

// events counts the events of conversations that are nobody's.
func (h *house) events(conv string) (n int) {
	h.t.Helper()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM chatd_event WHERE conv NOT IN (SELECT key FROM chatd_conversation WHERE login <> '' AND id <> ?)`, conv).Scan(&n)
	}); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestALongConversationIsReadAndDeletedInPieces(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	const many = 3*sweepStep + 7
	rec, err := h.srv.store.own(t.Context(), conv)
	if err != nil {
		t.Fatal(err)
	}
	add := make([]*event, many)
	for i := range add {
		add[i] = &event{Kind: kindSay, From: visitor, CID: fmt.Sprint(i), At: time.Now(), Text: fmt.Sprint(i)}
	}
	if _, err := h.srv.store.save(t.Context(), &rec, add); err != nil {
		t.Fatal(err)
	}
	archive, read := NewArchive(h.db), int64(0)
	for {
		page, err := archive.Events(t.Context(), alice, conv, read)
		if err != nil || len(page) > pageLength+maxMoves {
			t.Fatalf("%d events at once, %v", len(page), err)
		}
		if len(page) == 0 {
			break
		}
		page = slices.DeleteFunc(page, func(e Entry) bool { return e.Kind == kindCall })
		if page[0].N != read+1 {
			t.Fatalf("behind %d comes %d", read, page[0].N)
		}
		read = page[len(page)-1].N
	}
	if read != rec.last {
		t.Errorf("read up to %d of %d", read, rec.last)
	}
	if deleted, err := archive.Delete(t.Context(), alice, conv, time.Time{}); err != nil || !deleted || h.events(conv) != 0 {
		t.Errorf("deleted %v, %v; %d events left", deleted, err, h.events(conv))
	}
}

func TestWhatTheOwnerHasNotSeen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	archive := NewArchive(h.db)
	unread := func(most int, want ...string) {
		t.Helper()
		if got, err := archive.Unread(t.Context(), conv, most); err != nil || !slices.Equal(got, want) {
			t.Errorf("not seen: %q, %v; want %q", got, err, want)
		}
	}
	var numbers []any
	for _, text := range []string{"one", "two", "three", "four"} {
		bob.send(frame{"t": "say", "cid": text, "text": text})
		numbers = append(numbers, bob.expect("ack")["n"])
	}
	unread(10, "one", "two", "three", "four")
	unread(2, "three", "four")
	bob.send(frame{"t": "delete", "cid": "back", "n": numbers[2]})
	bob.expect("ack")
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.send(frame{"t": "say", "conv": conv, "cid": "a", "text": "said by the owner"})
	desk.expect("ack")
	unread(10, "one", "two", "four")
	desk.send(frame{"t": "seen", "conv": conv, "n": numbers[0]})
	desk.send(frame{"t": "say", "conv": conv, "cid": "b", "text": "and again"})
	desk.expect("ack")
	unread(10, "two", "four")
	conv = "no such conversation"
	unread(10)
}

func TestNoIDLooksLikeAnOption(t *testing.T) {
	t.Parallel()
	for range 2000 {
		if id := randomID(); id[0] == '-' || len(id) != 22 {
			t.Fatalf("an id on the command line: %q", id)
		}
	}
}

// warnings is a log of which only what an administrator has to look at is kept.
type warnings struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(line)
}

func TestAConversationDeletedWhileItLivesIsNothingToWorryAbout(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var log warnings
	h.stop()
	h.start(func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	bob, conv := h.talking(offer, "Bob")
	if deleted, err := NewArchive(h.db).Delete(t.Context(), alice, conv, time.Time{}); err != nil || !deleted {
		t.Fatalf("deleted %v, %v", deleted, err)
	}
	h.srv.Tell(conv, call.Noticed) // something happens before the server was told
	bob.expect("bye")
	bob.hungUp()
	h.srv.Deleted(t.Context(), alice, conv)
	h.stop()
	if text := log.text.String(); text != "" {
		t.Errorf("the administrator is warned:\n%s", text)
	}
	h.start()
}
