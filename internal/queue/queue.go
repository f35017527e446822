package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// Carrier brings mails to other hosts.
type Carrier interface {
	// Open finds and greets a server for a destination, which takes at least this mail. An error is a *delivery.Verdict.
	Open(ctx context.Context, destination string, m delivery.Mail) (Line, error)
}

// Line is a connection to another host's server, used by one goroutine at a time.
type Line interface {
	// Send transfers a mail and returns a verdict for each of its recipients. again tells whether the connection takes more.
	Send(ctx context.Context, m delivery.Mail) (verdicts []delivery.Verdict, again bool)
	// Close says goodbye, in bounded time.
	Close()
}

// Signer makes DKIM signatures.
type Signer interface {
	// Sign returns the fields that go on top of a mail; none where its author's domain has no key.
	Sign(ctx context.Context, m message.Source) ([]byte, error)
	// Holds tells whether the keys of signatures that Sign has made are still in use. A mail with others is signed anew.
	Holds(signatures []byte) bool
}

// Store keeps the mails' bytes.
type Store interface {
	// Body opens a message.
	Body(ctx context.Context, id int64) (message.Body, error)
	// Release lets go of a message that Enqueue was given, within the transaction.
	Release(tx *sqldb.Tx, id int64) error
}

// Parcel is a mail that waits for the transaction in which it is delivered.
type Parcel interface {
	// Deliver delivers it. A *message.Refusal: there is no such recipient any more.
	Deliver(tx *sqldb.Tx) error
	// Close throws it away unless it was delivered.
	Close()
}

// Post delivers the queue's own mail.
type Post interface {
	// Prepare stores a mail to an address, which had its account at the moment since. A *message.Refusal: there is no such recipient.
	Prepare(ctx context.Context, to string, since time.Time, raw io.Reader) (Parcel, error)
}

// Times are the queue's durations; zero fields take the defaults named with them.
type Times struct {
	// Retry are the pauses between attempts, the last of which repeats: 5, 15, 30 min, 1, 2, 4, 8, 16 h. Each is lengthened by up to an eighth, so that what failed
	// together does not come back together.
	Retry   []time.Duration
	Life    time.Duration // a recipient is given up so long after the mail was accepted; 5 days
	Late    time.Duration // its sender is told after this that it waits; 4 h
	Stopped time.Duration // mails on the way have so long to get there when the queue is closed; 4 s
}

// Limits are how much is done at once; zero fields take the defaults named with them.
type Limits struct {
	Lines          int   // connections in all; 300
	PerDestination int   // connections to one destination; 20
	PerLine        int   // mails over one connection; 100
	Back           int64 // octets of a mail that comes back whole when its sender asks for that; 1 MiB
}

// Options are what a Queue is made from. All but Signer, Reader, Times, Limits, Caps and Log must be there.
type Options struct {
	DB         *sqldb.DB // carries Schema
	Store      Store
	Carrier    Carrier
	Post       Post
	Route      func(from, to address.Address) (destination string)
	Hostname   string                                                                         // in reports
	Postmaster string                                                                         // login that gets the reports whose recipient is gone
	Signer     Signer                                                                         // nil: nothing is signed
	Reader     func(ctx context.Context, login string) (language string, zone *time.Location) // of a report, nil for UTC
	Times      Times
	Limits     Limits
	Caps       Caps
	Log        *slog.Logger // nil: slog.Default()
	Tried      func(Tried)  // hears of every attempt, for figures, and does not wait; nil: nobody
}

// Tried is what became of one attempt to bring a mail to recipients of one destination.
type Tried struct {
	Delivered, Deferred, Failed int              // recipients
	Took                        time.Duration    // 0: no other host was asked
	Reports                     []message.Action // that its sender was sent
}

// Queue is the durable outbound queue. Its methods may be called by many goroutines.
type Queue struct {
	o   Options
	log *slog.Logger
	run int64 // this run's number, by which its claims are known

	life context.Context // ends when mails on the way are cut off
	cut  context.CancelFunc
	stop chan struct{} // closed by Close: nothing new is begun
	busy sync.WaitGroup
	// alarms wake the clock: the postmaster is to be told something.
	alarms chan struct{}

	mu      sync.Mutex
	open    map[string]*destination // those with lines, or that wait for one
	waiting []*destination          // for a line, in order
	lines   int
	signed  signatures
	owed    owed
	closed  bool
}

