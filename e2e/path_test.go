package e2e

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
)

const (
	alice, alicesPassword = "alice@example.com", "a fine long password"
	bob, bobsPassword     = "bob@example.com", "another long password"
)

// twoPeople is a running server with the accounts of Alice and Bob.
func twoPeople(t *testing.T, redisURL string, extra ...string) *server {
	t.Helper()
	s := newServer(t, redisURL, extra...)
	s.account(t, alice, alicesPassword)
	s.account(t, bob, bobsPassword)
	s.start(t)
	return s
}

// mailTo lets Alice write Bob a mail and returns it as Bob's mail client fetches it.
func (s *server) mailTo(t testing.TB, subject string) *mail.Message {
	t.Helper()
	if err := s.submit(alice, alicesPassword, bob, letter(alice, bob, subject, "Have a look at this, please.")); err != nil {
		t.Fatal(err)
	}
	m := s.maildrop(t, bob, bobsPassword)
	defer m.quit()
	msg, body := m.message(m.count())
	if link := strings.Trim(msg.Header.Get("CH-Link"), "<>"); !strings.Contains(body, link) {
		t.Errorf("the text does not hold the link %s:\n%s", link, body)
	}
	return msg
}

// mailWithPort is mailTo for stories that need the owner's port. Mail first: on a machine that is very busy a mail goes out without
// waiting for its port, and the next one has it.
func (s *server) mailWithPort(t testing.TB, subject string) (link, port string) {
	t.Helper()
	for range 10 {
		msg := s.mailTo(t, subject)
		if port := msg.Header.Get("CH-Port"); port != "" && msg.Header.Get("CH-Link") != "" {
			return chatLink(t, msg), port
		}
	}
	t.Fatal("ten mails without CH-Port or CH-Link")
	return "", ""
}

// desk opens Alice's desk in a browser of her own, through the sign-in.
func (s *server) desk(t *testing.T, path string) *browsertest.Tab {
	t.Helper()
	b := chromium.Tab(t)
	b.Run(chromedp.Navigate(s.url() + path))
	s.signIn(b)
	return b
}

