package chbroker

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"chmail/internal/call"
)

const (
	maxEvents  = 256  // events waiting for the board
	maxTells   = 1024 // states waiting to be told before newer ones replace older ones
	maxAlerts  = 64   // of one device, likewise
	maxVisits  = 100  // open calls of one owner; nobody has so many people at his door
	maxMissed  = 20   // missed calls of one owner that are shown when he appears
	maxRounds  = 10   // beginnings of one call: its first and those by signs of the owner
	wordsAtOne = 8    // words being left at the same time
)

// board owns the calls. All of its state belongs to the goroutine in run; others send it events, and what it has to say leaves through
// outboxes. Nothing it calls can make it wait.
type board struct {
	b      *Broker
	events chan event
	tells  *outbox[told]
	saves  *saver
	mail   chan struct{} // a place for each word being left

	mu   sync.RWMutex
	open map[string]int // logins with open calls, for signs: most signs concern nobody here

	// Owned by run.
	owners map[string]*owned
	calls  map[string]*visit    // by id
	convs  map[string]*visit    // by conversation
	words  map[string]*word     // by conversation
	gone   map[string]time.Time // logins whose account was removed of late, and when
	limits *limits
	haste  *haste // not of run alone
	rests  *rests // of everybody who does not want to be disturbed; not of run alone
}

// told is a state on its way to a reader.
type told struct {
	conv  string
	state call.State
}

// event is something that happened, handled by the board's goroutine.
type event interface{ on(*board) }

func newBoard(b *Broker) *board {
	return &board{
		b: b, events: make(chan event, maxEvents), mail: make(chan struct{}, wordsAtOne), saves: newSaver(b),
		tells:  newOutbox(maxTells, func(t told) string { return t.conv }, func(t told) { b.o.Tell(t.conv, t.state) }, b.log),
		open:   make(map[string]int),
		owners: make(map[string]*owned), calls: make(map[string]*visit), convs: make(map[string]*visit), words: make(map[string]*word),
		gone: make(map[string]time.Time), limits: newLimits(b.o.Limits), haste: newHaste(), rests: newRests(),
	}
}

func (bd *board) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-bd.events:
			bd.handle(e)
		}
	}
}

// post sends an event. It waits only while the board works off others; after the end the event is kept if there is room.
func (bd *board) post(e event) {
	select {
	case bd.events <- e:
	default:
		select {
		case bd.events <- e:
		case <-bd.b.ctx.Done():
		}
	}
}

// ask sends an event and waits for its answer; the zero answer after the end.
func ask[T any](bd *board, question func(answer chan T) event) (t T) {
	answer := make(chan T, 1)
	bd.post(question(answer))
	select {
	case t = <-answer:
	case <-bd.b.ctx.Done():
	}
	return t
}

// flush takes in, after the end, which words were left, and writes what is not written.
func (bd *board) flush(ctx context.Context) {
	for {
		select {
		case e := <-bd.events:
			if w, ok := e.(wordLeft); ok && w.err == nil {
				w.on(bd)
			}
			continue
		default:
		}
		break
	}
	if err := bd.saves.write(ctx); err != nil {
		bd.b.log.Warn("calls are not saved at the end", "err", err)
	}
}

// signed tells the board that a login gave a sign of life through a mail client. When there are too many, one is lost: the next comes.
func (bd *board) signed(login string) {
	bd.mu.RLock()
	n := bd.open[login]
	bd.mu.RUnlock()
	if n == 0 {
		return
	}
	select {
	case bd.events <- signEvent{login}:
	default:
		bd.b.log.Warn("too many events: a sign is not taken for a reason to ring again", "login", login)
	}
}

// count keeps the number of a login's open calls.
func (bd *board) count(login string, by int) {
	bd.mu.Lock()
	defer bd.mu.Unlock()
	if bd.open[login] += by; bd.open[login] <= 0 {
		delete(bd.open, login)
	}
}

// owner is what the board has of a login, made where there is nothing yet.
func (bd *board) owner(login string) *owned {
	o := bd.owners[login]
	if o == nil {
		o = &owned{bd: bd, login: login, devices: make(map[string]*device)}
		bd.owners[login] = o
	}
	return o
}

// log writes one line for a move of a call: ids only.
func (bd *board) log(c *visit, what string, args ...any) {
	bd.b.log.Info("call "+what, append([]any{"call", c.rec.id, "conv", c.rec.conv, "login", c.rec.link.Login}, args...)...)
}

// Visit says that a reader has shown intent: he is there and wants to talk. Again after a reconnect or with another name, for the same call.
func (b *Broker) Visit(v call.Visit) { b.board.post(visitEvent{v, time.Now()}) }

// Gone says that the last connection of a conversation's reader has left. Within Times.Grace he can come back to the same call.
func (b *Broker) Gone(conv string) { b.board.post(goneEvent{conv, time.Now()}) }

// OwnerLeft says that the owner of a conversation has had no device in it for a while. If he had answered, its reader is told, and what he
// says next (a Visit that Spoke) calls the owner anew.
func (b *Broker) OwnerLeft(conv string) { b.board.post(ownerLeftEvent{conv}) }

// State is where the call of a conversation stands, for a reader who reconnects; false when there is none.
func (b *Broker) State(conv string) (call.State, bool) {
	r := ask(b.board, func(a chan stateReply) event { return stateEvent{conv, a} })
	return r.state, r.ok
}

// Attach connects a device of the owner's, which can ring from then on, and shows it who is at the door and which calls were missed. alert is called
// by a goroutine of the device's, in order. detach ends it; a device that is attached again under its id replaces itself.
func (b *Broker) Attach(login, device string, ip netip.Addr, alert func(call.Alert)) (detach func()) {
	now := time.Now()
	sign := call.Sign{Login: login, Source: call.Desk, Device: device, IP: ip}
	left := b.presence.attach(login, b.placeOf(sign, now), now)
	d := newDevice(device, alert, b.log)
	if !b.work.start(func() { d.out.run(b.ctx) }) {
		return func() {}
	}
	b.board.post(attachEvent{login, d})
	return sync.OnceFunc(func() {
		left()
		d.out.close()
		b.board.post(detachEvent{login, d})
	})
}

// Rung says that a device has alerted: its ring was delivered, or a missed call has been shown.
func (b *Broker) Rung(login, device, callID string) { b.board.post(rungEvent{login, device, callID}) }

// Answer takes a call for the owner; the first device wins and the others fall silent. False when it is over, taken by another device, or not
// this login's.
func (b *Broker) Answer(login, device, callID string) (conv string, ok bool) {
	r := ask(b.board, func(a chan answerReply) event {
		return answerEvent{login: login, device: device, call: callID, answer: a}
	})
	return r.conv, r.ok
}

// Join says that the owner takes part in a conversation without having pressed "answer": its call, if there is one, is answered. False when there is none.
func (b *Broker) Join(login, device, conv string) (ok bool) {
	return ask(b.board, func(a chan answerReply) event {
		return answerEvent{login: login, device: device, conv: conv, answer: a}
	}).ok
}

// Decline refuses a call; false as for Answer.
func (b *Broker) Decline(login, device, callID string) (ok bool) {
	return ask(b.board, func(a chan bool) event { return declineEvent{login, device, callID, a} })
}

// Input says that a person is at a device; at most one a minute of each is of use.
func (b *Broker) Input(login, device string) {
	now := time.Now()
	b.presence.input(login, device, now, now.Add(b.times.DeskSign))
	b.board.post(inputEvent{login, device, now})
}
