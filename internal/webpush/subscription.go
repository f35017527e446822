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
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !public(ip) {
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

// public tells whether an address is one that everybody may reach, and not this computer's or its network's own (SSRF).
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" {
		return false
	}
	for _, p := range special() {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// special are ranges that netip counts as global unicast and that are not public (IANA's special-purpose registries).
func special() [10]netip.Prefix {
	return [...]netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
	}
}
