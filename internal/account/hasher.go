package account

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"runtime"

	"golang.org/x/crypto/argon2"

	"chmail/internal/message"
)

// ErrBusy says that the password was not looked at: too many attempts wait already, from this address or at all. It is a temporary
// failure (SMTP 454 4.7.0, POP3 [SYS/TEMP], HTTP 503), never "wrong password": a client that took it for that would ask its
// owner for another one. It is a refusal, which may be told as it is, and no trouble of ours.
var ErrBusy = message.Refuse(454, [3]int{4, 7, 0}, "too many attempts to sign in, try again later")

// hasher does the expensive work, one hash a processor at a time.
type hasher struct {
	params params
	derive func(password, salt []byte, passes, memory uint32, threads uint8, length uint32) []byte
	turns  turns
	nobody phc // what a password is compared with when the login is unknown, or has no password
}

func newHasher() (*hasher, error) {
	h := &hasher{params: present(), derive: derive, turns: turns{free: runtime.NumCPU()}}
	var err error
	h.nobody.salt, h.nobody.digest, err = randomHash()
	return h, err
}

// derive is argon2id, which leaves 19 MiB behind. A heap of that size is mostly collected too late: fifty people who sign in after a start had the
// process at 170 MB instead of 75. Collecting at once costs a few hundredths of what the hash did.
func derive(password, salt []byte, passes, memory uint32, threads uint8, length uint32) []byte {
	digest := argon2.IDKey(password, salt, passes, memory, threads, length)
	runtime.GC()
	return digest
}

// randomHash is a salt and a digest that no password is known to lead to.
func randomHash() (salt, digest []byte, err error) {
	salt, digest = make([]byte, 16), make([]byte, 32)
	for _, b := range [][]byte{salt, digest} {
		if _, err := rand.Read(b); err != nil {
			return nil, nil, fmt.Errorf("reading random bytes: %w", err)
		}
	}
	return salt, digest, nil
}

// make hashes a new password; the caller has a turn.
func (h *hasher) make(password string) (string, error) {
	salt, _, err := randomHash()
	if err != nil {
		return "", err
	}
	p := h.params
	return phc{params: p, salt: salt, digest: h.derive([]byte(password), salt, p.passes, p.memory, p.threads, 32)}.String(), nil
}

// check compares a password with a stored hash; stale tells that the hash was made at other costs than today's. The caller has a turn.
// An empty stored hash stands for a login that has no password or does not exist: the same work, and never a match.
func (h *hasher) check(stored, password string) (match, stale bool, err error) {
	want := h.nobody
	want.params = h.params
	if stored != "" {
		if want, err = parsePHC(stored); err != nil {
			return false, false, err
		}
	}
	got := h.derive([]byte(password), want.salt, want.passes, want.memory, want.threads, uint32(len(want.digest)))
	match = subtle.ConstantTimeCompare(got, want.digest) == 1 && stored != ""
	return match, want.params != h.params, nil
}
