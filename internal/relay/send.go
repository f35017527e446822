package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chmail/internal/delivery"
)

const (
	maxRecipients = 100     // of one transaction; every server takes so many (RFC 5321 4.5.3.1.8)
	groupSize     = 4 << 10 // octets of commands said before an answer is heard, so that neither side waits for the other with full hands (RFC 2920 3.1)
)

// Line is a connection to a server that takes mails, one after the other. One goroutine at a time uses it.
type Line struct {
	c       *conn
	o       *Options
	trusted bool // TLS, the server verified, its name from a safe source, and REQUIRETLS offered (RFC 8689 4.2.1)
	dirty   bool // a transaction has been begun and not ended: RSET comes before the next
	last    bool // no further mail: the line may be less safe than others demand, or a mail demands more than it is
	used    bool // by another mail than the one that it was opened for
	offered int  // mails so far
	buf     []byte
	safety  Security
	narrow  *delivery.Verdict // of those who need SMTPUTF8, for whom no better server was found; nil: none was looked for
	room    *room             // for copies in seven bits; nil: without bounds
	leave   func()            // has other servers of the domain tried first for a while; nil: there are none, or this one is the last of them
}

// Security tells how the connection is protected.
func (l *Line) Security() Security { return l.safety }

// Send transfers one mail and returns one verdict per recipient, in their order. again tells whether the connection takes more. When ctx ends the mail is broken
// off, and the connection with it: a mail whose end has been sent may have arrived then.
func (l *Line) Send(ctx context.Context, m delivery.Mail) (verdicts []delivery.Verdict, again bool) {
	ctx, cancel := context.WithTimeout(ctx, l.c.t.Whole)
	defer cancel()
	defer l.c.watch(ctx)()
	defer func() { l.used = true }()
	verdicts = make([]delivery.Verdict, len(m.To))
	s, fail := l.prepare(ctx, &m)
	if fail != nil {
		for i := range verdicts {
			verdicts[i] = *fail
		}
		return verdicts, l.again()
	}
	defer s.done()
	var open []int // recipients whose verdict is still to come
	for i := range m.To {
		switch _, ok := path(m.To[i].Address); {
		case !ok:
			verdicts[i] = *failure(5, 1, 3, "the address cannot be written")
		case !m.To[i].Address.IsASCII() && !l.takesUTF8():
			verdicts[i] = *l.verdictNarrow()
		default:
			open = append(open, i)
		}
	}
	for first := true; len(open) > 0; first = false {
		t := transaction{l: l, s: s, first: first, to: open[:min(len(open), maxRecipients)], verdicts: verdicts}
		open = append(t.run(), open[len(t.to):]...)
		if verdicts[t.to[0]].Stale { // nothing was taken, and nothing more is offered here
			for _, i := range open {
				verdicts[i] = verdicts[t.to[0]]
			}
			break
		}
	}
	l.offered++
	return verdicts, l.again()
}

func (l *Line) again() bool { return l.c.dead == nil && !l.last }

// Close says goodbye, within Timeouts.Quit, and closes.
func (l *Line) Close() { l.c.quit() }

// transaction is MAIL, RCPT and DATA once.
type transaction struct {
	l        *Line
	s        *shipment
	first    bool               // of the mail
	to       []int              // places in the mail's recipients
	verdicts []delivery.Verdict // of all recipients; one without a class is open
	taken    int                // recipients that the server has taken
	later    []int              // recipients that it would take in another transaction
	refusal  *delivery.Verdict  // of MAIL
}

// run returns the recipients to be tried in another transaction at once; the others have their verdict.
func (t *transaction) run() (again []int) {
	v := t.offer()
	if t.elsewhere(v) {
		t.l.leave()
		t.l.last = true
		other := *v
		other.Stale = true
		v = &other
		for _, i := range t.to {
			t.verdicts[i] = other
		}
	}
	for _, i := range t.to {
		if t.verdicts[i].Enhanced[0] == 0 {
			t.verdicts[i] = *v
		}
	}
	if v == nil || !v.Accepted() || t.l.c.dead != nil {
		return nil
	}
	for _, i := range t.later {
		t.verdicts[i] = delivery.Verdict{}
	}
	return t.later
}

// elsewhere tells whether a new connection, to another server of the domain, may well take the mail: this one has not got past MAIL with its first.
func (t *transaction) elsewhere(v *delivery.Verdict) bool {
	return t.l.leave != nil && t.first && t.l.offered == 0 && v != nil && v.Temporary && t.taken == 0 && (t.refusal != nil || t.l.c.dead != nil) && !t.l.c.stopped.Load()
}

// offer goes through the transaction and returns the verdict of those recipients that have none of their own; nil when all have.
func (t *transaction) offer() *delivery.Verdict {
	c := t.l.c
	data, fail := t.envelope()
	switch {
	case fail != nil:
		return fail
	case data.code == 354 && (t.taken == 0 || t.refusal != nil):
		// A mail for nobody; ended at once, it is none (RFC 2920 3.1).
		if _, fail := c.ask(".", c.t.Dot); fail == nil {
			t.l.dirty = false
		}
		return t.refusal
	case t.refusal != nil || t.taken == 0:
		return t.refusal
	case data.code != 354:
		return c.refused(data)
	}
	return t.message()
}

