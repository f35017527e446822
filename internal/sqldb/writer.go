package sqldb

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxBatch = 256  // closures of one commit: bounds how long the first of them waits
	maxQueue = 1024 // closures that wait for their turn; whoever comes later waits to get into the queue
)

// A Panic is what Update panics with when its closure did: the value, and the stack on which it happened.
type Panic struct {
	Value any
	Stack []byte
}

// Error is for the log of whoever recovers.
func (p *Panic) Error() string {
	return fmt.Sprintf("panic in a transaction: %v\n%s", p.Value, p.Stack)
}

// Unwrap gives errors.Is and errors.As a value that is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// The states of a job; whoever changes it from waiting decides about it.
const (
	waiting int32 = iota
	taken         // by the writer: its outcome will come
	left          // by its caller: nobody waits for it any more
)

// A job is one call of Update. Its fields belong to the caller, and from taking it to the answer to the writer.
type job struct {
	f      func(*Tx) error
	state  atomic.Int32
	done   chan struct{} // one answer
	err    error
	panic  *Panic
	gone   bool // the closure ended its goroutine
	after  []func()
	failed bool // f's own outcome: no work of it is in the transaction
}

// A writer owns the connection that writes. Its fields belong to the goroutine of work, but for the channels.
type writer struct {
	c     *conn
	queue chan *job
	jobs  sync.Pool                                       // *job
	watch atomic.Pointer[func(int, time.Duration, error)] // of DB.Watch

	pending []*job // taken, and to be run before any other
	alone   int    // so many of them each in a transaction of its own
	batch   []*job // have run in the transaction in work, in this order
	current *job   // its closure is running

	stop   chan struct{} // closed: take no more jobs
	closed bool
	ended  chan struct{} // closed when work has returned for good
}

func newWriter(c *conn) *writer {
	w := &writer{c: c, queue: make(chan *job, maxQueue), stop: make(chan struct{}), ended: make(chan struct{})}
	w.jobs.New = func() any { return &job{done: make(chan struct{}, 1)} }
	return w
}

// update is DB.Update.
func (w *writer) update(ctx context.Context, f func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j, ok := w.jobs.Get().(*job)
	if !ok {
		return errors.New("updating: the pool gave something else")
	}
	*j = job{f: f, done: j.done}
	select {
	case <-w.stop:
		return ErrClosed
	default:
	}
	select {
	case w.queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return ErrClosed
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, left) {
			return ctx.Err() // the writer will find it left; nobody uses it again
		}
		<-j.done
	case <-w.ended:
		if j.state.CompareAndSwap(waiting, left) {
			return ErrClosed
		}
		<-j.done
	}
	err, panicked, gone, after := j.err, j.panic, j.gone, j.after
	j.f, j.after = nil, nil
	w.jobs.Put(j)
	switch {
	case panicked != nil:
		panic(panicked)
	case gone:
		runtime.Goexit()
	case err == nil:
		for _, f := range after {
			f()
		}
	}
	return err
}

// work is the writer's goroutine. A closure that ends it (runtime.Goexit) is survived by a successor.
func (w *writer) work() {
	defer func() {
		if j := w.current; j != nil {
			w.current = nil
			j.gone = true
			w.restart(j)
			go w.work()
		} else if w.closed {
			close(w.ended)
		}
	}()
	for {
		if len(w.pending) == 0 {
			select {
			case <-w.stop:
				w.closed = true
				return
			default:
			}
			select {
			case j := <-w.queue:
				if !j.state.CompareAndSwap(waiting, taken) {
					continue
				}
				w.pending = append(w.pending, j)
			case <-w.stop:
				continue
			}
		}
		w.transact()
	}
}

// next is the closure to run next in the transaction in work; nil when nobody waits.
func (w *writer) next() *job {
	if len(w.pending) > 0 {
		j := w.pending[0]
		w.pending[0] = nil
		if w.pending = w.pending[1:]; len(w.pending) == 0 {
			w.pending = nil
		}
		return j
	}
	for {
		select {
		case j := <-w.queue:
			if j.state.CompareAndSwap(waiting, taken) {
				return j
			}
		default:
			return nil
		}
	}
}

