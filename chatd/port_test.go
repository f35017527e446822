package chatd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/web"
)

// A phone is the other end of a connection to a chat port, whatever it speaks.
type phone struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	n    int // the newest event that it was told of
}

// connect opens a connection to a chat port, in TLS where the house has it.
func (h *house) connect(port int) *phone {
	h.t.Helper()
	if h.tls == nil {
		return h.connectPlain(port)
	}
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), h.trust)
	return h.phone(conn, err)
}

func (h *house) connectPlain(port int) *phone {
	h.t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	if h.net != nil {
		conn, err := h.net.dial(h.t.Context(), "tcp", addr)
		return h.phone(conn, err)
	}
	conn, err := net.Dial("tcp", addr)
	return h.phone(conn, err)
}

func (h *house) phone(conn net.Conn, err error) *phone {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	return &phone{t: h.t, conn: conn, in: bufio.NewReader(conn)}
}

func (p *phone) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) line() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Fatalf("reading a line: %v (got %q)", err, line)
	}
	if len(line) > maxLine || !strings.HasSuffix(line, "\r\n") {
		p.t.Fatalf("a line of %d bytes: %q", len(line), line)
	}
	if n := 0; line[0] == '*' || line[0] == '+' { // every event has exactly one line with its number, in order
		if _, err := fmt.Sscanf(line[1:], "%d", &n); err != nil || p.n > 0 && n != p.n+1 {
			p.t.Fatalf("event %d is followed by %q", p.n, line)
		}
		p.n = n
	}
	return strings.TrimSuffix(line, "\r\n")
}

// expect reads on to a line that begins so and returns the rest of it.
func (p *phone) expect(prefix string) string {
	p.t.Helper()
	for {
		if rest, ok := strings.CutPrefix(p.line(), prefix); ok {
			return rest
		}
	}
}

// expectAll reads on until a line has begun with each of these, in whatever order.
func (p *phone) expectAll(prefixes ...string) {
	p.t.Helper()
	for len(prefixes) > 0 {
		line := p.line()
		if i := slices.IndexFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(line, prefix) }); i >= 0 {
			prefixes = slices.Delete(prefixes, i, i+1)
		}
	}
}

// rest is everything until the server hangs up.
func (p *phone) rest() string {
	p.t.Helper()
	text, err := io.ReadAll(p.in)
	if err != nil && !strings.Contains(err.Error(), "reset by peer") {
		p.t.Errorf("the server does not hang up: %v", err)
	}
	return string(text)
}

// at is a house where Alice's chats have a port that is open.
func (h *house) at(login string) int {
	h.t.Helper()
	port := h.freePort()
	h.broker.give(login, port)
	token := offer
	if login == carol {
		token = quote
	}
	h.follow(token, cookieOf("Bob"))
	return port
}

func TestATerminalTalks(t *testing.T) {
	t.Parallel()
	h := newSecureHouse(t)
	port := h.at(alice)
	desk := h.desk(alice)
	h.broker.until(t, "the desk", func() bool { return len(h.broker.devices) == 1 })
	bob := h.connect(port)
	bob.say("JOIN " + offer + " Bob  on: a terminal\r\nand already something\n")
	greeting := strings.Fields(bob.expect("OK "))
	visit := desk.expect("visit")
	if len(greeting) != 2 || greeting[0] != visit["conv"] || visit["who"] != "Bob on: a terminal" {
		t.Fatalf("greeted with %q, visit %v", greeting, visit)
	}
	conv, code := greeting[0], greeting[1]
	bob.expectAll("! opened", "+ 2")
	desk.send(frame{"t": "answer", "call": visit["call"]})
	bob.expectAll("! answered", "* 3 Alice Example: /join")
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.said(0, "and already something")
	desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "hello\nthere: * 9 Bob: fake\n/quit"})
	bob.expect("* 4 Alice Example: hello")
	for _, want := range []string{"| there: * 9 Bob: fake", "| /quit"} {
		if line := bob.line(); line != want {
			t.Errorf("line %q, want %q", line, want)
		}
	}
	bob.say("//me waves\n\n/dance\n\xff\n\x1b[A\n")
	bob.expectAll("+ 5", "! not sent: /quit", "! not sent: only text", "! not sent: only text")
	desk.said(4, "/me waves")
	desk.send(frame{"t": "say", "conv": conv, "cid": "2", "text": "/slash"})
	bob.expect("* 6 Alice Example: //slash")
	bob.say("/quit\n")
	bob.expect("- goodbye")
	bob.rest()
	h.broker.until(t, "gone", func() bool { return slices.Contains(h.broker.gone, conv) })

	again := h.connect(port)
	again.say("RESUME " + code + " 2\n")
	if got := again.expect("OK "); got != conv+" "+code {
		t.Errorf("greeted with %q", got)
	}
	again.expect("* 3 Alice Example: /join")
	again.expect("* 4 Alice Example: hello")
	again.expect("* 5 Bob on  a terminal: //me waves")
	again.expect("* 6 ")
	h.broker.until(t, "the visits: joining, the first word, coming back", func() bool {
		return len(h.broker.visits) == 3 && !h.broker.visits[0].Spoke && h.broker.visits[1].Spoke && h.broker.visits[2].Who == "Bob on: a terminal"
	})
}

