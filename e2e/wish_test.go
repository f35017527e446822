package e2e

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
)

// set changes Alice's settings on the running server.
func (s *server) set(t *testing.T, settings ...string) {
	t.Helper()
	if out, errs, code := s.chmail(t, "", append([]string{"account", "set", alice}, settings...)...); code != 0 {
		t.Fatalf("chmail account set %v: exit %d: %s%s", settings, code, out, errs)
	}
}

// wrote lets Alice write Bob a mail, with a header field more, and returns it as Bob fetches it.
func (s *server) wrote(t *testing.T, subject, field string) (*mail.Message, string) {
	t.Helper()
	text := letter(alice, bob, subject, "Have a look at this, please.")
	if field != "" {
		text = field + "\n" + text
	}
	if err := s.submit(alice, alicesPassword, bob, text); err != nil {
		t.Fatal(err)
	}
	m := s.maildrop(t, bob, bobsPassword)
	defer m.quit()
	return m.message(m.count())
}

func TestTheSenderDecidesAboutTheLink(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	const (
		nowhere  = "neither header nor body"
		inHeader = "the header only"
		inBody   = "header and body"
	)
	arrives := func(subject, field, want string) {
		t.Helper()
		msg, body := s.wrote(t, subject, field)
		got := nowhere
		if msg.Header.Get("CH-Link") != "" {
			got = inHeader
			if strings.Contains(body, chatLink(t, msg)) {
				got = inBody
			}
		}
		if got != want {
			t.Errorf("%s: the link is in %s, want %s", subject, got, want)
		}
		for name := range msg.Header {
			if want == nowhere && strings.HasPrefix(name, "Ch-") || name == "Ch-Chat" {
				t.Errorf("%s arrives with %s", subject, name)
			}
		}
		if want != inBody && body != "Have a look at this, please.\n" {
			t.Errorf("%s: the text was changed: %q", subject, body)
		}
	}
	arrives("As always", "", inBody)
	s.set(t, "chat=header-only")
	arrives("Text kept", "", inHeader)
	s.set(t, "chat=off")
	arrives("No chats, please", "", nowhere)
	arrives("But about this one", "CH-Chat: on", inBody)
	s.set(t, "chat=default")
	arrives("Not about this one", "CH-Chat: off", nowhere)
	s.set(t, "language=ja")
	if _, body := s.wrote(t, "In Japanese", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit"); !strings.Contains(body, "チャット") {
		t.Errorf("the chat line is not Japanese:\n%s", body)
	}
	if !strings.Contains(s.log.String(), "skipped") || !strings.Contains(s.log.String(), "the sender's wish") {
		t.Error("the log does not say why a mail got no link")
	}

	b := chromium.Tab(t)
	b.Run(chromedp.Navigate(s.url() + "/desk/mails"))
	b.Until(`document.getElementById('user') !== null`)
	b.Run(chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", alicesPassword+"\r"))
	b.Until(`location.pathname === '/desk/mails' && document.querySelectorAll('.mails li').length > 0`)
	const told = "In Japanese: Link in the mail | Not about this one: No link in the mail, The mail itself asked for it. | But about this one: Link in the mail | No chats, please: No link in the mail, Your account is set to it. | Text kept: Link in the header only, Your account is set to it. | As always: Link in the mail"
	if got := browsertest.JS[string](b, `[...document.querySelectorAll('.mails li')].map((li) => li.querySelector('h2').textContent + ': ' +
		[...li.querySelectorAll('.mail-stamp, .mail-why')].map((e) => e.textContent).join(', ')).join(' | ')`); got != told {
		t.Errorf("the desk tells of\n%s\nwant\n%s", got, told)
	}
}
