package terminal

import (
	"fmt"
	"regexp"
	"strings"
)

// stateWords says where the call stands as the reader's page does; "" for a state that is newer than this program.
func stateWords(state, owner string) string {
	text, ok := map[string]string{
		"idle":     "{name} is called as soon as you begin to write.", // ours: nothing has been said or shown yet
		"opened":   "Telling {name} that you are here …",
		"silent":   "Write something, and {name} is called.",
		"unproved": "{name} is called once you have proved a mail address, which this program cannot do: follow the link in a browser. What you write here is kept.",
		"ringing":  "Calling {name} …",
		"answered": "{name} is here.",
		"declined": "{name} cannot talk now. What you write here will be read later.",
		"moment":   "{name} will be with you in a moment.",
		"retrying": "No answer yet. Calling {name} again in a moment.",
		"leaving":  "{name} does not answer just now. Write what it is about: {name} is told by mail.",
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
	case "file":
		return fileWords(e, who)
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
		if e.Mine {
			return fmt.Sprintf("You go by %s now.", Safe(e.Text))
		}
		return fmt.Sprintf("Now goes by %s.", Safe(e.Text))
	}
	return fmt.Sprintf("Something happened that this program does not know (%s).", Safe(e.Kind))
}

// fileWords says that a file was sent, how large it is, and where a browser finds it. Where that leads to, the server says: nothing but a plain address is shown.
func fileWords(e Event, who string) string {
	if e.File == nil {
		return "A file was taken back."
	}
	return strings.TrimSuffix(hasOrHave(who, "sent a file"), ".") + ": " + fileText(e)
}

// fileText is a file's name, its size and its address.
func fileText(e Event) string {
	text := fileName(e)
	if at := addressOf(e); at != "" {
		text += " " + at
	}
	return text
}

func fileName(e Event) string { return Safe(e.Text) + " (" + Octets(e.File.Size) + ")" }

// addressOf is where a browser finds a file; "" where that is no plain address.
func addressOf(e Event) string {
	if !fileURL.MatchString(e.File.URL) {
		return ""
	}
	return e.File.URL
}

// fileURL is what an address of a file looks like.
var fileURL = regexp.MustCompile(`^https?://[A-Za-z0-9.:\[\]-]{1,300}/c/[A-Za-z0-9_-]{1,64}/files/[A-Za-z0-9_-]{1,64}(\?pass=[A-Za-z0-9_-]{1,64})?$`)

// Octets is a size as the pages write it: 1 byte, 9.5 kB, 21 kB, 3 MB, with 1024 to each step.
func Octets(n int64) string {
	size, unit := float64(n), ""
	for _, u := range []string{"kB", "MB", "GB"} {
		if size < 1000 {
			break
		}
		size, unit = size/1024, u
	}
	switch {
	case n == 1:
		return "1 byte"
	case unit == "":
		return fmt.Sprintf("%d bytes", n)
	case size < 9.95:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", size), ".0") + " " + unit
	}
	return fmt.Sprintf("%.0f %s", size, unit)
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
