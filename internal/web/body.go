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
	bodyEvery = time.Second      // how often that is set anew
)

// LargeBody is the body of a request that may be larger than a form, at most max octets: beyond that reading fails with *http.MaxBytesError. Whoever asks for
// it has made sure who sends. As long as something comes the server's limit of time for a request does not hold; the context should set one.
func LargeBody(w http.ResponseWriter, r *http.Request, max int64) io.Reader {
	body, ok := r.Context().Value(wholeBody{}).(io.ReadCloser)
	if !ok {
		return r.Body
	}
	return &flowing{body: http.MaxBytesReader(w, body, max), control: http.NewResponseController(w)}
}

// SlowAnswer lets an answer take its time, as long as it moves: the limit of time begins anew with each write, once a second at most.
func SlowAnswer(w http.ResponseWriter) io.Writer {
	return &flowing{out: w, control: http.NewResponseController(w)}
}

// flowing moves the deadlines of a request along with what is read or written.
type flowing struct {
	body    io.Reader
	out     io.Writer
	control *http.ResponseController
	moved   time.Time
}

func (f *flowing) move() {
	now := time.Now()
	if now.Sub(f.moved) < bodyEvery {
		return
	}
	f.moved = now
	// A connection that knows no deadlines is a test's.
	_ = f.control.SetReadDeadline(now.Add(bodyStall))
	_ = f.control.SetWriteDeadline(now.Add(bodyStall))
}

// Read is the body's.
func (f *flowing) Read(p []byte) (int, error) {
	f.move()
	return f.body.Read(p)
}

// Write is the answer's.
func (f *flowing) Write(p []byte) (int, error) {
	f.move()
	return f.out.Write(p)
}
