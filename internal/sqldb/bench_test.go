package sqldb

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trial is the schema of the design's trial: what a mail writes.
func trial() Schema {
	return Schema{Room: "trial", Steps: []string{`
CREATE TABLE trial_message (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, body BLOB) STRICT;
CREATE TABLE trial_drop (login TEXT NOT NULL PRIMARY KEY, count INTEGER NOT NULL, octets INTEGER NOT NULL, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE trial_entry (login TEXT NOT NULL, n INTEGER NOT NULL, message INTEGER NOT NULL, uid TEXT NOT NULL, PRIMARY KEY (login, n)) STRICT, WITHOUT ROWID;
CREATE TABLE trial_link (hash BLOB NOT NULL PRIMARY KEY, login TEXT NOT NULL, message INTEGER NOT NULL) STRICT, WITHOUT ROWID`}}
}

func deliver(tx *Tx, login string, n int64, body []byte) error {
	res, err := tx.Exec(`INSERT INTO trial_message (size, body) VALUES (?, ?)`, len(body), body)
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	var last int64
	if err := tx.QueryRow(`INSERT INTO trial_drop (login, count, octets, last) VALUES (?, 1, ?, 1)
		ON CONFLICT DO UPDATE SET count = count + 1, octets = octets + excluded.octets, last = last + 1 RETURNING last`, login, len(body)).Scan(&last); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO trial_entry (login, n, message, uid) VALUES (?, ?, ?, ?)`, login, last, id, "0123456789abcdef"); err != nil {
		return err
	}
	hash := []byte(fmt.Sprintf("%032d", n*7919))
	_, err = tx.Exec(`INSERT INTO trial_link (hash, login, message) VALUES (?, ?, ?)`, hash, login, id)
	return err
}

// BenchmarkUpdate is the trial of design section 3 on the real code: four statements with an 8 KiB body.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			d := newDesk(b, trial())
			body := make([]byte, 8<<10)
			commits := d.commits(nil)
			times := make([][]time.Duration, writers)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for i := range writers {
				login := fmt.Sprintf("user%d@example.com", i)
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						t0 := time.Now()
						if err := d.Update(context.Background(), func(tx *Tx) error { return deliver(tx, login, n, body) }); err != nil {
							b.Error(err)
							return
						}
						times[i] = append(times[i], time.Since(t0))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Concat(times...)
			slices.Sort(all)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
			b.ReportMetric(float64(b.N)/float64(max(1, commits.Load())), "updates/commit")
			b.ReportMetric(float64(all[len(all)*99/100])/1e6, "p99-ms")
			b.ReportMetric(float64(all[len(all)-1])/1e6, "max-ms")
		})
	}
}

// BenchmarkView is one point read in a transaction of its own.
func BenchmarkView(b *testing.B) {
	d := newDesk(b, trial())
	for i := range 100 {
		if err := d.Update(b.Context(), func(tx *Tx) error { return deliver(tx, fmt.Sprintf("user%d@example.com", i), int64(i), nil) }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		var count, octets int64
		if err := d.View(b.Context(), func(tx *Tx) error {
			return tx.QueryRow(`SELECT count, octets FROM trial_drop WHERE login = ?`, "user57@example.com").Scan(&count, &octets)
		}); err != nil {
			b.Fatal(err)
		}
	}
}
