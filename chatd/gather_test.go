package chatd

import (
	"bytes"
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a connection that counts its writes.
type counted struct {
	net.Conn
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

func gathered(t *testing.T) (g *gatherer, under *counted, peer net.Conn) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	under = &counted{Conn: ours}
	return &gatherer{Conn: under}, under, theirs
}

// read reads n octets from a peer, beside the test.
func read(t *testing.T, peer net.Conn, n int) chan []byte {
	got := make(chan []byte, 1)
	go func() {
		all := make([]byte, 0, n)
		for len(all) < n {
			k, err := peer.Read(all[len(all):n])
			if err != nil {
				t.Error(err)
				break
			}
			all = all[:len(all)+k]
		}
		got <- all
	}()
	return got
}

func TestFramesThatComeTogetherAreWrittenTogether(t *testing.T) {
	t.Parallel()
	g, under, peer := gathered(t)
	got := read(t, peer, 9)
	g.gather()
	for _, frame := range []string{"one", "two", "six"} {
		if _, err := g.Write([]byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	if under.writes != 0 {
		t.Errorf("%d writes before the flush", under.writes)
	}
	if err := g.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := <-got; string(all) != "onetwosix" || under.writes != 1 {
		t.Errorf("%q in %d writes", all, under.writes)
	}
	if g.kept != nil {
		t.Error("what was written is still held")
	}
	got = read(t, peer, 4) // a pong, say: nobody flushes it
	if _, err := g.Write([]byte("pong")); err != nil {
		t.Fatal(err)
	}
	if all := <-got; string(all) != "pong" {
		t.Errorf("%q", all)
	}
	if err := g.flush(t.Context()); err != nil || under.writes != 2 {
		t.Errorf("flushing nothing: %v, %d writes", err, under.writes)
	}
}

func TestWhatIsGatheredIsBounded(t *testing.T) {
	t.Parallel()
	g, under, peer := gathered(t)
	frame := bytes.Repeat([]byte("a"), 1000)
	got := read(t, peer, 40*len(frame))
	g.gather()
	for range 40 {
		if _, err := g.Write(frame); err != nil {
			t.Fatal(err)
		}
		if len(g.kept) >= gatherMax {
			t.Fatalf("%d octets are held", len(g.kept))
		}
	}
	if err := g.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := <-got; len(all) != 40*len(frame) || under.writes != 3 {
		t.Errorf("%d octets in %d writes", len(all), under.writes)
	}
}

func TestAPeerThatTakesNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := gathered(t)
		g.gather()
		if _, err := g.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := g.flush(t.Context()); err == nil || time.Since(began) != takeWithin {
			t.Errorf("flush: %v after %v", err, time.Since(began))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := gathered(t)
		g.gather()
		if _, err := g.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		ctx, hang := context.WithTimeout(t.Context(), time.Second) // somebody hangs up meanwhile
		defer hang()
		began := time.Now()
		if err := g.flush(ctx); err == nil || time.Since(began) != time.Second {
			t.Errorf("flush: %v after %v", err, time.Since(began))
		}
	})
}
