package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chmail/internal/delivery"
	"chmail/internal/intake"
	"chmail/internal/queue"
)

// wireWay builds the doorway and the queue behind it, which the running server and an administrator's verbs need. Where no mail goes to other hosts, what is left of the time when some
// did can still be seen and dropped.
func (s *system) wireWay(ctx context.Context) (err error) {
	o := intake.Options{
		DB: s.db, Hostname: s.cfg.Hostname, Spool: s.data.spool(), Store: s.mail, Broker: s.broker, Owners: s.accounts,
		Manners: s.accounts, Policy: intake.Policy{Chat: s.cfg.Chat.Stamp, To: s.cfg.Chat.StampTo}, Tag: s.cfg.SMTP.MX.Tag, Filter: newFilter(s.cfg, s.figures, s.log), Log: s.log,
	}
	if s.queue, err = s.newQueue(ctx); err != nil {
		return err
	}
	if !s.cfg.Relay.Off {
		o.Queue = s.queue
	}
	if s.cfg.SMTP.MX.Verify {
		o.Checker = newChecker(s.cfg, s.figures)
	}
	if s.intake, err = intake.New(o); err != nil {
		return err
	}
	s.post.intake = s.intake
	return nil
}

// queueAt finds the queue for an administrator.
type queueAt func(ctx context.Context) (*queue.Queue, error)

// thisQueue is the running server's.
func (s *system) thisQueue(context.Context) (*queue.Queue, error) { return s.queue, nil }

// queueOfData opens the queue in the data that nobody else holds; nothing is sent from it.
func (k *localKeeper) queueOfData(ctx context.Context) (*queue.Queue, error) {
	if k.way == nil {
		s := &system{core: k.core, cfg: k.cfg, log: k.log, data: k.data}
		if err := s.wireWay(ctx); err != nil {
			return nil, err
		}
		k.way = s.queue
	}
	return k.way, nil
}

// Waiting shows recipients that wait for other hosts, a page at most.
func (c clerk) Waiting(ctx context.Context, f delivery.Filter, after int64) (delivery.Page, error) {
	q, err := c.queue(ctx)
	if err != nil {
		return delivery.Page{}, err
	}
	p, err := q.Waiting(ctx, f, after)
	return p, notQueued(f.ID, err)
}

// Attempts shows what was tried for one of them.
func (c clerk) Attempts(ctx context.Context, number int64) ([]delivery.Attempt, error) {
	q, err := c.queue(ctx)
	if err != nil {
		return nil, err
	}
	return q.Attempts(ctx, number)
}

// Do does something with a page of them.
func (c clerk) Do(ctx context.Context, act delivery.Act, f delivery.Filter, after int64) (delivery.Done, error) {
	q, err := c.queue(ctx)
	if err != nil {
		return delivery.Done{}, err
	}
	if act == delivery.Hold && f == (delivery.Filter{Login: f.Login}) {
		is, err := c.core.accounts.Exists(ctx, f.Login)
		if err != nil {
			return delivery.Done{}, err
		}
		if !is {
			f.Before = time.Now() // what is left of a removed account's mail; the next one of its name is somebody else
		}
	}
	d, err := q.Do(ctx, act, f, after)
	d.Off = c.relayOff && (act == delivery.Retry || act == delivery.Release)
	return d, notQueued(f.ID, err)
}

// notQueued says of a mail that is not in the queue where it may be.
func notQueued(id string, err error) error {
	if errors.Is(err, queue.ErrNotQueued) {
		return fmt.Errorf("%s is not in the queue: it has been delivered, has failed or was dropped, or never existed; the lines of the server's log with id=%[1]s say which", id)
	}
	return err
}
