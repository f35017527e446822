package webpush

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"chmail/internal/netutil"
)

// Bounds of what a browser may hand in, in octets.
const (
	maxEndpoint     = 1024
	maxSubscription = 4096
)

// A Subscription is where and how one browser is reached, as its PushSubscription's JSON says it (Push API, W3C).
type Subscription struct {
	Endpoint string // of the browser's push service: an https URL, and a secret
	key      *ecdh.PublicKey
	auth     []byte
}

type subscriptionJSON struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256dh string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
}

// ErrSubscription says that something is no subscription to which anything would be sent.
var ErrSubscription = errors.New("this is no push subscription")

// ParseSubscription reads the JSON of a PushSubscription, from a browser or from JSON. A fault is ErrSubscription with what is wrong.
func ParseSubscription(raw []byte) (*Subscription, error) {
	if len(raw) > maxSubscription {
		return nil, fmt.Errorf("%w: it is too long", ErrSubscription)
	}
	var j subscriptionJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSubscription, err)
	}
	u, err := url.Parse(j.Endpoint)
	switch {
	case err != nil || len(j.Endpoint) > maxEndpoint:
		return nil, fmt.Errorf("%w: its endpoint is no URL", ErrSubscription)
	case u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Hostname() == "" || u.Port() != "" && u.Port() != "443":
		return nil, fmt.Errorf("%w: its endpoint is no https URL on port 443", ErrSubscription)
	case !strings.Contains(u.Hostname(), "."):
		return nil, fmt.Errorf("%w: its endpoint is on no public host", ErrSubscription)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !netutil.Public(ip) {
		return nil, fmt.Errorf("%w: its endpoint is on no public host", ErrSubscription)
	}
	return keysOf(j)
}

func keysOf(j subscriptionJSON) (*Subscription, error) {
	point, err := decode(j.Keys.P256dh)
	if err != nil {
		return nil, fmt.Errorf("%w: its key is not base64", ErrSubscription)
	}
	key, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: its key is no point of P-256", ErrSubscription)
	}
	auth, err := decode(j.Keys.Auth)
	if err != nil || len(auth) != 16 { // RFC 8291 3.2
		return nil, fmt.Errorf("%w: its secret has not 16 octets", ErrSubscription)
	}
	return &Subscription{Endpoint: j.Endpoint, key: key, auth: auth}, nil
}

// decode takes base64url with or without padding; some browsers have sent either.
func decode(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

// JSON is what ParseSubscription reads.
func (s *Subscription) JSON() ([]byte, error) {
	j := subscriptionJSON{Endpoint: s.Endpoint}
	j.Keys.P256dh, j.Keys.Auth = encode(s.key.Bytes()), encode(s.auth)
	return json.Marshal(j)
}

// Host names the push service: the endpoint's host in small letters.
func (s *Subscription) Host() string {
	u, err := url.Parse(s.Endpoint)
	if err != nil { // which ParseSubscription has refused
		return ""
	}
	return strings.ToLower(u.Hostname())
}
