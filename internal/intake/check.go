package intake

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
)

// maxReceived is how many servers a mail may have come through (RFC 5321 6.3; hazards 29).
const maxReceived = 50

// check refuses what nobody can make a sound mail of.
func (d *draft) check() error {
	h := &d.tree.Head
	switch {
	case d.survey.NUL:
		return nulOctet
	case d.tree.Parts[0].Defects&message.DefectHeaderSize != 0:
		return headerSize
	case len(h.Raw) > 0 && (h.Raw[0] == ' ' || h.Raw[0] == '\t'):
		return foldedFirst // it would go on the field that is put above it
	case h.Count("Received") > maxReceived:
		return loop
	}
	return nil
}

// author makes sure that the login may write in the name of whom the mail says it is from (design 5; hazards 14).
func (in *Intake) author(ctx context.Context, env *message.Envelope, h *message.Header) ([]message.Mailbox, error) {
	i := h.Find("From")
	switch {
	case h.Count("From") > 1 || strayFrom(h):
		return nil, twoFrom
	case i < 0:
		return nil, noFrom
	}
	from, err := message.ParseMailboxes(h.Value(i))
	if err != nil {
		return nil, unreadable.Because(err)
	}
	all := from
	if k := h.Find("Sender"); k >= 0 {
		sender, err := message.ParseMailboxes(h.Value(k))
		if err != nil || len(sender) != 1 || h.Count("Sender") > 1 {
			return nil, unreadable.Because(err)
		}
		all = append(from[:len(from):len(from)], sender...)
	}
	for _, m := range all {
		if err := in.owned(ctx, env.Login, m.Address); err != nil {
			return nil, err
		}
	}
	return from, nil
}

func (in *Intake) owned(ctx context.Context, login string, a address.Address) error {
	ok, err := in.o.Owners.Owns(ctx, login, a)
	if err != nil {
		return fmt.Errorf("asking for the owner of an address: %w", err)
	}
	if !ok {
		return foreignFrom
	}
	return nil
}

// strayFrom tells whether a lenient reader could find another From behind a line that is no field.
func strayFrom(h *message.Header) bool {
	if h.Stray.End <= h.Stray.Off {
		return false
	}
	for line := range bytes.Lines(h.Raw[h.Stray.Off-h.Off:]) {
		name, _, ok := strings.Cut(string(line[:min(len(line), 64)]), ":")
		if name = strings.TrimRight(name, " \t"); ok && (strings.EqualFold(name, "From") || strings.EqualFold(name, "Sender")) {
			return true
		}
	}
	return false
}

// cut removes field i.
func cut(h *message.Header, i int) message.Splice {
	s := h.Span(i)
	return message.Splice{Off: s.Off, Del: s.End - s.Off}
}

// complete adds what a client left out and takes away what recipients must not see (RFC 6409 8). Lines of the header that are too
// long are folded.
func complete(h *message.Header, sum *message.Summary, domain string, now time.Time) ([]message.Splice, error) {
	var edits []message.Splice
	for i := range h.Fields {
		switch {
		case h.Is(i, "Bcc"), h.Is(i, "Resent-Bcc"):
			edits = append(edits, cut(h, i))
		case gone(h.Name(i)):
			// It is removed later on, whatever its length.
		default:
			folds, err := fold(h, i)
			if err != nil {
				return nil, err
			}
			edits = append(edits, folds...)
		}
	}
	var add []byte
	if !h.Has("Date") {
		add = message.AppendDate(add, now)
	}
	if !h.Has("Message-ID") {
		sum.MessageID = message.NewMessageID(domain)
		add = message.AppendTokens(add, "Message-ID", []string{sum.MessageID})
	}
	if add != nil {
		// Below what the client sent (interfaces.md).
		if n := h.End - h.Off; n > 0 && h.Raw[n-1] != '\n' {
			add = append([]byte("\r\n"), add...)
		}
		edits = append(edits, message.Splice{Off: h.End, Ins: add})
	}
	return edits, nil
}

// gone tells whether a field is taken away by others: CH fields by the stamp, Return-Path before the trace fields.
func gone(name []byte) bool {
	s := string(name)
	return len(s) >= 3 && strings.EqualFold(s[:3], "CH-") || strings.EqualFold(s, "Return-Path")
}

// fold breaks the lines of a field that are longer than a line may be, at white space that is there already (hazards 7).
func fold(h *message.Header, i int) ([]message.Splice, error) {
	f := h.Fields[i]
	if f.End-f.Off <= message.MaxLine {
		return nil, nil
	}
	var edits []message.Splice
	at := f.Off
	for line := range bytes.Lines(h.Raw[f.Off:f.End]) {
		text := bytes.TrimRight(line, "\r\n")
		from := 0
		for len(text)-from > message.MaxLine {
			// Something must stand before the break, or the line would be blank.
			k := bytes.LastIndexAny(text[from+1:from+message.MaxLine], " \t")
			if k < 0 || len(bytes.Trim(text[from:from+1+k], " \t")) == 0 || len(bytes.Trim(text[from+1+k:], " \t")) == 0 {
				return nil, longHeader
			}
			from += 1 + k
			edits = append(edits, message.Splice{Off: h.Off + int64(at+from), Ins: []byte("\r\n")})
		}
		at += len(line)
	}
	return edits, nil
}
