package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"chmail/internal/delivery"
)

// Queue is what waits for other hosts. It comes in pages, and is changed in pages: a long queue is never in memory as a whole, and holds up nobody. Its errors are shown
// to the administrator as they are.
type Queue interface {
	// Waiting shows recipients behind a number, the oldest first. An error when the filter has a queue id that is not in the queue.
	Waiting(ctx context.Context, f delivery.Filter, after int64) (delivery.Page, error)
	// Attempts are those for one recipient, by his number.
	Attempts(ctx context.Context, number int64) ([]delivery.Attempt, error)
	// Do does something with the recipients of one page. An error as in Waiting.
	Do(ctx context.Context, act delivery.Act, f delivery.Filter, after int64) (delivery.Done, error)
}

const (
	pathWaiting  = "/v1/queue"
	pathAttempts = "/v1/queue/attempts"
	pathQueueAct = "/v1/queue/do"
)

// queueOrder is what is to be done with recipients that wait.
type queueOrder struct {
	Act    delivery.Act    `json:"act"`
	Filter delivery.Filter `json:"filter"`
	After  int64           `json:"after"`
}

// queueVerbs adds what is asked about the queue.
func (s *Server) queueVerbs(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathWaiting, func(w http.ResponseWriter, r *http.Request) {
		f, after, err := filterOf(r.URL.Query())
		var v any
		if err == nil {
			v, err = s.o.Queue.Waiting(r.Context(), f, after)
		}
		s.answer(w, r, v, err)
	})
	mux.HandleFunc("GET "+pathAttempts, func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.ParseInt(r.URL.Query().Get("number"), 10, 64)
		if err != nil {
			s.answer(w, r, nil, errors.New("attempts need a recipient's number"))
			return
		}
		v, err := list(s.o.Queue.Attempts(r.Context(), number))
		s.answer(w, r, v, err)
	})
	mux.HandleFunc("POST "+pathQueueAct, func(w http.ResponseWriter, r *http.Request) {
		var o queueOrder
		err := read(w, r, &o)
		var d delivery.Done
		if err == nil {
			if d, err = s.o.Queue.Do(r.Context(), o.Act, o.Filter, o.After); err == nil && (d.Changed > 0 || d.Pardoned || d.Holds) {
				s.o.Log.Info("admin: queue changed", "act", o.Act, "recipients", d.Changed, "id", o.Filter.ID, "login", o.Filter.Login, "to", o.Filter.To, "destination", o.Filter.Destination)
			}
		}
		s.answer(w, r, d, err)
	})
}

// filterOf reads a filter from a query.
func filterOf(q url.Values) (f delivery.Filter, after int64, err error) {
	f = delivery.Filter{ID: q.Get("id"), Login: q.Get("login"), To: q.Get("to"), Destination: q.Get("destination"), Held: q.Has("held")}
	if text := q.Get("before"); text != "" {
		if f.Before, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return f, 0, fmt.Errorf("the queue needs a time that it can read, not %q", text)
		}
	}
	if after, err = strconv.ParseInt(q.Get("after"), 10, 64); err != nil {
		err = fmt.Errorf("%s needs a number after which to go on", pathWaiting)
	}
	return f, after, err
}

// Waiting shows recipients behind a number, a page at most.
func (c *Client) Waiting(ctx context.Context, f delivery.Filter, after int64) (p delivery.Page, err error) {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}}
	for name, v := range map[string]string{"id": f.ID, "login": f.Login, "to": f.To, "destination": f.Destination} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if f.Held {
		q.Set("held", "yes")
	}
	if !f.Before.IsZero() {
		q.Set("before", f.Before.Format(time.RFC3339Nano))
	}
	err = c.get(ctx, pathWaiting, q, &p)
	return p, err
}

// Attempts shows what was tried for a recipient.
func (c *Client) Attempts(ctx context.Context, number int64) (all []delivery.Attempt, err error) {
	err = c.get(ctx, pathAttempts, url.Values{"number": {strconv.FormatInt(number, 10)}}, &all)
	return all, err
}

// Do does something with the recipients of one page.
func (c *Client) Do(ctx context.Context, act delivery.Act, f delivery.Filter, after int64) (d delivery.Done, err error) {
	body, err := json.Marshal(queueOrder{act, f, after})
	if err != nil {
		return d, fmt.Errorf("writing the order: %w", err)
	}
	err = c.ask(ctx, http.MethodPost, "http://chmail"+pathQueueAct, body, &d)
	return d, err
}
