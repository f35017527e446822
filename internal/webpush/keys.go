package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// base64url without padding, as all of this is written (RFC 8291, RFC 8292).
func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Keys are this server's identity towards push services (RFC 8292). Subscriptions are bound to them: with other keys all of them are void.
type Keys struct{ private *ecdsa.PrivateKey }

// NewKeys makes keys.
func NewKeys() (Keys, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Keys{}, fmt.Errorf("making keys for web push: %w", err)
	}
	return Keys{k}, nil
}

// ParseKeys reads what Bytes gave.
func ParseKeys(raw []byte) (Keys, error) {
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return Keys{}, fmt.Errorf("reading keys for web push: %w", err)
	}
	return Keys{k}, nil
}

// Bytes is the private key, 32 octets, to be kept as a secret.
func (k Keys) Bytes() ([]byte, error) { return k.private.Bytes() }

// Public is what a page subscribes with: the applicationServerKey, base64url.
func (k Keys) Public() string {
	raw, err := k.private.PublicKey.Bytes()
	if err != nil {
		return "" // a key of this curve can always be written
	}
	return encode(raw)
}

// tokenLife is how long a signature towards a push service holds; RFC 8292 2 allows 24 hours, and some services count strictly.
const tokenLife = 12 * time.Hour

// authorization is the header field that says who sends (RFC 8292 3): a JSON Web Token for the service at origin, signed with ES256. subject is how its people
// reach ours, a mailto: or https: URL.
func (k Keys) authorization(origin, subject string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{"aud": origin, "exp": now.Add(tokenLife).Unix(), "sub": subject})
	if err != nil {
		return "", err
	}
	text := encode([]byte(`{"typ":"JWT","alg":"ES256"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
	if err != nil {
		return "", fmt.Errorf("signing for a push service: %w", err)
	}
	if r.BitLen() > 256 || s.BitLen() > 256 {
		return "", errors.New("signing for a push service: a number of P-256 is too long")
	}
	signature := make([]byte, 64) // RFC 7518 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return "vapid t=" + text + "." + encode(signature) + ", k=" + k.Public(), nil
}
