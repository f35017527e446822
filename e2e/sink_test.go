package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is another host's mail server, which fails at random and keeps account of what it has answered.
type sink struct {
	port         int
	fail4, fail5 float64 // of all answers to RCPT and to the end of a mail
	life         func() int

	mu      sync.Mutex
	took    map[string][]taken // by subject and recipient
	refused map[string]int     // answers 5yz for good
	rnd     *rand.Rand
	stirred chan struct{}
}

// taken is one answer 250 to a mail.
type taken struct {
	life int // of the sending server
	at   time.Time
}

// newSink starts one. life says which life of the server that sends to it this is.
func newSink(t *testing.T, seed uint64, fail4, fail5 float64, life func() int) *sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{
		port: ln.Addr().(*net.TCPAddr).Port, fail4: fail4, fail5: fail5, life: life,
		took: make(map[string][]taken), refused: make(map[string]int), rnd: rand.New(rand.NewPCG(seed, 2)), stirred: make(chan struct{}, 1),
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() }) // after the server's end, which was started later
	return s
}

// serve holds one connection until the other side ends it.
func (s *sink) serve(conn net.Conn) {
	in, out := textproto.NewReader(bufio.NewReader(conn)), bufio.NewWriter(conn)
	say := func(line string) { fmt.Fprintf(out, "%s\r\n", line) }
	var to []string
	say("220 sink.far.test ESMTP")
	for {
		if in.R.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadLine()
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "EHLO":
			say("250-sink.far.test\r\n250-PIPELINING\r\n250 8BITMIME")
		case "MAIL", "RSET":
			to = nil
			say("250 2.1.0 ok")
		case "RCPT":
			_, rcpt, _ := strings.Cut(line, "<")
			rcpt, _, _ = strings.Cut(rcpt, ">")
			r := s.answer()
			if r[0] == '2' {
				to = append(to, rcpt)
			} else if r[0] == '5' {
				r = "550 5.1.1 no"
			}
			say(r)
			s.hold(rcpt, r) // which mail it was for is known by the recipient: each is written to once
		case "DATA":
			if len(to) == 0 {
				say("554 5.5.1 nobody")
				continue
			}
			say("354 go on")
			if out.Flush() != nil || s.mail(in, to, say) != nil {
				return
			}
			to = nil
		case "QUIT":
			say("221 2.0.0 bye")
			_ = out.Flush() // he may have gone
			return
		default:
			say("500 5.5.2 what?")
		}
	}
}

// mail takes one to its end and answers it.
func (s *sink) mail(in *textproto.Reader, to []string, say func(string)) error {
	if _, err := io.Copy(io.Discard, in.DotReader()); err != nil {
		return err
	}
	r := s.answer()
	say(r)
	for _, rcpt := range to {
		s.hold(rcpt, r)
		if r[0] == '2' {
			s.mu.Lock()
			s.took[rcpt] = append(s.took[rcpt], taken{s.life(), time.Now()})
			s.mu.Unlock()
		}
	}
	return nil
}

// answer is what it says this time.
func (s *sink) answer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f := s.rnd.Float64(); {
	case f < s.fail4:
		return "451 4.3.0 not now"
	case f < s.fail4+s.fail5:
		return "554 5.6.0 never"
	}
	return "250 2.0.0 ok"
}

func (s *sink) hold(rcpt, r string) {
	s.mu.Lock()
	if r[0] == '5' {
		s.refused[rcpt]++
	}
	s.mu.Unlock()
	select {
	case s.stirred <- struct{}{}:
	default:
	}
}

// silent waits until nothing has come for as long.
func (s *sink) silent(t *testing.T, long, most time.Duration) {
	t.Helper()
	end := time.After(most)
	for {
		select {
		case <-s.stirred:
		case <-time.After(long):
			return
		case <-end:
			t.Fatalf("mail still comes after %v", most)
		}
	}
}
