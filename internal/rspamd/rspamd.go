// Package rspamd asks an rspamd (rspamd.com) by HTTP what it thinks of a mail. The mail goes there in pieces, it is never in memory as a whole; of the answer, only what
// is to be done with the mail and its score are read.
package rspamd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"chmail/internal/message"
)

// maxAnswer is how much of an answer is read, in octets; it names every rule that a mail has met.
const maxAnswer = 1 << 20

// Action is what is to be done with a mail.
type Action int

// The actions.
const (
	Accept Action = iota
	Mark          // it is taken, and marked
	Later         // it is to be brought again
	Reject
)

// String is the action's name in the log.
func (a Action) String() string {
	return [...]string{"accept", "mark", "later", "reject"}[a]
}

// actions are rspamd's names for them. One that is not there is an error.
func actionOf(name string) (Action, bool) {
	switch name {
	case "no action", "accept":
		return Accept, true
	case "greylist": // rspamd's module for that says "soft reject" when a mail is to wait, and keeps account of who has; where it is off, a mail put off for this would be so at every attempt, and never come
		return Accept, true
	case "add header", "rewrite subject", "quarantine":
		return Mark, true
	case "soft reject":
		return Later, true
	case "reject":
		return Reject, true
	case "discard": // it would vanish without a word to anybody: a refusal tells its sender
		return Reject, true
	}
	return 0, false
}

// Verdict is an answer.
type Verdict struct {
	Action Action
	Score  float64
}

// Options are what a Client is made from.
type Options struct {
	URL      string // of its normal worker: "http://127.0.0.1:11333"
	Password string // for workers that want one; "" for none
	Within   time.Duration
	Hostname string // this server
}

// Client asks one rspamd. Its methods may be called by many goroutines.
type Client struct {
	o    Options
	http *http.Client
}

// New makes a client.
func New(o Options) *Client {
	return &Client{o: o, http: &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: o.Within}).DialContext, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the mail is for nobody else
	}}
}

// Close lets go of its connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Check asks about a mail from outside. An error says that there is no answer that can be followed.
func (c *Client) Check(ctx context.Context, env *message.Envelope, src message.Source) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.o.URL, "/")+"/checkv2", io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		return Verdict{}, fmt.Errorf("asking rspamd: %w", err)
	}
	req.ContentLength = src.Size()
	h := req.Header
	h.Set("Content-Type", "message/rfc822")
	h.Set("Queue-Id", env.ID)
	h.Set("MTA-Name", c.o.Hostname)
	h.Set("Helo", plain(env.Helo))
	h.Set("From", plain(env.From.String()))
	for _, to := range env.To {
		h.Add("Rcpt", plain(to.String()))
	}
	if env.Peer != (netip.Addr{}) {
		h.Set("IP", env.Peer.Unmap().String())
	}
	if c.o.Password != "" {
		h.Set("Password", c.o.Password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Verdict{}, fmt.Errorf("asking rspamd: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Verdict{}, fmt.Errorf("asking rspamd: %w", err)
	case resp.StatusCode != http.StatusOK:
		return Verdict{}, fmt.Errorf("asking rspamd: status %d", resp.StatusCode)
	case len(text) > maxAnswer:
		return Verdict{}, errors.New("asking rspamd: an answer without end")
	}
	return parse(text)
}

// Ping asks whether an rspamd is there. Whether it takes the password, it only says to a mail.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.o.URL, "/")+"/ping", nil)
	if err != nil {
		return fmt.Errorf("asking rspamd: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking rspamd: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	switch {
	case err != nil:
		return fmt.Errorf("asking rspamd: %w", err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("asking rspamd: status %d", resp.StatusCode)
	case strings.TrimSpace(string(text)) != "pong":
		return errors.New("what answers there is no rspamd")
	}
	return nil
}

// parse reads an answer.
func parse(text []byte) (Verdict, error) {
	var a struct {
		Action string
		Score  float64
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return Verdict{}, fmt.Errorf("reading what rspamd says: %w", err)
	}
	action, ok := actionOf(a.Action)
	if !ok {
		return Verdict{}, fmt.Errorf("rspamd wants %.40q to be done, which nobody knows here", a.Action)
	}
	return Verdict{Action: action, Score: a.Score}, nil
}

// plain is a text that can stand in a header field.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