func (s *server) signIn(b *browsertest.Tab) {
	b.Until(`document.getElementById('user') !== null`)
	b.Run(chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", alicesPassword+"\r"))
	b.Until(`document.getElementById('desk') && document.getElementById('desk').dataset.line === 'up'`)
}

// follow opens a chat link in a browser of the reader's own.
func follow(t *testing.T, link string) *browsertest.Tab {
	t.Helper()
	b := chromium.Tab(t)
	b.Run(chromedp.Navigate(link))
	b.Until(`document.getElementById('reader') !== null`)
	return b
}

func call(state string) string {
	return fmt.Sprintf(`document.getElementById('reader').dataset.call === %q`, state)
}

// said waits until the page shows exactly these messages, in this order, all of them safe.
func said(b *browsertest.Tab, texts ...string) {
	want, err := json.Marshal(texts)
	if err != nil {
		panic(err) // strings can be encoded
	}
	b.Until(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll('.said')].filter((e) => e.checkVisibility()).map((e) => e.textContent)) === JSON.stringify(%s)`, want))
}

func TestAMailBecomesAConversation(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	s := twoPeople(t, redis.url())
	s.mailWithPort(t, "A first mail") // by then the login has its port
	msg := s.mailTo(t, "Offer for the roof")
	link, port := chatLink(t, msg), msg.Header.Get("CH-Port")
	if msg.Header.Get("CH-Login") != alice || msg.Header.Get("CH-Host") != "localhost" || port == "" {
		t.Errorf("CH fields: login %q, host %q, port %q", msg.Header.Get("CH-Login"), msg.Header.Get("CH-Host"), port)
	}

	desk := s.desk(t, "/desk")
	reader := follow(t, link)
	if js := browsertest.JS[bool](desk, `document.querySelector('.call') === null`); !js {
		t.Error("the desk was told of a page that was only loaded")
	}
	reader.MoveMouse()
	desk.Until(`document.querySelector('.call') !== null`) // the visit shows at once, the ring follows
	reader.Until(call("ringing"))
	desk.Until(`document.querySelector('.call.ring') !== null && document.title.includes('wants to talk')`)
	desk.Run(chromedp.Click(".call.ring .main"))
	reader.Until(call("answered"))
	throughThePort(t, port)

	reader.Run(chromedp.SendKeys("#text", "Does it include the scaffolding?\r"))
	said(desk, "Does it include the scaffolding?")
	desk.Run(chromedp.SendKeys(".talk textarea", "It does, for two weeks.\r"))
	said(reader, "Does it include the scaffolding?", "It does, for two weeks.")

	reader.Run(chromedp.Reload())
	said(reader, "Does it include the scaffolding?", "It does, for two weeks.")
	reader.Run(chromedp.SendKeys("#text", "Then we agree.\r"))
	desk.Run(chromedp.Reload())
	said(desk, "Does it include the scaffolding?", "It does, for two weeks.", "Then we agree.")

	s.mapsTell(t, redis, port)
}

// throughThePort makes sure that somebody is connected to a chat port, and not to the web port in its stead (R6).
func throughThePort(t *testing.T, port string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Log("connections are counted by /proc, which this system does not have")
		return
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		// Local address and state of proc(5): 01 is ESTABLISHED.
		if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) && f[3] == "01" {
			return
		}
	}
	t.Errorf("nobody is connected to port %s: the page went through the web port", port)
}

// mapsTell looks R2 and R3 up: in Redis as any other program would, and by the administrator's verbs.
func (s *server) mapsTell(t *testing.T, redis *redisServer, port string) {
	t.Helper()
	presence := strings.Join(redis.do(t, "HGETALL", "ch:pres:{"+alice+"}"), " ")
	for _, want := range []string{"smtp:", "desk:", `"ip":"127.0.0.1"`, `"host":"alices-laptop.example"`} {
		if !strings.Contains(presence, want) {
			t.Errorf("the presence map lacks %s: %s", want, presence)
		}
	}
	if lease := strings.Join(redis.do(t, "HGET", "ch:ports:{localhost}", port), ""); !strings.Contains(lease, `"`+alice+`"`) {
		t.Errorf("the port map says of port %s: %s", port, lease)
	}
	out, errs, code := s.chmail(t, "", "whois", port, "--json")
	var who struct {
		Port   int
		Login  string
		Latest struct{ IP, Source string }
	}
	if err := json.Unmarshal([]byte(out), &who); err != nil || code != 0 || who.Login != alice || who.Latest.IP != "127.0.0.1" || strconv.Itoa(who.Port) != port {
		t.Errorf("chmail whois %s: exit %d, %v, %+v\n%s%s", port, code, err, who, out, errs)
	}
	if _, _, code := s.chmail(t, "", "whois", strconv.Itoa(s.chatLast())); code != 1 {
		t.Errorf("chmail whois of a port that nobody has: exit %d, want 1", code)
	}
	var people []struct{ Login, Verdict string }
	out, errs, code = s.chmail(t, "", "presence", alice, "--json")
	if err := json.Unmarshal([]byte(out), &people); err != nil || code != 0 || len(people) != 1 || people[0].Login != alice {
		t.Errorf("chmail presence: exit %d, %v\n%s%s", code, err, out, errs)
	}
	var ports []struct {
		Port      int
		Login     string
		Listening bool
	}
	out, errs, code = s.chmail(t, "", "ports", "--json")
	if err := json.Unmarshal([]byte(out), &ports); err != nil || code != 0 || len(ports) == 0 || ports[0].Login != alice || !ports[0].Listening {
		t.Errorf("chmail ports: exit %d, %v\n%s%s", code, err, out, errs)
	}
}

func TestTheOwnerIsAwayAndIsLeftWord(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	msg := s.mailTo(t, "Offer for the roof")
	reader := follow(t, chatLink(t, msg))
	// His first sign is the key that sends what he has written: on a busy machine the notice may be on its way two seconds after it.
	browsertest.JS[bool](reader, `(document.getElementById('name').value = 'Bob Brown', document.getElementById('text').value = 'Are you there?', true)`)
	reader.Run(chromedp.SendKeys("#text", "\r"))
	// Alice's mail client was here a moment ago, so she counts as on; but nothing of hers can ring.
	reader.UntilIn(30*time.Second, call("noticed"))
	m := s.maildrop(t, alice, alicesPassword)
	if n := m.count(); n != 1 {
		t.Fatalf("%d messages in the owner's maildrop, want the notice", n)
	}
	notice, body := m.message(1)
	m.quit()
	if id := msg.Header.Get("Message-ID"); notice.Header.Get("In-Reply-To") != id || !strings.Contains(notice.Header.Get("References"), id) {
		t.Errorf("the notice is not in the original's thread: %v", notice.Header)
	}
	if from := notice.Header.Get("From"); !strings.Contains(from, "postmaster@example.com") || notice.Header.Get("Return-Path") != "<>" || notice.Header.Get("CH-Link") != "" {
		t.Errorf("the notice's header: %v", notice.Header)
	}
	at := strings.Index(body, s.url()+"/desk/c/")
	if at < 0 {
		t.Fatalf("the notice holds no link to the desk:\n%s", body)
	}
	link := strings.Fields(strings.ReplaceAll(body[at:], "=\r\n", ""))[0]
	if !strings.Contains(body, "\n> Are you there?") {
		t.Errorf("the notice does not tell what was said:\n%s", body)
	}

	desk := s.desk(t, strings.TrimPrefix(link, s.url())) // the link leads to the sign-in, and from there into the conversation
	said(desk, "Are you there?")
	desk.Run(chromedp.SendKeys(".talk:not([hidden]) textarea", "Now I am.\r"))
	said(reader, "Are you there?", "Now I am.")
}

func TestAChatPortThatIsTakenIsReplacedByTheWebPort(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, port := s.mailWithPort(t, "Offer for the roof")
	squatter := listenOn(t, "127.0.0.1:"+port)
	defer squatter.Close()
	desk := s.desk(t, "/desk")
	reader := follow(t, link)
	reader.MoveMouse()
	desk.Until(`document.querySelector('.call.ring') !== null`)
	desk.Run(chromedp.Click(".call.ring .main"))
	reader.Until(call("answered"))
	reader.Run(chromedp.SendKeys("#text", "Through the other door.\r"))
	said(desk, "Through the other door.")
}
