package pop3d

import (
	"sync"
	"time"
)

// pace keeps the logins of one maildrop apart by LOGIN-DELAY (RFC 2449 6.5) where the administrator wants it. It remembers as many
// logins as there are accounts, no more: only a right password gets here.
type pace struct {
	delay time.Duration // 0: off

	mu   sync.Mutex
	last map[string]time.Time // login → when he last got in
}

// allow tells whether the login may get in now, and remembers that he did.
func (p *pace) allow(login string, now time.Time) bool {
	if p.delay <= 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.last[login]; ok && now.Sub(last) < p.delay {
		return false
	}
	if p.last == nil {
		p.last = make(map[string]time.Time)
	}
	p.last[login] = now
	return true
}
