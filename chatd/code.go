package chatd

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A code is what one person reads and another types: short, for a short time, once. Whoever has it can come in, so the database holds its hash alone.

const (
	codeLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ" // 32 that are not taken for one another: no 0 and O, no 1 and I
	codeSize    = 12                                 // 60 bits
	codeGroup   = 4                                  // letters that are shown together
	codeLife    = 10 * time.Minute
)

// newCode makes a code, as it is typed without blanks.
func newCode() string {
	var b [codeSize]byte
	rand.Read(b[:]) // never fails
	for i := range b {
		b[i] = codeLetters[int(b[i])%len(codeLetters)]
	}
	return string(b[:])
}

// showCode is a code in groups, as people read it.
func showCode(code string) string {
	var b strings.Builder
	for i, r := range code {
		if i > 0 && i%codeGroup == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// readCode is the code that somebody has typed: in small letters, with blanks or hyphens, or as wide as an input method writes them; "" when it is none.
func readCode(typed string) string {
	if len(typed) > 16*codeSize {
		return ""
	}
	var b strings.Builder
	for _, r := range typed {
		if r >= '！' && r <= '～' { // full-width forms
			r -= '！' - '!'
		}
		switch {
		case r == ' ', r == '-', r == '\u3000', r == '\u00a0', r == '\t', r == 'ー', r == '‐', r == '‑', r == '–', r == '—', r == '−':
			continue
		case r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		}
		if !strings.ContainsRune(codeLetters, r) || b.Len() == codeSize {
			return ""
		}
		b.WriteRune(r)
	}
	if b.Len() != codeSize {
		return ""
	}
	return b.String()
}

// codeHash is what the database knows a code by.
func codeHash(code string) []byte {
	sum := sha256.Sum256([]byte("code " + code))
	return sum[:]
}

// seal encrypts what goes with a code so that only whoever has the code can read it. Every code seals one thing, so its key is used once.
func seal(code, text string) ([]byte, error) {
	box, err := codeBox(code)
	if err != nil {
		return nil, err
	}
	return box.Seal(nil, make([]byte, box.NonceSize()), []byte(text), nil), nil
}

// unseal reads what seal has encrypted.
func unseal(code string, sealed []byte) (string, error) {
	box, err := codeBox(code)
	if err != nil {
		return "", err
	}
	text, err := box.Open(nil, make([]byte, box.NonceSize()), sealed, nil)
	if err != nil {
		return "", errors.New("what goes with a code was changed in the database")
	}
	return string(text), nil
}

func codeBox(code string) (cipher.AEAD, error) {
	key := sha256.Sum256([]byte("what goes with " + code))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	box, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	return box, nil
}