// envelope says the commands, as many at once as the server and good manners allow, and hears their answers. data is the answer to DATA, without a code when that was not said.
func (t *transaction) envelope() (data reply, fail *delivery.Verdict) {
	c := t.l.c
	commands := t.commands()
	said := 0
	for i, cmd := range commands {
		if i == said {
			if t.refusal != nil || cmd.what == "DATA" && t.taken == 0 {
				return reply{}, nil
			}
			if said, fail = t.sayFrom(commands, i); fail != nil {
				return reply{}, t.stale(fail, cmd)
			}
		}
		within := c.t.Mail
		switch cmd.what {
		case "DATA":
			within = c.t.Data
		case "RSET":
			within = c.t.Hello
		}
		r, fail := c.hear(cmd.what, within)
		if fail != nil {
			return reply{}, t.stale(fail, cmd)
		}
		if cmd.what == "DATA" {
			return r, nil
		}
		t.answered(cmd, r)
	}
	return reply{}, nil
}

// stale marks the end of a connection that came before anything of this mail was offered.
func (t *transaction) stale(fail *delivery.Verdict, at command) *delivery.Verdict {
	if !t.first || t.l.offered == 0 || at.what == "RCPT" || at.what == "DATA" || t.l.c.stopped.Load() {
		return fail
	}
	v := *fail
	v.Stale = true
	return &v
}

type command struct {
	what, line string
	to         int // of RCPT: the recipient's place
}

func (t *transaction) commands() []command {
	all := make([]command, 0, len(t.to)+3)
	if t.l.dirty {
		all = append(all, command{what: "RSET", line: "RSET"})
	}
	all = append(all, command{what: "MAIL", line: t.s.mailLine})
	for _, i := range t.to {
		line, _ := t.l.rcptLine(&t.s.mail.To[i])
		all = append(all, command{what: "RCPT", line: line, to: i})
	}
	return append(all, command{what: "DATA", line: "DATA"})
}

// sayFrom says the command i, and with PIPELINING those behind it (RFC 2920). said is the first that is still to be said.
func (t *transaction) sayFrom(commands []command, i int) (said int, fail *delivery.Verdict) {
	c := t.l.c
	if c.dead != nil {
		return i, c.dead
	}
	for size := 0; i < len(commands); i++ {
		line := commands[i].line
		if size > 0 && (!c.caps.pipelining || size+len(line) > groupSize) {
			break
		}
		if err := c.say(line); err != nil {
			return i, c.lost(err, commands[i].what)
		}
		size += len(line)
	}
	if err := c.out.Flush(); err != nil {
		return i, c.lost(err, commands[i-1].what)
	}
	return i, nil
}

// answered takes over the answer to a command before DATA.
func (t *transaction) answered(cmd command, r reply) {
	c := t.l.c
	switch ok := r.is(2); {
	case cmd.what == "RSET" && ok:
		t.l.dirty = false
	case cmd.what == "RSET":
		c.dead = c.place(failure(4, 5, 0, fmt.Sprintf("RSET was refused with %d", r.code)))
	case cmd.what == "MAIL" && ok:
		t.l.dirty = true
	case cmd.what == "MAIL":
		t.refusal = c.refused(r)
	case t.refusal != nil:
		// What is said to RCPT then is of no use to anybody.
	case ok:
		t.taken++
	default:
		v := c.refused(r)
		full(v)
		if v.Code == 452 && (v.Enhanced == [3]int{4, 5, 3} || v.Enhanced == [3]int{4, 0, 0}) {
			t.later = append(t.later, cmd.to)
		}
		t.verdicts[cmd.to] = *v
	}
}

// full reads a 552 to RCPT. It is "too many recipients" in the number of an older time (RFC 5321 4.5.3.1.10), unless its detail says otherwise: a mailbox that is full has room
// again some day, and a mail that is too large stays so.
func full(v *delivery.Verdict) {
	switch {
	case v.Code != 552, v.Enhanced == [3]int{5, 3, 4}, v.Enhanced == [3]int{5, 2, 3}: // RFC 3463 3.3, 3.4
		return
	case v.Enhanced == [3]int{5, 0, 0}:
		v.Enhanced = [3]int{4, 5, 3}
	}
	v.Code, v.Enhanced[0], v.Temporary = 452, 4, true
}

// message sends the mail itself and hears what becomes of it.
func (t *transaction) message() *delivery.Verdict {
	c := t.l.c
	d := dots{w: c.out}
	err := copyMessage(&d, t.l.buf, t.s.signature, t.s.body, t.s.size)
	if err == nil {
		err = d.end()
	}
	if err == nil {
		err = c.out.Flush()
	}
	switch {
	case errors.Is(err, errStored), errors.Is(err, errLineEnd):
		// Without its end it must not pass for a mail: no dot, no goodbye.
		c.dead = failure(4, 3, 0, errStored.Error())
		c.close()
		return c.dead
	case err != nil:
		return t.cut(err)
	}
	r, fail := c.hear("the end of the mail", c.t.Dot)
	if fail != nil {
		return fail
	}
	t.l.dirty = false
	if !r.is(2) {
		return c.refused(r)
	}
	v := c.judge(r)
	v.Relayed = !c.caps.dsn
	return &v
}

// cut is the end of a connection in the middle of a mail. A server that has enough of it often says why before it closes.
func (t *transaction) cut(err error) *delivery.Verdict {
	c := t.l.c
	if !c.stopped.Load() && c.within(5*time.Second) == nil {
		if r, err := readReply(c.in); err == nil && (r.is(4) || r.is(5)) {
			v := c.judge(r)
			c.dead = &v
			return c.dead
		}
	}
	return c.lost(err, "DATA")
}
