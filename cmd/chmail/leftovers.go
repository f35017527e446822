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

// playMark is a file in a folder that play made for itself; it holds the folder's path. A folder without it is a person's, however it is called, and so
// is one that was copied or has been renamed.
const playMark = "removed-by-play"

// makePlayFolder makes a folder that play may remove, now or when a later one finds it.
func makePlayFolder(tmp string) (dir string, err error) {
	if dir, err = os.MkdirTemp(tmp, playFolder); err != nil {
		return "", err
	}
	dir = filepath.Clean(dir) // as it will be found
	if err := os.WriteFile(filepath.Join(dir, playMark), []byte(dir), 0o600); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// marked tells whether play made the folder for itself.
func marked(dir string) (bool, error) {
	name := filepath.Join(dir, playMark)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	made, err := os.ReadFile(name)
	return string(made) == dir, err
}

// keepPlayFolder makes a folder that a person has named his own, wherever it came from.
func keepPlayFolder(dir string) error {
	if err := os.Remove(filepath.Join(dir, playMark)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keeping %s: %w", dir, err)
	}
	return nil
}

// leftoverAge is how long a folder in which nobody ever took the lock is taken for one that is just being made.
const leftoverAge = time.Hour

// removeLeftovers removes the folders in tmp that play instances of this user's made for themselves and left behind when they were killed, passwords and all. Whose lock is held
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

// removeLeftover removes dir unless play did not make it, it is in use, is young, or is no folder of this user's.
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
	if ours, err := marked(dir); err != nil || !ours {
		return false, err
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