func TestALongMessageComesInShortLines(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	port := h.at(alice)
	bob := h.connect(port)
	bob.say("JOIN " + offer + "\n")
	conv := strings.Fields(bob.expect("OK "))[0]
	bob.expect("* 1 ") // he has come in
	desk := h.desk(alice)
	text := strings.Repeat("字", 2000) + "\n" + strings.Repeat("é", 1999)
	desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": text})
	got := bob.expect("* 3 Alice Example: ")
	desk.send(frame{"t": "say", "conv": conv, "cid": "2", "text": "next"})
	for line := bob.line(); !strings.HasPrefix(line, "* 4 "); line = bob.line() {
		switch line[:2] {
		case "| ":
			got += "\n" + line[2:]
		case "& ":
			got += line[2:]
		case "! ":
		default:
			t.Fatalf("line %.20q", line)
		}
	}
	if got != text {
		t.Error("the message was changed on its way")
	}
}

func TestWhatIsNoGreetingIsTurnedAway(t *testing.T) {
	t.Parallel()
	h := newSecureHouse(t)
	port := h.at(alice)
	h.broker.give(carol, 1) // her chats are elsewhere
	bob := h.connect(port)
	bob.say("JOIN " + offer + " Bob\n")
	code := strings.Fields(bob.expect("OK "))[1]
	bob.say("/quit\n")
	wrong := code[:tokenLength+1] + strings.Repeat("A", tokenLength)
	browser, err := h.dial(h.socket(0), cookie("BBBBBBBBBBBBBBBBBBBBBA"))
	if err != nil {
		t.Fatal(err)
	}
	browser.send(frame{"t": "join", "v": 1, "token": offer})
	browser.send(frame{"t": "intent"})
	browser.expect("event")
	for _, first := range []string{
		"JOIN DDDDDDDDDDDDDDDDDDDDDD Bob\n", "JOIN " + quote + " Bob\n", "JOIN \n", "JOIN\n", "JOIN\r\n", "RESUME\n", "JOIN  Bob\n", "JOIN " + offer + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"JOIN " + strings.Repeat("x", 5000) + "\n", "JOIN " + strings.Repeat("x", 100) + "\n", "JOIN \xff\n",
		"RESUME " + wrong + " 0\n", "RESUME " + code + "\n", "RESUME " + code + " -1\n", "RESUME " + code + " x\n", "RESUME " + code + " 999\n",
		"RESUME " + quote + code[tokenLength:] + " 0\n", "RESUME " + offer + ".BBBBBBBBBBBBBBBBBBBBBA 0\n", "hello\n", "\r\n", "join " + offer + "\n", "{\"t\":\"join\"}\n", "\x00\x00\n",
	} {
		p := h.connect(port)
		p.say(first)
		if answer := p.rest(); !strings.HasPrefix(answer, "- ") || strings.Count(answer, "\n") != 1 {
			t.Errorf("%.40q is answered %q", first, answer)
		}
	}
	if n := len(h.broker.visits); n != 2 {
		t.Errorf("the broker heard of %d visits", n)
	}
}

