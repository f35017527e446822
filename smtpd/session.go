package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/netutil"
	"chmail/internal/scram"
)

var (
	errTLSFirst    = message.Refuse(530, [3]int{5, 7, 0}, "STARTTLS first")
	errTLSRequired = message.Refuse(530, [3]int{5, 7, 10}, "REQUIRETLS needs TLS: STARTTLS first")
	errAuthFirst   = message.Refuse(530, [3]int{5, 7, 0}, "authentication required")
	errSignedOut   = &message.Refusal{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "the password was changed, or the account removed: sign in again", Close: true}
	errFromSyntax  = message.Refuse(501, [3]int{5, 1, 7}, "the sender is no mail address")
	errToSyntax    = message.Refuse(501, [3]int{5, 1, 3}, "the recipient is no mail address")
	errFromWide    = message.Refuse(553, [3]int{5, 6, 7}, "this sender needs SMTPUTF8")
	errToWide      = message.Refuse(553, [3]int{5, 6, 7}, "this recipient needs SMTPUTF8")
	errNotYours    = message.Refuse(553, [3]int{5, 7, 1}, "this sender address does not belong to your login, nor may it write as that address; whoever runs this server can allow it (send-as)")
	errWishes      = message.Refuse(501, [3]int{5, 5, 4}, "ENVID or ORCPT is too long")
	errNoRelay     = message.Refuse(550, [3]int{5, 7, 1}, "this server brings no mail to other hosts")
	errDenied      = message.Refuse(550, [3]int{5, 7, 1}, "relaying denied")
	errNoMailbox   = message.Refuse(550, [3]int{5, 1, 1}, "no such mailbox here")
	errFull        = message.Refuse(452, [3]int{4, 2, 2}, "this mailbox is full, try again later")
	errTooManyHere = message.Refuse(452, [3]int{4, 5, 3}, "too many mailboxes for one mail; send it to the rest in another")
	errNoMail      = message.Refuse(503, [3]int{5, 5, 1}, "MAIL and RCPT first")
	errHasty       = errors.New("the doorway took a mail before its end")
	errUnavailable = message.Refuse(451, [3]int{4, 3, 0}, "temporary trouble here, try again later")
)

// A session is what go-smtp tells about one connection: who the client is, and the mail that it sends.
type session struct {
	gate   *gate
	port   *port
	conn   *smtp.Conn        // nil until the first EHLO
	login  string            // "" until AUTH
	since  time.Time         // before login's password was checked
	env    *message.Envelope // of the mail under way; nil outside a transaction
	listed chan string       // has the list that the client is on; nil: nobody was asked
	under  string            // the password's version when the client signed in
	size   int64             // of it, as the client has announced; 0: it has not
	boxes  int               // maildrops that it is for
}

// maxBoxes is how many maildrops a mail may be for, counting each alias for as many as it leads to: the commit that brings it into all of them is waited for by everybody.
const maxBoxes = 1000

// newSession is called by go-smtp at the first EHLO or HELO.
func newSession(c *smtp.Conn) (smtp.Session, error) {
	s := c.Conn().(*gate).session
	s.conn = c
	return s, nil
}

// Mail begins a mail. go-smtp's own reading of the path is not used: see parsePath.
func (s *session) Mail(_ string, opts *smtp.MailOptions) error {
	if err := s.mail(s.gate.path, opts); err != nil {
		return s.reply("MAIL", err, slog.String("from", s.gate.path.addr.String()), slog.String("login", s.login))
	}
	return nil
}

