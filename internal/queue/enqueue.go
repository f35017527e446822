package queue

import (
	"fmt"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// The flags of a mail.
const (
	eightBit = 1 << iota
	utf8
	requireTLS
	anyTLS
)

// Enqueue takes a mail on within the transaction that stores it; once that is committed, it is tried at once.
func (q *Queue) Enqueue(tx *sqldb.Tx, out message.Outgoing) error {
	env := out.Env
	flags := 0
	if out.EightBit {
		flags |= eightBit
	}
	if env.UTF8 {
		flags |= utf8
	}
	if out.AnyTLS {
		flags |= anyTLS
	}
	if env.Params.RequireTLS {
		flags |= requireTLS
	}
	res, err := tx.Exec(`INSERT INTO queue_mail (qid, message, size, skip, sender, login, ret, envid, flags, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		env.ID, out.Message, out.Size, out.Skip, env.From.String(), env.Login, env.Params.Ret, env.Params.EnvID, flags, env.Received)
	if err != nil {
		return fmt.Errorf("queueing mail %s: %w", env.ID, err)
	}
	mail, err := res.LastInsertId()
	if err != nil {
		return fmt.Errorf("queueing mail %s: %w", env.ID, err)
	}
	out.To = distinct(out)
	why, err := q.hold(tx, env.Login, recipients(out), env.Received)
	if err != nil {
		return err
	}
	touched := make([]string, 0, 1)
	for _, i := range out.To {
		var p message.RcptParam
		if i < len(env.Params.Rcpt) {
			p = env.Params.Rcpt[i]
		}
		to := env.To[i]
		d := q.o.Route(env.From, to)
		if _, err := tx.Exec(`INSERT INTO queue_rcpt (mail, address, notify, orcpt, destination, held, next) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			mail, to.String(), p.Notify, p.ORcpt, d, why, env.Received); err != nil {
			return fmt.Errorf("queueing mail %s: %w", env.ID, err)
		}
		if len(touched) == 0 || touched[len(touched)-1] != d {
			touched = append(touched, d)
		}
	}
	if why != "" {
		return nil
	}
	tx.AfterCommit(func() {
		for _, d := range touched {
			q.due(d)
		}
	})
	return nil
}

// distinct are those elsewhere, each once: whoever is named twice gets a mail once.
func distinct(out message.Outgoing) []int {
	if len(out.To) < 2 {
		return out.To
	}
	given := make(map[address.Address]bool, len(out.To))
	all := make([]int, 0, len(out.To))
	for _, i := range out.To {
		if to := out.Env.To[i]; !given[to] {
			given[to] = true
			all = append(all, i)
		}
	}
	return all
}

// recipients are those elsewhere.
func recipients(out message.Outgoing) []address.Address {
	all := make([]address.Address, len(out.To))
	for n, i := range out.To {
		all[n] = out.Env.To[i]
	}
	return all
}
