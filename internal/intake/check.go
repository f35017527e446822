package intake

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
)

const (
	maxReceived = 50                         // servers a mail may have come through (RFC 5321 6.3; hazards 29)
	maxHeader   = message.MaxHeader - 16<<10 // octets; what is added to it must fit as well
	maxFields   = 1900                       // of which the same is true
)

// check refuses a mail that nobody can make a sound one of. h is its header, or the lenient reading of it.
func (d *draft) check(h *message.Header) error {
	switch {
	case d.tree.Parts[0].Defects&message.DefectHeaderSize != 0, len(h.Raw) > maxHeader, len(h.Fields) > maxFields:
		return headerSize
	case len(h.Raw) > 0 && (h.Raw[0] == ' ' || h.Raw[0] == '\t'):
		return foldedFirst // it would go on the field that is put above it
	case h.Count("From") > 1:
		return twoFrom
	case h.Count("Received") > maxReceived:
		return loop
	}
	return nil
}

// author makes sure that the login may write in the name of whom the mail says it is from (design 5; hazards 14).
func (in *Intake) author(ctx context.Context, login string, h *message.Header) ([]message.Mailbox, error) {
	if h.Stray != (message.Span{}) {
		return nil, stray // behind it, some readers find further fields
	}
	i := h.Find("From")
	if i < 0 {
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
		if err := in.owned(ctx, login, m.Address, foreignFrom); err != nil {
			return nil, err
		}
	}
	return from, nil
}

func (in *Intake) owned(ctx context.Context, login string, a address.Address, otherwise *message.Refusal) error {
	ok, err := in.o.Owners.Owns(ctx, login, a)
	if err != nil {
		return fmt.Errorf("asking for the owner of an address: %w", err)
	}
	if !ok {
		return otherwise
	}
	return nil
}

// lenient returns the header with the fields that some readers find behind a line that is none: there too, nothing may stand that must not be believed.
func lenient(h *message.Header) *message.Header {
	if h.Stray == (message.Span{}) {
		return h
	}
	all := *h
	all.Fields = slices.Clone(h.Fields)
	open := false // the last line belongs to a field
	pos := int(h.Stray.Off - h.Off)
	for line := range bytes.Lines(h.Raw[pos:]) {
		end := pos + len(line)
		switch folded := line[0] == ' ' || line[0] == '\t'; {
		case folded && open:
			all.Fields[len(all.Fields)-1].End = end
		case !folded:
			colon := fieldColon(line)
			if open = colon > 0; open {
				all.Fields = append(all.Fields, message.Field{Off: pos, Colon: pos + colon, End: end})
			}
		}
		pos = end
	}
	return &all
}

// fieldColon returns where the colon of a field is that begins at the start of line, 0 when the line is none.
func fieldColon(line []byte) int {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return 0
	}
	name := bytes.TrimRight(line[:colon], " \t")
	if len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return 0
	}
	return colon
}

// cut removes field i.
func cut(h *message.Header, i int) message.Splice {
	s := h.Span(i)
	return message.Splice{Off: s.Off, Del: s.End - s.Off}
}

// unwanted tells whether field i must not stay: it would betray blind copies, or speak in our name. CH fields are the stamp's.
func (in *Intake) unwanted(h *message.Header, i int, submitted bool) bool {
	switch {
	case h.Is(i, "Return-Path"):
		return true
	case h.Is(i, "Bcc"), h.Is(i, "Resent-Bcc"):
		return submitted
	case h.Is(i, "Authentication-Results"):
		// What claims to be our own finding must be ours (RFC 8601 5).
		host, ok := message.AuthServ(h.Value(i))
		return !ok || strings.EqualFold(host, in.o.Hostname)
	}
	return false
}

// chField tells whether field i is one of those that only the stamp writes.
func chField(h *message.Header, i int) bool {
	name := h.Name(i)
	return len(name) >= 3 && strings.EqualFold(string(name[:3]), "CH-")
}

// anyTLS tells whether a mail says that it may go by any connection (RFC 8689 3). What its envelope says counts more (4.1).
func anyTLS(env *message.Envelope, h *message.Header) bool {
	i := h.Find("TLS-Required")
	return i >= 0 && h.Count("TLS-Required") == 1 && strings.EqualFold(strings.TrimSpace(string(h.Value(i))), "No") && !env.Params.RequireTLS
}

// missing returns the fields that every mail must have and this one has not (RFC 6409 8); sum learns of the Message-ID.
func missing(h *message.Header, sum *message.Summary, domain string, now time.Time) []byte {
	var add []byte
	if !h.Has("Date") {
		add = message.AppendDate(add, now)
	}
	if !h.Has("Message-ID") {
		sum.MessageID = message.NewMessageID(domain)
		add = message.AppendTokens(add, "Message-ID", []string{sum.MessageID})
	}
	return add
}
