package chatd

import (
	"errors"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

// Whether somebody is a person may be in doubt until he has said something: a file is something, too.
func TestAFileIsAWord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.talking(offer, "Bob")
	before := len(h.broker.visited())
	h.mustSend("Bob", upload("1", "plan.pdf", "the plan"))
	h.broker.until(t, "that he has said something", func() bool { n := len(h.broker.visits); return n == before+1 && h.broker.visits[n-1].Spoke })
	h.mustSend("Bob", upload("2", "other.pdf", "another"))
	desk := h.desk(alice) // by when the second would have been told, too
	desk.expect("list")
	if n := len(h.broker.visited()); n != before+1 {
		t.Errorf("the broker is told %d times", n-before)
	}
}

// A server that died between taking a guest's right and telling so is asked once more.
func TestThatAGuestWasSentAwayIsToldAtLast(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	h.landed(desk.invited(conv, false), "Carla")
	carla := h.guest(conv, "Carla", 0)
	carla.expect("joined")
	bob.told("join", "guest", 1)
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(`UPDATE chatd_guest SET away = TRUE`); return err }); err != nil {
		t.Fatal(err)
	}
	desk.send(frame{"t": "remove", "conv": conv, "who": 1})
	bob.told("removed", "guest", 1)
	carla.refused("removed")
}

// What is on its way counts, so that many at once do not fill the disk beyond what a login may have.
func TestFilesOnTheirWayCountOnTheLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stop()
	h.start(func(o *Options) { o.Files = FileLimits{Max: 1000, Conversation: 4000, Login: 2500} })
	_, conv := h.talking(offer, "Bob")
	key := h.key(conv)
	for i, why := range []string{"", "", "full"} {
		if _, err := h.srv.store.draft(t.Context(), key, alice, visitor, 1000, time.Now()); Refusal(err) != why {
			t.Errorf("file %d: %v, want %q", i, err, why)
		}
	}
}

// A guest sends files as everybody does, and sees those that he may know of.
func TestAGuestSendsAndSeesFiles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	before := h.mustSend("Bob", upload("1", "between us.pdf", "secret"))
	desk := h.desk(alice)
	h.landed(desk.invited(conv, false), "Carla")
	carla := h.guest(conv, "Carla", 0)
	carla.expect("joined")
	ctx, hers := t.Context(), cookieOf("Carla")
	sent, err := h.srv.FileFromGuest(ctx, conv, hers, upload("2", "roof.txt", "my roof"))
	if err != nil {
		t.Fatal(err)
	}
	if f := bob.told("file", "guest", 1); f["text"] != "roof.txt" {
		t.Errorf("Bob is told %v", f)
	}
	if got, err := h.fetch("Bob", sent.File.ID); err != nil || got != "my roof" {
		t.Errorf("Bob reads %q, %v", got, err)
	}
	after := h.mustSend("Bob", upload("3", "for all.txt", "for all"))
	for name, c := range map[string]struct {
		conv, cookie, file string
		found              bool
	}{
		"her own": {conv, hers, sent.File.ID, true}, "what came since": {conv, hers, after.File.ID, true}, "what was said before": {conv, hers, before.File.ID, false},
		"for somebody else": {conv, cookieOf("Mallory"), sent.File.ID, false}, "for the visitor, who is no guest": {conv, cookieOf("Bob"), sent.File.ID, false},
		"of another conversation": {"AAAAAAAAAAAAAAAAAAAAAA", hers, sent.File.ID, false},
	} {
		if f, err := h.srv.GuestFile(ctx, c.conv, c.cookie, c.file); c.found != (err == nil) || !c.found && (!errors.Is(err, ErrNoFile) || f != nil) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := h.srv.FileFromGuest(ctx, conv, cookieOf("Mallory"), upload("4", "x", "x")); !errors.Is(err, ErrNoConversation) {
		t.Errorf("from nobody: %v", err)
	}
	desk.send(frame{"t": "remove", "conv": conv, "who": 1})
	carla.refused("removed")
	if _, err := h.srv.FileFromGuest(ctx, conv, hers, upload("5", "x", "x")); !errors.Is(err, ErrNoConversation) {
		t.Errorf("after she was removed: %v", err)
	}
	if _, err := h.srv.GuestFile(ctx, conv, hers, sent.File.ID); !errors.Is(err, ErrNoFile) {
		t.Errorf("after she was removed: %v", err)
	}
}
