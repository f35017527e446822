package webpush

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"chmail/internal/netutil"
)

// ErrGone says that a subscription does not work any more and is to be forgotten (404 or 410; RFC 8030 7.3).
var ErrGone = errors.New("the push subscription is gone")

const sendWithin = 10 * time.Second

// A Message is what is sent.
type Message struct {
	Text  []byte        // at most MaxText octets
	TTL   time.Duration // how long the service keeps it for a browser that is not there, whole seconds
	Topic string        // a later message of the same topic takes its place: 1 to 32 characters of base64url, or "" (RFC 8030 5.4)
	// Urgent wakes a sleeping device; for what somebody waits for.
	Urgent bool
}

// A Sender sends to push services.
type Sender struct {
	Keys    Keys
	Subject string // mailto: or https: URL of this server's people, for the push service's

	client *http.Client
}

// NewSender makes a sender that reaches public hosts only.
func NewSender(k Keys, subject string) *Sender {
	d := &net.Dialer{Timeout: sendWithin, ControlContext: allowed}
	return &Sender{Keys: k, Subject: subject, client: &http.Client{
		Timeout: sendWithin,
		Transport: &http.Transport{
			DialContext: d.DialContext, ForceAttemptHTTP2: true, MaxIdleConns: 16, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: sendWithin,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// allowed looks at the very address that is dialled, so that no name can lead elsewhere between a look-up and the next.
func allowed(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ap.Port() != 443 || !netutil.Public(ap.Addr()) {
		return errors.New("a push service may be on port 443 of a public address only")
	}
	return nil
}

// Send hands a message to a subscription's push service. Nil means that it has taken it, not that anybody has seen it.
func (s *Sender) Send(ctx context.Context, to *Subscription, m Message) error {
	body, err := sealed(m.Text, to)
	if err != nil {
		return fmt.Errorf("encrypting a push message: %w", err)
	}
	u, err := url.Parse(to.Endpoint)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSubscription, err)
	}
	auth, err := s.Keys.authorization(u.Scheme+"://"+u.Host, s.Subject, time.Now())
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.Endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	h := req.Header
	h.Set("Authorization", auth)
	h.Set("Content-Encoding", "aes128gcm")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("TTL", strconv.Itoa(int(m.TTL/time.Second)))
	h.Set("Urgency", "normal")
	if m.Urgent {
		h.Set("Urgency", "high")
	}
	if m.Topic != "" {
		h.Set("Topic", m.Topic)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("sending to a push service: %w", unnamed(err))
	}
	defer resp.Body.Close()
	// A connection whose answer was read can be used again; what it says beyond its status is of no use here.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return ErrGone
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return fmt.Errorf("the push service at %s answers %s", u.Host, resp.Status)
	}
	return nil
}

// unnamed takes the URL out of an error: who knows an endpoint can write to its browser's service.
func unnamed(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
