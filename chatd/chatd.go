// Package chatd is the chat server program: a TCP listener on each owner's port, the sockets of readers and desks, the line
// protocol of terminals, and the rooms in which they meet. What is said is numbered and in SQL before anybody is told that it is
// safe. Whom to ring is chbroker's business; pages are chatd/pages'.
//
// Who does what at run time:
//
//	room     one goroutine owns one live conversation: it numbers, commits and publishes events
//	client   one connection of a person, with a goroutine that reads and one that writes; the writer pulls events from rooms by
//	         number, so that a slow connection holds up nobody and can never skip one
//	ports    the listeners on the owners' ports, each closing by itself after a minute without anybody
//
// docs/protocol.md describes what is spoken on the wire.
package chatd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
	"chmail/internal/web"
)

// ErrNoConversation says that this login has no such conversation, whether or not somebody else has.
var ErrNoConversation = errors.New("no such conversation")

// Links finds what a link's token stands for.
type Links interface {
	// Resolve returns call.ErrNoLink for every token that does not work, whatever the reason.
	Resolve(ctx context.Context, token string) (call.Link, error)
	// Revoke ends the link with this number, if it is login's; from then on it looks like one that never was.
	Revoke(ctx context.Context, login string, id int64) error
	// Works tells whether the link with this number is login's and can be followed, and on what terms it rings.
	Works(ctx context.Context, login string, id int64) (works bool, terms call.Terms, err error)
	// Wants is what a reader of a link is told who has to do something before its owner is rung for him, by the owner's terms; "" when showing himself is enough.
	Wants(link call.Link) call.State
	// SetTerms says on what terms login is rung for whoever follows a link of his; call.ErrNoLink when he has no such link, or it can be followed no more.
	SetTerms(ctx context.Context, login string, id int64, terms call.Terms) error
}

// Calls is told of readers who want to talk. Its methods must not wait for this package.
type Calls interface {
	// Visit: a person is there and wants to talk; again after a reconnect or with another name, for the same call.
	Visit(v call.Visit)
	// Gone: the last connection of a conversation's reader has left.
	Gone(conv string)
	// OwnerLeft: the owner has had no desk open for a while; if he had answered, the reader's next word calls him anew.
	OwnerLeft(conv string)
	// End: a login has ended a conversation of his; its call is over.
	End(login, conv string)
	// State is where the call of a conversation stands; false when there is none.
	State(conv string) (call.State, bool)
}

// Desks is told of the owner's open desks. Its methods must not wait for this package.
type Desks interface {
	// Attach makes a device ring-able; alert must not block. detach ends it.
	Attach(login, device string, ip netip.Addr, alert func(call.Alert)) (detach func())
	// Rung: this device has made itself noticed.
	Rung(login, device, callID string)
	// Answer takes a call; false when it is over, taken already, or not this login's.
	Answer(login, device, callID string) (conv string, ok bool)
	// Join takes a conversation's call, if there is one, because the owner says something there.
	Join(login, device, conv string) bool
	// Decline refuses a call; false as for Answer.
	Decline(login, device, callID string) bool
	// Moment: the owner comes in a moment; the call falls silent for a while. False as for Answer.
	Moment(login, device, callID string) bool
	// Input: a person is at this device.
	Input(login, device string)
	// Rest has nothing ring for a login, or lets its calls ring again; since is when the desk that asks was opened.
	Rest(ctx context.Context, login string, rest call.Rest, since time.Time) error
	// Resting is whether a login may be disturbed now.
	Resting(login string) call.Rest
	// Turned says that a login's quiet hours begin or end, or that his wishes are others now.
	Turned(login string)
}

// Broker is everything that chatd asks of the CH server (R6).
type Broker interface {
	Links
	Calls
	Desks
}

// Options are what a Server is made from; zero numbers take the defaults named with them.
type Options struct {
	DB              *sqldb.DB // carries Schema
	Site            *web.Site
	TLS             *tls.Config // certificates for the chat ports; nil: plain, where the site is http on loopback
	Hosts           []string    // addresses that the chat ports bind, without port; "" is every address, and the default
	Broker          Broker
	Log             *slog.Logger                                        // nil: slog.Default()
	Listen          func(network, address string) (net.Listener, error) // nil: net.Listen
	Ports           int                                                 // chat ports open at once; 8192
	Keep            time.Duration                                       // a conversation is removed so long after its last event; 0: never
	Post            Post                                                // nil: nobody is sent mail
	TranscriptAfter time.Duration                                       // an owner is sent what was said so long after the last event, when nobody is there; 0: never
	PortIdle        time.Duration                                       // a chat port without anybody closes after this; 1 min
	Conns           int                                                 // connections on all chat ports; 8192
	Files           FileLimits                                          // of files in chats
	PerNet          int                                                 // readers' connections from one IPv4 address or IPv6 /64, on all ports; 64
}

// A Server is the chat server program.
type Server struct {
	o      Options
	log    *slog.Logger
	store  *store
	rooms  *rooms
	ports  *ports
	doors  *doors
	seats  *seats
	limits *limits
	pages  *openings
	tells  *tells
	ctx    context.Context // ends when the server has stopped: what is under way in the background ends with it
	stop   context.CancelFunc
	crowd  crowd
	kept   sync.WaitGroup // looking for old conversations, and for transcripts that are due
	blocks *loginLocks    // whoever changes or tells who is blocked; so what is told last is so
}

