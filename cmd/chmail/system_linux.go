package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"chmail/internal/doctor"
)

// diskSpace asks how full the file system of a path is.
func diskSpace(path string) (doctor.Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return doctor.Space{}, fmt.Errorf("asking for the space at %s: %w", path, err)
	}
	size := uint64(max(s.Bsize, 0))
	return doctor.Space{Free: s.Bavail * size, Size: s.Blocks * size, FreeFiles: s.Ffree, Files: s.Files}, nil
}

// systemClock asks the kernel whether a time service keeps its clock (adjtimex(2)); it changes nothing.
func systemClock() (doctor.Clock, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return doctor.Clock{}, fmt.Errorf("asking the kernel for its clock: %w", err)
	}
	return doctor.Clock{Kept: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, Error: time.Duration(t.Maxerror) * time.Microsecond}, nil
}
