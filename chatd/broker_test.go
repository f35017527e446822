package chatd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
)

// fakeBroker calls every desk at once and remembers what it was told.
type fakeBroker struct {
	mu      sync.Mutex
	srv     *Server
	links   map[string]call.Link
	devices map[string]*fakeDevice
	desks   int // that were attached
	states  map[string]call.State
	calls   map[string]call.Visit // by id of the call, which is "call of" its conversation
	visits  []call.Visit
	gone    []string
	parted  []string
	ended   []string
	rung    []string
	inputs  int
	stuck   bool // no link can be revoked
	rests   map[string]call.Rest
	turned  []string
	told    chan struct{} // something was told
	wait    time.Duration // for being told
	// resolved happens once a page that has joined has had its link looked up again; nil: nothing.
	resolved func()
}

type fakeDevice struct {
	login string
	alert func(call.Alert)
}

func newFakeBroker() *fakeBroker {
	b := &fakeBroker{devices: map[string]*fakeDevice{}, states: map[string]call.State{}, calls: map[string]call.Visit{}, rests: map[string]call.Rest{}, told: make(chan struct{}, 4096), wait: patience}
	link := func(id int64, login, name, subject string) call.Link {
		return call.Link{ID: id, Login: login, Name: name, Host: "localhost", Mail: message.Summary{Subject: subject}}
	}
	b.links = map[string]call.Link{
		offer:   link(1, alice, "Alice Example", "Offer for the roof"),
		gutters: link(2, alice, "Alice Example", "Gutters"),
		quote:   link(3, carol, "", "Quote"),
	}
	return b
}

func (b *fakeBroker) serve(s *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.srv = s
}

func (b *fakeBroker) link(token string) call.Link {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.links[token]
}

// give gives every link of a login a chat port.
func (b *fakeBroker) give(login string, port int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for token, l := range b.links {
		if l.Login == login {
			l.Port = port
			b.links[token] = l
		}
	}
}

func (b *fakeBroker) Resolve(_ context.Context, token string) (call.Link, error) {
	b.mu.Lock()
	l, ok := b.links[token]
	then := b.resolved
	b.mu.Unlock()
	if then != nil {
		then()
	}
	switch {
	case token == "broken":
		return call.Link{}, errors.New("the database is away")
	case !ok:
		return call.Link{}, fmt.Errorf("looking up a token: %w", call.ErrNoLink)
	}
	return l, nil
}

func (b *fakeBroker) Revoke(_ context.Context, login string, id int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stuck {
		return errors.New("the links are away")
	}
	maps.DeleteFunc(b.links, func(_ string, l call.Link) bool { return l.ID == id && l.Login == login })
	return nil
}

func (b *fakeBroker) Works(_ context.Context, login string, id int64) (bool, call.Terms, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.links {
		if l.ID == id && l.Login == login {
			return true, l.Terms, nil
		}
	}
	return false, "", nil
}

func (b *fakeBroker) SetTerms(_ context.Context, login string, id int64, terms call.Terms) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for token, l := range b.links {
		if l.ID == id && l.Login == login {
			l.Terms = terms
			b.links[token] = l
			return nil
		}
	}
	return call.ErrNoLink
}

func (b *fakeBroker) note() {
	select {
	case b.told <- struct{}{}:
	default:
	}
}

// clumsy is a visitor on whom the broker stumbles.
const clumsy = "Clumsy"

func (b *fakeBroker) Visit(v call.Visit) {
	if v.Who == clumsy {
		panic("the broker stumbled")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.note()
	b.visits = append(b.visits, v)
	id := "call of " + v.Conv
	b.calls[id] = v
	if b.states[v.Conv] == "" {
		b.states[v.Conv] = call.Opened
		b.srv.Tell(v.Conv, call.Opened)
	}
	if b.states[v.Conv] != call.Answered {
		b.alert(v.Link.Login, call.Alert{Kind: call.AlertVisit, Call: id, Conv: v.Conv, Who: v.Who, About: v.Link.Mail.Subject, At: v.Opened}, "")
	}
}

func (b *fakeBroker) alert(login string, a call.Alert, except string) {
	for id, d := range b.devices {
		if d.login == login && id != except {
			d.alert(a)
		}
	}
}

func (b *fakeBroker) Gone(conv string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = append(b.gone, conv)
	b.note()
}

func (b *fakeBroker) OwnerLeft(conv string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parted = append(b.parted, conv)
	if b.states[conv] == call.Answered {
		b.states[conv] = call.Left
		b.srv.Tell(conv, call.Left)
	}
	b.note()
}

func (b *fakeBroker) End(_, conv string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.calls, "call of "+conv)
	delete(b.states, conv)
	b.ended = append(b.ended, conv)
	b.note()
}

func (b *fakeBroker) State(conv string) (call.State, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.states[conv]
	return s, ok
}

func (b *fakeBroker) Attach(login, device string, _ netip.Addr, alert func(call.Alert)) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.devices[device] = &fakeDevice{login, alert}
	b.desks++
	b.note()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.devices, device)
		b.note()
	}
}

func (b *fakeBroker) attached() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.desks
}

func (b *fakeBroker) Rung(_, _, callID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung = append(b.rung, callID)
	b.note()
}

func (b *fakeBroker) Answer(login, device, callID string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.calls[callID]
	if !ok || v.Link.Login != login {
		return "", false
	}
	delete(b.calls, callID)
	b.states[v.Conv] = call.Answered
	b.alert(login, call.Alert{Kind: call.AlertSilence, Call: callID}, device)
	b.srv.Tell(v.Conv, call.Answered)
	return v.Conv, true
}

func (b *fakeBroker) Join(login, _, conv string) bool {
	_, ok := b.Answer(login, "", "call of "+conv) // silence goes to the device as well
	return ok
}

func (b *fakeBroker) Decline(login, _, callID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.calls[callID]
	if !ok || v.Link.Login != login {
		return false
	}
	delete(b.calls, callID)
	b.states[v.Conv] = call.Declined
	b.alert(login, call.Alert{Kind: call.AlertSilence, Call: callID}, "")
	b.srv.Tell(v.Conv, call.Declined)
	return true
}

func (b *fakeBroker) Moment(login, _, callID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.calls[callID]
	if !ok || v.Link.Login != login {
		return false
	}
	b.states[v.Conv] = call.Moment
	b.alert(login, call.Alert{Kind: call.AlertVisit, Call: callID, Conv: v.Conv, Who: v.Who}, "")
	b.srv.Tell(v.Conv, call.Moment)
	return true
}

func (b *fakeBroker) Input(string, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inputs++
	b.note()
}

func (b *fakeBroker) Rest(_ context.Context, login string, rest call.Rest, _ time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rests[login] = rest
	return nil
}

func (b *fakeBroker) Resting(login string) call.Rest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rests[login]
}

func (b *fakeBroker) Wants(link call.Link) call.State {
	return map[call.Terms]call.State{call.Proved: call.Unproved, call.AfterWords: call.Silent}[link.Terms]
}

func (b *fakeBroker) Turned(login string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turned = append(b.turned, login)
}

// until waits for the broker to have been told something.
func (b *fakeBroker) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.After(b.wait)
	for {
		b.mu.Lock()
		done := ok()
		b.mu.Unlock()
		if done {
			return
		}
		select {
		case <-b.told:
		case <-limit:
			t.Fatalf("the broker was not told: %s", what)
		}
	}
}
