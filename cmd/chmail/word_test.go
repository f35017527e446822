package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"chmail/chatd"
	"chmail/internal/account"
	"chmail/internal/call"
	"chmail/internal/message"
)

// owners are accounts that are all set to one language.
type owners struct {
	language string
	err      error
}

func (o owners) Manner(context.Context, string) (call.Manner, error) {
	return call.Manner{Language: o.language}, o.err
}

// Lookup knows one account with a password and one without.
func (o owners) Lookup(_ context.Context, login string) (account.Account, bool, error) {
	switch login {
	case "carol@x.test":
		return account.Account{Login: login, Name: "Carol Example", HasPassword: true}, true, o.err
	case "box@x.test":
		return account.Account{Login: login}, true, o.err
	}
	return account.Account{}, false, o.err
}

func TestAColleagueIsToldThatHeIsInvited(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{"": "alice@x.test invites you into a chat", "ja": "alice@x.test さんから、チャットに招待", "ko": "alice@x.test 님이 채팅에 초대"} {
		var box letterbox
		w := wordWriter{people: owners{language: language}, doorway: &box, domains: []string{"x.test"}, host: "mail.x.test", origin: "https://chat.x.test", log: slog.New(slog.DiscardHandler)}
		if err := w.Invite(t.Context(), "carol@x.test", "alice@x.test"); err != nil {
			t.Fatal(err)
		}
		text := firstPart(t, box.raw)
		if box.to != "carol@x.test" || !strings.Contains(text, want) || !strings.Contains(text, "https://chat.x.test/desk") {
			t.Errorf("%q: to %s: %s", language, box.to, text)
		}
	}
}

// firstPart is the text of a mail of ours.
func firstPart(t *testing.T, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	part, err := multipart.NewReader(m.Body, params["boundary"]).NextPart()
	if err != nil {
		t.Fatal(err)
	}
	var in io.Reader = part
	if part.Header.Get("Content-Transfer-Encoding") == "base64" {
		in = base64.NewDecoder(base64.StdEncoding, part)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhoIsAColleague(t *testing.T) {
	t.Parallel()
	w := wordWriter{people: owners{}}
	if c, err := w.Colleague(t.Context(), " carol@x.test "); err != nil || c != (chatd.Colleague{Login: "carol@x.test", Name: "Carol Example"}) {
		t.Errorf("Carol: %v, %v", c, err)
	}
	for _, login := range []string{"", "box@x.test", "nobody@x.test"} {
		if _, err := w.Colleague(t.Context(), login); !errors.Is(err, chatd.ErrNoColleague) {
			t.Errorf("%q: %v", login, err)
		}
	}
}

// unread is what a visitor has said.
type unread struct {
	texts []string
	err   error
}

func (u unread) Unread(context.Context, string, int) ([]string, error) { return u.texts, u.err }

// letterbox keeps the mails that are left.
type letterbox struct {
	to  string
	at  time.Time
	raw []byte
	err error
}

func (l *letterbox) Notify(_ context.Context, to string, at time.Time, raw io.Reader) error {
	l.to, l.at = to, at
	if l.err == nil {
		l.raw, l.err = io.ReadAll(raw)
	}
	return l.err
}

var missedCall = call.Word{
	Login: "alice@x.test", Link: call.Link{Mail: message.Summary{MessageID: "<1@x.test>"}}, Conv: "42", Who: "Bob", Calls: 1,
	At: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC), Last: time.Date(2026, 11, 25, 9, 1, 0, 0, time.UTC),
}

func TestWordIsLeftInTheLanguageOfTheAccount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		owners
		subject string
	}{
		{owners{language: ""}, "Bob wants to chat with you"},
		{owners{language: "en"}, "Bob wants to chat with you"},
		{owners{language: "ja"}, "Bob さんからチャットの呼び出しがありました"},
		{owners{language: "ko"}, "Bob 님이 채팅을 요청했습니다"},
		{owners{err: errors.New("database is locked")}, "Bob wants to chat with you"},
	} {
		var box letterbox
		said := new(bytes.Buffer)
		writer := wordWriter{people: c.owners, doorway: &box, archive: unread{err: c.err}, host: "mail.x.test", origin: "https://chat.x.test", log: slog.New(slog.NewTextHandler(said, nil))}
		if err := writer.leave(t.Context(), missedCall); err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(box.raw))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || subject != c.subject || box.to != "alice@x.test" || !box.at.Equal(missedCall.At) {
			t.Errorf("%+v: %q to %s at %s, %v", c.owners, subject, box.to, box.at, err)
		}
		if logged := strings.Contains(said.String(), "database is locked"); logged != (c.err != nil) {
			t.Errorf("%+v: logged %s", c.owners, said)
		}
	}
	full := errors.New("disk is full")
	writer := wordWriter{people: owners{}, doorway: &letterbox{err: full}, archive: unread{}, host: "mail.x.test", origin: "https://chat.x.test", log: slog.New(slog.DiscardHandler)}
	if err := writer.leave(t.Context(), missedCall); !errors.Is(err, full) {
		t.Errorf("a word that could not be left: %v", err)
	}
}
