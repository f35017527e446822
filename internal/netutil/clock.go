package netutil

import (
	"net"
	"os"
	"sync"
	"time"
)

// clock decides until when an operation on the connection may take, and says afterwards which limit it was that ended it.
type clock struct {
	mu          sync.Mutex
	limits      Limits
	start       time.Time
	readBy      time.Time // from SetReadDeadline
	writeBy     time.Time // from SetWriteDeadline
	interrupted bool
	bulk        bool
	handed      bool          // given away by Take: the new owner sets deadlines
	spent       time.Duration // of a bulk transfer: time in which we waited for the peer; our own work does not count
	moved       int64         // of a bulk transfer: octets
}

// due is the earliest of several moments, and the error to give when it comes.
type due struct {
	at  time.Time
	why error
}

func (d *due) or(at time.Time, why error) {
	if d.at.IsZero() || at.Before(d.at) {
		d.at, d.why = at, why
	}
}

// next combines what holds for reading and for writing. The caller holds mu.
func (k *clock) next(now time.Time, each time.Duration, why error, by time.Time) due {
	var d due
	if each > 0 {
		d.or(now.Add(each), why)
	}
	if k.limits.Life > 0 {
		d.or(k.start.Add(k.limits.Life), ErrLifeOver)
	}
	if k.bulk && k.limits.MinRate > 0 {
		allowed := rateGrace + time.Duration(float64(k.moved)/float64(k.limits.MinRate)*float64(time.Second))
		d.or(now.Add(allowed-k.spent), ErrTooSlow)
	}
	if !by.IsZero() {
		d.or(by, os.ErrDeadlineExceeded)
	}
	return d
}

// beforeRead arms the read deadline of raw, unless reading is over since the server stops; why is what a timeout then means.
func (k *clock) beforeRead(raw net.Conn, now time.Time) (why, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.interrupted && !k.bulk {
		return nil, ErrShutdown
	}
	d := k.next(now, k.limits.Idle, ErrIdle, k.readBy)
	// Only a closed connection has no deadline, and there the read itself says what is the matter.
	_ = raw.SetReadDeadline(d.at)
	return d.why, nil
}

// afterRead notes what the peer sent and in what time, and turns a timeout into the limit that it was.
func (k *clock) afterRead(now time.Time, n int, err, why error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count(now, n)
	if !isTimeout(err) {
		return err
	}
	switch {
	case k.interrupted && !k.bulk:
		return ErrShutdown
	case !k.readBy.IsZero() && !time.Now().Before(k.readBy):
		return os.ErrDeadlineExceeded
	case why != nil:
		return why
	}
	return err
}

// beforeWrite arms the write deadline of raw; why is what a timeout then means.
func (k *clock) beforeWrite(raw net.Conn, now time.Time) (why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.next(now, k.limits.Write, ErrStuck, k.writeBy)
	_ = raw.SetWriteDeadline(d.at) // as in beforeRead
	return d.why
}

func (k *clock) afterWrite(now time.Time, n int, err, why error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count(now, n)
	if isTimeout(err) && why != nil {
		return why
	}
	return err
}

// count adds to the bulk transfer that is under way. The caller holds mu.
func (k *clock) count(began time.Time, n int) {
	if k.bulk {
		k.spent += time.Since(began)
		k.moved += int64(n)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}
