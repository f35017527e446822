// Package admin is the door for whoever runs the server: a control socket in the data folder, by which the program's verbs ask and
// change the running server, and a health listener for monitors. Both speak HTTP; the socket's file is open to its owner only, which
// is all the protection it has and needs.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"chmail/internal/message"
)

// Accounts change the accounts. Their errors are shown to the administrator as they are and must hold no password.
type Accounts interface {
	Add(ctx context.Context, login, password, name string) error
	SetPassword(ctx context.Context, login, password string) error
	// Set changes settings, all of them or none.
	Set(ctx context.Context, login string, changes map[string]string) error
	Remove(ctx context.Context, login string) error
}

// Reports tell how things stand. Their errors are shown to the administrator as they are.
type Reports interface {
	Accounts(ctx context.Context) ([]Account, error)
	Presence(ctx context.Context, login string) ([]Person, error) // "" for all
	Ports(ctx context.Context) ([]Port, error)
	Whois(ctx context.Context, port int) (Owner, error) // an error when nobody has the port
}

// Account is an account in `chmail account list`. Times are UTC here and below.
type Account struct {
	Login       string    `json:"login"`
	Name        string    `json:"name"` // display name; "" when there is none
	Created     time.Time `json:"created"`
	Changed     time.Time `json:"changed"`      // when the password was last set
	HasPassword bool      `json:"has_password"` // false: it has a maildrop, but nobody can sign in
	// Settings that differ from what holds without them.
	Chat        string `json:"chat,omitempty"`         // on, header-only or off
	Language    string `json:"language,omitempty"`     // ja or ko
	PublishHost bool   `json:"publish_host,omitempty"` // CH-Host is the owner's own address
	Terms       string `json:"ring,omitempty"`         // on what terms it rings; "": at once
	Quiet       string `json:"quiet,omitempty"`        // hours in which nothing rings, such as 22:00-07:00
	Timezone    string `json:"timezone,omitempty"`     // IANA name of the zone in which they count; "" is UTC
	Scram       bool   `json:"scram,omitempty"`        // the password's SCRAM keys are kept
	// Box is its maildrop: how it is set, and what it holds.
	Box message.Box `json:"maildrop"`
}

// Person is a login in `chmail presence` (interfaces.md).
type Person struct {
	Login    string     `json:"login"`
	Verdict  string     `json:"verdict"` // active, on, off or unknown
	Latest   *Latest    `json:"latest"`  // nil when there never was a sign
	Evidence []Evidence `json:"evidence"`
	Until    *time.Time `json:"until"` // the verdict ends then unless there is a new sign; nil for off and unknown
}

