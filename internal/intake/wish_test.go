package intake

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

func TestWhoDecidesAboutTheLink(t *testing.T) {
	t.Parallel()
	const (
		own     = "the sender's wish"
		account = "the account's setting"
		server  = "the server's setting"
		odd     = "the sender's wish, which is none of on, header-only and off"
	)
	to := map[string]string{"example.com": "on", "shy.test": "header-only", "strict.test": "off"}
	for _, c := range []struct {
		field, account, server string
		to                     string // domains of the recipients
		chat, reason           string
	}{
		{chat: "on"},
		{server: "on", to: "example.com other.test", chat: "on"},
		{server: "header-only", chat: "header-only", reason: server},
		{server: "off", chat: "off", reason: server},
		{account: "on", server: "off", chat: "on"},
		{account: "header-only", server: "on", chat: "header-only", reason: account},
		{account: "off", server: "on", chat: "off", reason: account},
		{field: "CH-Chat: off\n", account: "on", chat: "off", reason: own},
		{field: "CH-Chat: header-only\n", account: "off", chat: "header-only", reason: own},
		{field: "CH-Chat: on\n", account: "off", server: "off", chat: "on"},
		{field: "ch-chat:\n  OFF \n", chat: "off", reason: own},
		{field: "CH-Chat:\n", account: "header-only", chat: "header-only", reason: account},
		{field: "CH-Chat: no thanks\n", account: "on", chat: "off", reason: odd},
		{field: "CH-Chat: on\nCH-Chat: header-only\nCH-Chat: on\n", chat: "header-only", reason: own},
		{field: "CH-Chat: never\nCH-Chat: on\n", chat: "off", reason: odd},
		{field: "CH-Chat: off\nCH-Chat: never\nCH-Chat: off\n", chat: "off", reason: odd},
		{field: "CH-Chatty: off\n", chat: "on"},
		{to: "other.test shy.test", chat: "header-only", reason: "a recipient's domain, shy.test"},
		{to: "shy.test strict.test other.test", chat: "off", reason: "a recipient's domain, strict.test"},
		{field: "CH-Chat: on\n", to: "strict.test", chat: "off", reason: "a recipient's domain, strict.test"},
		{account: "off", to: "shy.test example.com", chat: "off", reason: account},
		{account: "header-only", to: "shy.test", chat: "header-only", reason: account},
		{server: "off", to: "example.com", chat: "off", reason: server}, // an exception never adds
	} {
		tree, err := message.Scan(&message.Memory{B: []byte(wire("From: alice@example.com\n" + c.field + "\nHello.\n"))})
		if err != nil {
			t.Fatal(err)
		}
		var recipients []address.Address
		for domain := range strings.FieldsSeq(c.to) {
			recipients = append(recipients, must("bob@"+domain))
		}
		chat, reason := decide(wishOf(&tree.Head), c.account, Policy{Chat: c.server, To: to}, recipients)
		if chat != c.chat || reason != c.reason {
			t.Errorf("%+v: it is %q because of %q", c, chat, reason)
		}
	}
}

