package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
)

// maxBody is how many bytes a posted form may have; no page of ours needs more.
const maxBody = 64 << 10

// Options are what a Site needs to know.
type Options struct {
	URL string       // what every link begins with: scheme, host, perhaps port, nothing behind it; http only on loopback
	Log *slog.Logger // nil: slog.Default()
	// Beside finds who answers for a document that lies on another name of this server, such as mta-sts.DOMAIN: host is in lower case, without final dot, and
	// without port, which was the site's own. Nil, or a nil answer: the request is the site's, which answers to its own name only.
	Beside func(host, path string) http.Handler
	// Answered hears of every request that is over, with the status of its answer, for figures; 0 where the connection was taken over (a WebSocket) or had gone. It does not
	// wait. Nil: nobody.
	Answered func(status int)
}

// A Site is one origin: everything that is served under one scheme, host and port.
type Site struct {
	url    *url.URL
	log    *slog.Logger
	cross  *http.CrossOriginProtection
	errors *Renderer
	beside func(host, path string) http.Handler
	static map[string]*static // by bundle name; written before serving only

	answered func(status int)
}

// New makes a Site. It refuses a URL that has a path, or that is http anywhere but on loopback.
func New(o Options) (*Site, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the site's URL %q: %w", o.URL, err)
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Host == "" {
		return nil, fmt.Errorf("the site's URL %q must be scheme://host with nothing behind it", o.URL)
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("the site's URL %q must be https (http is for loopback only)", o.URL)
	}
	u.Path = ""
	u.Host = canonicalHost(u.Scheme, u.Host)
	s := &Site{url: u, log: o.Log, cross: http.NewCrossOriginProtection(), beside: o.Beside, static: make(map[string]*static), answered: o.Answered}
	if s.answered == nil {
		s.answered = func(int) {}
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.log.Info("web: request from a foreign origin refused", "origin", clip(r.Header.Get("Origin"), 100), "method", r.Method)
		s.Error(w, r, http.StatusForbidden)
	}))
	if s.errors, err = s.Add("web", files); err != nil {
		return nil, err
	}
	return s, nil
}

// Origin is the site's origin as a browser writes it: scheme://host, with the port only when it is not the scheme's own.
func (s *Site) Origin() string { return s.url.Scheme + "://" + s.url.Host }

// Secure tells whether the site is served over TLS; cookies then carry Secure and the __Host- prefix.
func (s *Site) Secure() bool { return s.url.Scheme == "https" }

// Hostname is the site's host without a port.
func (s *Site) Hostname() string { return s.url.Hostname() }

// SocketOrigin is the WebSocket origin of the site's host at port; 0 means the site's own port.
func (s *Site) SocketOrigin(port int) string {
	scheme := "ws"
	if s.Secure() {
		scheme = "wss"
	}
	if port == 0 {
		return scheme + "://" + s.url.Host
	}
	host := s.url.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s://%s:%d", scheme, host, port)
}

// CookieName gives name the __Host- prefix (RFC 6265bis 4.1.3.2) where the site is served over TLS. On plain http on
// loopback browsers refuse that prefix, and the bare name is used.
func (s *Site) CookieName(name string) string {
	if s.Secure() {
		return "__Host-" + name
	}
	return name
}

// Cookie makes a cookie of the site: HttpOnly, SameSite=Lax, Path=/, Secure where the site is. age in seconds; negative deletes it.
func (s *Site) Cookie(name, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: s.CookieName(name), Value: value, Path: "/", MaxAge: age,
		Secure: s.Secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// Handler wraps a mux with everything that holds for the whole site: host check (documents beside the site go by), security headers, size limits, CSRF,
// robots.txt, static files, our own pages for 404, 405 and 500.
func (s *Site) Handler(mux *http.ServeMux) http.Handler {
	inner := s.cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.route(w, r, mux) }))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &response{ResponseWriter: w}
		w = out
		defer func() { s.answered(out.status) }()
		defer s.recover(out, r)
		s.setHeaders(w.Header())
		all := r.Body
		if h := s.besides(r); h != nil {
			r.Body = http.MaxBytesReader(w, all, maxBody)
			s.cross.Handler(h).ServeHTTP(w, r)
			return
		}
		if !s.rightHost(w, r) {
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), wholeBody{}, all))
		r.Body = http.MaxBytesReader(w, all, maxBody)
		inner.ServeHTTP(w, r)
	})
}

func (s *Site) route(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	switch {
	case r.URL.Path == "/robots.txt":
		s.robots(w, r)
		return
	case strings.HasPrefix(r.URL.Path, staticPrefix):
		s.serveStatic(w, r)
		return
	}
	h, pattern := mux.Handler(r)
	if pattern != "" {
		mux.ServeHTTP(w, r)
		return
	}
	// The mux has no route: its own answer is plain text, so only its status and Allow are taken over.
	probe := &probeWriter{header: make(http.Header), status: http.StatusOK}
	h.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
	}
	if probe.status != http.StatusMethodNotAllowed {
		probe.status = http.StatusNotFound
	}
	s.Error(w, r, probe.status)
}

// HandlerFunc turns a function that may fail into a handler. An error is logged and answered by a 500 page, or by 413
// when the body was too large; neither says anything about the inside.
func (s *Site) HandlerFunc(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		var tooLarge *http.MaxBytesError
		switch {
		case err == nil || r.Context().Err() != nil:
		case errors.As(err, &tooLarge):
			s.Error(w, r, http.StatusRequestEntityTooLarge)
		default:
			s.log.Error("web: request failed", "route", r.Pattern, "method", r.Method, "err", err)
			s.Error(w, r, http.StatusInternalServerError)
		}
	})
}

func (s *Site) recover(w *response, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	s.log.Error("web: handler panicked", "route", r.Pattern, "method", r.Method, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if w.wrote {
		panic(http.ErrAbortHandler) // half a page is worse than a broken connection
	}
	s.Error(w, r, http.StatusInternalServerError)
}

// robots keeps every robot away: no page here is meant for an index.
func (s *Site) robots(w http.ResponseWriter, r *http.Request) {
	if !allowGet(w, r) {
		s.Error(w, r, http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	writeBody(w, r, []byte("User-agent: *\nDisallow: /\n"))
}

// response remembers whether anything was written, and with which status.
type response struct {
	http.ResponseWriter
	wrote  bool
	status int // 0: none was written
}

func (w *response) WriteHeader(status int) {
	if !w.wrote {
		w.status = status
	}
	w.wrote = w.wrote || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if !w.wrote {
		w.wrote, w.status = true, http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController, and through it WebSockets, reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// probeWriter takes the mux's own error answer, of which only status and Allow are wanted.
type probeWriter struct {
	header http.Header
	status int
}

func (p *probeWriter) Header() http.Header         { return p.header }
func (p *probeWriter) WriteHeader(status int)      { p.status = status }
func (p *probeWriter) Write(b []byte) (int, error) { return len(b), nil }

// Peer is the address that the request came from; the zero Addr when it cannot be read. Forwarding headers are not believed.
func Peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func allowGet(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	return false
}

func writeBody(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method == http.MethodHead {
		return
	}
	// A failed write means that the client has gone; there is nobody left to tell.
	_, _ = w.Write(body)
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
