package chbroker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// errAway says that the maps have not answered lately and are not asked at all before they do.
var errAway = errors.New("the maps are away")

// tolerated is how many failures in a row are taken for bad luck.
const tolerated = 2

// guard stands before the maps: nobody waits for them longer than the budget, and once they fail again and again nobody waits
// at all. Only the keeper asks a store that is away whether it has come back.
type guard struct {
	maps   Maps
	budget time.Duration
	log    *slog.Logger

	failures atomic.Int32 // in a row
	failed   atomic.Uint64
	answered atomic.Bool // at least once since the beginning
	returned atomic.Bool // the maps were away and are back; the keeper takes note
}

func (g *guard) away() bool { return g.failures.Load() > tolerated }

// do asks the maps within the budget.
func (g *guard) do(ctx context.Context, what string, f func(context.Context) error) error {
	if g.away() {
		return errAway
	}
	within, cancel := context.WithTimeout(ctx, g.budget)
	defer cancel()
	err := f(within)
	if err != nil && ctx.Err() != nil {
		return err // the caller gave up; that says nothing about the maps
	}
	g.outcome(what, err)
	return err
}

// patient is the outcome of asking with patience. Maps that are away are back only when they answer well within the budget: with a slow answer, everybody
// else would soon wait for nothing again.
func (g *guard) patient(what string, took time.Duration, err error) {
	if err != nil || took <= g.budget/2 {
		g.outcome(what, err)
	}
}

// outcome counts, and logs when the maps go away and when they are back.
func (g *guard) outcome(what string, err error) {
	if err == nil {
		g.answered.Store(true)
		if g.failures.Swap(0) > tolerated {
			g.returned.Store(true)
			g.log.Info("presence and port maps are back")
		}
		return
	}
	g.failed.Add(1)
	switch n := g.failures.Add(1); {
	case n == tolerated+1:
		g.log.Warn("presence and port maps do not answer; going on without them", "doing", what, "err", err)
	case n > 1<<30:
		g.failures.Store(tolerated + 2)
	}
}
