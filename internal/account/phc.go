package account

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errPHC says that a stored hash is not one that we wrote; its text never holds the hash.
var errPHC = errors.New("the stored password hash cannot be read")

// Limits of what a stored hash may ask for, so that a damaged database cannot make a login eat the machine.
const (
	maxMemory  = 1 << 20 // KiB
	maxPasses  = 64
	maxThreads = 64
	maxSalt    = 64 // octets
	maxDigest  = 64 // octets
	minSalt    = 8
	minDigest  = 16
)

// params are the costs of argon2id.
type params struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// present are the costs of a new hash (interfaces.md: m=19 MiB, t=2, p=1, the OWASP recommendation).
func present() params { return params{memory: 19 << 10, passes: 2, threads: 1} }

// phc is a password hash as it is stored.
type phc struct {
	params
	salt, digest []byte
}

// String is the PHC string format: $argon2id$v=19$m=19456,t=2,p=1$SALT$DIGEST, base64 without padding.
func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", h.memory, h.passes, h.threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.digest))
}

// parsePHC reads exactly what String writes, within the limits above.
func parsePHC(s string) (phc, error) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != "v=19" {
		return phc{}, fmt.Errorf("%w: not an argon2id string of version 19", errPHC)
	}
	var h phc
	costs := strings.Split(f[3], ",")
	if len(costs) != 3 {
		return phc{}, fmt.Errorf("%w: costs", errPHC)
	}
	for i, c := range []struct {
		name string
		most uint64
		set  func(uint64)
	}{
		{"m=", maxMemory, func(n uint64) { h.memory = uint32(n) }},
		{"t=", maxPasses, func(n uint64) { h.passes = uint32(n) }},
		{"p=", maxThreads, func(n uint64) { h.threads = uint8(n) }},
	} {
		text, ok := strings.CutPrefix(costs[i], c.name)
		n, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || n == 0 || n > c.most || strconv.FormatUint(n, 10) != text {
			return phc{}, fmt.Errorf("%w: cost %s", errPHC, c.name)
		}
		c.set(n)
	}
	if h.memory < 8*uint32(h.threads) { // RFC 9106 3.1
		return phc{}, fmt.Errorf("%w: too little memory for its threads", errPHC)
	}
	for _, part := range []struct {
		text        string
		least, most int
		to          *[]byte
	}{{f[4], minSalt, maxSalt, &h.salt}, {f[5], minDigest, maxDigest, &h.digest}} {
		// The decoder skips line ends, which we never write.
		if len(part.text) > 2*part.most || strings.ContainsAny(part.text, "\r\n") {
			return phc{}, fmt.Errorf("%w: length", errPHC)
		}
		b, err := base64.RawStdEncoding.Strict().DecodeString(part.text)
		if err != nil || len(b) < part.least || len(b) > part.most {
			return phc{}, fmt.Errorf("%w: salt or digest", errPHC)
		}
		*part.to = b
	}
	return h, nil
}