// transact runs one transaction.
func (w *writer) transact() {
	if err := w.begin(); err != nil {
		w.answer(w.next(), fmt.Errorf("beginning a transaction: %w", err))
		return
	}
	for len(w.batch) < maxBatch {
		j := w.next()
		if j == nil && len(w.batch) > 0 && w.alone == 0 {
			// Whoever is about to ask for this commit gets into it: the more closures share an fsync, and the pages that all of them touch, the better. With
			// nobody else at work this costs nothing.
			runtime.Gosched()
			j = w.next()
		}
		if j == nil {
			break
		}
		alone := w.alone > 0
		if alone {
			w.alone--
		}
		if !w.run(j) {
			return
		}
		if alone {
			break
		}
	}
	w.commit()
}

// begin begins a transaction, after ending one that could not be rolled back before.
func (w *writer) begin() error {
	err := w.c.control("BEGIN IMMEDIATE")
	if err != nil && w.c.control("ROLLBACK") == nil {
		err = w.c.control("BEGIN IMMEDIATE")
	}
	return err
}

// run runs a closure in its savepoint. It returns false when the transaction is no more; j is then answered, and the others run again.
func (w *writer) run(j *job) bool {
	j.err, j.panic, j.after, j.failed = nil, nil, nil, false
	if err := w.c.control("SAVEPOINT job"); err != nil {
		j.err = fmt.Errorf("beginning a savepoint: %w", err)
		w.restart(j)
		return false
	}
	tx := &Tx{c: w.c, ctx: context.Background(), write: true}
	w.current = j
	w.call(j, tx)
	w.current = nil
	if tx.lost != nil {
		if j.err == nil { // the closure took no notice
			j.err = tx.lost
		}
		w.restart(j)
		return false
	}
	j.failed = j.err != nil || j.panic != nil
	var err error
	if j.failed {
		err = w.c.control("ROLLBACK TO job")
	} else {
		j.after = tx.after
	}
	if err == nil {
		err = w.c.control("RELEASE job")
	}
	if err != nil {
		j.err = errors.Join(j.err, fmt.Errorf("ending a savepoint: %w", err))
		w.restart(j)
		return false
	}
	w.batch = append(w.batch, j)
	return true
}

func (w *writer) call(j *job, tx *Tx) {
	defer func() {
		if v := recover(); v != nil {
			j.panic = &Panic{Value: v, Stack: debug.Stack()}
		}
		if err := tx.finish(); j.err == nil {
			j.err = err
		}
	}()
	j.err = j.f(tx)
}

// restart ends the transaction without a trace, answers j, the cause of the trouble, and has all others run again.
func (w *writer) restart(j *job) {
	w.rollback()
	w.pending = append(w.batch, w.pending...)
	w.batch = nil
	w.answer(j, j.err)
}

// rollback ends a transaction of which nothing shall stay.
func (w *writer) rollback() {
	// An error says that it is gone already, or that it stays: begin sees to that.
	_ = w.c.control("ROLLBACK")
}

// commit ends the transaction and answers everybody in it.
func (w *writer) commit() {
	if len(w.batch) == 0 {
		w.rollback()
		return
	}
	began := time.Now()
	err := w.c.control("COMMIT")
	if watch := w.watch.Load(); watch != nil {
		(*watch)(len(w.batch), time.Since(began), err)
	}
	if err != nil {
		err = fmt.Errorf("committing: %w", err)
		w.rollback()
		if n := len(w.batch); n > 1 {
			// Whose fault it is cannot be told, so each runs again by itself.
			w.pending = append(w.batch, w.pending...)
			w.batch, w.alone = nil, n
			return
		}
	}
	for i, j := range w.batch {
		w.batch[i] = nil
		if !j.failed {
			j.err = err
		}
		w.answer(j, j.err)
	}
	w.batch = w.batch[:0]
	if err == nil && w.c.grown() >= logPages {
		w.trim()
	}
}

// trim moves the log into the database so far as no reader needs it. It comes after the answers: whoever was waiting has what he wants and
// goes on while the disk works. An error harms nothing, since the log holds what the database lacks; the next trim does its work too.
func (w *writer) trim() {
	_ = w.c.control("PRAGMA wal_checkpoint(PASSIVE)")
	w.c.shrunk()
}

func (w *writer) answer(j *job, err error) {
	j.err = err
	j.done <- struct{}{}
}

// halt has the writer finish its batch and returns when it is still.
func (w *writer) halt() {
	close(w.stop)
	<-w.ended
}

// shut moves the log into the database and closes the connection. Another program that reads at this moment keeps the log; the
// next to close moves it.
func (w *writer) shut() error {
	tx := &Tx{c: w.c, ctx: context.Background()}
	var busy, log, moved int64
	err := tx.QueryRow(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved)
	return errors.Join(err, w.c.close())
}
