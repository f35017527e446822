package push

import (
	"context"
	"sync"
)

const (
	perHost   = 16  // messages that one push service is handed at once
	hostQueue = 64  // messages of one push service that wait, or are being handed to it
	hostsMost = 256 // push services with such messages
)

// lines keep push services apart: one that is slow or dead delays its own messages only.
type lines struct {
	mu    sync.Mutex
	hosts map[string]*line
}

// A line is what one push service is to be handed.
type line struct {
	turns chan struct{} // one for each that is being handed over
	in    int           // those, and who waits
}

func newLines() *lines { return &lines{hosts: make(map[string]*line)} }

// join takes a place in a push service's line, which is to be left; ok is false when there is none.
func (ls *lines) join(host string) (l *line, ok bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l = ls.hosts[host]
	switch {
	case l == nil && len(ls.hosts) >= hostsMost, l != nil && l.in >= hostQueue:
		return nil, false
	case l == nil:
		l = &line{turns: make(chan struct{}, perHost)}
		ls.hosts[host] = l
	}
	l.in++
	return l, true
}

func (ls *lines) leave(host string, l *line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.in--; l.in == 0 {
		delete(ls.hosts, host)
	}
}

// take waits for a turn, which is to be given back, as long as ctx lasts.
func (l *line) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) give() { <-l.turns }