// stamps checks what is known of the stamp of the only mail.
func (o *office) stamps(want string) {
	o.t.Helper()
	var got string
	if err := o.db.View(context.Background(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT stamp FROM test_stamp`).Scan(&got) }); err != nil {
		o.t.Fatal(err)
	}
	if got != want {
		o.t.Errorf("stored with the mail is %q, want %q", got, want)
	}
	kind, reason, _ := strings.Cut(want, ": ")
	if log := o.log.String(); !strings.Contains(log, "stamp="+kind) || !strings.Contains(log, reason) {
		o.t.Errorf("the log says %q, want %q", log, want)
	}
}

func TestAMailThatWantsNoChatGetsNone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	got := o.submit(letter("CH-Chat: off\nCH-Link: <https://evil.test>\n", "Hello.\n"))
	if strings.Contains(got, "CH-") || !strings.HasSuffix(got, "\r\n\r\nHello.\r\n") {
		t.Errorf("got %q", got)
	}
	if o.broker.times() != 0 || o.count("test_link") != 0 {
		t.Errorf("the broker was asked %d times and keeps %d links", o.broker.times(), o.count("test_link"))
	}
	o.stamps("skipped: the sender's wish")
	if got := o.broker.noted; len(got) != 1 || got[0] != "skipped: the sender's wish" {
		t.Errorf("the sender will be shown %q", got)
	}
}

func TestAMailThatCannotBeNotedGoesOutAllTheSame(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.broker.keep = func() error { return errors.New("the broker is out of order") }
	for _, field := range []string{"CH-Chat: off\n", ""} {
		if got := o.submit(letter(field, "Hello.\n")); !strings.HasSuffix(got, "Hello.\r\n") || strings.Contains(got, "CH-Link") {
			t.Errorf("%q: %q", field, got)
		}
	}
}

func TestAMailThatKeepsItsTextGetsTheFieldsOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.manner.Chat = "header-only"
	o.unstampedBody(o.submit(letter("", "Hello.\n")))
	o.stamps("header-only: the account's setting")
	if o.broker.about.Stamp != "header-only: the account's setting" || o.count("test_link") != 1 {
		t.Errorf("with the link is kept %q", o.broker.about.Stamp)
	}
}

// unstampedBody checks that a mail has the link in its header and as it was written otherwise.
func (o *office) unstampedBody(got string) {
	o.t.Helper()
	m, body := parse(o.t, got)
	if m.Header.Get("CH-Link") != "<"+token+">" || body != "Hello.\r\n" || m.Header.Get("CH-Chat") != "" {
		o.t.Errorf("got %q", got)
	}
}

func TestARecipientsDomainRestrainsTheMailToAll(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.policy = Policy{Chat: "on", To: map[string]string{"example.com": "header-only"}}
	o.open(o.db)
	o.unstampedBody(o.submit(letter("CH-Chat: on\n", "Hello.\n")))
	o.stamps("header-only: a recipient's domain, example.com")
}

func TestTheChatLineSpeaksTheAccountsLanguage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.manner.Language = "ja"
	got := o.submit(letter("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "こんにちは。\n"))
	if !strings.Contains(got, "チャット") || !strings.Contains(got, token) {
		t.Errorf("got %q", got)
	}
}

func TestAMailIsLeftAloneWhileItsSendersSettingsAreUnknown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.err = errors.New("no database")
	if got := o.submit(letter("CH-Chat: on\n", "Hello.\n")); strings.Contains(got, "CH-") || o.broker.times() != 0 {
		t.Errorf("got %q", got)
	}
	o.stamps("skipped: the account's setting could not be read")
}

func TestWhoPublishesHisAddressHasItInHisMail(t *testing.T) {
	t.Parallel()
	for seen, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "2001:db8::7": "2001:db8::7", "::ffff:203.0.113.9": "203.0.113.9", "192.168.1.7": "192.168.1.7",
		"127.0.0.1": "chat.example.com", "::1": "chat.example.com", "fe80::1%eth0": "chat.example.com", "0.0.0.0": "chat.example.com", "": "chat.example.com",
	} {
		o := newOffice(t)
		o.broker.seen = func(context.Context) (netip.Addr, error) {
			if seen == "" {
				return netip.Addr{}, nil
			}
			return netip.ParseAddr(seen)
		}
		m, _ := parse(t, o.submit(letter("", "Hello.\n")))
		if got := m.Header.Get("CH-Host"); got != "chat.example.com" {
			t.Errorf("seen at %q, who does not publish it is at %q", seen, got)
		}
		o.people.manner.PublishHost = true
		m, _ = parse(t, o.submit(letter("", "Hello.\n")))
		if got := m.Header.Get("CH-Host"); got != want || m.Header.Get("CH-Port") != "24001" {
			t.Errorf("seen at %q, CH-Host is %q, want %q", seen, got, want)
		}
	}
}

func TestAnAddressThatIsNotToBeHadCostsNoLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		for name, seen := range map[string]func(ctx context.Context) (netip.Addr, error){
			"it fails":  func(context.Context) (netip.Addr, error) { return netip.Addr{}, errors.New("out of addresses") },
			"it panics": func(context.Context) (netip.Addr, error) { panic("out of addresses") },
			"it hangs":  func(context.Context) (netip.Addr, error) { <-release; return netip.Addr{}, nil },
		} {
			b := &broker{seen: seen}
			c := newCards(b)
			start := time.Now()
			for range cardMisses {
				if card, err := c.get(context.Background(), alice, true); err != nil || card.Host != "chat.example.com" || card.URL == "" {
					t.Errorf("%s: %+v, %v", name, card, err)
				}
			}
			if took := time.Since(start); took > cardMisses*cardBudget {
				t.Errorf("%s: it took %v", name, took)
			}
			if _, err := c.get(context.Background(), alice, true); !errors.Is(err, errTired) {
				t.Errorf("%s: the breaker did not see it: %v", name, err)
			}
		}
		close(release)
	})
}

// A card without anything else asks for nothing else.
func TestWhoDoesNotPublishIsNotLookedFor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.people.manner = call.Manner{Chat: "on"}
	o.broker.seen = func(context.Context) (netip.Addr, error) {
		t.Error("the broker was asked for an address")
		return netip.Addr{}, nil
	}
	o.submit(letter("", "Hello.\n"))
}

// A line too long to be sent is encoded anew before the mail is stamped; what the sender wants stands in the mail as he wrote it.
func TestAMailThatIsEncodedAnewKeepsItsSendersWish(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 400) + "\n"
	for field, fields := range map[string]int{"CH-Chat: off\n": 0, "CH-Chat: nonsense\n": 0, "CH-Chat: header-only\n": 4, "": 4} {
		o := newOffice(t)
		got := o.submit(letter(field, long))
		link := strings.Contains(got, "about this mail")
		if n := strings.Count(got, "CH-"); n != fields || link != (field == "") || fields == 0 && o.broker.times() != 0 {
			t.Errorf("%q: %d CH fields, link %v, the broker was asked %d times", field, n, link, o.broker.times())
		}
	}
}

// Alice was called otherwise when she wrote it first.
func TestAnOlderLineUnderAnOlderNameIsReplaced(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	older := func(end string) string {
		return "Chat with Alice Unmarried about this mail:\n" + token[:len(token)-4] + end + "\n"
	}
	got := o.submit(letter("", "Hello.\n\n"+older("mine")))
	if strings.Contains(got, "Unmarried") || strings.Count(got, "Chat with ") != 1 {
		t.Errorf("her own older line: %q", got)
	}
	if got := o.submit(letter("", "Hello.\n\n"+older("bobs"))); !strings.Contains(got, "Unmarried") || strings.Count(got, "Chat with ") != 2 {
		t.Errorf("somebody else's: %q", got)
	}
}
