package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"chmail/internal/account"
	"chmail/internal/address"
	"chmail/internal/intake"
	"chmail/internal/message"
	"chmail/internal/stamp"
)

// stampVerb shows what the server does to a mail. It is the stamp itself, without a server around it.
type stampVerb struct {
	Login    string   `required:"" help:"Whose mail it is: CH-Login."`
	Name     string   `help:"The name in the chat line; without it, or where the charset of the mail cannot write it, the link is that of the sender."`
	Host     string   `help:"The chat host: CH-Host."`
	Port     chatPort `help:"The chat port: CH-Port."`
	Link     string   `required:"" help:"The chat link: CH-Link, and what the line and the button lead to."`
	Language string   `enum:"en,ja,ko" default:"en" help:"Language of the chat line: en, ja, ko. It is English where the charset of the mail cannot write another."`
	JSON     bool     `help:"Write the verdict as one JSON document."`
}

// chatPort is a port number; 0 for none.
type chatPort int

// Decode takes the next word whatever it looks like, so that the fault of -1 is told in terms of ports.
func (p *chatPort) Decode(line *kong.DecodeContext) error {
	word := line.Scan.Pop()
	n, err := strconv.Atoi(word.String())
	if word.IsEOL() || err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("needs a number from 1 to 65535, for instance 24000, and not %q", word)
	}
	*p = chatPort(n)
	return nil
}

// Help shows the verb at work.
func (stampVerb) Help() string {
	return `Reads a mail from standard input and writes it stamped to standard output, with CRLF line ends. Needs neither a configuration nor a server. The verdict goes to standard
error: "body" (header fields, and the link in the text), "header-only: REASON" (the text was left alone), or "skipped: REASON" (nothing was added). Each of them is exit status 0.
Of a mail that the server would refuse, a second line says with what reply ("refused" with --json). No mail at all, and an mbox file, are exit status 1.

What the mail says about itself (CH-Chat) is heeded; what only the server knows is not: the account's and the server's settings, the recipients' domains, a null sender, whose the
address in From is, and that lines over 998 octets are encoded anew first.

Examples:

    chmail stamp --login alice@example.com --name "Alice Liddell" --host chat.example.com --port 24001 \
        --link https://chat.example.com/c/AAAAAAAAAAAAAAAAAAAAAA < in.eml > out.eml
    chmail stamp --login alice@example.com --link https://chat.example.com/c/AAAAAAAAAAAAAAAAAAAAAA --json < in.eml > /dev/null`
}

// verdictJSON is what --json writes.
type verdictJSON struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	Refused string `json:"refused,omitempty"` // the server's reply to this mail, which it would not take
	Parts   int    `json:"parts"`             // that carry the link
	Size    int64  `json:"size"`              // octets of the stamped mail
}

// card is what the mail is to be stamped with, or what is wrong with the line.
func (v *stampVerb) card() (stamp.Card, error) {
	login, err := address.Parse(v.Login)
	if err != nil {
		return stamp.Card{}, wrongUsage("--login %s: %v", v.Login, err)
	}
	if err := account.Check(map[string]string{"name": v.Name}); err != nil {
		return stamp.Card{}, wrongUsage("--name: %w", err)
	}
	if v.Host != "" && !hostName(v.Host) {
		return stamp.Card{}, wrongUsage("--host %s: write a host name such as chat.example.com, or an IP address, without a port", v.Host)
	}
	if !stamp.Usable(v.Link) {
		return stamp.Card{}, wrongUsage("--link %s: a link begins with https:// (or http://), names a host, and is plain ASCII without blanks or quotes", v.Link)
	}
	return stamp.Card{Login: login.String(), Name: v.Name, Host: v.Host, Port: int(v.Port), Link: v.Link, Lang: v.Language}, nil
}

// hostName tells whether CH-Host may name this: what a chat server or, with publish-host, a computer is found by.
func hostName(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Zone() == ""
	}
	_, err := address.ParseDomain(s)
	return err == nil && !strings.HasPrefix(s, "[")
}

// Run stamps one mail.
func (v *stampVerb) Run(ctx context.Context, o *outside) (err error) {
	card, err := v.card()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "chmail-stamp-*.eml")
	if err != nil {
		return fmt.Errorf("keeping the mail for a moment: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	src, err := takeMail(ctx, file, o.in)
	if err != nil {
		return err
	}
	refusal, err := intake.Vet(ctx, io.NewSectionReader(file, 0, src.Size()), os.TempDir())
	if err != nil {
		return fmt.Errorf("looking whether the server would take the mail: %w", err)
	}
	tree, err := message.Scan(src)
	if err != nil {
		return fmt.Errorf("reading the mail: %w", err)
	}
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
	return v.tell(o, verdictJSON{string(plan.Verdict.Kind), plan.Verdict.Reason, reply(refusal), len(plan.Parts), size}, plan.Verdict)
}

// tell writes the verdict.
func (v *stampVerb) tell(o *outside, doc verdictJSON, verdict stamp.Verdict) (err error) {
	switch {
	case v.JSON:
		err = json.NewEncoder(o.err).Encode(doc)
	case doc.Refused != "":
		_, err = fmt.Fprintf(o.err, "%s\nBut the server would refuse this mail: %s\n", verdict, doc.Refused)
	default:
		_, err = fmt.Fprintln(o.err, verdict)
	}
	if err != nil {
		return fmt.Errorf("writing the verdict: %w", err)
	}
	return nil
}

// reply is a refusal as a mail client is told it; "" for none.
func reply(r *message.Refusal) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], r.Text)
}

// mboxLine begins each mail of an mbox file.
const mboxLine = "From "

// takeMail copies the one mail that is to be stamped into a file.
func takeMail(ctx context.Context, file *os.File, r io.Reader) (*io.SectionReader, error) {
	size, err := unix2wire(ctx, file, r)
	if err != nil {
		return nil, fmt.Errorf("reading the mail: %w", err)
	}
	if size == 0 {
		return nil, errors.New("no mail on standard input; give it one: chmail stamp … < in.eml")
	}
	src := io.NewSectionReader(file, 0, size)
	var first [len(mboxLine)]byte
	if n, err := src.ReadAt(first[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the mail: %w", err)
	} else if string(first[:n]) == mboxLine {
		return nil, errors.New(`this is an mbox file: its first line, "From …", belongs to no mail. Of a file with one mail, take that line away: sed 1d FILE | chmail stamp …; ` +
			"of one with several, give one mail at a time, for instance with formail -s")
	}
	return src, nil
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
