package chatd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// along are the files that go along with a mail, as name:content.
func along(ctx context.Context, t Transcript) (all string, err error) {
	for _, f := range t.Attach {
		var b strings.Builder
		if err := f.Send(ctx, &b); err != nil {
			return all, fmt.Errorf("attaching: %w", err)
		}
		all += f.Name + ":" + b.String() + " "
	}
	return all, nil
}

func TestFilesGoAlongWithWhatWasSaidUpToASize(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stop()
	h.start(func(o *Options) { o.Files = FileLimits{Attach: 20} })
	_, conv := h.talking(offer, "Bob")
	for _, f := range [][2]string{{"one.txt", "1234567890"}, {"large.bin", strings.Repeat("x", 21)}, {"two.txt", "123456789"}, {"three.txt", "12"}, {"gone.txt", "1"}} {
		h.mustSend("Bob", upload(f[0], f[0], f[1]))
	}
	r, err := h.srv.rooms.take(t.Context(), conv)
	if err != nil {
		t.Fatal(err)
	}
	defer h.srv.rooms.release(r)
	entries, _, err := h.srv.store.spoken(t.Context(), r.key, 0, r.tail.newest())
	if err != nil || len(entries) != 5 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	in := Transcript{Conv: conv, Login: alice, Entries: entries}
	mails := 0
	post := func(want string) func(Transcript) error {
		return func(tr Transcript) error {
			mails++
			got, err := along(t.Context(), tr)
			if err == nil && got != want {
				t.Errorf("along goes %q, want %q", got, want)
			}
			return err
		}
	}
	if err := h.srv.withFiles(t.Context(), in, post("one.txt:1234567890 two.txt:123456789 gone.txt:1 ")); err != nil || mails != 1 {
		t.Errorf("%d mails, %v", mails, err)
	}

	// A file that was taken back meanwhile stays out; one that cannot be read leaves the mail without files, and no other fault does.
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chatd_file SET conv = NULL, n = NULL WHERE size = 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.srv.withFiles(t.Context(), in, post("one.txt:1234567890 two.txt:123456789 ")); err != nil || mails != 2 {
		t.Errorf("%d mails, %v", mails, err)
	}
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM chatd_piece WHERE file IN (SELECT key FROM chatd_file WHERE size = 9)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.srv.withFiles(t.Context(), in, post("")); err != nil || mails != 4 {
		t.Errorf("%d mails, %v", mails, err)
	}
	full := errors.New("the maildrop is full")
	if err := h.srv.withFiles(t.Context(), in, func(Transcript) error { mails++; return full }); !errors.Is(err, full) || mails != 5 {
		t.Errorf("%d mails, %v", mails, err)
	}
	// What is refused with its files, such as one that is too large for the next host, goes without.
	mails = 0
	if err := h.srv.withFiles(t.Context(), in, func(tr Transcript) error {
		if mails++; len(tr.Attach) > 0 {
			return &message.Refusal{Code: 552}
		}
		return nil
	}); err != nil || mails != 2 {
		t.Errorf("%d mails, %v", mails, err)
	}
}
