package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// playFolder begins the names of the folders that play makes where temporary files go.
const playFolder = "chmail-play-"

// leftoverAge is how long a folder in which nobody ever took the lock is taken for one that is just being made.
const leftoverAge = time.Hour

// removeLeftovers removes the folders in tmp, passwords and all, of play instances of this user's that were killed. Whose lock is held
// is one that runs, or that another verb works on. What cannot be removed is told and keeps nobody from playing.
func removeLeftovers(o *outside, tmp string, now time.Time) {
	all, err := filepath.Glob(filepath.Join(tmp, playFolder+"*"))
	if err != nil {
		fmt.Fprintln(o.err, "chmail: looking for what earlier play instances left behind:", err)
		return
	}
	for _, dir := range all {
		if removed, err := removeLeftover(dir, now); err != nil {
			fmt.Fprintln(o.err, "chmail: the folder of an earlier play instance stays:", err)
		} else if removed {
			fmt.Fprintln(o.err, "chmail: removed what a play instance that was killed had left behind:", dir)
		}
	}
}

// removeLeftover removes dir unless it is in use, is young, or is no folder of this user's.
func removeLeftover(dir string, now time.Time) (removed bool, err error) {
	info, err := os.Lstat(dir) // never through a link that somebody else has put there
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // its owner was faster
	}
	if err != nil {
		return false, err
	}
	if !info.IsDir() || !ownedByUs(info) {
		return false, nil
	}
	lock, err := os.OpenFile(filepath.Join(dir, "data", lockFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if now.Sub(info.ModTime()) < leftoverAge {
			return false, nil
		}
		return true, os.RemoveAll(dir)
	}
	if err != nil {
		return false, err
	}
	ours, err := lockAlone(lock)
	if err == nil && ours {
		// An empty lock's file was made a moment ago: its maker is about to lock it and to write who he is.
		var made fs.FileInfo
		if made, err = lock.Stat(); err == nil {
			removed = made.Size() > 0 || now.Sub(made.ModTime()) >= leftoverAge
		}
	}
	if removed {
		err = os.RemoveAll(dir)
	}
	err = errors.Join(err, lock.Close())
	if removed && err != nil {
		err = os.RemoveAll(dir) // some systems keep what is open
	}
	return removed, err
}
