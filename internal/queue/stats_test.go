package queue

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/delivery"
	"chmail/internal/message"
)

// TestWhatIsInTheQueueIsCounted: what waits, what is held, how long the oldest has waited, and what becomes of each attempt.
func TestWhatIsInTheQueueIsCounted(t *testing.T) {
	var mu sync.Mutex
	var sum Tried
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("later.test", 451, "later")
		o.refuses("never.test", 550, "never")
		o.mail("a@good.test", "b@good.test", "c@later.test", "d@never.test")
		synctest.Wait()
		after(time.Minute)
		held := o.mail("e@later.test")
		synctest.Wait()
		o.do(delivery.Hold, delivery.Filter{ID: held})
		s, err := o.Stats(context.Background(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if s.Waiting != 1 || s.Held != 1 || s.Active != 0 || s.Due != 0 || time.Since(s.Oldest) != time.Minute {
			t.Errorf("counted: %+v, the oldest for %v", s, time.Since(s.Oldest))
		}
		if s, err = o.Stats(context.Background(), time.Now().Add(time.Hour)); err != nil || s.Due != 1 {
			t.Errorf("in an hour: %+v, %v", s, err)
		}
		o.do(delivery.Drop, delivery.Filter{})
		if s, err = o.Stats(context.Background(), time.Now()); err != nil || s != (Stats{Lines: s.Lines}) {
			t.Errorf("when all is gone: %+v, %v", s, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if sum.Delivered != 2 || sum.Deferred != 2 || sum.Failed != 1 || !slices.Equal(sum.Reports, []message.Action{message.Failed}) {
			t.Errorf("attempts: %+v", sum)
		}
	}, func(opt *Options) {
		opt.Tried = func(tried Tried) {
			mu.Lock()
			defer mu.Unlock()
			sum.Delivered, sum.Deferred, sum.Failed = sum.Delivered+tried.Delivered, sum.Deferred+tried.Deferred, sum.Failed+tried.Failed
			sum.Reports = append(sum.Reports, tried.Reports...)
		}
	})
}
