package intake

import (
	"context"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/stamp"
)

// Policy is what the server's administrator says about stamping.
type Policy struct {
	Chat string            // for accounts that do not say themselves: "on", "header-only" or "off"; "" is on
	To   map[string]string // exceptions by the canonical domain of a recipient, in the same words; they only restrain
}

// wish is what a mail says itself; see stamp.Wish.
type wish struct {
	chat, reason string
	said         bool
}

func wishOf(h *message.Header) (w wish) {
	w.chat, w.reason, w.said = stamp.Wish(h)
	return w
}

// decide says how far a mail may be stamped, and why not further. The mail's own CH-Chat field goes before the account, the account before the
// server; then the recipients' domains restrain further: a mail has one set of bytes for all, so the strictest one counts.
func decide(own wish, account string, server Policy, to []address.Address) (chat, reason string) {
	switch {
	case own.said:
		chat, reason = own.chat, own.reason
	case account != "":
		chat, reason = account, "the account's setting"
	default:
		chat, reason = server.Chat, "the server's setting"
	}
	if len(server.To) > 0 {
		for _, a := range to {
			if exception := server.To[a.Domain]; stamp.Restraint(exception) > stamp.Restraint(chat) {
				chat, reason = exception, "a recipient's domain, "+a.Domain
			}
		}
	}
	if stamp.Restraint(chat) == 0 {
		return stamp.ChatOn, ""
	}
	return chat, reason
}

// manner asks how the sender wants his mails. Where that cannot be found out, his mail stays as he wrote it.
func (in *Intake) manner(ctx context.Context, login string) (call.Manner, string) {
	m, err := in.o.Manners.Manner(ctx, login)
	if err != nil {
		in.log.Warn("intake: a mail goes out without a link, since its sender's settings are not known", "login", login, "err", err)
		return call.Manner{Chat: stamp.ChatOff}, "the account's setting could not be read"
	}
	return m, ""
}

// card asks the broker for what a mail is to be stamped with, as far as it may be. The error says why the broker gave none.
func (in *Intake) card(ctx context.Context, m *mail) (call.Card, error) {
	login := m.env.Login
	manner, unknown := in.manner(ctx, login)
	chat, reason := decide(m.wish, manner.Chat, in.o.Policy, m.env.To)
	if unknown != "" {
		chat, reason = stamp.ChatOff, unknown
	}
	m.stamp = stamp.Card{Login: login, Lang: manner.Language, Mine: func(link string) bool { return in.cards.wrote(ctx, login, link) }}
	switch {
	case chat == stamp.ChatOff:
		m.stamp.Skip = reason
		return call.Card{}, nil
	case chat == stamp.ChatHeaderOnly:
		m.stamp.Keep = reason
	case m.env.From.IsZero():
		m.stamp.Keep = "null sender"
	}
	return in.cards.get(ctx, login, manner.PublishHost)
}