// Whatever a page of somebody else makes a browser send to the port, none of it is taken for lines (CERT VU#476267).
func TestHTTPNeverReachesTheLines(t *testing.T) {
	t.Parallel()
	lines := "JOIN " + offer + " Mallory\r\nhello\r\n"
	upgrade := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := buildHouse(t, secure)
			port := h.at(alice)
			origin := "Origin: " + h.url + "\r\n"
			for _, c := range []struct{ request, status string }{
				{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n" + lines, "404"},
				{"POST /ws HTTP/1.1\r\nHost: localhost\r\n" + origin + "Content-Length: 99\r\n\r\n" + lines, "405"},
				{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + lines, "404"},
				{"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n" + lines, "403"},
				{"GET /ws HTTP/1.1\r\nHost: localhost\r\n" + origin + "\r\n" + lines, "426"},
				{"GET /ws HTTP/1.0\r\nHost: localhost\r\n" + origin + upgrade + "\r\n" + lines, "426"},
				{"GET /ws HTTP/1.1\r\nHost: localhost\r\n" + upgrade + "\r\n" + lines, "403"},
				{"GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n" + upgrade + "\r\n" + lines, "403"},
				{"GET /ws HTTP/1.1\r\nHost: evil.example\r\n" + origin + upgrade + "\r\n" + lines, "421"},
				{"GET /ws?x HTTP/1.1\r\nHost: localhost\r\n" + origin + upgrade + "\r\n" + lines, "404"},
				{"GET http://localhost/ws HTTP/1.1\r\nHost: localhost\r\n" + origin + upgrade + "\r\n" + lines, "404"},
				{"GET /ws HTTP/1.1\r\nHost: localhost\r\n" + origin + upgrade + "Content-Length: 5\r\n\r\n" + lines, "400"},
				{"GET /ws HTTP/1.1\r\nHost: localhost\r\n" + origin + upgrade + "Transfer-Encoding: chunked\r\n\r\n" + lines, "400"},
				{"GET /" + strings.Repeat("x", 2*maxHeader) + " HTTP/1.1\r\n\r\n" + lines, "400"},
				{"OPTIONS /ws HTTP/1.1\r\nHost: localhost\r\nAccess-Control-Request-Method: JOIN\r\n\r\n" + lines, "405"},
				{"Host: localhost\r\n" + lines, "400"}, {"POST \r\n" + lines, "400"}, {"A\r\n" + lines, "400"}, {"JOINED\r\n" + lines, "400"},
				{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + lines, "404"}, {"JOIN\t" + offer + "\r\n" + lines, "400"},
			} {
				p := h.connect(port)
				p.say(c.request)
				if answer := p.rest(); !strings.HasPrefix(answer, "HTTP/1.1 "+c.status+" ") || strings.Contains(answer, "OK AAA") || strings.Count(answer, "HTTP/1.1 4") != 1 {
					t.Errorf("%.60q is answered %.80q, want status %s", c.request, answer, c.status)
				}
			}
			if talks, err := h.srv.Conversations(t.Context(), alice, 1); err != nil || len(talks) != 0 {
				t.Errorf("something was said: %v, %v", talks, err)
			}
		})
	}
}

func TestWhatMayBeSpokenWhere(t *testing.T) {
	t.Parallel()
	h := newSecureHouse(t)
	port := h.at(alice)
	plain := h.connectPlain(port)
	plain.say("GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if answer := plain.rest(); !strings.HasPrefix(answer, "HTTP/1.1 403 ") || !strings.Contains(answer, "TLS") {
		t.Errorf("plain HTTP on a TLS port: %q", answer)
	}
	lines := h.connectPlain(port) // from loopback
	lines.say("JOIN " + offer + "\n")
	lines.expect("OK ")
	// A client that names HTTP in the handshake is held to it; one that can speak HTTP/2 only is not spoken to.
	trust := h.trust.Clone()
	trust.NextProtos = []string{"h2", "http/1.1"}
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), trust)
	p := h.phone(conn, err)
	if proto := conn.ConnectionState().NegotiatedProtocol; proto != "http/1.1" {
		t.Errorf("negotiated %q", proto)
	}
	p.say("JOIN " + offer + "\r\n\r\n")
	if answer := p.rest(); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("lines behind ALPN http/1.1: %q", answer)
	}
	trust.NextProtos = []string{"h2"}
	if _, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), trust); err == nil {
		t.Error("HTTP/2 was negotiated")
	}
	reader := h.reader(offer, "Bob", 0, port)
	reader.expect("joined")

	http := newHouse(t)
	port = http.at(alice)
	p = http.connectPlain(port)
	p.say("\x16\x03\x01\x00\x05hello")
	if answer := p.rest(); answer != "" {
		t.Errorf("TLS on a plain port is answered %q", answer)
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	squatter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	h.broker.give(alice, squatter.Addr().(*net.TCPAddr).Port)
	err = h.srv.Open(t.Context(), h.broker.link(offer), cookieOf("Bob"))
	if err == nil || !strings.Contains(err.Error(), "belongs to another program") {
		t.Errorf("opening it: %v", err)
	}
	bob := h.reader(offer, "Bob", 0, 0) // through the web port
	bob.expect("joined")
	if got := h.srv.Listening(); len(got) != 0 {
		t.Errorf("listening on %v", got)
	}
}

func TestPortsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stop()
	h.start(func(o *Options) { o.Ports = 3 })
	first, second, third := h.at(alice), h.at(alice), h.at(alice) // she moves
	if got, want := h.srv.Listening(), []int{second, third}; !slices.Equal(got, want) && !slices.Equal(got, []int{third, second}) {
		t.Errorf("listening on %v after %d, %v", got, first, want)
	}
	a, b := h.connect(second), h.connect(third)
	a.say("JOIN " + offer + "\n")
	b.say("JOIN " + gutters + "\n")
	a.expect("OK ")
	b.expect("OK ")
	h.broker.give(alice, h.freePort())
	if err := h.srv.Open(t.Context(), h.broker.link(offer), ""); err == nil {
		t.Error("a third port of one login is opened")
	}
	carols := h.at(carol)
	c := h.connect(carols)
	c.say("JOIN " + quote + "\n")
	c.expect("OK ")
	h.broker.give(carol, h.freePort())
	if err := h.srv.Open(t.Context(), h.broker.link(quote), ""); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a fourth port of all: %v", err)
	}
	h.broker.give(carol, second)
	h.follow(quote, "") // the port map gave it to Carol
	d := h.connect(second)
	d.say("JOIN " + offer + "\n")
	if answer := d.rest(); !strings.HasPrefix(answer, "- ") {
		t.Errorf("Alice's link on what is now Carol's port: %q", answer)
	}
}

func TestOpenSSLIsEnoughToChat(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		needed(t, "openssl")
	}
	h := newSecureHouse(t)
	port := h.at(alice)
	cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-quiet", "-connect", fmt.Sprintf("127.0.0.1:%d", port))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "JOIN "+offer+" Bob\nQuite a question\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
		if strings.HasPrefix(lines.Text(), "+ ") {
			if _, err := io.WriteString(in, "/quit\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Logf("openssl: %v", err) // it dislikes the certificate, or how we hang up; what it printed counts
	}
	want := regexp.MustCompile(`(?s)^OK \S{22} \S{45}\n.*\+ 2\n.*- goodbye$`)
	if text := strings.Join(got, "\n"); !want.MatchString(text) {
		t.Errorf("openssl printed:\n%s", text)
	}
}

func TestASiteNeedsItsCertificates(t *testing.T) {
	t.Parallel()
	site, err := web.New(web.Options{URL: "https://chat.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	if _, err := New(Options{DB: h.db, Site: site, Broker: h.broker}); err == nil {
		t.Error("an https site without certificates is accepted")
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a server of nothing is accepted")
	}
	w := &upgrader{header: make(http.Header)}
	w.WriteHeader(http.StatusTeapot)
	w.WriteHeader(http.StatusOK)
	if w.status != http.StatusTeapot {
		t.Errorf("status %d", w.status)
	}
}

// A client that is in a hurry sends its first frames in one go with the request.
func TestFramesThatComeWithTheRequestAreRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	port := h.at(alice)
	frame := func(text string) string { // masked with zeros
		n := len(text)
		return string([]byte{0x81, 0x80 | 126, byte(n >> 8), byte(n), 0, 0, 0, 0}) + text
	}
	p := h.connect(port)
	p.say("GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: " + h.url + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: visitor=" + strings.Repeat("A", 24) + "\r\nX: " + strings.Repeat("x", 600) + "\r\n\r\n" +
		frame(`{"t":"join","v":1,"token":"`+offer+`","last":0,"name":"`+strings.Repeat("B", 40)+`"}`) +
		frame(`{"t":"say","cid":"1","text":"`+strings.Repeat("in a hurry ", 300)+`"}`) + frame(`{"t":"say","cid":"2","text":"again"}`))
	p.expect("HTTP/1.1 101 ")
	var answer []byte
	for bytes.Count(answer, []byte(`"ack"`)) < 2 {
		b, err := p.in.ReadByte()
		if err != nil {
			t.Fatalf("%v behind %q", err, answer)
		}
		answer = append(answer, b)
	}
	if bytes.Count(answer, []byte("in a hurry ")) < 300 || !bytes.Contains(answer, []byte(`"joined"`)) {
		t.Errorf("what came with the request was answered %.300q", answer)
	}
}
