//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"chmail/internal/play"
)

// What signs in a backup has its key, also where that was made while the keys were copied: the folder had been looked through before.
func TestAKeyThatIsMadeWhileTheKeysAreCopiedIsInTheBackup(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	_, data := openedCore(t, file)
	dkim(t, file, statusDone, "new localhost.test --selector spring")
	pause := filepath.Join(data.path, dkimName, play.Domain, "0") // comes first, and is read when somebody writes
	if err := syscall.Mkfifo(pause, 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "backup")
	ended := make(chan string, 1)
	go func() {
		_, errs, _ := chmail(t, "", "backup", folder, "--config", file)
		if f, err := os.OpenFile(pause, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil { // it has failed before: nobody is to wait for it
			f.Close()
		}
		ended <- errs
	}()
	reader, err := os.OpenFile(pause, os.O_WRONLY, 0) // waits until it is read
	if err != nil {
		t.Fatal(err)
	}
	dkim(t, file, statusDone, "new localhost.test --selector winter")
	dkim(t, file, statusDone, "use localhost.test winter-rsa winter-ed25519 --force")
	if err := os.Remove(pause); err != nil {
		t.Error(err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if errs := <-ended; errs != "" {
		t.Error(errs)
	}
	note, err := os.ReadFile(filepath.Join(folder, dkimName, play.Domain, "signing"))
	if err != nil || !strings.Contains(string(note), "winter-rsa") {
		t.Fatalf("%s signs, %v", note, err)
	}
	if _, err := os.Stat(filepath.Join(folder, dkimName, play.Domain, "winter-rsa.rsa.pem")); err != nil {
		t.Error(err)
	}
}
