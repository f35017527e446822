package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPlayRemovesWhatAKilledOneLeftBehind(t *testing.T) {
	t.Parallel()
	tmp, elsewhere := t.TempDir(), t.TempDir()
	folder := func(name string, locked bool) string {
		t.Helper()
		dir := filepath.Join(tmp, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "play-accounts.json"), []byte("passwords"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, playMark), []byte(dir), 0o600); err != nil {
			t.Fatal(err)
		}
		if !locked {
			return dir
		}
		data, err := openData(filepath.Join(dir, "data"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { data.Close() })
		if strings.HasSuffix(name, "killed") { // the lock goes with its process, its file stays
			if err := data.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	killed, running, starting := folder("chmail-play-1-killed", true), folder("chmail-play-2-running", true), folder("chmail-play-3-starting", false)
	foreign := folder("other-4-killed", true)
	locking := filepath.Join(folder("chmail-play-5-locking", false), "data", lockFile)
	if err := os.Mkdir(filepath.Dir(locking), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(locking, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(tmp, "chmail-play-6")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	removeLeftovers(&outside{err: &said}, tmp, time.Now())
	if _, err := os.Stat(killed); err == nil || strings.Count(said.String(), "\n") != 1 || !strings.Contains(said.String(), killed) {
		t.Errorf("what a killed instance left behind is there (%v), or nobody was told: %s", err, said.String())
	}
	for _, dir := range []string{running, starting, foreign, locking, link} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("gone as well: %v", err)
		}
	}
	removeLeftovers(&outside{err: io.Discard}, tmp, time.Now().Add(2*leftoverAge))
	for _, dir := range []string{starting, filepath.Dir(filepath.Dir(locking))} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s never had a process that runs, and is there hours later", dir)
		}
	}
	for _, dir := range []string{running, elsewhere} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("gone as well: %v", err)
		}
	}
}

// Who keeps something in a folder of such a name, or has named it to play in, finds it there.
func TestPlayRemovesNothingOfAPersons(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	notes, copied, named := filepath.Join(tmp, "chmail-play-notes"), filepath.Join(tmp, "chmail-play-copy"), filepath.Join(tmp, "chmail-play-demo")
	made, err := makePlayFolder(tmp)
	if err != nil {
		t.Fatal(err)
	}
	looked, err := makePlayFolder(tmp) // left behind, and somebody plays in it to have a look
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(notes, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(copied, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{named, looked} {
		v := playVerb{Data: dir}
		if got, kept, err := v.folder(); err != nil || !kept || got != dir {
			t.Fatalf("playing in %s: %s, kept: %v, %v", dir, got, kept, err)
		}
		data, err := openData(filepath.Join(dir, "data"))
		if err != nil {
			t.Fatal(err)
		}
		if err := data.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	removeLeftovers(&outside{err: &said}, tmp, time.Now().Add(2*leftoverAge))
	for _, dir := range []string{notes, copied, named, looked} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("gone: %v", err)
		}
	}
	if _, err := os.Stat(made); err == nil || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("what play made for itself is there, or was not alone: %s", said.String())
	}
}

func TestPlayingInAFileIsToldInPlainWords(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{file, filepath.Join(file, "below")} {
		v := playVerb{Data: data}
		if _, _, err := v.folder(); err == nil || !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), "name a folder") {
			t.Errorf("%s: %v", data, err)
		}
	}
}
