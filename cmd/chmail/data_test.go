package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOnlyOneProcessHoldsTheData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "here")
	first, err := openData(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder's mode is %v (%v), want 0700", info.Mode(), err)
	}
	// A second lock in the same process stands for another process: a lock belongs to the open file.
	if _, err := openData(dir); !errors.Is(err, errDataInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("opening what is in use: %v, want errDataInUse with process and folder", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := openData(dir)
	if err != nil {
		t.Fatalf("what was given free cannot be opened: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestAFolderThatWasOpenToOthersIsClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := openData(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v (%v), want 0700", info.Mode(), err)
	}
}

func TestAStartWaitsForAVerbThatHoldsTheData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	verb, err := openData(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := waitForData(t.Context(), dir, 60*time.Millisecond); !errors.Is(err, errDataInUse) {
		t.Errorf("after the patience: %v, want errDataInUse", err)
	}
	opened := make(chan error, 1)
	go func() {
		d, err := waitForData(context.Background(), dir, time.Minute)
		if err == nil {
			err = d.Close()
		}
		opened <- err
	}()
	if err := verb.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("the data was not opened once it was free: %v", err)
	}
}
