package account

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"chmail/internal/netutil"
)

// How guessing is slowed down. A wrong password is a strike against the network that it came from (IPv4 /32, IPv6 /64) and against the login; one
// strike is forgotten a minute.
//
//   - A network waits after its last strike before its next attempt is looked at: 250 ms, doubled with each strike. What comes meanwhile waits
//     with it. From five strikes on its attempts are looked at one by one, and it is told to come back later when four wait already.
//   - A login under attack costs strangers a moment of patience each, but nobody is ever refused for what others did to his login (hazard 31).
//   - A pair of login and network where the right password was given in the last month is known: neither its network's strikes nor the
//     login's concern it, only its own.
const (
	firstPause  = 250 * time.Millisecond
	maxPause    = 16 * time.Second // between two attempts of one network: some 5,000 guesses a day
	maxPatience = 4 * time.Second  // of a stranger with a login that others attack
	patientFrom = 5                // strikes on a login before strangers have to be patient
	strictFrom  = 5                // strikes of a network before its attempts go one by one and may be refused unseen
	maxInLine   = 4                // attempts of such a network that may wait
	maxAsking   = 16               // of a known pair, attempts that have asked the memory of right passwords in vain and are not decided yet
	maxWait     = 40 * time.Second // of one attempt in all; mail clients give up after a minute
	forgetOne   = time.Minute
	maxStrikes  = 10 // what is remembered at most, so that ten quiet minutes make everything good
	knownLife   = 30 * 24 * time.Hour
	maxTracked  = 50_000 // networks, logins and known pairs each
)

// strikes are what is held against a network, a login, or a known pair of both.
type strikes struct {
	n       float64
	last    time.Time // the last strike; n counts as of then
	good    time.Time // a pair's last right password
	changes int       // of n and last
	waiting int
	asking  int // of a pair
}

func (s *strikes) count(now time.Time) float64 {
	return max(0, s.n-float64(now.Sub(s.last))/float64(forgetOne))
}

func (s *strikes) strike(now time.Time) {
	s.n, s.last = min(maxStrikes, s.count(now)+1), now
	s.changes++
}

// pause is doubled with each strike.
func pause(strikes float64, limit time.Duration) time.Duration {
	if strikes <= 0 {
		return 0
	}
	// A strike that has begun to be forgotten still counts as one.
	n := int(strikes + 0.999)
	return min(firstPause<<(n-1), limit)
}

// free is when the next attempt may be looked at.
func (s *strikes) free(now time.Time) time.Time {
	return s.last.Add(pause(s.count(now), maxPause))
}

// throttle decides how long an attempt to sign in has to wait. Its memory is bounded.
type throttle struct {
	seed maphash.Seed // keys are hashes: strangers choose the logins that they try

	mu                    sync.Mutex
	networks, logins, men map[uint64]*strikes
}

func newThrottle() *throttle {
	return &throttle{seed: maphash.MakeSeed(), networks: make(map[uint64]*strikes), logins: make(map[uint64]*strikes), men: make(map[uint64]*strikes)}
}

// attempt is somebody at the door. It belongs to one goroutine.
type attempt struct {
	network, login, pair uint64
	began                time.Time
	ahead                *strikes // struck in advance, while the password is looked at
	before               strikes  // what that was
	pass                 *strikes // the pair whose pass it has: it may ask the memory of right passwords before its turn
}

func (t *throttle) attempt(login string, peer netip.Addr) *attempt {
	net := netutil.Network(peer)
	a := &attempt{network: maphash.Comparable(t.seed, net), login: maphash.String(t.seed, login), began: time.Now()}
	a.pair = maphash.Comparable(t.seed, [2]uint64{a.network, a.login})
	return a
}

// known tells whether this login has given the right password from this network before; t.mu is held.
func (t *throttle) known(a *attempt, now time.Time) (*strikes, bool) {
	s := t.men[a.pair]
	return s, s != nil && now.Sub(s.good) < knownLife
}

