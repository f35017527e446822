//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// lockAlone takes the file's lock for this process, or reports false when another one has it. It goes with the file's closing,
// and with the process, however that ends.
func lockAlone(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
