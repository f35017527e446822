package chbroker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"chmail/internal/call"
)

const (
	tokenBytes  = 16 // 128 random bits
	tokenLength = 22 // characters, base64url without padding
	nameLife    = time.Minute
	nameWait    = 20 * time.Millisecond // for a name that is not known yet; a mail does not wait longer
	nameWork    = 5 * time.Second
)

// newToken makes a token and what the database keeps of it.
func newToken() (token string, hash [sha256.Size]byte) {
	var raw [tokenBytes]byte
	rand.Read(raw[:]) // never fails (it ends the program instead)
	return base64.RawURLEncoding.EncodeToString(raw[:]), sha256.Sum256(raw[:])
}

// hashToken is the hash of a token. For what is no token, ok is false and the hash is nobody's, so that the caller can go on and
// do the same work.
func hashToken(token string) (hash [sha256.Size]byte, ok bool) {
	var raw [tokenBytes + 2]byte // a longer token is cut off below
	n := 0
	if len(token) == tokenLength {
		var err error
		n, err = base64.RawURLEncoding.Strict().Decode(raw[:], []byte(token)) // one spelling per token
		ok = err == nil && n == tokenBytes                                    // line breaks, which the decoder skips, make it shorter
	}
	if !ok {
		clear(raw[:])
	}
	hash = sha256.Sum256(raw[:tokenBytes])
	if !ok {
		hash[0]++ // not even that of the all-zero token
	}
	return hash, ok
}

// Card gives a mail of login's what it needs to be answered by a chat (R3, R4): port, name and a fresh link. It asks neither SQL nor Redis once
// login's port and name are known; otherwise it waits a few milliseconds for each and goes on without. The link works once Keep has
// been committed.
func (b *Broker) Card(ctx context.Context, login string) (call.Card, error) {
	if err := ctx.Err(); err != nil {
		return call.Card{}, err
	}
	token, hash := newToken()
	return call.Card{
		Login: login, Name: b.names.of(ctx, login), Host: b.o.Host, Port: b.ports.card(ctx, login),
		URL: b.o.URL + "/c/" + token, Hash: hash[:], Expires: time.Now().Add(b.o.LinkLife),
	}, nil
}

// names remembers display names, so that a mail does not ask for its sender's each time. A changed name shows within a minute.
type names struct {
	b *Broker

	mu    sync.Mutex
	known map[string]*nameOf
}

// nameOf is guarded by names.mu.
type nameOf struct {
	name   string
	until  time.Time     // asked again after this
	asking chan struct{} // closed when the answer is there; nil when nobody asks
}

func newNames(b *Broker) *names { return &names{b: b, known: make(map[string]*nameOf)} }

// of is login's display name: the remembered one, or what can be had within nameWait.
func (n *names) of(ctx context.Context, login string) string {
	now := time.Now()
	n.mu.Lock()
	k := n.known[login]
	if k == nil {
		k = &nameOf{}
		n.known[login] = k
	}
	if now.After(k.until) && k.asking == nil {
		done := make(chan struct{})
		if n.b.work.start(func() { n.ask(login, k, done) }) {
			k.asking = done
		}
	}
	name, first := k.name, k.until.IsZero()
	asking := k.asking
	n.mu.Unlock()
	if !first || asking == nil {
		return name
	}
	wait := time.NewTimer(nameWait)
	defer wait.Stop()
	select {
	case <-asking:
	case <-wait.C:
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return k.name
}

func (n *names) ask(login string, k *nameOf, done chan struct{}) {
	ctx, cancel := context.WithTimeout(n.b.ctx, nameWork)
	defer cancel()
	name, err := n.b.o.Names(ctx, login)
	if err != nil && n.b.ctx.Err() == nil {
		n.b.log.Warn("no display name for a login", "login", login, "err", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		k.name, k.until = name, time.Now().Add(nameLife)
	}
	k.asking = nil
	close(done)
}

// forget drops names that have not been asked for lately.
func (n *names) forget(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for login, k := range n.known {
		if k.asking == nil && now.Sub(k.until) > day {
			delete(n.known, login)
		}
	}
}

func (n *names) forgetLogin(login string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, login)
}
