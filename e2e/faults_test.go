package e2e

import (
	"context"
	mrand "math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestNothingIsLostWhateverIsKilled lets two people talk while the server, Redis and their lines are killed at random, and compares what each of them has seen with
// what the server kept (figures in docs/reliability.md). CHMAIL_FAULTS is how many faults there are; a few without it.
func TestNothingIsLostWhateverIsKilled(t *testing.T) {
	t.Parallel()
	faults := 12
	if s := os.Getenv("CHMAIL_FAULTS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("CHMAIL_FAULTS=%s: %v", s, err)
		}
		faults = n
	}
	redis := startRedis(t)
	s := twoPeople(t, redis.url())
	link, port := s.mailWithPort(t, "Offer for the roof")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	reader := s.reader(t, link, port)
	wg.Go(func() { reader.run(ctx) })
	owner := s.owner(t, s.conversation(t, reader))
	wg.Go(func() { owner.run(ctx) })

	talk := &talk{t: t, s: s, redis: redis, both: []*chatter{reader, owner}}
	talk.goesOn(1)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mrand.New(mrand.NewPCG(seed, 0))
	done := make(map[string]int)
	for range faults {
		done[talk.fault(random.IntN(6))]++
		talk.goesOn(1 + random.IntN(3))
	}
	for _, c := range talk.both {
		c.hush()
	}
	eventually(t, time.Minute, "everything said is acknowledged and both have seen the same", talk.still)
	talk.compare(link, port)
	t.Logf("faults: %v; lines broken: reader %d, owner %d", done, reader.breaks, owner.breaks)
}

// conversation waits until the reader's first word has made the conversation, and gives its id.
func (s *server) conversation(t *testing.T, reader *chatter) (conv string) {
	t.Helper()
	eventually(t, 20*time.Second, "the reader's first word is kept", func() bool {
		reader.mu.Lock()
		defer reader.mu.Unlock()
		conv = reader.room
		return conv != "" && len(reader.acked) > 0
	})
	return conv
}

// talk is a conversation under faults.
type talk struct {
	t     *testing.T
	s     *server
	redis *redisServer
	both  []*chatter
}

// fault does one kind of harm and names it.
func (k *talk) fault(kind int) string {
	switch kind {
	case 0, 1:
		k.s.kill()
		k.s.start(k.t)
		return "server killed"
	case 2:
		k.redis.kill()
		k.redis.run(k.t)
		return "Redis killed"
	case 3:
		k.redis.freeze(k.t)
		k.goesOn(1)
		k.redis.thaw(k.t)
		return "Redis frozen"
	case 4:
		k.both[0].cut()
		return "reader's line cut"
	default:
		k.both[1].cut()
		return "owner's line cut"
	}
}

// goesOn waits until each of the two has had so many more messages acknowledged.
func (k *talk) goesOn(more int) {
	k.t.Helper()
	for _, c := range k.both {
		before, _, _, _ := c.progress()
		eventually(k.t, 30*time.Second, "the "+c.name+"'s messages go through", func() bool {
			n, _, _, fault := c.progress()
			if fault != nil {
				k.t.Fatal(fault)
			}
			return n >= before+more
		})
	}
}

// still tells whether nothing is under way and both have seen the same number of events.
func (k *talk) still() bool {
	_, w0, s0, _ := k.both[0].progress()
	_, w1, s1, _ := k.both[1].progress()
	return w0+w1 == 0 && s0 == s1
}

// compare holds what both have seen against each other and against the acknowledgements.
func (k *talk) compare(link, port string) {
	k.t.Helper()
	a, b := k.both[0], k.both[1]
	if !slices.Equal(a.seen, b.seen) {
		k.t.Errorf("the reader has seen %d events and the owner %d, and not the same ones in the same order", len(a.seen), len(b.seen))
	}
	total := 0
	for _, c := range k.both {
		if c.fault != nil {
			k.t.Error(c.fault)
		}
		at := 0 // event of the one before
		for i := range c.sent {
			cid := c.name + "-" + strconv.Itoa(i)
			n := c.acked[cid]
			if n <= at {
				k.t.Errorf("%s is event %d, and what was said before it is event %d", cid, n, at)
				continue
			}
			at = n
			if want := "this is " + cid; a.seen[n-1] != want || slices.Index(a.seen[n:], want) >= 0 || slices.Index(a.seen, want) != n-1 {
				k.t.Errorf("%s was acknowledged as event %d, which is %q, or it is there twice", cid, n, a.seen[n-1])
			}
		}
		total += c.sent
	}
	said := 0
	for _, text := range a.seen {
		if text != "" {
			said++
		}
	}
	if said != total {
		k.t.Errorf("%d messages are in the conversation, %d were said", said, total)
	}
	k.t.Logf("%d messages, %d events; what is lost, doubled or out of order is listed above", total, len(a.seen))
}
