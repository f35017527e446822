package intake

import (
	"context"
	"strings"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/stamp"
)

// How far a mail is stamped: the words of call.Manner, of the configuration, and of the header field CH-Chat.
const (
	chatOn     = "on"
	chatHeader = "header-only"
	chatOff    = "off"
)

// Policy is what the server's administrator says about stamping.
type Policy struct {
	Chat string            // for accounts that do not say themselves: "on", "header-only" or "off"; "" is on
	To   map[string]string // exceptions by the canonical domain of a recipient, in the same words; they only restrain
}

// decide says how far a mail may be stamped, and why not further. The mail's own CH-Chat field goes before the account, the account before the
// server; then the recipients' domains restrain further: a mail has one set of bytes for all, so the strictest one counts.
func decide(h *message.Header, account string, server Policy, to []address.Address) (chat, reason string) {
	field, said := wish(h)
	switch {
	case said:
		chat, reason = field, "the sender's wish"
		if rank(field) < 0 { // somebody wanted something, and to leave a mail as it was written harms least
			chat, reason = chatOff, "the sender's wish, which is none of on, header-only and off"
		}
	case account != "":
		chat, reason = account, "the account's setting"
	default:
		chat, reason = server.Chat, "the server's setting"
	}
	if len(server.To) > 0 {
		for _, a := range to {
			if exception := server.To[a.Domain]; rank(exception) > rank(chat) {
				chat, reason = exception, "a recipient's domain, "+a.Domain
			}
		}
	}
	if rank(chat) == 0 {
		return chatOn, ""
	}
	return chat, reason
}

// wish is what the mail itself says; of several fields the strictest one, and what nobody understands before all.
func wish(h *message.Header) (chat string, said bool) {
	for i := range h.Fields {
		if !h.Is(i, "CH-Chat") {
			continue
		}
		v := strings.ToLower(strings.TrimSpace(h.Text(i)))
		if v == "" {
			continue
		}
		if !said || rank(v) < 0 || rank(chat) >= 0 && rank(v) > rank(chat) {
			chat, said = v, true
		}
	}
	return chat, said
}

// rank orders by restraint; -1 is no such word.
func rank(chat string) int {
	switch chat {
	case chatOn, "":
		return 0
	case chatHeader:
		return 1
	case chatOff:
		return 2
	}
	return -1
}

// manner asks how the sender wants his mails. Where that cannot be found out, his mail stays as he wrote it.
func (in *Intake) manner(ctx context.Context, login string) (call.Manner, string) {
	m, err := in.o.Manners.Manner(ctx, login)
	if err != nil {
		in.log.Warn("intake: a mail goes out without a link, since its sender's settings are not known", "login", login, "err", err)
		return call.Manner{Chat: chatOff}, "the account's setting could not be read"
	}
	return m, ""
}

// card asks the broker for what a mail is to be stamped with, as far as it may be. The error says why the broker gave none.
func (in *Intake) card(ctx context.Context, m *mail) (call.Card, error) {
	login := m.env.Login
	manner, unknown := in.manner(ctx, login)
	chat, reason := decide(&m.draft.tree.Head, manner.Chat, in.o.Policy, m.env.To)
	if unknown != "" {
		chat, reason = chatOff, unknown
	}
	m.stamp = stamp.Card{Login: login, Lang: manner.Language}
	switch {
	case chat == chatOff:
		m.stamp.Skip = reason
		return call.Card{}, nil
	case chat == chatHeader:
		m.stamp.Keep = reason
	case m.env.From.IsZero():
		m.stamp.Keep = "null sender"
	}
	return in.cards.get(ctx, login, manner.PublishHost)
}
