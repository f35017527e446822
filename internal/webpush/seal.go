package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	recordSize = 4096                     // of the one record that a message is (RFC 8188 2)
	overhead   = 16 + 4 + 1 + 65 + 1 + 16 // salt, record size, length of the key, key, padding delimiter, tag
	// MaxText is how many octets a message may have: what push services take (RFC 8291 4, RFC 8030 7.2), less the encryption's own.
	MaxText = 4096 - overhead
)

// errTooLong is a fault of the caller's.
var errTooLong = errors.New("the text is longer than push services take")

// seal encrypts text for a subscription by the coding aes128gcm (RFC 8188), with keys as RFC 8291 derives them. sender is used once; salt has 16 octets.
func seal(text []byte, s *Subscription, sender *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	if len(text) > MaxText {
		return nil, errTooLong
	}
	shared, err := sender.ECDH(s.key)
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key: %w", err)
	}
	theirs, ours := s.key.Bytes(), sender.PublicKey().Bytes()
	ikm, err := hkdf.Key(sha256.New, shared, s.auth, "WebPush: info\x00"+string(theirs)+string(ours), 32)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, overhead+len(text)), salt...)
	out = binary.BigEndian.AppendUint32(out, recordSize)
	out = append(append(out, byte(len(ours))), ours...)
	plain := append(append(make([]byte, 0, len(text)+1), text...), 2) // the last record's delimiter
	return gcm.Seal(out, nonce, plain, nil), nil
}

// sealed encrypts with keys of its own.
func sealed(text []byte, s *Subscription) ([]byte, error) {
	sender, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	var salt [16]byte
	rand.Read(salt[:]) // never fails
	return seal(text, s, sender, salt[:])
}