func (s *session) mail(p path, opts *smtp.MailOptions) error {
	switch {
	case s.port.profile != MX && s.gate.tls == "":
		return errTLSFirst
	case s.signedOut():
		return errSignedOut
	case s.port.profile != MX && s.login == "":
		return errAuthFirst
	case p.err != nil:
		return errFromSyntax.Because(p.err)
	case p.wide && !opts.UTF8:
		return errFromWide
	case opts.RequireTLS && s.gate.tls == "": // it has been read on its way here already
		return errTLSRequired
	}
	envid := xtext(opts.EnvelopeID)
	if len(envid) > maxEnvID {
		return errWishes
	}
	if s.login != "" && !p.addr.IsZero() { // a mail client's receipts have no sender (RFC 8098 3)
		owns, err := s.port.Accounts.Owns(s.gate.ctx, s.login, p.addr)
		if err != nil {
			return err
		}
		if !owns {
			return errNotYours
		}
	}
	s.size, s.boxes = opts.Size, 0
	s.env = &message.Envelope{
		ID: message.NewID(), From: p.addr, Login: s.login, SignedIn: s.since, Peer: s.gate.conn.Peer(), Helo: s.helo(), TLS: s.gate.tls, UTF8: opts.UTF8,
		Began: time.Now(), Params: message.Params{Ret: string(opts.Return), EnvID: envid, RequireTLS: opts.RequireTLS},
	}
	return nil
}

// helo is what the client calls itself, fit to be stored.
func (s *session) helo() string {
	name := s.conn.Hostname()
	return oneLine(name[:min(len(name), address.MaxDomain)])
}

// Rcpt adds a recipient: one who exists here or, for a mail that is submitted, one elsewhere.
func (s *session) Rcpt(_ string, opts *smtp.RcptOptions) error {
	if err := s.rcpt(s.gate.path, opts); err != nil {
		return s.reply("RCPT", err, slog.String("to", s.gate.path.addr.String()), slog.String("login", s.login))
	}
	return nil
}

func (s *session) rcpt(p path, opts *smtp.RcptOptions) error {
	switch {
	case s.env == nil:
		return errNoMail
	case p.err != nil:
		return errToSyntax.Because(p.err)
	case p.wide && !s.env.UTF8:
		return errToWide
	}
	if !p.addr.IsPostmaster() {
		if zone := s.list(); zone != "" {
			return errListed(s.gate.conn.Peer(), zone)
		}
	}
	logins, local, err := s.port.Accounts.Recipients(s.gate.ctx, p.addr)
	switch {
	case err != nil:
		return err
	case !local && s.port.profile == MX:
		return errDenied
	case !local && !s.port.Relay:
		return errNoRelay
	case local && len(logins) == 0:
		if s.port.stranger(s.gate.conn) {
			s.gate.late(s.port.guessed(s.gate.conn.Peer(), &s.port.Guard, time.Now()))
		}
		return errNoMailbox
	case len(xtext(opts.OriginalRecipient)) > maxORcpt:
		return errWishes
	case s.boxes+len(logins) > maxBoxes:
		return errTooManyHere
	}
	shared := len(logins) > 1
	if logins, err = s.withRoom(logins); err != nil {
		return err
	}
	s.boxes += len(logins)
	s.env.To = append(s.env.To, p.addr)
	s.env.Drops = append(s.env.Drops, logins)
	if shared {
		s.env.Shared = append(s.env.Shared, make([]bool, len(s.env.To)-len(s.env.Shared))...)
		s.env.Shared[len(s.env.To)-1] = true
	}
	s.wishes(opts)
	return nil
}

// withRoom leaves out the maildrops of an address that are full, beyond what is allowed for an alias. Those that have room get its mail all the same, and the log says who does not;
// errFull when none has.
func (s *session) withRoom(logins []string) ([]string, error) {
	var some []string // what is left, from the first on that is full
	for i, login := range logins {
		room, err := s.port.Doorway.Room(s.gate.ctx, login, s.size, len(logins) > 1)
		switch {
		case err != nil:
			return nil, err
		case !room && some == nil:
			some = append(make([]string, 0, len(logins)), logins[:i]...)
		case room && some != nil:
			some = append(some, login)
		}
		if !room {
			s.port.log.LogAttrs(s.gate.ctx, slog.LevelInfo, "mailbox full", slog.String("id", s.env.ID), slog.String("full", login), slog.String("to", s.gate.path.addr.String()))
		}
	}
	switch {
	case some == nil:
		return logins, nil
	case len(some) == 0:
		return nil, errFull
	}
	return some, nil
}

