package pop3d

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
)

// TestMemoryDoesNotGrow measures what whole sessions allocate. It is not parallel, since the count is the process's.
func TestMemoryDoesNotGrow(t *testing.T) {
	large, many := newPostOffice(), newPostOffice()
	large.deliver("alice@example.com", bytes.Repeat([]byte(".a line with a dot, to be stuffed\r\n"), 1<<21)) // 70 MB
	many.fill("alice@example.com", 100_000)

	for _, c := range []struct {
		said   string
		office *postOffice
		most   uint64 // octets
	}{
		{"RETR 1\r\n", large, 128 << 10},
		{"TOP 1 99999999\r\n", large, 128 << 10},
		{"LIST\r\nUIDL\r\n", many, 128 << 10},
		{strings.Repeat("LIST\r\n", 50), many, 4 << 20}, // 60 MB; a pool that is emptied now and then is no growth
		{"DELE 100000\r\nRSET\r\nDELE 100000\r\n", many, 128 << 10},
		{strings.Repeat(strings.Repeat(" ", 4000)+"\r\n", 15), large, 128 << 10},
	} {
		s := quietServer(c.office)
		conn := &script{in: strings.NewReader(login + c.said), out: io.Discard}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		end := s.run(conn)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > c.most || end != "gone" {
			t.Errorf("%.20q took %d octets, want at most %d; it ended by %s", c.said, n, c.most, end)
		}
	}
}
