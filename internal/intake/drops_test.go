package intake

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// everybody who has got a mail, once for each.
func (o *office) everybody() (all []string) {
	o.t.Helper()
	if err := o.db.View(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`SELECT login FROM test_entry ORDER BY login`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var login string
			if err := rows.Scan(&login); err != nil {
				return err
			}
			all = append(all, login)
		}
		return rows.Err()
	}); err != nil {
		o.t.Fatal(err)
	}
	return all
}

// entries is how many mails a maildrop has.
func (o *office) entries(login string) int {
	o.t.Helper()
	return len(slices.DeleteFunc(o.everybody(), func(l string) bool { return l != login }))
}

func TestAMailToAnAliasIsInEachMaildrop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	env := toBob()
	env.To, env.Drops = append(env.To, must("all@example.com")), append(env.Drops, []string{bob, carol})
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil {
		t.Fatal(err)
	}
	if !o.has(bob) || !o.has(carol) || o.has(alice) || o.count("test_mail") != 1 {
		t.Errorf("it is with %v", o.everybody())
	}
	if o.broker.about.Recipients != 2 {
		t.Errorf("its sender sees %d recipients; an alias is one", o.broker.about.Recipients)
	}
	// A report for mail that was sent as the alias.
	if err := o.Notify(context.Background(), "all@example.com", noon, strings.NewReader(wire("Subject: Not delivered\n\nSorry.\n"))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(o.last(carol), "Not delivered") || !strings.Contains(o.last(bob), "Not delivered") {
		t.Error("a report to an alias is not with everybody")
	}
}

func TestASenderGetsHisCopyAsItWentOut(t *testing.T) {
	t.Parallel()
	o, q := away(t)
	o.people.boxes = map[string]message.Box{alice: {Sent: true}}
	kept := o.submit(letter("Bcc: carol@example.com\n", "Hello.\n"))
	if o.last(alice) != kept || !strings.Contains(kept, token) || strings.Contains(kept, "Bcc") || o.count("test_mail") != 1 || o.count("test_link") != 1 {
		t.Errorf("alice has %q, bob %q; %d mails, %d links", o.last(alice), kept, o.count("test_mail"), o.count("test_link"))
	}
	env := toCarla(toBob()) // to another host alone
	env.To, env.Drops = env.To[1:], env.Drops[1:]
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "To Carla.\n"))); err != nil || len(q.all) != 1 {
		t.Fatal(err, q.all)
	}
	if !strings.Contains(o.last(alice), "To Carla.") || o.store.held != 1 {
		t.Error("a mail to another host leaves no copy here")
	}
	before := o.entries(alice)
	env = toBob() // she writes to herself as well
	env.To, env.Drops = append(env.To, must(alice)), append(env.Drops, []string{alice})
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "To us.\n"))); err != nil {
		t.Fatal(err)
	}
	if n := o.entries(alice) - before; n != 1 {
		t.Errorf("she has it %d times", n)
	}
	o.people.boxes = nil
	before = o.entries(alice)
	o.submit(letter("", "Hello.\n"))
	o.accept(outside("", "Hello.\n"))
	if o.entries(alice) != before {
		t.Error("a copy that nobody has asked for")
	}
}

// No mail is refused because its sender's maildrop is full.
func TestACopyForWhichThereIsNoRoomIsLeftOut(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.boxes = map[string]message.Box{alice: {Sent: true, Quota: 10}}
	o.submit(letter("", "Hello.\n"))
	if o.has(alice) || !strings.Contains(o.log.String(), "without a copy for its sender") {
		t.Errorf("she has a copy: %v; the log says %s", o.has(alice), o.log)
	}
	o.remove(bob, noon)
	var r *message.Refusal
	if err := o.Submit(context.Background(), toBob(), strings.NewReader(letter("", "Hello.\n"))); !errors.As(err, &r) || r.Code != 550 {
		t.Errorf("a mail whose recipients have gone is taken for its sender's copy: %v", err)
	}
}

func TestAFullMaildropIsPutOff(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.boxes = map[string]message.Box{bob: {Quota: 100}}
	for size, want := range map[int64]bool{0: true, 100: true, 101: false} {
		if room, err := o.Room(context.Background(), bob, size, false); err != nil || room != want {
			t.Errorf("room for %d octets of 100: %v, %v", size, room, err)
		}
	}
	if room, err := o.Room(context.Background(), carol, 1<<40, false); err != nil || !room {
		t.Errorf("without a quota: %v, %v", room, err)
	}
	for size, want := range map[int64]bool{101: true, 100 + beyond: true, 101 + beyond: false} {
		if room, err := o.Room(context.Background(), bob, size, true); err != nil || room != want {
			t.Errorf("room for %d octets of 100 that are for others as well: %v, %v", size, room, err)
		}
	}
	r := o.refused(letter("", "Hello.\n"), 452, "full")
	if r.Enhanced != [3]int{4, 2, 2} {
		t.Errorf("put off with %v", r.Enhanced)
	}
	o.isRefusal(o.Accept(context.Background(), fromOutside(), strings.NewReader(outside("", "Hello.\n"))), 452, "full")
	if !strings.Contains(o.log.String(), "a maildrop is full") || strings.Contains(o.log.String(), "level=ERROR") {
		t.Errorf("the log says %s", o.log)
	}
}

// TestAnAliasReachesThoseWhoAreFull: its mail is accepted for all of them at once.
func TestAnAliasReachesThoseWhoAreFull(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.boxes = map[string]message.Box{bob: {Quota: 100}, carol: {Quota: 100}}
	env := toBob()
	env.To, env.Drops, env.Shared = []address.Address{must("all@example.com"), must("team@example.com")}, [][]string{{bob}, {carol}}, []bool{true, true} // who is left of them
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil || !o.has(bob) || !o.has(carol) {
		t.Errorf("%v: bob has it: %t, carol: %t", err, o.has(bob), o.has(carol))
	}
}

// The queue must get rid of its reports, and word of a missed call is worth its few octets; a transcript with large files is not.
func TestNoticesComeIntoAFullMaildrop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.boxes = map[string]message.Box{bob: {Quota: 100}}
	raw := wire("Subject: Word\n\n" + strings.Repeat("You were called.\n", 100))
	if err := o.Notify(context.Background(), bob, noon, strings.NewReader(raw)); err != nil || !o.has(bob) {
		t.Fatalf("word of a call is refused: %v", err)
	}
	large := append([]byte(raw), bytes.Repeat([]byte("A picture.\r\n"), small/12)...)
	err := o.Notify(context.Background(), bob, noon, bytes.NewReader(large))
	if r := new(message.Refusal); !errors.As(err, &r) || r.Code != 552 || r.Enhanced != [3]int{5, 2, 2} {
		t.Errorf("a large one: %v", err)
	}
	if n := o.store.size(); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
	o.store.octets = 100 + beyond
	if err := o.Notify(context.Background(), bob, noon, strings.NewReader(raw)); !errors.As(err, new(*message.Refusal)) || o.entries(bob) != 1 {
		t.Errorf("far beyond his quota: %v", err)
	}
	if err := o.Notify(context.Background(), "all@example.com", noon, bytes.NewReader(large)); err != nil || !o.has(carol) || o.entries(bob) != 1 {
		t.Errorf("where another has room: %v, %v", err, o.everybody())
	}
}
