package mailbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// crowd fills a maildrop with n small entries at once, as if one message had been delivered n times.
func (o *office) crowd(login string, n int) {
	o.t.Helper()
	err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error {
		var box, last int64
		if err := tx.QueryRow(`INSERT INTO mailbox_drop (login, count, octets, last) VALUES (?1, ?2, ?2 * 7, ?2)
			ON CONFLICT DO UPDATE SET count = count + ?2, octets = octets + ?2 * 7, last = last + ?2 RETURNING id, last`, login, n).Scan(&box, &last); err != nil {
			return err
		}
		res, err := tx.Exec(`INSERT INTO mailbox_message (refs, size, body) VALUES (?, 7, ?)`, n, []byte("crowd\r\n"))
		if err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return err
		}
		_, err = tx.Exec(`WITH RECURSIVE i(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM i WHERE n < ?2)
			INSERT INTO mailbox_entry (box, n, message, size, uid) SELECT ?3, n, ?4, 7, 'uid-' || n FROM i`, last-int64(n)+1, last, box, id)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// A model is what a session should see: the numbers of its entries within the maildrop.
type model struct {
	*session
	sees []int
}

func (m *model) check(numbers ...int) {
	m.t.Helper()
	if n, octets := m.Stat(); n != len(m.sees) || octets != int64(7*len(m.sees)) {
		m.t.Fatalf("there are %d messages, %d octets; want %d", n, octets, len(m.sees))
	}
	for _, number := range numbers {
		e, err := m.Entry(context.Background(), number)
		if want := fmt.Sprintf("uid-%d", m.sees[number-1]); err != nil || e.UID != want || e.Number != number {
			m.t.Fatalf("message %d is %v, %v; want %s", number, e, err, want)
		}
	}
}

// checkList lists from a number on, more than a page of a listing if there is so much.
func (m *model) checkList(from int) {
	m.t.Helper()
	const most = listPage + 100
	number := from
	err := m.List(context.Background(), from, func(e message.Entry) bool {
		if want := fmt.Sprintf("uid-%d", m.sees[number-1]); e.UID != want || e.Number != number {
			m.t.Fatalf("listing from %d: message %d is %v, want %s", from, number, e, want)
		}
		number++
		return number < from+most
	})
	if want := min(most, len(m.sees)-from+1); err != nil || number-from != want {
		m.t.Fatalf("listing from %d gave %d of %d, error %v", from, number-from, want, err)
	}
}

// Sessions come and go, delete here and there, mail arrives, the janitor cleans: every session sees what it saw when it began, and each number finds
// its message, by whatever way.
func TestEverySessionCountsRightWhateverTheOthersDo(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			rnd := rand.New(rand.NewPCG(seed, 1))
			var live []int // entries that are there
			var sessions []*model
			last := 0
			for range 40 {
				switch k := rnd.IntN(10); {
				case k < 2 || last == 0:
					n := 1 + rnd.IntN(1500)
					o.crowd(alice, n)
					for range n {
						last++
						live = append(live, last)
					}
				case k < 5 || len(sessions) == 0:
					sessions = append(sessions, &model{session: o.look(alice), sees: slices.Clone(live)})
				case k < 8:
					i := rnd.IntN(len(sessions))
					live = sessions[i].leave(rnd, live)
					sessions = slices.Delete(sessions, i, i+1)
				default:
					o.clean(time.Now())
				}
				for _, m := range sessions {
					if n := len(m.sees); n > 0 {
						m.check(1+rnd.IntN(n), n)
						if rnd.IntN(8) == 0 {
							m.checkList(1 + rnd.IntN(n))
						}
					}
				}
			}
			for _, m := range sessions {
				m.quit()
			}
			(&model{session: o.look(alice), sees: live}).check()
			o.audit()
		})
	}
}

// leave deletes some of what the session sees and ends it; it returns what is there then.
func (m *model) leave(rnd *rand.Rand, live []int) []int {
	m.t.Helper()
	var delete []int
	gone := make(map[int]bool)
	from, every := rnd.IntN(len(m.sees)+1), 1+rnd.IntN(3)
	if rnd.IntN(2) == 0 {
		from = 0 // from the beginning, as most clients do
	}
	for i := from; i < min(len(m.sees), from+2000); i += every {
		delete = append(delete, i+1)
		gone[m.sees[i]] = true
	}
	m.quit(delete...)
	return slices.DeleteFunc(slices.Clone(live), func(n int) bool { return gone[n] })
}

// Somebody who has left nothing on the server for years does not pay for the years.
func TestAMaildropThatIsEmptiedAgainAndAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 12 {
		o.crowd(alice, blockSize/2+1)
		s := o.look(alice)
		n, _ := s.Stat()
		s.quit(slices.Collect(func(yield func(int) bool) {
			for i := range n - 1 { // the latest stays
				if !yield(i + 1) {
					return
				}
			}
		})...)
		o.clean(time.Now())
		o.audit()
		late := &model{session: o.look(alice), sees: []int{int(o.number(`SELECT last FROM mailbox_drop`))}}
		late.check(1)
		late.checkList(1)
		late.quit()
	}
	if base, rows := o.number(`SELECT base FROM mailbox_drop`), o.number(`SELECT count(*) FROM mailbox_gap`); base < 5 || rows > 2 {
		t.Errorf("%d blocks are passed over, %d are still looked at", base, rows)
	}
}

