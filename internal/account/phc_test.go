package account

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const (
	someSalt   = "c29tZXNhbHRzb21lc2FsdA"
	someDigest = "QmVpbmcgYWJsZSB0byBkZWNvZGUgdGhpcyBpcyBmdW4"
)

func TestStoredHashesAreReadStrictly(t *testing.T) {
	t.Parallel()
	good := "$argon2id$v=19$m=19456,t=2,p=1$" + someSalt + "$" + someDigest
	h, err := parsePHC(good)
	if err != nil || h.params != present() || h.String() != good || string(h.salt) != "somesaltsomesalt" {
		t.Errorf("%q was read as %+v, %v", good, h, err)
	}
	for _, bad := range []string{
		"", "$", "{SHA}x", "$2y$10$abc", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=19456", "m=4294967295", 1), strings.Replace(good, "m=19456", "m=0", 1), strings.Replace(good, "m=19456", "m=7", 1),
		strings.Replace(good, "m=19456", "m=+9", 1), strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "t=2", "t=99999", 1),
		strings.Replace(good, "p=1", "p=256", 1), strings.Replace(good, "t=2,p=1", "p=1,t=2", 1), strings.Replace(good, ",p=1", "", 1),
		strings.Replace(good, someSalt, "", 1), strings.Replace(good, someSalt, "AAAA", 1), strings.Replace(good, someSalt, someSalt+"==", 1),
		strings.Replace(good, someDigest, "AAAA", 1), strings.Replace(good, someDigest, strings.Repeat("A", 10_000), 1), good + "$", good + "\n",
	} {
		if h, err := parsePHC(bad); !errors.Is(err, errPHC) {
			t.Errorf("%q was read as %+v, %v", bad, h, err)
		} else if strings.Contains(err.Error(), someDigest) {
			t.Errorf("the error shows the hash: %v", err)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	for _, s := range []string{
		"$argon2id$v=19$m=19456,t=2,p=1$" + someSalt + "$" + someDigest, "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=,t=,p=$$", "$$$$$", "$argon2id$v=19$m=19456,t=2,p=1$====$====",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err != nil {
			return
		}
		if h.memory > maxMemory || h.passes > maxPasses || h.threads == 0 || h.threads > maxThreads || h.passes == 0 || h.memory < 8*uint32(h.threads) {
			t.Fatalf("%q asks for %+v", s, h.params)
		}
		again, err := parsePHC(h.String())
		if h.String() != s || err != nil || again.params != h.params || !slices.Equal(again.salt, h.salt) || !slices.Equal(again.digest, h.digest) {
			t.Fatalf("%q is written as %q (%v)", s, h.String(), err)
		}
	})
}
