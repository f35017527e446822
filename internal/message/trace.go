package message

import (
	"net/netip"
	"strings"
	"time"

	"chmail/internal/address"
)

// dateFormat is RFC 5322 3.3.
const dateFormat = "Mon, 02 Jan 2006 15:04:05 -0700"

// AppendDate appends a Date field, in UTC so that it does not tell where the server stands.
func AppendDate(b []byte, t time.Time) []byte {
	b = append(b, "Date: "...)
	return append(t.UTC().AppendFormat(b, dateFormat), "\r\n"...)
}

// NewMessageID makes a fresh message id under this domain, with its angle brackets (RFC 5322 3.6.4).
func NewMessageID(domain string) string { return "<" + NewID() + "@" + domain + ">" }

// AppendReturnPath appends the field that final delivery puts on top (RFC 5321 4.4).
func AppendReturnPath(b []byte, from address.Address) []byte {
	b = append(append(b, "Return-Path: <"...), from.String()...)
	return append(b, ">\r\n"...)
}

// AppendReceived appends the trace field of this server (RFC 5321 4.4, protocol names from RFC 3848 and RFC 6531). Of a mail that a
// person submitted it tells neither the address nor the name of his computer.
func AppendReceived(b []byte, env *Envelope, host string) []byte {
	b = append(b, "Received: from "...)
	if env.Login != "" {
		b = append(b, "submission"...)
	} else {
		b = append(b, hostName(env.Helo)...)
		if env.Peer.IsValid() {
			b = append(appendLiteral(append(b, " ("...), env.Peer), ')')
		}
	}
	b = append(append(b, "\r\n\tby "...), host...)
	b = append(b, " with "...)
	if env.UTF8 {
		b = append(b, "UTF8SMTP"...)
	} else {
		b = append(b, "ESMTP"...)
	}
	if env.TLS != "" {
		b = append(b, 'S')
	}
	if env.Login != "" {
		b = append(b, 'A')
	}
	b = append(append(b, " id "...), env.ID...)
	// With several recipients the field would tell one of another, perhaps of a blind copy.
	if len(env.To) == 1 && (env.To[0].IsASCII() || env.UTF8) {
		b = append(append(append(b, "\r\n\tfor <"...), env.To[0].String()...), '>')
	}
	b = append(b, ";\r\n\t"...)
	return append(env.Received.UTC().AppendFormat(b, dateFormat), "\r\n"...)
}

// appendLiteral appends an address literal (RFC 5321 4.1.3).
func appendLiteral(b []byte, ip netip.Addr) []byte {
	ip = ip.Unmap().WithZone("")
	b = append(b, '[')
	if ip.Is6() {
		b = append(b, "IPv6:"...)
	}
	return append(ip.AppendTo(b), ']')
}

// hostName returns an EHLO name that can stand in a header: it came from a stranger.
func hostName(s string) string {
	ok := len(s) > 0 && len(s) <= address.MaxDomain
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-_[]:", c) >= 0
	}
	if !ok {
		return "unknown"
	}
	return s
}

// AuthServ reads from an Authentication-Results value whose results these are (RFC 8601 2.5), in lower case, as A-labels and without a final dot.
// ok is false when it cannot be read with certainty; such a field is better treated as a forgery.
func AuthServ(value []byte) (host string, ok bool) {
	l := lexer{b: value}
	l.skip()
	if l.peek() == '"' {
		host = lower(l.quoted())
	} else {
		host = lower(l.until(`;="(),<>@[]:\`))
	}
	l.skip()
	for c := l.peek(); c >= '0' && c <= '9'; c = l.peek() { // a version
		l.pos++
	}
	l.skip()
	if d, err := address.ParseDomain(strings.TrimSuffix(host, ".")); err == nil {
		host = d // one name, in Unicode or in A-labels (RFC 8601 2.5)
	}
	return strings.TrimSuffix(host, "."), host != "" && !l.bad && (l.pos == len(value) || l.peek() == ';')
}
