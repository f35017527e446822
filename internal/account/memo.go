package account

import (
	"sync"
	"time"
)

// memo is a bounded memory of what the database or a hash said, each entry for a limited time.
type memo[K comparable, V any] struct {
	most int
	life time.Duration

	mu  sync.RWMutex
	gen uint64 // grows with every forget
	m   map[K]remembered[V]
}

type remembered[V any] struct {
	v     V
	until time.Time
}

func newMemo[K comparable, V any](most int, life time.Duration) *memo[K, V] {
	return &memo[K, V]{most: most, life: life, m: make(map[K]remembered[V])}
}

// get returns what is remembered of k at now.
func (c *memo[K, V]) get(k K, now time.Time) (V, bool) {
	c.mu.RLock()
	e, ok := c.m[k]
	c.mu.RUnlock()
	if !ok || !now.Before(e.until) {
		var none V
		return none, false
	}
	return e.v, true
}

// mark is to be taken before reading what will be put: a change in between then keeps the old state out.
func (c *memo[K, V]) mark() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.gen
}

// put remembers v, unless something was forgotten since the mark.
func (c *memo[K, V]) put(k K, v V, now time.Time, mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != mark {
		return
	}
	if _, there := c.m[k]; !there && len(c.m) >= c.most {
		c.evict(now)
	}
	c.m[k] = remembered[V]{v, now.Add(c.life)}
}

// evict makes room: of a few entries, taken as they come, the one that ends first.
func (c *memo[K, V]) evict(now time.Time) {
	var first K
	var until time.Time
	n := 0
	for k, e := range c.m {
		if !now.Before(e.until) {
			delete(c.m, k)
			continue
		}
		if until.IsZero() || e.until.Before(until) {
			first, until = k, e.until
		}
		if n++; n == sampled {
			break
		}
	}
	if len(c.m) >= c.most {
		delete(c.m, first)
	}
}

// forget drops what is remembered of k, and whatever is being read at this moment.
func (c *memo[K, V]) forget(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	delete(c.m, k)
}

// clear drops everything, and whatever is being read at this moment.
func (c *memo[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	clear(c.m)
}

// sampled is how many entries are looked at to choose the one that makes room.
const sampled = 8
