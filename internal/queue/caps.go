package queue

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// Caps bound what one login may send to other hosts in a day (UTC), so that a stolen password is not worth much (hazards 32). Beyond them its mail is accepted and
// held, all of it, until an administrator has looked; the postmaster is told once. Zero fields take the defaults named with them, negative ones have no limit.
type Caps struct {
	Recipients int // 2,000
	Strangers  int // of those, addresses that the login has never written to: 300
}

// memory is for how many days it is remembered whom a login has written to.
const memory = 400

func (c Caps) filled() Caps {
	if c.Recipients == 0 {
		c.Recipients = 2000
	}
	if c.Strangers == 0 {
		c.Strangers = 300
	}
	return c
}

// dayOf numbers the days.
func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// hold counts a mail's recipients, and tells why they are to be held; "" when they are not.
func (q *Queue) hold(tx *sqldb.Tx, login string, to []address.Address, now time.Time) (why string, err error) {
	if login == "" { // the system's own
		return "", nil
	}
	day, strangers := dayOf(now), 0
	for _, a := range to {
		var known bool
		err := tx.QueryRow(`UPDATE queue_met SET day = ? WHERE login = ? AND address = ? RETURNING 1`, day, login, a.Login()).Scan(&known)
		if errors.Is(err, sql.ErrNoRows) {
			strangers++
			_, err = tx.Exec(`INSERT INTO queue_met (login, address, day) VALUES (?, ?, ?)`, login, a.Login(), day)
		}
		if err != nil {
			return "", fmt.Errorf("counting what %s sends: %w", login, err)
		}
	}
	var sent, met int
	if err := tx.QueryRow(`INSERT INTO queue_day (login, day, recipients, strangers) VALUES (?, ?, ?, ?)
		ON CONFLICT (login, day) DO UPDATE SET recipients = recipients + excluded.recipients, strangers = strangers + excluded.strangers
		RETURNING recipients, strangers`, login, day, len(to), strangers).Scan(&sent, &met); err != nil {
		return "", fmt.Errorf("counting what %s sends: %w", login, err)
	}
	if err := tx.QueryRow(`SELECT why FROM queue_stop WHERE login = ?`, login).Scan(&why); !errors.Is(err, sql.ErrNoRows) {
		return why, err
	}
	switch c := q.o.Caps; {
	case c.Recipients > 0 && sent > c.Recipients:
		why = fmt.Sprintf("more than %d recipients in a day (relay.per_day)", c.Recipients)
	case c.Strangers > 0 && met > c.Strangers:
		why = fmt.Sprintf("more than %d recipients in a day to whom it had never written (relay.new_per_day)", c.Strangers)
	default:
		return "", nil
	}
	if _, err := tx.Exec(`INSERT INTO queue_stop (login, at, why) VALUES (?, ?, ?)`, login, now, why); err != nil {
		return "", fmt.Errorf("stopping the mail of %s: %w", login, err)
	}
	// What waits of it goes no further either; what is on its way this moment cannot be called back.
	if _, err := tx.Exec(`UPDATE queue_rcpt SET held = ? WHERE held = '' AND mail IN (SELECT id FROM queue_mail WHERE login = ?)`, why, login); err != nil {
		return "", fmt.Errorf("stopping the mail of %s: %w", login, err)
	}
	tx.AfterCommit(func() {
		q.log.Warn("queue: the mail of a login is held", "login", login, "why", why)
		q.alarm()
	})
	return why, nil
}