// wishes notes what the sender wants to be told of the recipient who was added last.
func (s *session) wishes(opts *smtp.RcptOptions) {
	p := message.RcptParam{Notify: notify(opts.Notify)}
	if to := opts.OriginalRecipient; to != "" && opts.OriginalRecipientType == smtp.DSNAddressTypeRFC822 {
		p.ORcpt = "rfc822;" + xtext(to)
	}
	if all := &s.env.Params.Rcpt; p != (message.RcptParam{}) || *all != nil {
		*all = append(append(*all, make([]message.RcptParam, len(s.env.To)-1-len(*all))...), p)
	}
}

// The longest values of ENVID (RFC 3461 4.4) and ORCPT (4.2), in octets.
const (
	maxEnvID = 100
	maxORcpt = 500 - len("rfc822;")
)

// xtext writes what go-smtp has read from xtext as it came (RFC 3461 4).
func xtext(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// notify is NOTIFY as it came (RFC 3461 4.1).
func notify(all []smtp.DSNNotify) string {
	words := make([]string, len(all))
	for i, n := range all {
		words[i] = string(n)
	}
	return strings.Join(words, ",")
}

// Data takes the mail, whether it comes by DATA or BDAT. What go-smtp makes of it is not touched: see gate.
func (s *session) Data(io.Reader) error {
	if s.env == nil || len(s.env.To) == 0 {
		return s.reply("DATA", errNoMail)
	}
	env := *s.env // whoever takes the mail may keep it
	env.Received = time.Now()
	take := s.takeData
	if s.gate.chunk.open {
		take = s.takeChunks
	}
	size, err := take(&env)
	s.gate.line = []byte(".\r\n") // go-smtp's end of the mail
	about := []slog.Attr{
		slog.String("id", env.ID), slog.String("login", env.Login), slog.String("from", env.From.String()), slog.Int("to", len(env.To)),
		slog.Int64("size", size), slog.Duration("took", time.Since(env.Received)),
	}
	if err != nil {
		return s.reply("DATA", err, about...)
	}
	s.gate.errors = 0
	if s.port.stranger(s.gate.conn) {
		s.port.honest(s.gate.conn.Peer())
	}
	here := 0
	for _, logins := range env.Drops {
		if len(logins) > 0 {
			here++
		}
	}
	s.port.Watch.Taken(s.port.profile, size, here, len(env.Drops)-here)
	// The doorway has written the mail's line in the log; this one is for whoever looks for a slow connection.
	s.port.log.LogAttrs(s.gate.ctx, slog.LevelDebug, "mail taken", append(about, slog.Any("peer", env.Peer), slog.String("tls", env.TLS))...)
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "queued as " + env.ID}
}

// deliver hands the mail to the doorway, whose silence about a bad mail does not count.
func (s *session) deliver(env *message.Envelope, r io.Reader) error {
	if s.loose() {
		r = newNormaliser(r)
	}
	if s.port.profile == MX {
		return s.port.Doorway.Accept(s.gate.ctx, env, r)
	}
	return s.port.Doorway.Submit(s.gate.ctx, env, signed{s, r})
}

// signed is a submitted mail that has no end when its client has been signed out meanwhile: how long a mail takes to come is the client's choice.
type signed struct {
	session *session
	mail    io.Reader
}

// Read implements io.Reader.
func (r signed) Read(b []byte) (int, error) {
	n, err := r.mail.Read(b)
	if err == io.EOF && r.session.signedOut() {
		err = errSignedOut
	}
	return n, err
}

// loose tells whether line ends are mended instead of refused.
func (s *session) loose() bool { return s.port.BareLF && s.port.profile != MX }

