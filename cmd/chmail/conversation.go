package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"chmail/internal/admin"
)

// conversationVerbs read and delete what was said: through the running server, or in the data itself while none runs.
type conversationVerbs struct {
	List   conversationList   `cmd:"" help:"List an account's conversations."`
	Show   conversationShow   `cmd:"" help:"Show what was said in one."`
	Export conversationExport `cmd:"" help:"Write one or all of them to standard output, as text or JSON Lines."`
	Delete conversationDelete `cmd:"" help:"Delete one, all, or old ones, for good."`
}

type conversationList struct {
	Login loginArg `arg:"" help:"The account's mail address."`
	JSON  bool     `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (conversationList) Help() string {
	return `The oldest comes first. An ID opens nothing but these verbs.

Examples:

    chmail conversation list alice@example.com
    chmail conversation list alice@example.com --json | jq -r '.[] | select(.events > 100) | .id'`
}

// Run lists the conversations.
func (v *conversationList) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		if v.JSON {
			return o.jsonArray(func(add func(any) error) error {
				return eachConversation(ctx, k, v.Login, func(c admin.Conversation) error { return add(c) })
			})
		}
		t := newTable("ID", "WITH", "ABOUT", "BEGUN", "LAST EVENT", "EVENTS")
		if err := eachConversation(ctx, k, v.Login, func(c admin.Conversation) error {
			t.add(c.ID, c.Who, c.About, day(c.Created), day(c.At), strconv.FormatInt(c.Events, 10))
			return nil
		}); err != nil {
			return err
		}
		if len(t.rows) == 1 {
			return o.printf("%s has no conversation.\n", canonical(v.Login))
		}
		return t.write(o.out)
	})
}

type conversationShow struct {
	Login loginArg `arg:"" help:"The account's mail address."`
	ID    string   `arg:"" help:"The conversation's ID, from chmail conversation list."`
	JSON  bool     `help:"Print one JSON document."`
}

// Help shows the verb at work.
func (conversationShow) Help() string {
	return `Examples:

    chmail conversation show alice@example.com 4f1dZ0nqT3mYbK2xW8sVhA
    chmail conversation show alice@example.com 4f1dZ0nqT3mYbK2xW8sVhA --json | jq -r '.[] | select(.kind == "say") | .text'`
}

// Run shows a conversation.
func (v *conversationShow) Run(ctx context.Context, o *outside, line *cli) error {
	return line.withKeeper(ctx, o, func(k keeper) error {
		c, err := k.Conversation(ctx, string(v.Login), v.ID)
		if err != nil {
			return err
		}
		if v.JSON {
			return o.jsonArray(func(add func(any) error) error {
				return eachEvent(ctx, k, v.Login, c, func(e admin.Event) error { return add(e) })
			})
		}
		return o.transcript(ctx, k, v.Login, c)
	})
}

type conversationExport struct {
	Login  loginArg `arg:"" help:"The account's mail address."`
	ID     string   `arg:"" optional:"" help:"The conversation's ID, from chmail conversation list."`
	All    bool     `help:"All of the account's conversations."`
	Format string   `enum:"text,json" default:"text" help:"text, or json: JSON Lines, an event on each."`
}

// Help shows the verb at work.
func (conversationExport) Help() string {
	return `In JSON each line is an event, with its conversation's id, the visitor's name and the subject; who is a guest's number; characters that would steer a terminal are escaped.

Examples:

    chmail conversation export alice@example.com 4f1dZ0nqT3mYbK2xW8sVhA > talk.txt
    chmail conversation export alice@example.com --all --format json | gzip > alice.jsonl.gz`
}

// Run writes what was said.
func (v *conversationExport) Run(ctx context.Context, o *outside, line *cli) error {
	if (v.ID != "") == v.All {
		return wrongUsage("say which conversation: either an ID, which chmail conversation list %s shows, or --all", v.Login)
	}
	return line.withKeeper(ctx, o, func(k keeper) error {
		if v.All {
			return eachConversation(ctx, k, v.Login, func(c admin.Conversation) error { return v.write(ctx, o, k, c) })
		}
		c, err := k.Conversation(ctx, string(v.Login), v.ID)
		if err != nil {
			return err
		}
		return v.write(ctx, o, k, c)
	})
}

func (v *conversationExport) write(ctx context.Context, o *outside, k keeper, c admin.Conversation) error {
	if v.Format == "text" {
		return errors.Join(o.transcript(ctx, k, v.Login, c), o.printf("\n"))
	}
	return eachEvent(ctx, k, v.Login, c, func(e admin.Event) error {
		text, err := safeJSON(struct {
			Conversation string `json:"conversation"`
			Visitor      string `json:"visitor"` // "who" is a guest's number, as in show
			About        string `json:"about"`
			admin.Event
		}{c.ID, c.Who, c.About, e})
		if err != nil {
			return err
		}
		return o.printf("%s\n", text)
	})
}

type conversationDelete struct {
	Login  loginArg `arg:"" help:"The account's mail address."`
	ID     string   `arg:"" optional:"" help:"The conversation's ID, from chmail conversation list."`
	All    bool     `help:"All of the account's conversations."`
	Before dateArg  `placeholder:"DATE" help:"Those in which nothing has happened since the beginning of this day, such as 2026-01-31."`
	Yes    bool     `help:"Do not ask back."`
}

// Help shows the verb at work.
func (conversationDelete) Help() string {
	return `What was said is gone for good, for the owner and for the visitor; whoever is in the conversation is sent away. His link works on,
and leads into a new conversation. It is asked back at a terminal; a script says --yes.

Examples:

    chmail conversation delete alice@example.com 4f1dZ0nqT3mYbK2xW8sVhA
    chmail conversation delete alice@example.com --before 2026-01-31 --yes`
}

// Run deletes conversations.
func (v *conversationDelete) Run(ctx context.Context, o *outside, line *cli) error {
	ways := 0
	for _, chosen := range []bool{v.ID != "", v.All, !v.Before.IsZero()} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		return wrongUsage("say which conversations: an ID, which chmail conversation list %s shows, or --all, or --before DATE", v.Login)
	}
	var ids []string
	// The data is not held while a person thinks.
	if err := line.withKeeper(ctx, o, func(k keeper) error {
		if v.ID != "" {
			c, err := k.Conversation(ctx, string(v.Login), v.ID)
			ids = []string{c.ID}
			return err
		}
		return eachConversation(ctx, k, v.Login, func(c admin.Conversation) error {
			if v.All || c.At.Before(v.Before.Time) {
				ids = append(ids, c.ID)
			}
			return nil
		})
	}); err != nil {
		return err
	}
	if len(ids) == 0 {
		return o.printf("There is nothing to delete.\n")
	}
	if err := o.sure(ctx, v.Yes, fmt.Sprintf("Delete %d conversation%s of %s for good?", len(ids), plural(len(ids)), canonical(v.Login))); err != nil {
		return err
	}
	return line.withKeeper(ctx, o, func(k keeper) error {
		gone := 0
		for _, id := range ids {
			deleted, err := k.DeleteConversation(ctx, string(v.Login), id, v.Before.Time)
			if err != nil {
				return errors.Join(err, o.printf("%d deleted.\n", gone))
			}
			if deleted {
				gone++
			}
		}
		return o.printf("%d conversation%s deleted.\n", gone, plural(gone))
	})
}

// dateArg is a day on the command line, in the administrator's own zone.
type dateArg struct{ time.Time }

// UnmarshalText reads a day such as 2026-01-31.
func (d *dateArg) UnmarshalText(text []byte) (err error) {
	if d.Time, err = time.ParseInLocation(time.DateOnly, string(text), time.Local); err != nil {
		return fmt.Errorf("%q is no day: write it like 2026-01-31", text)
	}
	return nil
}

// sure asks back before something is done for good; an error unless the answer is yes.
func (o *outside) sure(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	f, ok := o.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return wrongUsage("it is not asked back where standard input is no terminal: say --yes")
	}
	if _, err := fmt.Fprintf(o.err, "%s [y/N] ", question); err != nil {
		return fmt.Errorf("asking back: %w", err)
	}
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(f, maxPassword)).ReadString('\n') // what cannot be read is not a yes
		typed <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case answer := <-typed:
		if answer == "y" || answer == "yes" {
			return nil
		}
	case <-ctx.Done():
	}
	return errBrokenOff
}
