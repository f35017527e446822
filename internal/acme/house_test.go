package acme

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

// words are what somebody has written, for a test to wait for.
type words struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // closed at each line
}

func newWords() *words { return &words{more: make(chan struct{})} }

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.more)
	w.more = make(chan struct{})
	return w.text.Write(p)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// until waits for a word.
func (w *words) until(t testing.TB, word string) {
	t.Helper()
	for end := time.After(20 * time.Second); ; {
		w.mu.Lock()
		text, more := w.text.String(), w.more
		w.mu.Unlock()
		if strings.Contains(text, word) {
			return
		}
		select {
		case <-more:
		case <-end:
			t.Fatalf("nobody says %q:\n%s", word, text)
		}
	}
}

// house is where a manager lives: a database, a log, and a port that the authority asks at.
type house struct {
	db   *sqldb.DB
	said *words
	log  *slog.Logger
	ln   net.Listener
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{said: newWords()}
	h.log = slog.New(slog.NewTextHandler(h.said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if h.db, err = sqldb.Open(context.Background(), filepath.Join(t.TempDir(), "acme.db"), Schema()); err != nil {
		t.Fatal(err)
	}
	if h.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.ln.Close()
		if err := h.db.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(h.said)
		}
	})
	return h
}

func (h *house) port(t testing.TB) int {
	t.Helper()
	_, port, err := net.SplitHostPort(h.ln.Addr().String())
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil {
		t.Fatal(err, perr)
	}
	return n
}

// manager is one that lives here until the test ends or it is closed.
func (h *house) manager(t testing.TB, o Options) *Manager {
	t.Helper()
	o.DB, o.Log, o.At = h.db, h.log, h.ln.Addr().String()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func closed(t testing.TB, m *Manager) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Error(err)
	}
}
