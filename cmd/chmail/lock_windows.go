package main

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// lockAlone takes the file's lock for this process, or reports false when another one has it. It goes with the file's closing,
// and with the process, however that ends. The byte that is locked lies behind the text, which stays readable.
func lockAlone(f *os.File) (bool, error) { return lock(f, windows.LOCKFILE_EXCLUSIVE_LOCK) }

// lockShared is lockAlone beside others that share it.
func lockShared(f *os.File) (bool, error) { return lock(f, 0) }

func lock(f *os.File, how uint32) (bool, error) {
	where := &windows.Overlapped{Offset: 1 << 20}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, where)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// ownedByUs tells whether a file is this user's; each has a folder of his own for temporary files there.
func ownedByUs(fs.FileInfo) bool { return true }

// ownerName is whose a file is, which nobody asks here.
func ownerName(fs.FileInfo) string { return "another user" }