// takeData reads a mail that comes by DATA, to its end.
func (s *session) takeData(env *message.Envelope) (int64, error) {
	g := s.gate
	g.conn.Bulk(true)
	defer g.conn.Bulk(false)
	b := &body{conn: g.conn, most: s.port.Limits.Message, loose: s.loose()}
	err := s.deliver(env, b)
	size, whole := b.n, b.err == io.EOF
	switch fault := b.finish(); {
	case isRefusal(fault): // where the next command begins cannot be known
		g.ending.afterReply = true
		err = fault
	case fault != nil:
		g.lost(fault)
		err = fault
	case b.large:
		err = errTooLarge
	case err == nil && !whole:
		err = errHasty
	}
	return size, err
}

// takeChunks reads a mail that comes by BDAT, to the end of the chunk that ended it one way or another.
func (s *session) takeChunks(env *message.Envelope) (int64, error) {
	g := s.gate
	c := &chunks{gate: g, most: s.port.Limits.Message, loose: s.loose()}
	err := s.deliver(env, c)
	g.chunk.open = false
	switch {
	case c.err == io.EOF:
		return c.n, err
	case c.err == errGivenUp:
		g.chunk.unheard = true
	case c.err == errBareCR || c.err == errBareLF:
		g.ending.afterReply = true
	case c.err == nil && err == nil:
		c.err = errHasty
		fallthrough
	case c.err == nil || c.err == errTooLarge:
		if fault := g.skipChunk(); fault != nil {
			g.lost(fault)
		}
	default:
		g.lost(c.err)
	}
	if c.err != nil { // whatever the doorway made of it
		err = c.err
	}
	return c.n, err
}

func isRefusal(err error) bool {
	var r *message.Refusal
	return errors.As(err, &r)
}

// Reset ends the transaction; go-smtp calls it after each mail as well.
func (s *session) Reset() { s.env = nil }

// Logout is the end of the connection, which is the gate's business.
func (s *session) Logout() error { return nil }

// reply is what every method returns through, since go-smtp sends the whole text of any error that is not a bare *smtp.SMTPError (libraries S15). A
// message.Refusal is told as it is, any other error as neutral trouble. The cause goes to the log, in one line.
func (s *session) reply(command string, err error, about ...slog.Attr) error {
	var r *message.Refusal
	if !errors.As(err, &r) || r.Code < 400 || r.Code > 599 {
		r = errUnavailable.Because(err)
	}
	if r.Close {
		s.gate.ending.afterReply = true
	}
	if r.Cause == nil || !isClients(r.Cause) { // whoever has hung up was told nothing
		s.port.Watch.Refused(s.port.profile, command, r)
	}
	level := slog.LevelInfo
	if r.Code == errAuthFailed.Code && !errors.Is(r.Cause, scram.ErrRefused) {
		level = slog.LevelDebug // whoever looked at the password has written a line
	}
	if r.Code < 500 && r.Cause != nil && !isClients(r.Cause) {
		level = slog.LevelError
	}
	about = append(about, slog.String("command", command), slog.Any("peer", s.gate.conn.Peer()), slog.Int("code", r.Code), slog.String("reply", r.Text))
	if r.Cause != nil {
		about = append(about, slog.String("cause", r.Cause.Error()))
	}
	s.port.log.LogAttrs(s.gate.ctx, level, "refused", about...)
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.EnhancedCode(r.Enhanced), Message: oneLine(r.Text)}
}

// isClients tells whether trouble was the client's doing, or the end of the server, hence nothing to look into.
func isClients(err error) bool {
	var theirs message.Reason
	return errors.As(err, &theirs) || netutil.IsGone(err) || errors.Is(err, netutil.ErrShutdown) || errors.Is(err, errGivenUp) || errors.Is(err, context.Canceled)
}

// oneLine returns s, with a question mark for everything that is not printable ASCII.
func oneLine(s string) string {
	odd := func(c rune) bool { return c < ' ' || c > '~' }
	if strings.IndexFunc(s, odd) < 0 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if odd(c) {
			return '?'
		}
		return c
	}, s)
}
