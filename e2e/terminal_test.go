package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func listenOn(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// terminal is a client of the line protocol, as a person with openssl s_client would be.
type terminal struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	code string // with which the conversation is taken up again
}

// dialTerminal waits for the owner's port, which starts when the link is followed.
func (s *server) dialTerminal(t *testing.T, port string) *terminal {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", "127.0.0.1:"+port, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &terminal{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func (c *terminal) say(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads on to a line that begins with prefix and returns it.
func (c *terminal) expect(prefix string) string {
	c.t.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("waiting for %q: %v", prefix, err)
		}
		if line = strings.TrimRight(line, "\r\n"); strings.HasPrefix(line, prefix) {
			return line
		}
	}
}

func TestATerminalChatsOverTLS(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, port := s.mailWithPort(t, "Offer for the roof")
	desk := s.desk(t, "/desk")
	if status := s.get(t, link); status != 200 { // following the link starts the listener on the port (R6, R43)
		t.Fatalf("GET of the link: status %d", status)
	}
	c := s.dialTerminal(t, port)
	c.say("JOIN " + path.Base(link) + " Bob on a terminal")
	code := strings.Fields(c.expect("OK "))
	if len(code) != 3 {
		t.Fatalf("OK line %q, want OK CONV CODE", code)
	}
	desk.Until(`document.querySelector('.call.ring') !== null`)
	desk.Run(chromedp.Click(".call.ring .main"))
	c.expect("! answered")
	c.say("hello from a terminal")
	c.expect("+ ")
	said(desk, "hello from a terminal")
	desk.Run(chromedp.SendKeys(".talk:not([hidden]) textarea", "hello from the desk\r"))
	if line := c.expect("* "); !strings.Contains(line, "hello from the desk") {
		// The terminal's own message may come back to it first.
		if line = c.expect("* "); !strings.Contains(line, "hello from the desk") {
			t.Errorf("the terminal was told %q", line)
		}
	}
	c.say("/quit")

	again := s.dialTerminal(t, port)
	again.say("RESUME " + code[2] + " 0")
	again.expect("OK ")
	for line := ""; !strings.Contains(line, "hello from the desk"); {
		line = again.expect("* ")
	}
}