// pardon lets the mail of a login go again whose mail is released, all of it. Whose mail is released only in part is named: the rest goes on being held.
func pardon(tx *sqldb.Tx, f delivery.Filter, after int64, all []seen, d *delivery.Done) error {
	stopped := func(login string) (is bool, err error) {
		err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM queue_stop WHERE login = ?)`, login).Scan(&is)
		return is, err
	}
	if f.Login != "" && (f == delivery.Filter{Login: f.Login, Held: f.Held}) {
		is, err := stopped(f.Login)
		if err != nil || !is || after != 0 {
			return err
		}
		d.Pardoned = true
		return Pardon(tx, f.Login)
	}
	var asked []string
	for _, s := range all {
		if s.Login == "" || slices.Contains(asked, s.Login) {
			continue
		}
		asked = append(asked, s.Login)
		is, err := stopped(s.Login)
		if err != nil {
			return err
		}
		if is {
			d.Stopped = append(d.Stopped, s.Login)
		}
	}
	return nil
}

// stops lists logins whose mail is held as it comes, or the one alone.
func stops(tx *sqldb.Tx, login string) (all []delivery.Stop, err error) {
	rows, err := tx.Query(`SELECT login, why, at FROM queue_stop WHERE ? IN ('', login) ORDER BY login LIMIT ?`, login, step)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var s delivery.Stop
		var at int64
		if err := rows.Scan(&s.Login, &s.Why, &at); err != nil {
			return nil, err
		}
		s.At = time.UnixMilli(at).UTC()
		all = append(all, s)
	}
	return all, rows.Err()
}

// stop has what a login submits from now on be held, by an administrator, who need not be told of it. is: that is new.
func stop(tx *sqldb.Tx, login string) (is bool, err error) {
	err = tx.QueryRow(`INSERT INTO queue_stop (login, at, why, told) VALUES (?, ?, ?, 1) ON CONFLICT DO NOTHING RETURNING 1`, login, time.Now(), byAdministrator).Scan(&is)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return is, err
}

// Pardon lets a login's mail go again, within the transaction that releases what is held of it; what it has sent today does not count any more.
func Pardon(tx *sqldb.Tx, login string) error {
	for _, query := range []string{`DELETE FROM queue_stop WHERE login = ?`, `DELETE FROM queue_day WHERE login = ?`} {
		if _, err := tx.Exec(query, login); err != nil {
			return fmt.Errorf("letting the mail of %s go again: %w", login, err)
		}
	}
	return nil
}

// Remove forgets what a removed login has sent, within the transaction that removes its account. Mail of its that waits goes on: it was acknowledged.
func Remove(tx *sqldb.Tx, login string) error {
	for _, query := range []string{`DELETE FROM queue_stop WHERE login = ?`, `DELETE FROM queue_day WHERE login = ?`, `DELETE FROM queue_met WHERE login = ?`} {
		if _, err := tx.Exec(query, login); err != nil {
			return fmt.Errorf("forgetting what %s has sent: %w", login, err)
		}
	}
	return nil
}

// alarm has the clock tell the postmaster soon.
func (q *Queue) alarm() {
	select {
	case q.alarms <- struct{}{}:
	default:
	}
}

// warn tells the postmaster of logins whose mail is held, each once, and forgets what is too long ago to count.
func (q *Queue) warn(now time.Time) error {
	type stop struct {
		login, why string
		at         int64
	}
	var all []stop
	err := q.o.DB.View(q.life, func(tx *sqldb.Tx) error {
		all = all[:0]
		rows, err := tx.Query(`SELECT login, why, at FROM queue_stop WHERE told = 0 LIMIT 100`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var s stop
			if err := rows.Scan(&s.login, &s.why, &s.at); err != nil {
				return err
			}
			all = append(all, s)
		}
		return rows.Err()
	})
	for _, s := range all {
		if err == nil {
			err = q.tellOfStop(s.login, s.why, time.UnixMilli(s.at), now)
		}
	}
	return err
}

// tellOfStop writes to the postmaster; that he knows is in the same commit.
func (q *Queue) tellOfStop(login, why string, at, now time.Time) error {
	language, _ := q.o.Reader(q.life, q.o.Postmaster)
	m := message.Alarm{To: q.o.Postmaster, Host: q.o.Hostname, Login: login, Why: why, At: at, Language: language}
	raw, err := m.Build()
	if err != nil {
		return err
	}
	p, err := q.o.Post.Prepare(context.WithoutCancel(q.life), q.o.Postmaster, now, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	defer p.Close()
	return q.o.DB.Update(q.life, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`UPDATE queue_stop SET told = 1 WHERE login = ?`, login); err != nil {
			return err
		}
		return p.Deliver(tx)
	})
}

// fade forgets days and acquaintances that are too long ago to count, some at a time.
func (q *Queue) fade(now time.Time) error {
	return q.o.DB.Update(q.life, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM queue_day WHERE day < ?`, dayOf(now)-1); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM queue_met WHERE (login, address) IN (SELECT login, address FROM queue_met WHERE day < ? LIMIT ?)`, dayOf(now)-memory, step)
		return err
	})
}
