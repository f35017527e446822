package scram

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/xdg-go/scram"
)

// Iterations of PBKDF2 between a password and its keys, the same for every login: the number goes to whoever asks, and one of its own would tell that there is something to
// find. RFC 7677 4 asks for 4,096 at least. App passwords have no need of any; an account's password has, and a client on a slow telephone takes a hundredth of a second for them.
const Iterations = 10_000

// SaltSize is that of a salt, in octets.
const SaltSize = 16

// Keys are what a server keeps of a password (RFC 5802 3): enough to know who has it, not enough to pose as him.
type Keys struct {
	Stored, Server []byte // 32 octets each
}

// Derive makes the keys of a password. It takes some milliseconds. What SASLprep (RFC 4013) does not allow is taken as it stands, since that is what clients do with it.
func Derive(password string, salt []byte) (Keys, error) {
	c, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		if c, err = scram.SHA256.NewClientUnprepped("", password, ""); err != nil {
			return Keys{}, fmt.Errorf("preparing a password for SCRAM: %w", err)
		}
	}
	got, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: Iterations})
	if err != nil {
		return Keys{}, fmt.Errorf("deriving SCRAM keys: %w", err)
	}
	return Keys{got.StoredKey, got.ServerKey}, nil
}

// Salt is that of a login, existing or not, under a server's secret key. All passwords of a login have one salt, for a client names only the login before it is told the salt; and since those who
// do not exist have theirs in the same way, nobody learns from it who does.
func Salt(key []byte, login string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("SCRAM-SHA-256 salt\x00" + login))
	return mac.Sum(nil)[:SaltSize]
}
