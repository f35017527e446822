package account

import (
	"context"
	"slices"
	"sync"
)

// turns hands out a few turns at a time. People who were here before come first: they have a line of their own, which strangers neither
// fill nor hold up.
type turns struct {
	mu    sync.Mutex
	free  int
	lines [2][]chan struct{} // strangers, known
}

// How many may wait in each line; at 25 ms a hash and two processors, the last of the strangers waits some 6 s.
const (
	maxStrangersWaiting = 512
	maxKnownWaiting     = 1024
)

// take waits for a turn; give gives it back. ErrBusy when the line is full; the context's cause when that ends.
func (t *turns) take(ctx context.Context, known bool) error {
	line, most := &t.lines[0], maxStrangersWaiting
	if known {
		line, most = &t.lines[1], maxKnownWaiting
	}
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	if len(*line) >= most {
		t.mu.Unlock()
		return ErrBusy
	}
	mine := make(chan struct{}, 1)
	*line = append(*line, mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(*line, mine)
	if i >= 0 {
		*line = slices.Delete(*line, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 { // it was handed over at the same moment
		t.give()
	}
	return context.Cause(ctx)
}

func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range []*[]chan struct{}{&t.lines[1], &t.lines[0]} {
		if len(*line) > 0 {
			(*line)[0] <- struct{}{}
			*line = slices.Delete(*line, 0, 1)
			return
		}
	}
	t.free++
}