// Latest is where a login was seen last.
type Latest struct {
	IP     string    `json:"ip"`
	Host   string    `json:"host"` // what the client called itself; "" where its protocol has no such name
	Source string    `json:"source"`
	Seen   time.Time `json:"seen"`
	// In `chmail presence`: seconds between the polls of the mail client whose sign it was, as far as learned, and how long the sign was evidence.
	Interval int64      `json:"interval_s,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
}

// Evidence is one place that speaks for a login's being on.
type Evidence struct {
	Source   string    `json:"source"`
	Client   string    `json:"client"`
	IP       string    `json:"ip"`
	Host     string    `json:"host"`
	Seen     time.Time `json:"seen"`
	Until    time.Time `json:"until"`
	Interval int64     `json:"interval_s"` // seconds between its polls; 0 until learned
	Age      int64     `json:"age_s"`      // seconds since it was seen
	// Polls are those by which the interval is known; 0 for what does not poll.
	Polls int        `json:"polls,omitempty"`
	Input *time.Time `json:"input,omitempty"` // of a person, at a device
}

// Port is a lease in `chmail ports`, with or without a listener.
type Port struct {
	Port      int       `json:"port"`
	Login     string    `json:"login"`
	Host      string    `json:"host"` // the chat host that the port is on
	Listening bool      `json:"listening"`
	Until     time.Time `json:"until"`
}

// Owner is the answer of `chmail whois`.
type Owner struct {
	Port   int     `json:"port"`
	Login  string  `json:"login"`
	Latest *Latest `json:"latest"` // nil when there never was a sign
}

// Options are what a Server needs.
type Options struct {
	Accounts      Accounts
	Reports       Reports
	AppPasswords  AppPasswords
	Aliases       Aliases
	Conversations Conversations
	Queue         Queue
	Certificates  func() []Certificate // those from an authority; nil: none are
	// Alive tells whether the server can do its work, within the context; for /healthz. It asks the database and never Redis: losing
	// presence is no reason to restart a mail server. Nil: it lives as long as it answers.
	Alive func(ctx context.Context) error
	// Metrics answers GET /metrics on the health listener; nil: nobody does.
	Metrics http.Handler
	Log     *slog.Logger // nil: slog.Default()
}

// Server serves the control socket and the health listener.
type Server struct {
	o       Options
	control *http.Server
	health  *http.Server
}

const (
	maxBody      = 64 << 10         // octets of a request; the longest is a password
	aliveTime    = 2 * time.Second  // a database that takes longer is not alive
	maxMonitors  = 64               // connections to the health listener at once
	controlTime  = 60 * time.Second // for one request of a verb: hashing may have to wait its turn
	monitorTime  = 5 * time.Second
	maxHeaderLen = 8 << 10
)

// New makes a Server; nothing listens yet.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{o: o}
	quiet := slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)
	s.control = &http.Server{
		Handler: s.verbs(), ReadTimeout: controlTime, WriteTimeout: controlTime, IdleTimeout: controlTime, MaxHeaderBytes: maxHeaderLen, ErrorLog: quiet,
	}
	s.health = &http.Server{
		Handler: s.monitors(), ReadTimeout: monitorTime, WriteTimeout: monitorTime, IdleTimeout: monitorTime, MaxHeaderBytes: maxHeaderLen, ErrorLog: quiet,
	}
	return s
}

// ServeControl serves the verbs on a listener of ListenControl until Shutdown; nil then.
func (s *Server) ServeControl(ln net.Listener) error { return serve(s.control, ln) }

// ServeHealth serves GET /healthz, and GET /metrics, until Shutdown; nil then.
func (s *Server) ServeHealth(ln net.Listener) error {
	return serve(s.health, netutil.LimitListener(ln, maxMonitors))
}

func serve(h *http.Server, ln net.Listener) error {
	if err := h.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown lets requests end until ctx does, then breaks off what is left. The socket's file goes with its listener.
func (s *Server) Shutdown(ctx context.Context) error {
	var both sync.WaitGroup
	var errs [2]error
	for i, h := range []*http.Server{s.control, s.health} {
		both.Go(func() {
			if errs[i] = h.Shutdown(ctx); errs[i] != nil {
				errs[i] = errors.Join(errs[i], h.Close())
			}
		})
	}
	both.Wait()
	return errors.Join(errs[:]...)
}

func (s *Server) monitors() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if s.o.Alive != nil {
			ctx, cancel := context.WithTimeout(r.Context(), aliveTime)
			defer cancel()
			if err := s.o.Alive(ctx); err != nil && r.Context().Err() == nil {
				s.o.Log.Error("admin: not alive", "err", err)
				w.WriteHeader(http.StatusServiceUnavailable)
				say(w, "not alive\n") // the cause is in the log; whoever asks may be a stranger
				return
			}
		}
		say(w, "ok\n")
	})
	if s.o.Metrics != nil {
		mux.Handle("GET /metrics", s.o.Metrics)
	}
	return mux
}

// say writes a short answer. A failed write means that the other side has gone: there is nobody left to tell.
func say(w http.ResponseWriter, text string) { _, _ = w.Write([]byte(text)) }
