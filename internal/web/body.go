package web

import (
	"io"
	"net/http"
	"time"
)

// wholeBody is the key under which a request keeps its body without the site's limit.
type wholeBody struct{}

const (
	bodyStall = 30 * time.Second // a large body, or an answer, of which nothing moves for so long is given up
	bodyLife  = 30 * time.Minute // and in any case after this
	bodyBit   = 16 << 10         // octets of an answer that must pass in that time
	bodyEvery = time.Second      // how often the deadline is set anew
)

// A Body is that of a request which may be larger than a form.
type Body struct {
	body io.Reader
	flow *flow // nil: the server's limit of time for a request holds
	w    http.ResponseWriter
}

// LargeBody is the body of a request without the limit for forms, at most max octets: beyond that reading fails with *http.MaxBytesError.
func LargeBody(w http.ResponseWriter, r *http.Request, max int64) *Body {
	body, ok := r.Context().Value(wholeBody{}).(io.ReadCloser)
	if !ok {
		body = r.Body
	}
	return &Body{body: http.MaxBytesReader(w, body, max), w: w}
}

// Patient lets the body take its time as long as something comes, half an hour at most. Whoever calls it has made sure who sends.
func (b *Body) Patient() {
	if b.flow == nil {
		b.flow = newFlow(b.w)
	}
}

// Read is the body's.
func (b *Body) Read(p []byte) (int, error) {
	if b.flow != nil {
		b.flow.move()
	}
	return b.body.Read(p)
}

// SlowAnswer lets an answer take its time as long as it moves, half an hour at most.
func SlowAnswer(w http.ResponseWriter) io.Writer { return &slowAnswer{w, newFlow(w)} }

type slowAnswer struct {
	w    http.ResponseWriter
	flow *flow
}

// Write is the answer's, in bits that pass a slow line in time.
func (a *slowAnswer) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		a.flow.move()
		var k int
		k, err = a.w.Write(p[n:min(n+bodyBit, len(p))])
		n += k
	}
	return n, err
}

// A flow moves a request's deadlines on with what is read or written.
type flow struct {
	control *http.ResponseController
	end     time.Time
	moved   time.Time
}

func newFlow(w http.ResponseWriter) *flow {
	return &flow{control: http.NewResponseController(w), end: time.Now().Add(bodyLife)}
}

func (f *flow) move() {
	now := time.Now()
	if now.Sub(f.moved) < bodyEvery {
		return
	}
	f.moved = now
	next := now.Add(bodyStall)
	if next.After(f.end) {
		next = f.end
	}
	// What knows no deadlines is no connection, but a test's.
	_ = f.control.SetReadDeadline(next)
	_ = f.control.SetWriteDeadline(next)
}