// New makes a server. Nothing listens before the first Open.
func New(o Options) (*Server, error) {
	switch {
	case o.DB == nil || o.Site == nil || o.Broker == nil:
		return nil, errors.New("a chat server needs a database, a site and a broker")
	case o.Site.Secure() && o.TLS == nil:
		return nil, errors.New("a chat server for an https site needs certificates")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if len(o.Hosts) == 0 {
		o.Hosts = []string{""}
	}
	if o.PortIdle <= 0 {
		o.PortIdle = time.Minute
	}
	o.Ports, o.Conns, o.PerNet = orDefault(o.Ports, 8192), orDefault(o.Conns, 8192), orDefault(o.PerNet, 64)
	s := &Server{o: o, log: o.Log, store: &store{db: o.DB, files: newShelf(o.Files)}, crowd: newCrowd(), limits: newLimits(o.PerNet), pages: newOpenings(), doors: newDoors(), seats: newSeats(), blocks: newLoginLocks()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.rooms = newRooms(s)
	s.ports = newPorts(s)
	s.tells = newTells(s)
	if err := s.store.files.clear(); err != nil {
		s.log.Warn("chatd: what earlier runs have left of files on their way was not removed", "err", err)
	}
	s.kept.Go(s.keep)
	if o.Post != nil {
		s.mail()
	}
	return s, nil
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Open notes that a visitor's browser has asked for the link's page, and starts the listener on the port of the link's owner,
// which closes by itself after a minute without anybody. visitor is the visitor cookie's value. A link without a port is
// served through the web port alone. An error leaves the web port to talk through; the port may belong to another program.
func (s *Server) Open(ctx context.Context, link call.Link, visitor string) error {
	s.pages.opened(link.ID, browserVisitor(visitor), time.Now())
	if link.Port == 0 {
		return nil
	}
	return s.ports.open(ctx, link.Port, link.Login)
}

// Listening returns the ports on which chats are listened for at the moment, in order.
func (s *Server) Listening() []int { return s.ports.listening() }

// Tell tells the reader and the owner's desks where the call of a conversation stands. It does not wait.
func (s *Server) Tell(conv string, state call.State) { s.tells.add(conv, state) }

// Dismiss hangs up on the readers and desks of a login whose account has been removed, ends his conversations, and closes his chat
// ports. It is to be called once the removal is committed, and does not wait.
func (s *Server) Dismiss(login string) {
	s.rooms.dismiss(login)
	s.kept.Go(func() {
		if err := s.rooms.dismissGuest(s.ctx, login); err != nil {
			s.log.Warn("chatd: a removed account's guest was not sent away", "login", login, "err", err)
		}
	})
	s.ports.drop(login)
	s.store.files.wake()
	s.log.Info("chatd: login removed", "login", login)
}

// Conversations returns the latest conversations of a login, newest first.
func (s *Server) Conversations(ctx context.Context, login string, limit int) ([]Talk, error) {
	talks, err := s.store.list(ctx, login, limit)
	if err != nil {
		return nil, err
	}
	for i := range talks {
		s.complete(&talks[i])
	}
	return talks, nil
}

// Conversation returns one of a login's conversations; ErrNoConversation when it is not his.
func (s *Server) Conversation(ctx context.Context, login, id string) (Talk, error) {
	t, err := s.store.one(ctx, login, id)
	if err != nil {
		return Talk{}, err
	}
	s.complete(&t)
	return t, nil
}

// complete adds to a conversation what is the case at this moment.
func (s *Server) complete(t *Talk) {
	t.State, t.Here = s.presentState(t.ID, t.State), s.rooms.visitorHere(t.ID)
}

// presentState is a call's state as it is now. One that passes by itself means nothing once the broker has forgotten the call.
func (s *Server) presentState(conv, kept string) string {
	if call.State(kept) == call.Ended {
		return kept
	}
	if now, ok := s.o.Broker.State(conv); ok {
		return string(now)
	}
	switch call.State(kept) {
	case call.Opened, call.Ringing, call.Retrying, call.Back, call.Moment:
		return ""
	}
	return kept
}

// A Talk is a conversation as the desk lists it.
type Talk struct {
	ID     string
	Who    string    // the visitor's name as he gave it; "" when he gave none
	About  string    // the mail's subject
	Text   string    // the beginning of what was said last
	State  string    // the call's state, as call.State has it; "" when there is none
	Here   bool      // the visitor is there, or has lost his connection less than half a minute ago
	Unread int       // messages of the visitor that the owner has not seen
	Last   int64     // number of the last event
	At     time.Time // of the last event that was no leaving
}

// Shutdown stops listening, tells everybody when to come back, and waits for them to leave until ctx ends; what is left then is
// broken off. Everything acknowledged is in SQL before it returns.
func (s *Server) Shutdown(ctx context.Context) error {
	empty := s.crowd.dismiss(func() farewell { return bye("restart", time.Second+rand.N(3*time.Second)) })
	err := s.ports.shutdown(ctx)
	select {
	case <-empty:
	case <-ctx.Done():
	}
	told := s.tells.close()
	select {
	case <-told:
	case <-ctx.Done():
	}
	s.rooms.finish(ctx)
	s.stop()
	<-told
	s.kept.Wait()
	s.rooms.running.Wait()
	return err
}
