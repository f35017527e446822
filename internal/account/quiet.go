package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the time zones of a machine that has none

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// hours are the quiet hours of an account: spans of its wall clock.
type hours struct {
	spans []span
	zone  *time.Location
}

// span is from one minute of the day until before another; one that ends no later than it begins goes over midnight.
type span struct{ from, to int }

const maxSpans = 8 // of one account

// at tells whether a moment lies within the hours. Only the clock on the wall counts: where summer time begins or ends at night, the hours still begin
// and end when it shows what was set.
func (h hours) at(now time.Time) bool {
	wall := now.In(h.zone)
	m := wall.Hour()*60 + wall.Minute()
	for _, s := range h.spans {
		if s.from < s.to && s.from <= m && m < s.to || s.from > s.to && (s.from <= m || m < s.to) {
			return true
		}
	}
	return false
}

// turns is when the hours begin or end next after a moment, to the minute; zero when they never do.
func (h hours) turns(now time.Time) time.Time {
	is := h.at(now)
	for next := now.Truncate(time.Minute).Add(time.Minute); next.Sub(now) < 26*time.Hour; next = next.Add(time.Minute) { // a day, even one that is longer
		if h.at(next) != is {
			return next
		}
	}
	return time.Time{}
}

// parseHours reads what settings has kept.
func parseHours(quiet, timezone string) (hours, error) {
	spans, err := parseSpans(quiet)
	if err != nil {
		return hours{}, err
	}
	zone, err := parseZone(timezone)
	return hours{spans, zone}, err
}

// parseSpans reads 22:00-07:00, or several of them with commas; "" is none.
func parseSpans(quiet string) ([]span, error) {
	if quiet == "" {
		return nil, nil
	}
	var all []span
	for one := range strings.SplitSeq(quiet, ",") {
		from, to, _ := strings.Cut(strings.TrimSpace(one), "-")
		a, err := time.Parse("15:04", from)
		b, otherErr := time.Parse("15:04", to)
		if err != nil || otherErr != nil || a.Equal(b) || len(from) != 5 || len(to) != 5 {
			return nil, fmt.Errorf("%w: quiet is a time from-to such as 22:00-07:00, several with commas, or empty for none, not %q", ErrBadSetting, quiet)
		}
		all = append(all, span{a.Hour()*60 + a.Minute(), b.Hour()*60 + b.Minute()})
	}
	if len(all) > maxSpans {
		return nil, fmt.Errorf("%w: quiet has %d spans; at most %d", ErrBadSetting, len(all), maxSpans)
	}
	return all, nil
}

// parseZone finds a time zone by its IANA name; "" is UTC.
func parseZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("%w: timezone is an IANA name such as Asia/Seoul or Europe/Berlin, or empty for UTC, not %q", ErrBadSetting, name)
	}
	return zone, nil
}

func quietHours(said string) (string, error) {
	_, err := parseSpans(said)
	return strings.ReplaceAll(said, " ", ""), err
}

func timezone(said string) (string, error) {
	_, err := parseZone(said)
	return said, err
}

// wish is how an account wants to be rung for.
type wish struct {
	quiet hours
	terms call.Terms
}

func (w wish) equal(other wish) bool {
	return w.terms == other.terms && slices.Equal(w.quiet.spans, other.quiet.spans) && (w.quiet.zone == other.quiet.zone || w.quiet.zone != nil && other.quiet.zone != nil && w.quiet.zone.String() == other.quiet.zone.String())
}

// wishes are those of the accounts that have some.
type wishes struct {
	turn sync.Mutex // of those who read them again
	mu   sync.Mutex
	of   map[string]wish
}

func (n *wishes) put(login string, w wish) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(w.quiet.spans) == 0 && w.terms == "" {
		delete(n.of, login)
		return
	}
	if n.of == nil {
		n.of = make(map[string]wish)
	}
	n.of[login] = w
}

func (n *wishes) get(login string) wish {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[login]
}

// LoadWishes reads how everybody wants to be rung for, so that Quiet and Terms need not wait for the database.
func (s *Accounts) LoadWishes(ctx context.Context) error {
	err := s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`SELECT login, quiet, timezone, terms FROM account_login WHERE quiet <> '' OR terms <> ''`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var login, quiet, zone, terms string
			if err := rows.Scan(&login, &quiet, &zone, &terms); err != nil {
				return err
			}
			s.learnWishes(login, quiet, zone, terms)
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("reading quiet hours and the like: %w", err)
	}
	return nil
}

// learnAgain reads what one account wishes for: what is committed by then, in whatever order those who changed it come here.
func (s *Accounts) learnAgain(ctx context.Context, login string) {
	before := s.wishes.get(login)
	defer func() {
		if s.o.OnWishes != nil && !s.wishes.get(login).equal(before) { // most settings have nothing to do with it
			s.o.OnWishes(login)
		}
	}()
	s.wishes.turn.Lock()
	defer s.wishes.turn.Unlock()
	var quiet, zone, terms string
	err := s.o.DB.View(context.WithoutCancel(ctx), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT quiet, timezone, terms FROM account_login WHERE login = ?`, login).Scan(&quiet, &zone, &terms)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		s.o.Log.Error("account: quiet hours could not be read again; those of before hold", "login", login, "err", err)
		return
	}
	s.learnWishes(login, quiet, zone, terms) // whoever is no more wishes for nothing
}

// learnWishes takes what an account wishes for into memory. Quiet hours that another version of the program has kept and this one cannot read mean none: it rings.
func (s *Accounts) learnWishes(login, quiet, zone, terms string) {
	h, err := parseHours(quiet, zone)
	if err != nil {
		s.o.Log.Error("account: these quiet hours cannot be read; it rings", "login", login, "err", err)
		h = hours{}
	}
	s.wishes.put(login, wish{h, call.Terms(terms)})
}

// Quiet tells whether it is a login's quiet hours now, from memory (LoadWishes). Login is canonical.
func (s *Accounts) Quiet(login string, now time.Time) bool {
	h := s.wishes.get(login).quiet
	return len(h.spans) > 0 && h.at(now)
}

// Turns is when a login's quiet hours begin or end next; zero when it has none. Login is canonical.
func (s *Accounts) Turns(login string, now time.Time) time.Time {
	h := s.wishes.get(login).quiet
	if len(h.spans) == 0 {
		return time.Time{}
	}
	return h.turns(now)
}

// Terms are those on which a login is rung for, from memory (LoadWishes); "": at once. Login is canonical.
func (s *Accounts) Terms(login string) call.Terms { return s.wishes.get(login).terms }

// ForgetWishes forgets what a removed login wished for: whoever is given the address next has no such wishes.
func (s *Accounts) ForgetWishes(login string) { s.wishes.put(login, wish{}) }
