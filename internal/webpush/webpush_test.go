package webpush

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func raw(t testing.TB, s string) []byte {
	t.Helper()
	b, err := decode(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of RFC 8291, appendix A.
const (
	browserKey  = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	browserAuth = "BTBZMqHH6r4Tts7J_aSIgg"
)

func subscription(endpoint, key, auth string) []byte {
	return fmt.Appendf(nil, `{"endpoint":%q,"expirationTime":null,"keys":{"p256dh":%q,"auth":%q}}`, endpoint, key, auth)
}

func TestTheExampleOfTheStandardIsMet(t *testing.T) {
	t.Parallel()
	s, err := ParseSubscription(subscription("https://push.example.net/x", browserKey, browserAuth))
	if err != nil {
		t.Fatal(err)
	}
	sender, err := ecdh.P256().NewPrivateKey(raw(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := seal([]byte("When I grow up, I want to be a watermelon"), s, sender, raw(t, "DGv6ra1nlYgDCS1FRnbzlw"))
	const want = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
	if err != nil || encode(got) != want {
		t.Errorf("sealed: %s, %v; want %s", encode(got), err, want)
	}
}

func TestWhatIsNoSubscription(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{
		"", "x", "http://push.example.net/x", "https://push.example.net:8443/x", "https://localhost/x", "https://10.0.0.1/x", "https://[::1]/x", "https://127.0.0.1/x",
		"https://user@push.example.net/x", "https://push.example.net/x#y", "ftp://push.example.net", "https://push.example.net/" + strings.Repeat("x", 1024), "https://",
		"https://169.254.169.254/latest/meta-data", "https://[::ffff:192.168.1.1]/", "https://intranet/",
	} {
		if s, err := ParseSubscription(subscription(endpoint, browserKey, browserAuth)); !errors.Is(err, ErrSubscription) {
			t.Errorf("endpoint %.40q: %v, %v", endpoint, s, err)
		}
	}
	for _, keys := range [][2]string{{browserKey[1:], browserAuth}, {browserKey, browserAuth[2:]}, {"", ""}, {"!", browserAuth}, {browserKey, "!"}, {"BAAA" + browserKey[4:], browserAuth}} {
		if _, err := ParseSubscription(subscription("https://push.example.net/x", keys[0], keys[1])); !errors.Is(err, ErrSubscription) {
			t.Errorf("keys %v: %v", keys, err)
		}
	}
	for _, text := range []string{"", "null", "[]", "{", strings.Repeat(" ", 5000)} {
		if _, err := ParseSubscription([]byte(text)); !errors.Is(err, ErrSubscription) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestASubscriptionIsKeptAndReadAgain(t *testing.T) {
	t.Parallel()
	s, err := ParseSubscription(subscription("https://push.example.net/x?y=z", browserKey+"=", browserAuth+"=="))
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSubscription(text)
	if err != nil || again.Endpoint != s.Endpoint || !again.key.Equal(s.key) || string(again.auth) != string(s.auth) {
		t.Errorf("read again: %+v, %v", again, err)
	}
}

// pushService is a push service and the browser behind it: it opens what it is sent, with the browser's keys.
type pushService struct {
	*httptest.Server
	private *ecdh.PrivateKey
	status  int
	got     []http.Header
	texts   []string
}

func newPushService(t *testing.T) (*pushService, *Subscription, *Sender) {
	t.Helper()
	private, err := ecdh.P256().NewPrivateKey(raw(t, "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	if err != nil {
		t.Fatal(err)
	}
	p := &pushService{private: private, status: http.StatusCreated}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.got = append(p.got, r.Header)
		p.texts = append(p.texts, open(t, body, private))
		w.Header().Set("Location", "https://push.example.net/elsewhere")
		w.WriteHeader(p.status)
	}))
	t.Cleanup(p.Close)
	s, err := ParseSubscription(subscription("https://push.example.net/x", browserKey, browserAuth))
	if err != nil {
		t.Fatal(err)
	}
	s.Endpoint = p.URL + "/x"
	keys, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	sender := NewSender(keys, "mailto:postmaster@example.com")
	redirects := sender.client.CheckRedirect
	sender.client = p.Client() // the real one does not dial loopback
	sender.client.CheckRedirect = redirects
	return p, s, sender
}

func TestAMessageReachesTheBrowserAndNobodyElseReadsIt(t *testing.T) {
	t.Parallel()
	p, s, sender := newPushService(t)
	if err := sender.Send(t.Context(), s, Message{Text: []byte("Bob wants to talk"), TTL: 45 * time.Second, Topic: "call-1", Urgent: true}); err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(t.Context(), s, Message{Text: []byte(strings.Repeat("x", MaxText)), TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if p.texts[0] != "Bob wants to talk" || len(p.texts[1]) != MaxText {
		t.Errorf("the browser reads %.40q", p.texts)
	}
	h := p.got[0]
	if h.Get("TTL") != "45" || h.Get("Urgency") != "high" || h.Get("Topic") != "call-1" || h.Get("Content-Encoding") != "aes128gcm" || p.got[1].Get("Urgency") != "normal" {
		t.Errorf("header: %v", h)
	}
	checkToken(t, h.Get("Authorization"), p.URL, sender.Keys)
	if err := sender.Send(t.Context(), s, Message{Text: make([]byte, MaxText+1)}); !errors.Is(err, errTooLong) {
		t.Errorf("a text that is too long: %v", err)
	}
}

// checkToken verifies the signature as a push service does.
func checkToken(t *testing.T, header, audience string, keys Keys) {
	t.Helper()
	token, k, ok := strings.Cut(strings.TrimPrefix(header, "vapid t="), ", k=")
	parts := strings.Split(token, ".")
	if !ok || k != keys.Public() || len(parts) != 3 {
		t.Fatalf("Authorization: %s", header)
	}
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(raw(t, parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(time.Unix(claims.Exp, 0)); claims.Aud != audience || claims.Sub != "mailto:postmaster@example.com" || left < time.Hour || left > 24*time.Hour {
		t.Errorf("claims: %+v", claims)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw(t, k))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	sig := raw(t, parts[2])
	if len(sig) != 64 || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		t.Error("the signature does not verify")
	}
}

func TestWhatAPushServiceAnswers(t *testing.T) {
	t.Parallel()
	p, s, sender := newPushService(t)
	for status, want := range map[int]error{200: nil, 201: nil, 202: nil, 404: ErrGone, 410: ErrGone} {
		p.status = status
		if err := sender.Send(t.Context(), s, Message{Text: []byte("x")}); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("status %d: %v, want %v", status, err, want)
		}
	}
	for _, status := range []int{301, 307, 400, 403, 429, 500, 503} {
		p.status = status
		before := len(p.got)
		err := sender.Send(t.Context(), s, Message{Text: []byte("x")})
		if err == nil || errors.Is(err, ErrGone) || strings.Contains(err.Error(), s.Endpoint) {
			t.Errorf("status %d: %v", status, err)
		}
		if len(p.got) != before+1 {
			t.Errorf("status %d: %d requests", status, len(p.got)-before)
		}
	}
	p.Close()
	if err := sender.Send(t.Context(), s, Message{Text: []byte("x")}); err == nil || strings.Contains(err.Error(), "/x") {
		t.Errorf("without a service: %v", err)
	}
}

func TestOnlyPublicHostsAreDialled(t *testing.T) {
	t.Parallel()
	p, s, sender := newPushService(t)
	real := NewSender(sender.Keys, sender.Subject)
	if err := real.Send(t.Context(), s, Message{Text: []byte("x")}); err == nil || !strings.Contains(err.Error(), "public address") {
		t.Errorf("a service on this computer: %v", err)
	}
	if len(p.got) != 0 {
		t.Error("it was asked")
	}
	for address, want := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1::1]:443": true, "93.184.216.34:80": false, "127.0.0.1:443": false, "10.1.2.3:443": false, "192.168.0.1:443": false,
		"169.254.169.254:443": false, "100.64.0.1:443": false, "0.0.0.0:443": false, "[::1]:443": false, "[fe80::1]:443": false, "[fd00::1]:443": false,
		"[::ffff:10.0.0.1]:443": false, "224.0.0.1:443": false, "[64:ff9b::a00:1]:443": false, "[2002:a00:1::]:443": false, "x": false,
	} {
		if err := allowed(context.Background(), "tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestKeysAreKeptAndReadAgain(t *testing.T) {
	t.Parallel()
	k, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := k.Bytes()
	if err != nil || len(secret) != 32 {
		t.Fatalf("%d octets, %v", len(secret), err)
	}
	again, err := ParseKeys(secret)
	if err != nil || again.Public() != k.Public() || len(raw(t, k.Public())) != 65 {
		t.Errorf("%v: %s", err, again.Public())
	}
	if _, err := ParseKeys(secret[1:]); err == nil {
		t.Error("31 octets are a key")
	}
}

func FuzzParseSubscription(f *testing.F) {
	f.Add(subscription("https://push.example.net/x", browserKey, browserAuth))
	f.Add([]byte(`{"endpoint":"https://1.2.3.4/"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSubscription(text)
		if err != nil {
			return
		}
		again, err := s.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseSubscription(again); err != nil {
			t.Errorf("%q is taken, and %q is not: %v", text, again, err)
		}
		if _, err := sealed([]byte("x"), s); err != nil {
			t.Error(err)
		}
	})
}
