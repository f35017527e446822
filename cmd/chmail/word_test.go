package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

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
