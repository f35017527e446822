package stamp

import (
	"strings"

	"chmail/internal/message"
)

// How far a mail may be stamped: the words of the header field CH-Chat, of accounts and of the configuration.
const (
	ChatOn         = "on"
	ChatHeaderOnly = "header-only"
	ChatOff        = "off"
)

// Restraint orders these words: 0 for "on" and "", 1, 2; -1 is no such word.
func Restraint(chat string) int {
	switch chat {
	case ChatOn, "":
		return 0
	case ChatHeaderOnly:
		return 1
	case ChatOff:
		return 2
	}
	return -1
}

// Wish is what a mail itself says in CH-Chat about being stamped; of several fields the strictest one. A word that nobody understands counts as "off": somebody
// wanted something, and to leave a mail as it was written harms least. said is false when it says nothing.
func Wish(h *message.Header) (chat, reason string, said bool) {
	for i := range h.Fields {
		if !h.Is(i, "CH-Chat") {
			continue
		}
		v := strings.ToLower(strings.TrimSpace(h.Text(i)))
		switch rank := Restraint(v); {
		case v == "":
		case rank < 0:
			return ChatOff, "the sender's wish, which is none of on, header-only and off", true
		case !said || rank > Restraint(chat):
			chat, reason, said = v, "the sender's wish", true
		}
	}
	return chat, reason, said
}
