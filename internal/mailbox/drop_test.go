package mailbox

import (
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

func TestMailIsReadAsItWasDelivered(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sizes := []int{0, 1, 8 << 10, inRow - 1, inRow, inRow + 1, 1 << 20}
	total := int64(0)
	for _, size := range sizes {
		o.send(letter("mail", size), alice)
		total += int64(size)
	}
	s := o.look(alice)
	if n, octets := s.Stat(); n != len(sizes) || octets != total {
		t.Errorf("STAT says %d messages, %d octets; want %d, %d", n, octets, len(sizes), total)
	}
	for i, size := range sizes {
		e, err := s.Entry(t.Context(), i+1)
		if err != nil {
			t.Fatal(err)
		}
		if e.Size != int64(size) || string(s.read(i+1)) != string(letter("mail", size)) {
			t.Errorf("message %d has %d octets and did not come as it went, with %d", i+1, e.Size, size)
		}
	}
	if n := len(o.files()); n != 2 {
		t.Errorf("%d messages are in files, want the two above 64 KiB", n)
	}
	for _, n := range []int{-1, 0, len(sizes) + 1} {
		if _, err := s.Entry(t.Context(), n); !errors.Is(err, ErrNoEntry) {
			t.Errorf("message %d: %v", n, err)
		}
		if _, err := s.Read(t.Context(), n); !errors.Is(err, ErrNoEntry) {
			t.Errorf("reading message %d: %v", n, err)
		}
	}
	s.quit()
	o.audit()
}

func TestWhatTheStampDidIsKeptWithTheMail(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	m := o.put(letter("mail", 100))
	m.Stamp = "header-only: multipart/signed"
	var kept string
	if err := errors.Join(
		o.db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := o.Deliver(tx, m, to(alice), 0, time.Now()); return err }),
		o.db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT stamp FROM mailbox_message`).Scan(&kept) }),
	); err != nil || kept != m.Stamp {
		t.Errorf("kept is %q, %v", kept, err)
	}
}

func TestBeforeTheFirstMailTheMaildropIsEmpty(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.look(alice)
	o.send(letter("first", 100), alice)
	s.expect()
	s.quit()
	o.look(alice).expect("first")
}

func TestOneMailToManyIsStoredOnceAndGoesWithTheLast(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"in the row": 100, "in a blob": inRow + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.send(letter("round robin", size), bob, alice, bob, "carol@example.com")
			if n := o.number(`SELECT count(*) FROM mailbox_message`); n != 1 {
				t.Errorf("it is stored %d times", n)
			}
			a, b, c := o.look(alice), o.look(bob), o.look("carol@example.com")
			for _, s := range []*session{a, b, c} {
				s.expect("round robin")
			}
			if a.list(1)[0].UID == b.list(1)[0].UID {
				t.Error("two entries have one unique id")
			}
			a.quit(1)
			b.quit(1)
			o.clean(time.Now())
			o.audit()
			c.expect("round robin")
			c.quit(1)
			o.clean(time.Now())
			if n := o.number(`SELECT count(*) FROM mailbox_message`) + int64(len(o.files())); n != 0 {
				t.Error("nobody has it any more, and it is still there")
			}
			o.audit()
		})
	}
}

func TestUniqueIDsAreForEver(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 20 {
		o.send(letter("mail", 100), alice)
	}
	s := o.look(alice)
	before := s.list(1)
	for _, e := range before {
		if !regexp.MustCompile(`^[!-~]{1,70}$`).MatchString(e.UID) {
			t.Errorf("%q is no unique id (RFC 1939 7)", e.UID)
		}
	}
	s.quit(1, 20)
	o.clean(time.Now())
	o.restart()
	for range 2 {
		o.send(letter("new mail", 100), alice)
	}
	after := o.look(alice).list(1)
	if uids(after[:18]) != uids(before[1:19]) {
		t.Errorf("the unique ids were %s and are %s", uids(before), uids(after))
	}
	seen := make(map[string]bool)
	for _, e := range append(before, after[18:]...) {
		if seen[e.UID] {
			t.Errorf("%s was used twice", e.UID)
		}
		seen[e.UID] = true
	}
}

// Hazards 22: two sessions never disturb each other.
func TestTwoSessionsOnOneMaildrop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, name := range []string{"one", "two", "three", "four"} {
		o.send(letter(name, 1000), alice)
	}
	phone, laptop := o.look(alice), o.look(alice)
	o.send(letter("five", 1000), alice)
	phone.expect("one", "two", "three", "four")

	phone.quit(1, 3)
	o.clean(time.Now())
	laptop.expect("one", "two", "three", "four") // as it was when it began, and to be read
	tablet := o.look(alice)
	tablet.expect("two", "four", "five")

	laptop.quit(1, 2) // one of them deleted already: fine
	tablet.expect("two", "four", "five")
	desktop := o.look(alice)
	desktop.expect("four", "five")
	desktop.quit()
	o.clean(time.Now())
	tablet.expect("two", "four", "five")
	tablet.quit(1, 2, 3)
	o.clean(time.Now())
	o.look(alice).expect()
	if n := o.number(`SELECT count(*) FROM mailbox_message`); n != 0 {
		t.Errorf("%d messages are left that nobody can see", n)
	}
	o.audit()
}

// Hazards 24: what is not finished by QUIT deletes nothing.
func TestNothingIsDeletedWithoutExpunge(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.send(letter("one", 1000), alice)
	for range 3 {
		s := o.look(alice)
		s.read(1)
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Entry(t.Context(), 1); !errors.Is(err, ErrExpired) {
			t.Errorf("a session that has ended looks: %v", err)
		}
	}
	s := o.look(alice)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Expunge(ctx, slices.Values([]int{1})); !errors.Is(err, context.Canceled) {
		t.Errorf("a deletion that was given up: %v", err)
	}
	for _, wrong := range [][]int{{0}, {2}, {1, 1}, {1, 2}} {
		if err := s.Expunge(t.Context(), slices.Values(wrong)); !errors.Is(err, ErrNoEntry) {
			t.Errorf("deleting %v: %v", wrong, err)
		}
	}
	s.quit()
	o.clean(time.Now().Add(24 * time.Hour))
	o.restart()
	o.look(alice).expect("one")
	o.audit()
}

func TestADeletionIsDurableWhenItReturns(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.send(letter("one", 1000), alice)
	o.send(letter("two", 1000), alice)
	o.look(alice).quit(1)
	o.restart()
	o.look(alice).expect("two")
	o.clean(time.Now()) // what the first run did not remove
	if n := o.number(`SELECT count(*) FROM mailbox_message`); n != 1 {
		t.Errorf("%d messages are stored, want 1", n)
	}
	o.audit()
}

// However much is deleted, nobody waits long for it.
func TestLargeDeletionsGoByPieces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spans  []span
		pieces int
	}{
		{nil, 0}, {[]span{{1, 1}}, 1}, {[]span{{1, pieceSize}}, 1}, {[]span{{5, pieceSize + 5}}, 2}, {[]span{{1, 100_000}}, 25},
		{slices.Repeat([]span{{7, 7}}, 100_000), 98},
	} {
		var sum, want int64
		n := 0
		for piece := range pieces(c.spans) {
			n++
			size := int64(0)
			for _, s := range piece {
				size += s.to - s.from + 1
			}
			if size > pieceSize || size == 0 {
				t.Errorf("a piece of %d entries", size)
			}
			sum += size
		}
		for _, s := range c.spans {
			want += s.to - s.from + 1
		}
		if n != c.pieces || sum != want {
			t.Errorf("%d entries in %d spans went in %d pieces, want %d; %d entries in all", want, len(c.spans), n, c.pieces, sum)
		}
	}
	o := newOffice(t)
	o.crowd(alice, pieceSize+110)
	s := o.look(alice)
	s.quit(slices.Collect(func(yield func(int) bool) {
		for n := range pieceSize + 100 {
			if !yield(n + 6) {
				return
			}
		}
	})...)
	rest := &model{session: o.look(alice), sees: []int{1, 2, 3, 4, 5, 4202, 4203, 4204, 4205, 4206}}
	rest.check(1, 6, 10)
	rest.checkList(1)
	o.clean(time.Now())
	rest.checkList(1)
	o.audit()
}

// The janitor works by itself: nobody else need do anything for a deleted mail to leave the disk.
func TestWhatNobodyCanSeeIsRemovedWithoutBeingAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.send(letter("large", inRow+1), alice)
		phone, laptop := o.look(alice), o.look(alice)
		phone.quit(1)
		synctest.Wait()
		laptop.expect("large")
		laptop.quit()
		synctest.Wait() // no time passes: the end of the last session that saw it is enough
		if n := len(o.files()); n != 0 {
			t.Error("the blob of a deleted mail stays")
		}
		o.audit()
		if n := len(o.sessions.boxes); n != 0 {
			t.Errorf("%d maildrops are remembered that nobody looks at", n)
		}
	})
}

// A session has an hour; what was deleted meanwhile is then removed, open or not, and such a session may not mistake other
// messages for it.
func TestASessionThatNeverEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		for _, name := range []string{"one", "two", "three"} {
			o.send(letter(name, 100), alice)
		}
		forgotten := o.look(alice)
		o.look(alice).quit(1)
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		forgotten.expect("one", "two", "three")

		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := o.number(`SELECT count(*) FROM mailbox_entry`); n != 2 {
			t.Errorf("%d entries are left, want 2: a forgotten session keeps nothing for ever", n)
		}
		if err := forgotten.List(t.Context(), 1, func(message.Entry) bool { return true }); !errors.Is(err, ErrExpired) {
			t.Errorf("after an hour and a half: %v", err)
		}
		// Even if its clock stood still, it does not count wrongly.
		forgotten.until = time.Now().Add(time.Hour)
		forgotten.page = nil
		if _, err := forgotten.Entry(t.Context(), 1); !errors.Is(err, ErrExpired) {
			t.Errorf("with a clock that stood still: %v", err)
		}
		forgotten.quit()
		o.look(alice).expect("two", "three")
		o.audit()
	})
}

func TestARemovedMaildrop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.crowd(alice, 3*sweepStep+1)
	o.send(letter("to both", inRow+1), alice, bob)
	o.look(alice).quit(1, 2)
	s := o.look(alice)
	remove := func(tx *sqldb.Tx) error { return o.Remove(tx, alice) }
	if err := o.db.Update(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	o.send(letter("new", 10), alice)
	o.look(alice).expect("new")
	o.clean(time.Now())
	if n := o.number(`SELECT count(*) FROM mailbox_drop`); n != 2 {
		t.Errorf("there are %d maildrops, want alice's new one and bob's", n)
	}
	if _, err := s.Read(t.Context(), 1); !errors.Is(err, ErrRemoved) {
		t.Errorf("a session with the removed maildrop reads: %v", err)
	}
	if err := s.Expunge(t.Context(), slices.Values([]int{1})); !errors.Is(err, ErrRemoved) {
		t.Errorf("a session with the removed maildrop deletes: %v", err)
	}
	o.look(bob).expect("to both")
	o.audit()
	if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error { return o.Remove(tx, "nobody@example.com") }); err != nil {
		t.Errorf("removing a maildrop that is not there: %v", err)
	}
}

// A blob is read by pieces, and a message whose file is damaged is an error rather than a short mail.
func TestADamagedBlobIsNotServed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.send(letter("large", 2*inRow), alice)
	s := o.look(alice)
	r, err := s.Read(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(r, make([]byte, 10)); n != 10 || err != nil {
		t.Errorf("reading a piece: %d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	name := o.files()[0]
	for _, harm := range []func() error{
		func() error { return truncate(o.blobs.path(name)) },
		func() error { return o.blobs.remove(name) },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(t.Context(), 1); err == nil {
			t.Error("a damaged message was served")
		}
	}
}
