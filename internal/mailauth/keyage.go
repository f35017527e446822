package mailauth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// LastSigned is until when a key may have signed mail: now for one that signs, zero for one that was made after the last change of those that do, and so
// never has, else the time of that change, which is not before it gave way. A selector that there is not satisfies ErrNoKey.
func (s *Keys) LastSigned(domain, selector string) (time.Time, error) {
	const doing = "looking when a DKIM key has signed"
	dir, domain, err := s.folder(domain)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", doing, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.read(domain)
	if err != nil {
		return time.Time{}, err
	}
	i := slices.IndexFunc(keys, func(k *Key) bool { return k.Selector == selector })
	if i < 0 {
		return time.Time{}, fmt.Errorf("%s: %w: selector %s of %s", doing, ErrNoKey, selector, domain)
	}
	if keys[i].Signs {
		return time.Now(), nil
	}
	made, err := os.Stat(filepath.Join(dir, selector+"."+string(keys[i].Algorithm)+".pem"))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", doing, err)
	}
	chosen, err := os.Stat(filepath.Join(dir, signingFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return time.Time{}, nil // none signs
	case err != nil:
		return time.Time{}, fmt.Errorf("%s: %w", doing, err)
	case made.ModTime().After(chosen.ModTime()):
		return time.Time{}, nil
	}
	return chosen.ModTime(), nil
}
