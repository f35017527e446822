package relay

import (
	"bufio"
	"bytes"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/smuggling"
)

// TestNothingIsSmuggledOut sends messages that hold what some server takes for the end of a mail (hazard 2). Those with a bare CR or LF stay here; in the others
// what looks like an end is text.
func TestNothingIsSmuggledOut(t *testing.T) {
	t.Parallel()
	const behind = "MAIL FROM:<admin@example.com>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\n\r\nsmuggled\r\n.\r\n"
	for _, e := range smuggling.Variants() {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			raw := "Subject: x\r\n\r\ntext" + e.Seq + behind
			if e.Fate != smuggling.Bare {
				if got := received(t, raw); got != raw {
					t.Errorf("a server reads %q", got)
				}
				return
			}
			synctest.Test(t, func(t *testing.T) {
				m := delivery.Mail{
					From: address.Address{Local: "alice", Domain: "example.com"}, To: []delivery.Recipient{{Address: address.Address{Local: "bob", Domain: "example.org"}}},
					Body: strings.NewReader(raw), Size: int64(len(raw)),
				}
				if v := unsent(t, m); told(&v[0]) != "5.6.0 the message holds a CR or LF that stands alone" {
					t.Error(told(&v[0]))
				}
			})
		})
	}
	for _, end := range []string{"\r\n.\r\n.\r\n", "\r\n."} { // two at once, and one that is not finished
		raw := "Subject: x\r\n\r\ntext" + end + behind
		if got := received(t, raw); got != raw {
			t.Errorf("%q: a server reads %q", end, got)
		}
	}
}

// received is what a strict server reads of a mail; it fails when there is anything behind it.
func received(t *testing.T, raw string) string {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	var wire bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = wire.ReadFrom(server)
	}()
	c := newConn(client, "", Timeouts{}.filled())
	d := dots{w: c.out}
	if err := copyMessage(&d, make([]byte, 7), nil, strings.NewReader(raw), int64(len(raw))); err != nil {
		t.Fatal(err)
	}
	if err := d.end(); err != nil {
		t.Fatal(err)
	}
	if err := c.out.Flush(); err != nil {
		t.Fatal(err)
	}
	client.Close()
	<-done
	in := bufio.NewReader(&wire)
	lines, err := textproto.NewReader(in).ReadDotLines()
	if err != nil || in.Buffered() > 0 || wire.Len() > 0 {
		t.Errorf("%q: %d octets behind the end, %v", raw, in.Buffered()+wire.Len(), err)
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}