// Deliveries, sessions and the janitor at the same time: nothing is lost, nothing is read twice, and at the end all counts are right.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	drops := []string{alice, bob, "carol@example.com"}
	const senders, mails = 4, 60
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range mails {
				size := 200
				if n%20 == 0 {
					size = inRow + 1
				}
				o.send(letter(fmt.Sprintf("%d-%d", i, n), size), drops[n%3], drops[(n+i)%3])
			}
		})
	}
	fetched := make([]map[string]int, len(drops))
	for i, login := range drops {
		fetched[i] = make(map[string]int)
		wg.Go(func() {
			want := 0
			for sender := range senders {
				for n := range mails {
					if n%3 == i || (n+sender)%3 == i {
						want++
					}
				}
			}
			for len(fetched[i]) < want && !t.Failed() {
				fetch(o, login, fetched[i])
			}
		})
	}
	wg.Wait()
	for i := range drops {
		for uid, n := range fetched[i] {
			if n != 1 {
				t.Errorf("%s was fetched %d times", uid, n)
			}
		}
	}
	o.clean(time.Now())
	o.audit()
	if n := o.number(`SELECT count(*) FROM mailbox_message`); n != 0 {
		t.Errorf("all is fetched, and %d messages are left", n)
	}
}

// fetch reads and deletes what is there.
func fetch(o *office, login string, fetched map[string]int) {
	s := o.look(login)
	var all []int
	err := s.List(context.Background(), 1, func(e message.Entry) bool { fetched[e.UID]++; all = append(all, e.Number); return true })
	if err != nil {
		o.t.Error(err)
	}
	for _, n := range all {
		r, err := s.Read(context.Background(), n)
		if err != nil {
			o.t.Error(err)
			continue
		}
		if err := r.Close(); err != nil {
			o.t.Error(err)
		}
	}
	s.quit(all...)
}

// A maildrop of 100,000 costs a session no more than a small one, until it wants to see them all. Not parallel: it counts allocations.
func TestALargeMaildropCostsWhatIsLookedAt(t *testing.T) {
	o := newOffice(t)
	const many = 100_000
	o.crowd(alice, many)
	holes := o.look(alice)
	var some []int
	for n := 5; n <= many; n += 997 {
		some = append(some, n)
	}
	holes.quit(some...)
	cost := func(f func()) float64 { return testing.AllocsPerRun(1, f) } // an entry that is walked over costs one at least

	if got := cost(func() {
		s := o.look(alice)
		if n, _ := s.Stat(); n != many-len(some) {
			t.Errorf("STAT says %d", n)
		}
		s.quit()
	}); got > 150 {
		t.Errorf("opening a maildrop of 100,000 takes %.0f allocations", got)
	}
	if got := cost(func() {
		s := o.look(alice)
		e, err := s.Entry(t.Context(), 57_123)
		if err != nil || e.UID != "uid-57181" {
			t.Errorf("message 57,123 is %v, %v", e, err)
		}
		if got := string(s.read(57_123)); got != "crowd\r\n" {
			t.Errorf("message 57,123 reads %s", got)
		}
		if cap(s.page) > 2*keptPage {
			t.Errorf("the session keeps %d entries", cap(s.page))
		}
		s.quit()
	}); got > 3000 {
		t.Errorf("reading message 57,123 takes %.0f allocations", got)
	}
	s := o.look(alice)
	if got := cost(func() {
		n := 0
		if err := s.List(t.Context(), 57_123, func(message.Entry) bool { n++; return n < 100 }); err != nil || n != 100 {
			t.Errorf("listing 100 gave %d, %v", n, err)
		}
	}); got > 3000 {
		t.Errorf("listing a page from the middle takes %.0f allocations", got)
	}
	if n := len(s.list(1)); n != many-len(some) {
		t.Errorf("the whole listing has %d", n)
	}
}

// A listing reads by pages, so that no reading lasts long; what ends it early is an error, or the caller's wish.
func TestAListingThatBreaksOff(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.crowd(alice, 3*listPage)
	s := o.look(alice)
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	err := s.List(ctx, 1, func(message.Entry) bool {
		if seen++; seen == listPage+1 {
			cancel()
		}
		return true
	})
	if !errors.Is(err, context.Canceled) || seen > listPage+1 {
		t.Errorf("%d were listed after the end, error %v", seen-listPage-1, err)
	}
	if err := s.List(t.Context(), 3*listPage+1, func(message.Entry) bool { t.Error("listed"); return true }); err != nil {
		t.Errorf("listing from behind the end: %v", err)
	}
	if err := s.List(t.Context(), 0, func(message.Entry) bool { return true }); !errors.Is(err, ErrNoEntry) {
		t.Errorf("listing from 0: %v", err)
	}
}
