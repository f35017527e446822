package admin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"chmail/internal/delivery"
)

// counter stands for the queue: one mail to Bob waits, and it notes what it is asked.
type counter struct {
	asked delivery.Filter
	act   delivery.Act
}

var waits = delivery.Waiting{
	Number: 7, ID: "mail", From: alice, Login: alice, To: "bob@one.test", Destination: "one.test", Size: 512, At: then, Until: then, Next: then, Tries: 1,
	Last: &delivery.Attempt{N: 1, At: then, Took: time.Second, Remote: "mx.one.test [192.0.2.1]", TLS: "TLS1.3", Code: 451, Status: "4.7.1", Text: "greylisted"},
}

func (c *counter) Waiting(_ context.Context, f delivery.Filter, after int64) (delivery.Page, error) {
	c.asked = f
	switch {
	case f.ID != "" && f.ID != waits.ID:
		return delivery.Page{}, errors.New("no such mail")
	case after >= waits.Number:
		return delivery.Page{Waiting: []delivery.Waiting{}}, nil
	}
	return delivery.Page{Waiting: []delivery.Waiting{waits}, Next: waits.Number}, nil
}

func (c *counter) Attempts(_ context.Context, number int64) ([]delivery.Attempt, error) {
	if number != waits.Number {
		return nil, nil
	}
	return []delivery.Attempt{*waits.Last}, nil
}

func (c *counter) Do(_ context.Context, act delivery.Act, f delivery.Filter, after int64) (delivery.Done, error) {
	c.act, c.asked = act, f
	if f.ID != "" && f.ID != waits.ID {
		return delivery.Done{}, errors.New("no such mail")
	}
	return delivery.Done{Changed: 1, InWork: 2, Next: after + 1, Stopped: []string{alice}}, nil
}

func TestTheQueueIsAskedForAndChangedThroughTheSocket(t *testing.T) {
	t.Parallel()
	queue, log := new(counter), new(bytes.Buffer)
	s, network := New(Options{Queue: queue, Log: slog.New(slog.NewTextHandler(log, nil))}), newInMemory()
	over := make(chan error, 1)
	go func() { over <- s.ServeControl(network) }()
	c, ctx := network.client(), t.Context()
	all := delivery.Filter{ID: "mail", Login: alice, To: "one.test", Destination: "smarthost:isp", Held: true, Before: then.Add(time.Millisecond)}
	for _, f := range []delivery.Filter{{}, all} {
		if p, err := c.Waiting(ctx, f, 0); err != nil || p.Next != 7 || len(p.Waiting) != 1 || !reflect.DeepEqual(p.Waiting[0], waits) {
			t.Errorf("who waits: %+v, %v", p, err)
		}
		if queue.asked != f {
			t.Errorf("asked for %+v, not %+v", queue.asked, f)
		}
		if d, err := c.Do(ctx, delivery.Hold, f, 3); err != nil || d.Changed != 1 || d.InWork != 2 || d.Next != 4 || len(d.Stopped) != 1 {
			t.Errorf("done: %+v, %v", d, err)
		}
		if queue.asked != f || queue.act != delivery.Hold {
			t.Errorf("to be done: %s with %+v, not %+v", queue.act, queue.asked, f)
		}
	}
	if !strings.Contains(log.String(), "queue changed") {
		t.Errorf("the log does not tell of it: %s", log)
	}
	if p, err := c.Waiting(ctx, delivery.Filter{}, 7); err != nil || p.Waiting == nil || len(p.Waiting) != 0 || p.Next != 0 {
		t.Errorf("behind the last: %+v, %v", p, err)
	}
	if tries, err := c.Attempts(ctx, 7); err != nil || len(tries) != 1 || tries[0] != *waits.Last {
		t.Errorf("attempts: %+v, %v", tries, err)
	}
	if tries, err := c.Attempts(ctx, 8); err != nil || tries == nil || len(tries) != 0 {
		t.Errorf("attempts for nobody: %#v, %v", tries, err)
	}
	if _, err := c.Waiting(ctx, delivery.Filter{ID: "other"}, 0); err == nil || err.Error() != "no such mail" {
		t.Errorf("a mail that is not there: %v", err)
	}
	if _, err := c.Do(ctx, delivery.Drop, delivery.Filter{ID: "other"}, 0); err == nil || err.Error() != "no such mail" {
		t.Errorf("a mail that is not there, dropped: %v", err)
	}
	// A filter that is misspelt must not choose everything.
	queue.act = ""
	if err := c.ask(ctx, "POST", "http://chmail"+pathQueueAct, []byte(`{"act": "drop", "filter": {"logn": "alice@example.com"}}`), new(delivery.Done)); err == nil || queue.act != "" {
		t.Errorf("a misspelt order: %v, done: %q", err, queue.act)
	}
	must(t, c.Close())
	must(t, s.Shutdown(ctx))
	must(t, <-over)
}
