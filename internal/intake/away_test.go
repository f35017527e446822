package intake

import (
	"context"
	"errors"
	"strings"
	"testing"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// queued is what a queue was given.
type queued struct {
	all []message.Outgoing
	err error
}

func (q *queued) Enqueue(_ *sqldb.Tx, out message.Outgoing) error {
	if q.err == nil {
		q.all = append(q.all, out)
	}
	return q.err
}

// away is an office whose mail for others goes to a queue.
func away(t *testing.T) (*office, *queued) {
	o, q := newOffice(t), &queued{}
	o.queue = q
	o.open(o.db)
	return o, q
}

func toCarla(e *message.Envelope) *message.Envelope {
	e.To, e.Drops = append(e.To, must("carla@elsewhere.test")), append(e.Drops, nil)
	return e
}

func TestAMailForOthersIsQueuedWithTheSameCommit(t *testing.T) {
	t.Parallel()
	o, q := away(t)
	env := toCarla(toBob())
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil {
		t.Fatal(err)
	}
	if len(q.all) != 1 || len(q.all[0].To) != 1 || q.all[0].To[0] != 1 || q.all[0].Env.ID != env.ID || q.all[0].EightBit || o.store.held != 1 {
		t.Fatalf("queued %+v, with %d holders", q.all, o.store.held)
	}
	kept := o.last(bob)
	out := q.all[0]
	if out.Size != int64(len(kept)) || kept[:out.Skip] != "Return-Path: <"+alice+">\r\n" || !strings.HasPrefix(kept[out.Skip:], "Received: ") {
		t.Errorf("%d octets of %d stay behind of %q", out.Skip, out.Size, kept)
	}
	if err := o.Submit(context.Background(), toCarla(toBob()), strings.NewReader(letter("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "Grüße\n"))); err != nil {
		t.Fatal(err)
	}
	if !q.all[1].EightBit {
		t.Error("nobody is told of octets above 127")
	}
}

func TestAMailThatCannotBeQueuedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	o, q := away(t)
	q.err = errors.New("the disk is on fire")
	if err := o.Submit(context.Background(), toCarla(toBob()), strings.NewReader(letter("", "Hello.\n"))); !errors.Is(err, q.err) {
		t.Errorf("got %v", err)
	}
	o.empty()
}

func TestAMailWhoseOwnRecipientIsGoneStillGoesToTheOthers(t *testing.T) {
	t.Parallel()
	o, q := away(t)
	o.remove(bob, noon)
	if err := o.Submit(context.Background(), toCarla(toBob()), strings.NewReader(letter("", "Hello.\n"))); err != nil || len(q.all) != 1 {
		t.Errorf("%v; queued %+v", err, q.all)
	}
	if n := o.count("test_entry"); n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestAParcelIsDeliveredWithItsTransactionOrNotAtAll(t *testing.T) {
	t.Parallel()
	o, q := away(t)
	large := letter("", strings.Repeat(strings.Repeat("x", 70)+"\n", 2000))
	for _, to := range []string{bob, "carla@elsewhere.test"} {
		p, err := o.Prepare(context.Background(), to, noon, strings.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		broken := errors.New("the rest of the transaction failed")
		if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error { return errors.Join(p.Deliver(tx), broken) }); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		p.Close()
		if n := o.store.size(); n != 0 {
			t.Errorf("%d blobs are left of what was not delivered to %s", n, to)
		}
	}
	q.all = nil
	p, err := o.Prepare(context.Background(), "carla@elsewhere.test", noon, strings.NewReader(large))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.db.Update(context.Background(), p.Deliver); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if len(q.all) != 1 || q.all[0].Env.From != (address.Address{}) || q.all[0].Skip != int64(len("Return-Path: <>\r\n")) || o.store.size() != 1 {
		t.Errorf("queued %+v; %d blobs", q.all, o.store.size())
	}
	p, err = o.Prepare(context.Background(), bob, noon, strings.NewReader(large))
	if err != nil {
		t.Fatal(err)
	}
	o.remove(bob, noon)
	refusal := (*message.Refusal)(nil)
	if err := o.db.Update(context.Background(), p.Deliver); !errors.As(err, &refusal) {
		t.Errorf("a report to somebody who is gone: %v", err)
	}
	p.Close()
	if n := o.store.size(); n != 1 {
		t.Errorf("%d blobs", n)
	}
}

func TestAMailSaysThatItMayGoByAnyConnection(t *testing.T) {
	t.Parallel()
	o, q := away(t)
	for _, c := range []struct {
		fields     string
		requireTLS bool
		want       bool
	}{
		{"TLS-Required: No\n", false, true}, {"tls-required:no\n", false, true}, {"TLS-Required: Yes\n", false, false}, {"", false, false},
		{"TLS-Required: No\nTLS-Required: No\n", false, false}, // RFC 8689 3: at most one
		{"TLS-Required: No\n", true, false},                    // 4.1: what the envelope says counts
	} {
		env := toCarla(toBob())
		env.Params.RequireTLS = c.requireTLS
		if err := o.Submit(context.Background(), env, strings.NewReader(letter(c.fields, "Hello.\n"))); err != nil {
			t.Fatal(err)
		}
		if got := q.all[len(q.all)-1].AnyTLS; got != c.want {
			t.Errorf("%q, REQUIRETLS %v: %v", c.fields, c.requireTLS, got)
		}
	}
}
