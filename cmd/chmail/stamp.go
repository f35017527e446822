package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/stamp"
)

// stampVerb shows what the server does to a mail. It is the stamp itself, without a server around it.
type stampVerb struct {
	Login    string `required:"" help:"Whose mail it is: CH-Login."`
	Name     string `help:"The name in the chat line; without it the link is that of the sender."`
	Host     string `help:"The chat host: CH-Host."`
	Port     int    `help:"The chat port: CH-Port."`
	Link     string `required:"" help:"The chat link: CH-Link, and what the line and the button lead to."`
	Language string `enum:"en,ja,ko" default:"en" help:"Language of the chat line: en, ja, ko."`
	JSON     bool   `help:"Write the verdict as one JSON document."`
}

// Help shows the verb at work.
func (stampVerb) Help() string {
	return `Reads a mail from standard input and writes it stamped to standard output, with CRLF line ends; a "From " line of an mbox file stays on top. Needs neither
a configuration nor a server. The verdict goes to standard error: "body" (header fields, and the link in the text), "header-only: REASON"
(the text was left alone), or "skipped: REASON" (nothing was added). Each of them is exit status 0. What the mail says about itself (CH-Chat) is heeded; what only the server knows is
not: the account's and the server's settings, the recipients' domains, a null sender, and that lines over 998 octets are encoded anew first.

Examples:

    chmail stamp --login alice@example.com --name "Alice Liddell" --host chat.example.com --port 24001 \
        --link https://chat.example.com/c/AAAAAAAAAAAAAAAAAAAAAA < in.eml > out.eml
    chmail stamp --login alice@example.com --link https://chat.example.com/c/AAAAAAAAAAAAAAAAAAAAAA --json < in.eml > /dev/null`
}

// verdictJSON is what --json writes.
type verdictJSON struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	Parts   int    `json:"parts"` // that carry the link
	Size    int64  `json:"size"`  // octets of the stamped mail
}

// Run stamps one mail.
func (v *stampVerb) Run(ctx context.Context, o *outside) (err error) {
	login, err := address.Parse(v.Login)
	switch {
	case err != nil:
		return wrongUsage("--login %s: %v", v.Login, err)
	case v.Port < 0 || v.Port > 1<<16-1:
		return wrongUsage("--port %d: no port number", v.Port)
	case !stamp.Usable(v.Link):
		return wrongUsage("--link %s: a link begins with https:// (or http://), names a host, and is plain ASCII without blanks or quotes", v.Link)
	}
	file, err := os.CreateTemp("", "chmail-stamp-*.eml")
	if err != nil {
		return fmt.Errorf("keeping the mail for a moment: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	size, err := unix2wire(ctx, file, o.in)
	if err != nil {
		return fmt.Errorf("reading the mail: %w", err)
	}
	src := io.NewSectionReader(file, 0, size)
	tree, err := message.Scan(src)
	if err != nil {
		return fmt.Errorf("reading the mail: %w", err)
	}
	card := stamp.Card{Login: login.String(), Name: v.Name, Host: v.Host, Port: v.Port, Link: v.Link, Lang: v.Language}
	switch chat, reason, _ := stamp.Wish(&tree.Head); chat {
	case stamp.ChatOff:
		card.Skip = reason
	case stamp.ChatHeaderOnly:
		card.Keep = reason
	}
	plan, err := stamp.Plan(src, tree, card)
	if err != nil {
		return fmt.Errorf("stamping: %w", err)
	}
	r, size := message.NewSplicedReader(src, plan.Splices)
	if _, err := io.Copy(o.out, r); err != nil {
		return fmt.Errorf("writing the mail: %w", err)
	}
	if v.JSON {
		err = json.NewEncoder(o.err).Encode(verdictJSON{string(plan.Verdict.Kind), plan.Verdict.Reason, len(plan.Parts), size})
	} else {
		_, err = fmt.Fprintln(o.err, plan.Verdict)
	}
	if err != nil {
		return fmt.Errorf("writing the verdict: %w", err)
	}
	return nil
}

// unix2wire copies a mail and makes CRLF of every bare LF; what else it holds stays. It returns how many octets there are then.
func unix2wire(ctx context.Context, w io.Writer, r io.Reader) (size int64, err error) {
	in, out := bufio.NewReaderSize(r, 64<<10), bufio.NewWriterSize(w, 64<<10)
	var last byte
	for ctx.Err() == nil {
		line, err := in.ReadSlice('\n')
		if n := len(line); n > 0 {
			before := last
			if n > 1 {
				before = line[n-2]
			}
			last = line[n-1]
			if last == '\n' && before != '\r' {
				line = append(line[:n-1:n-1], "\r\n"...)
			}
			size += int64(len(line))
			if _, err := out.Write(line); err != nil {
				return size, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return size, out.Flush()
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return size, err
		}
	}
	return size, ctx.Err()
}
