package mailbox

import (
	"context"
	"errors"
	"testing"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// deliver delivers a message of that size to maildrops with quotas; a refusal is a full one.
func (o *office) deliver(size, holders int, drops ...message.Drop) (taken bool) {
	o.t.Helper()
	m := o.put(letter("x", size))
	err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error {
		_, err := o.Deliver(tx, m, drops, holders, time.Now())
		return err
	})
	var r *message.Refusal
	if err != nil && (!errors.As(err, &r) || r.Code != 452 || r.Enhanced != [3]int{4, 2, 2}) {
		o.t.Fatal(err)
	}
	return err == nil
}

func (o *office) holds(login string, want int64) {
	o.t.Helper()
	got, err := o.Octets(context.Background(), login)
	if err != nil || got != want {
		o.t.Errorf("the maildrop of %s holds %d octets (%v), want %d", login, got, err, want)
	}
	all, err := o.Sizes(context.Background())
	if err != nil || all[login] != want {
		o.t.Errorf("among all, that of %s holds %d octets (%v), want %d", login, all[login], err, want)
	}
}

func TestAMaildropTakesMailUpToItsQuota(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	drop := message.Drop{Login: alice, Quota: 1000}
	o.holds(alice, 0)
	if o.deliver(1001, 0, drop) {
		t.Error("more than it may ever hold was taken")
	}
	if !o.deliver(600, 0, drop) || o.deliver(401, 0, drop) || !o.deliver(400, 0, drop) {
		t.Error("it is not taken exactly up to the quota")
	}
	o.holds(alice, 1000)
	if o.deliver(1, 0, drop) || o.deliver(0, 0, drop) {
		t.Error("a full maildrop takes mail")
	}
	if !o.deliver(1, 0, message.Drop{Login: alice}) {
		t.Error("without a quota it does not")
	}
	o.holds(alice, 1001)

	// What POP3 deletes is room at once, for other sessions that still see it, too.
	d, err := o.Open(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Expunge(t.Context(), func(yield func(int) bool) { yield(1) }); err != nil {
		t.Fatal(err)
	}
	o.holds(alice, 401)
	if !o.deliver(599, 0, drop) {
		t.Error("a deletion makes no room")
	}
}

// Whoever shares a mail with others who have room must not keep it from them, and cannot be told apart any more after DATA.
func TestWhoeverHasRoomIsNotHeldUpByAFullMaildrop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	small, large := message.Drop{Login: alice, Quota: 1000}, message.Drop{Login: bob, Quota: 1 << 20}
	if !o.deliver(900, 0, small) || !o.deliver(500, 0, small, large) {
		t.Error("a mail to one that has room is refused, since another has too little")
	}
	o.holds(alice, 1400) // once beyond
	o.holds(bob, 500)
	if o.deliver(500, 0, small, large) || o.deliver(500, 1, small) {
		t.Error("a maildrop goes beyond its quota again and again")
	}
	o.holds(alice, 1400)
	o.holds(bob, 500)
	if small.Login = "dave@example.com"; !o.deliver(1500, 1, small) { // it goes to another host as well
		t.Error("a mail for elsewhere is refused for want of room here")
	}
	if small.Login = "erin@example.com"; o.deliver(1500, 0, small, message.Drop{Login: alice, Copy: true}) {
		t.Error("its sender's copy alone makes a mail taken")
	}
}
