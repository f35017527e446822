package message

import (
	"errors"
	"fmt"
	"strings"

	"chmail/internal/address"
)

// ErrAddressList is wrapped by errors about the syntax of an address field.
var ErrAddressList = errors.New("unreadable address field")

// maxMailboxes bounds how many addresses one field may name.
const maxMailboxes = 100

// Mailbox is one entry of an address list (RFC 5322 3.4). Name is as written, quotes removed, encoded words not decoded.
type Mailbox struct {
	Name    string
	Address address.Address
}

// ParseMailboxes reads the value of a From or Sender field: mailboxes separated by commas, nothing else. Groups, routes, empty
// entries and anything that two readers could understand differently are errors, since who a mail is from
// must be beyond doubt.
func ParseMailboxes(v []byte) ([]Mailbox, error) {
	p := mailboxParser{lexer{b: v}}
	var all []Mailbox
	for {
		m, err := p.mailbox()
		if err != nil {
			return nil, err
		}
		if all = append(all, m); len(all) > maxMailboxes {
			return nil, fmt.Errorf("%w: more than %d addresses", ErrAddressList, maxMailboxes)
		}
		p.skip()
		if p.pos == len(p.b) && !p.bad {
			return all, nil
		}
		if !p.eat(',') {
			return nil, p.errorf("text behind an address")
		}
	}
}

type mailboxParser struct{ lexer }

func (p *mailboxParser) errorf(what string) error {
	return fmt.Errorf("%w: %s at octet %d", ErrAddressList, what, p.pos)
}

// specials end an atom (RFC 5322 3.2.3); the dot does not, since local parts and names are full of it.
const specials = `()<>[]:;@\,"`

// atom reads the characters up to a special, a space or a control character.
func (p *mailboxParser) atom() string {
	from := p.pos
	for p.pos < len(p.b) && p.b[p.pos] > ' ' && p.b[p.pos] != 0x7f && strings.IndexByte(specials, p.b[p.pos]) < 0 {
		p.pos++
	}
	return string(p.b[from:p.pos])
}

// mailbox reads name-addr or addr-spec.
func (p *mailboxParser) mailbox() (Mailbox, error) {
	var words []string // of a display name, or the local part of a bare address
	quotedOnly := false
	for {
		p.skip()
		switch c := p.peek(); {
		case p.pos == len(p.b):
			return Mailbox{}, p.errorf("no address")
		case c == '"':
			words = append(words, string(p.quoted()))
			if p.bad {
				return Mailbox{}, p.errorf("quotes without end")
			}
			quotedOnly = len(words) == 1
		case c == '<':
			p.pos++
			a, err := p.addrSpec(true)
			return Mailbox{Name: strings.Join(words, " "), Address: a}, err
		case c == '@':
			if len(words) != 1 {
				return Mailbox{}, p.errorf("several words before @")
			}
			p.pos++
			a, err := p.domain(words[0], quotedOnly)
			return Mailbox{Address: a}, err
		default:
			w := p.atom()
			if w == "" {
				return Mailbox{}, p.errorf("unexpected character") // a colon is the mark of a group
			}
			words = append(words, w)
			quotedOnly = false
		}
	}
}

// addrSpec reads local@domain> behind an opening angle bracket.
func (p *mailboxParser) addrSpec(bracket bool) (address.Address, error) {
	p.skip()
	var local string
	quoted := p.peek() == '"'
	if quoted {
		local = string(p.quoted())
	} else {
		local = p.atom()
	}
	p.skip()
	if p.bad || !p.eat('@') {
		return address.Address{}, p.errorf("no @ in an address")
	}
	a, err := p.domain(local, quoted)
	if err != nil {
		return a, err
	}
	p.skip()
	if bracket && !p.eat('>') {
		return a, p.errorf("no > behind an address")
	}
	return a, nil
}

// domain reads what stands behind the @ and makes the address.
func (p *mailboxParser) domain(local string, quoted bool) (address.Address, error) {
	p.skip()
	var domain string
	if p.peek() == '[' {
		from := p.pos
		for p.pos < len(p.b) && p.b[p.pos] != ']' {
			p.pos++
		}
		p.eat(']')
		domain = string(p.b[from:p.pos])
	} else {
		domain = p.atom()
	}
	var a address.Address
	var err error
	if quoted {
		a, err = address.New(local, domain)
	} else {
		a, err = address.Parse(local + "@" + domain)
	}
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrAddressList, err)
	}
	return a, nil
}
