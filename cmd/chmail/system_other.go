//go:build !linux

package main

import "chmail/internal/doctor"

// diskSpace is not known here.
func diskSpace(string) (doctor.Space, error) { return doctor.Space{}, doctor.ErrUnknown }

// systemClock is not known here.
func systemClock() (doctor.Clock, error) { return doctor.Clock{}, doctor.ErrUnknown }