// look says how long the attempt still has to wait; what must wait its turn with others is counted in line. t.mu is held.
func (t *throttle) look(a *attempt, now time.Time) (wait time.Duration, line *strikes) {
	if s, ok := t.known(a, now); ok {
		return s.free(now).Sub(now), s
	}
	if s := t.networks[a.network]; s != nil {
		wait, line = s.free(now).Sub(now), s
	}
	if s := t.logins[a.login]; s != nil {
		if n := s.count(now); n >= patientFrom {
			wait = max(wait, a.began.Add(pause(n-patientFrom+1, maxPatience)).Sub(now))
		}
	}
	return wait, line
}

// isKnown tells whether the attempt comes from somebody known.
func (t *throttle) isKnown(a *attempt) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.known(a, time.Now())
	return ok
}

// claim tells whether the password may be looked at now; then succeeded, failed or undecided has to follow. False when others of the network
// have guessed wrong since wait returned, or when it is their turn.
func (t *throttle) claim(a *attempt) bool {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	wait, line := t.look(a, now)
	if wait > 0 {
		return false
	}
	if line != nil && line.count(now) >= strictFrom {
		a.ahead, a.before = line, *line
		line.strike(now)
	}
	return true
}

// wait returns when the attempt may be looked at. ErrBusy when it would have to wait too long, or too many of its network wait already.
func (t *throttle) wait(ctx context.Context, a *attempt) error {
	for {
		now := time.Now()
		t.mu.Lock()
		wait, line := t.look(a, now)
		if wait <= 0 {
			t.givePass(a, now)
			t.mu.Unlock()
			return nil
		}
		if line == nil {
			line = new(strikes) // waits for nobody but itself
		}
		if now.Add(wait).Sub(a.began) > maxWait || line.count(now) >= strictFrom && line.waiting >= maxInLine {
			t.mu.Unlock()
			return ErrBusy
		}
		line.waiting++
		t.mu.Unlock()
		err := sleep(ctx, wait)
		t.mu.Lock()
		line.waiting--
		t.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// givePass lets an attempt ask the memory of right passwords before its turn, if it is somebody's who is known. Of strangers each question has to be
// claimed, or a burst of guesses would have as many answers as the memory is quick; and so has every further one while many of a pair have
// asked in vain. t.mu is held.
func (t *throttle) givePass(a *attempt, now time.Time) {
	if s, ok := t.known(a, now); ok && a.pass == nil && s.asking < maxAsking && s.count(now) < strictFrom {
		s.asking++
		a.pass = s
	}
}

// leave gives the pass back; t.mu is held.
func (a *attempt) leave() {
	if a.pass != nil {
		a.pass.asking--
		a.pass = nil
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failed notes a wrong password.
func (t *throttle) failed(a *attempt) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	a.leave()
	held := []*strikes{tracked(t.networks, a.network)}
	if s, ok := t.known(a, now); ok {
		held = append(held, s)
	} else {
		held = append(held, tracked(t.logins, a.login))
	}
	for _, s := range held {
		if s != a.ahead {
			s.strike(now)
		}
	}
	a.ahead = nil
}

// undecided ends an attempt whose password was not looked at to the end.
func (t *throttle) undecided(a *attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.leave()
	a.takeBack()
}

// takeBack takes the strike in advance back; t.mu is held.
func (a *attempt) takeBack() {
	if s := a.ahead; s != nil {
		if s.changes == a.before.changes+1 {
			s.n, s.last = a.before.n, a.before.last
		} else { // others of the line have been struck meanwhile, and that stays
			s.n = max(0, s.n-1)
		}
		s.changes++
		a.ahead = nil
	}
}

// succeeded notes a right password: from now on this login is known there. Strikes stay: a guesser must not wipe them by signing in as himself.
func (t *throttle) succeeded(a *attempt) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	a.leave()
	a.takeBack()
	tracked(t.men, a.pair).good = now
}

// tracked is the entry of a key, made when there is none; the least lately used of a few makes room where needed.
func tracked(m map[uint64]*strikes, key uint64) *strikes {
	s := m[key]
	if s != nil {
		return s
	}
	if len(m) >= maxTracked {
		var oldest uint64
		var used time.Time
		n := 0
		for k, s := range m {
			u := s.last
			if s.good.After(u) {
				u = s.good
			}
			if n == 0 || u.Before(used) {
				oldest, used = k, u
			}
			if n++; n == sampled {
				break
			}
		}
		delete(m, oldest)
	}
	s = new(strikes)
	m[key] = s
	return s
}