// New makes a queue and frees what an earlier run had in work. Start starts it.
func New(ctx context.Context, o Options) (*Queue, error) {
	if o.DB == nil || o.Store == nil || o.Carrier == nil || o.Post == nil || o.Route == nil || o.Hostname == "" || o.Postmaster == "" {
		return nil, errors.New("the queue needs a database, a store, a carrier, somebody who delivers its reports, routes, a host name and a postmaster")
	}
	o.Times, o.Limits, o.Caps = o.Times.filled(), o.Limits.filled(), o.Caps.filled()
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Tried == nil {
		o.Tried = func(Tried) {}
	}
	if o.Reader == nil {
		o.Reader = func(context.Context, string) (string, *time.Location) { return "", nil }
	}
	q := &Queue{o: o, log: o.Log, stop: make(chan struct{}), alarms: make(chan struct{}, 1), open: make(map[string]*destination)}
	q.life, q.cut = context.WithCancel(context.Background())
	err := o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.QueryRow(`UPDATE queue_run SET run = run + 1 RETURNING run`).Scan(&q.run); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE queue_rcpt SET owner = 0 WHERE owner <> 0`)
		return err
	})
	if err == nil {
		err = q.reroute(ctx)
	}
	if err != nil {
		q.cut()
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	return q, nil
}

func (t Times) filled() Times {
	if len(t.Retry) == 0 {
		t.Retry = []time.Duration{
			5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour,
		}
	}
	or(&t.Life, 5*24*time.Hour)
	or(&t.Late, 4*time.Hour)
	or(&t.Stopped, 4*time.Second)
	return t
}

func (l Limits) filled() Limits {
	or(&l.Lines, 300)
	or(&l.PerDestination, 20)
	or(&l.PerLine, 100)
	or(&l.Back, 1<<20)
	return l
}

func or[T int | int64 | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Start begins to send.
func (q *Queue) Start() {
	q.busy.Add(1)
	go q.clock()
}

// Close begins nothing more, gives mails on the way their time (Times.Stopped), and cuts off the others: they are tried again by the next run.
func (q *Queue) Close() error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.stop) // under the lock: no worker begins behind it
	}
	q.mu.Unlock()
	late := time.AfterFunc(q.o.Times.Stopped, q.cut)
	defer late.Stop()
	q.busy.Wait()
	q.cut()
	if !q.settle(true) {
		return errors.New("closing the queue: what became of some mails could not be written down: they will be sent again")
	}
	return nil
}

func (q *Queue) stopping() bool {
	select {
	case <-q.stop:
		return true
	default:
		return false
	}
}

// reroute finds the destinations anew, since the configuration may have other routes by now.
func (q *Queue) reroute(ctx context.Context) error {
	type change struct {
		id          int64
		destination string
	}
	var after int64
	for {
		n := 0
		var changed []change
		err := q.o.DB.View(ctx, func(tx *sqldb.Tx) error {
			rows, err := tx.Query(`SELECT r.id, m.sender, r.address, r.destination FROM queue_rcpt AS r JOIN queue_mail AS m ON m.id = r.mail WHERE r.id > ? ORDER BY r.id LIMIT 1000`, after)
			if err != nil {
				return err
			}
			for rows.Next() {
				var sender, to, was string
				if err := rows.Scan(&after, &sender, &to, &was); err != nil {
					return err
				}
				n++
				from, _ := address.Parse(sender) // the null sender's is the zero address
				a, err := address.Parse(to)
				if err != nil {
					continue // it is put aside when its turn comes
				}
				if d := q.o.Route(from, a); d != was {
					changed = append(changed, change{after, d})
				}
			}
			return rows.Err()
		})
		if err == nil && len(changed) > 0 {
			err = q.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
				for _, c := range changed {
					if _, err := tx.Exec(`UPDATE queue_rcpt SET destination = ? WHERE id = ?`, c.destination, c.id); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil || n == 0 {
			return err
		}
	}
}
