package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"testing"
)

// open is what the browser does: an own reading of RFC 8188 and RFC 8291, from the receiver's side.
func open(t *testing.T, body []byte, private *ecdh.PrivateKey) string {
	t.Helper()
	if len(body) < 86 || body[20] != 65 || len(body) > 4096 {
		t.Fatalf("a body of %d octets", len(body))
	}
	salt, theirs, text := body[:16], body[21:86], body[86:]
	key, err := ecdh.P256().NewPublicKey(theirs)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := private.ECDH(key)
	if err != nil {
		t.Fatal(err)
	}
	derive := func(secret, salt []byte, info string, n int) []byte {
		b, err := hkdf.Key(sha256.New, secret, salt, info, n)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ikm := derive(shared, raw(t, browserAuth), "WebPush: info\x00"+string(private.PublicKey().Bytes())+string(theirs), 32)
	block, err := aes.NewCipher(derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, derive(ikm, salt, "Content-Encoding: nonce\x00", 12), text, nil)
	if err != nil || len(plain) == 0 || plain[len(plain)-1] != 2 {
		t.Fatalf("%q: %v", plain, err)
	}
	return string(plain[:len(plain)-1])
}
