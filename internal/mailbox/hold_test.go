package mailbox

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

func TestAMessageStaysAsLongAsSomebodyHoldsIt(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, 200 << 10} { // in its row, and as a blob
		o := newOffice(t)
		want := letter("For others as well", size)
		m := o.put(want)
		var id int64
		if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) (err error) {
			id, err = o.Deliver(tx, m, to(alice), 2, time.Now())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		release := func() {
			t.Helper()
			if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error { return o.Release(tx, id) }); err != nil {
				t.Fatal(err)
			}
		}
		release()
		o.restart()
		b, err := o.Body(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d octets of %d, %v", len(got), len(want), err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		release()
		if n := o.number(`SELECT refs FROM mailbox_message WHERE id = ?`, id); n != 1 {
			t.Errorf("%d hold it, and one maildrop does", n)
		}
		release() // as the janitor does for the maildrop
		if n := o.number(`SELECT count(*) FROM mailbox_message`); n != 0 {
			t.Errorf("%d messages that nobody holds", n)
		}
		if _, err := o.Body(context.Background(), id); err == nil {
			t.Error("a message that is gone can be read")
		}
	}
}
