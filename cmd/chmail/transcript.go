package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"chmail/internal/admin"
	"chmail/internal/terminal"
)

// eachConversation goes through a login's conversations, of which a page at a time is in memory.
func eachConversation(ctx context.Context, k keeper, login loginArg, do func(admin.Conversation) error) error {
	for after := int64(0); ; {
		page, err := k.Conversations(ctx, string(login), after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, c := range page {
			if err := do(c); err != nil {
				return err
			}
			after = c.Number
		}
	}
}

// eachEvent goes through what happened in a conversation, of which a page at a time is in memory.
func eachEvent(ctx context.Context, k keeper, login loginArg, c admin.Conversation, do func(admin.Event) error) error {
	for after := int64(0); ; {
		page, err := k.Events(ctx, string(login), c.ID, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if err := do(e); err != nil {
				return err
			}
			after = e.N
		}
	}
}

// transcript prints a conversation for people.
func (o *outside) transcript(ctx context.Context, k keeper, login loginArg, c admin.Conversation) error {
	who := c.Who
	if who == "" {
		who = "the visitor"
	}
	if err := o.printf("Conversation %s\nOf:    %s\nWith:  %s\nAbout: %s\nBegun: %s\n\n",
		printable(c.ID), canonical(login), printable(who), printable(c.About), day(c.Created)); err != nil {
		return err
	}
	return eachEvent(ctx, k, login, c, func(e admin.Event) error { return o.printf("%s", eventWords(e, canonical(login), who)) })
}

// eventWords is an event in a transcript. The lines of a message that follow its first are set in, so that none of them passes for another event.
func eventWords(e admin.Event, owner, visitor string) string {
	name := printable(visitor)
	switch e.From {
	case "owner":
		name = owner
	case "guest":
		if name = printable(e.Name); e.Name == "" {
			name = fmt.Sprintf("guest %d", e.Who)
		}
	}
	when := day(e.At)
	switch e.Kind {
	case "say":
		if e.Text == "" {
			return fmt.Sprintf("%s  %s: (taken back)\n", when, name)
		}
		lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(e.Text, "\r\n", "\n"), "\t", "    "), "\n")
		for i, l := range lines {
			if l != "" {
				lines[i] = printable(l)
			}
		}
		return fmt.Sprintf("%s  %s: %s\n", when, name, strings.Join(lines, "\n"+strings.Repeat(" ", len(when)+4)))
	case "file":
		if e.File == nil {
			return fmt.Sprintf("%s  %s: (a file, taken back)\n", when, name)
		}
		return fmt.Sprintf("%s  %s has sent a file: %s (%s)\n", when, name, printable(e.Text), terminal.Octets(e.File.Size))
	case "removed":
		return fmt.Sprintf("%s  * %s has been sent away\n", when, name)
	case "join":
		return fmt.Sprintf("%s  * %s has come in\n", when, name)
	case "leave":
		return fmt.Sprintf("%s  * %s has left\n", when, name)
	case "name":
		who := "the visitor"
		if e.From == "guest" { // whose name on the event is this one
			who = fmt.Sprintf("guest %d", e.Who)
		}
		return fmt.Sprintf("%s  * %s is called %s\n", when, who, printable(e.Text))
	case "edit":
		return fmt.Sprintf("%s  * %s has changed a message\n", when, name)
	case "delete":
		return fmt.Sprintf("%s  * %s has taken a message back\n", when, name)
	case "call":
		if words, ok := moveWords(e.Text); ok {
			return fmt.Sprintf("%s  * %s\n", when, words)
		}
		return fmt.Sprintf("%s  * the call: %s\n", when, printable(e.Text))
	case "ended":
		return fmt.Sprintf("%s  * %s has ended the conversation\n", when, name)
	}
	return fmt.Sprintf("%s  * %s, by %s: %s\n", when, printable(e.Kind), name, printable(e.Text))
}

// moveWords says where a call stood.
func moveWords(state string) (words string, ok bool) {
	words, ok = map[string]string{
		"opened": "the visitor wants to talk", "silent": "the visitor is there, and has not said anything", "ringing": "it rings", "answered": "the owner has answered", "declined": "the owner has declined",
		"unproved": "the reader was asked to prove a mail address", "leaving": "no answer; the owner is left word in a moment", "moment": "the owner comes in a moment", "retrying": "no answer to this ring", "away": "the owner is away, and has been left word", "unknown": "the owner could not be reached, and has been left word",
		"noticed": "no answer; the owner has been left word", "back": "the owner is back", "left": "the owner, who had answered, has gone",
	}[state]
	return words, ok
}

// jsonArray prints one JSON document, an array, whose elements need not be in memory at once. Where it fails the array is not closed, so that nobody
// takes it for the whole.
func (o *outside) jsonArray(fill func(add func(any) error) error) error {
	between := "[\n  "
	if err := fill(func(v any) error {
		text, err := safeJSON(v)
		if err != nil {
			return err
		}
		defer func() { between = ",\n  " }()
		return o.printf("%s%s", between, text)
	}); err != nil {
		return err
	}
	if between[0] == '[' {
		return o.printf("[]\n")
	}
	return o.printf("\n]\n")
}

// safeJSON is JSON in which every character that might steer a terminal, or text out of its place, is escaped.
func safeJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("writing JSON: %w", err)
	}
	var safe strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		if unicode.IsPrint(r) {
			safe.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&safe, `\u%04x`, unit)
		}
	}
	return safe.String(), nil
}
