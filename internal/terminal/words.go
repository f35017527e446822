package terminal

import (
	"fmt"
	"strings"
)

// stateWords says where the call stands as the reader's page does; "" for a state that is newer than this program.
func stateWords(state, owner string) string {
	text, ok := map[string]string{
		"idle":     "{name} is called as soon as you begin to write.", // ours: nothing has been said or shown yet
		"opened":   "Telling {name} that you are here …",
		"silent":   "Write something, and {name} is called.",
		"ringing":  "Calling {name} …",
		"answered": "{name} is here.",
		"declined": "{name} cannot talk now. What you write here will be read later.",
		"retrying": "No answer yet. Calling {name} again in a moment.",
		"away":     "{name} is away and has been told by mail that you want to talk. Leave a message here, or stay: when {name} is back, the call starts again.",
		"unknown":  "{name} could not be reached and has been told by mail that you want to talk. Leave a message here, or stay: when {name} is back, the call starts again.",
		"noticed":  "{name} does not answer just now and has been told by mail that you want to talk. Leave a message here, or stay: when {name} is back, the call starts again.",
		"left":     "{name} has left. When you write something, {name} is called again.",
		"ended":    "{name} has ended this conversation. What was said stays here to be read; answer the mail instead.",
		"back":     "{name} is back. Calling again …",
	}[state]
	if !ok {
		return ""
	}
	return strings.ReplaceAll(text, "{name}", Safe(owner))
}

// eventWords says in words what happened, for an event that is no message.
func eventWords(e Event, owner string) string {
	who := Safe(owner)
	if e.Mine {
		if who = Safe(e.Name); who == "" {
			who = "You"
		}
	}
	switch e.Kind {
	case "say": // without a text
		return "A message was taken back."
	case "edit":
		return fmt.Sprintf("Message %d was changed: %s", e.Of, SafeLines(e.Text))
	case "delete":
		return fmt.Sprintf("Message %d was taken back.", e.Of)
	case "join":
		return isOrAre(who, "here")
	case "leave":
		return hasOrHave(who, "left")
	case "ended":
		return "The conversation has ended."
	case "name":
		return fmt.Sprintf("Now goes by %s.", Safe(e.Text))
	}
	return fmt.Sprintf("Something happened that this program does not know (%s).", Safe(e.Kind))
}

func isOrAre(who, where string) string {
	if who == "You" {
		return "You are " + where + "."
	}
	return who + " is " + where + "."
}

func hasOrHave(who, what string) string {
	if who == "You" {
		return "You have " + what + "."
	}
	return who + " has " + what + "."
}

// Title says whom one talks to.
func (d Door) Title() string {
	if d.Address == "" {
		return "Talk with " + Safe(d.Owner)
	}
	return fmt.Sprintf("Talk with %s <%s>", Safe(d.Owner), Safe(d.Address))
}

// About says about which mail.
func (d Door) About() string {
	if d.Subject == "" {
		return "about a mail without a subject"
	}
	return fmt.Sprintf("about the mail “%s”", Safe(d.Subject))
}
