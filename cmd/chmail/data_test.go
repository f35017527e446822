package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"chmail/config"
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

// emptyDatabase makes the database that a configuration names, as the first start does.
func emptyDatabase(t *testing.T, file string) {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	k, err := findKeeper(t.Context(), cfg, slog.New(slog.DiscardHandler), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

// A question to a folder that was named wrongly is no empty server, and does not make one.
func TestAVerbThatAsksMakesNoDatabase(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"queue list", "account list", "account list --json", "account passwd alice@localhost.test", "account set alice@localhost.test chat=off", "alias list", "presence"} {
		if out, errs, status := chmail(t, "a fine long password\n", append(strings.Fields(line), "--config", file)...); status != statusRefused || out != "" || !strings.Contains(errs, "no database in "+cfg.Data) {
			t.Errorf("chmail %s: status %d: %s%s", line, status, out, errs)
		}
	}
	if _, err := os.Stat(cfg.Data); err == nil {
		t.Error("the data folder was made")
	}
}

// Where there has been a server's data, no empty server begins in its place: all mail would be refused as being for nobody.
func TestNoServerBeginsWithAPartOfTheData(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		file string
		says string
	}{
		"a backup that was broken off":  {unfinishedDatabase, "a backup that was broken off"},
		"such a backup with messages":   {unfinishedDatabase + " blobs/3udmWS-aqP5e.1", "a backup that was broken off"},
		"an empty database":             {databaseFile + "= blobs/3udmWS-aqP5e.1", "is there and empty"},
		"the log of a database":         {databaseFile + "-wal", "Put chmail.db there"},
		"an empty database and nothing": {databaseFile + "=", ""},
		"large messages alone":          {"blobs/3udmWS-aqP5e.1", "Put chmail.db there"},
		"the key of push":               {pushKeyFile, "Put chmail.db there"},
		"a backup one level too deep":   {"chmail-2026-11-26/chmail.db", "move what is in there up"},
		"keys of DKIM, made beforehand": {"dkim/localhost.test/signing", ""},
		"an empty folder of blobs":      {"blobs/", ""},
	} {
		file := writeConfig(t)
		cfg, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(c.file) {
			name, empty := strings.CutSuffix(name, "=")
			path := filepath.Join(cfg.Data, filepath.FromSlash(name))
			err = os.MkdirAll(filepath.Dir(path), 0o700)
			switch {
			case strings.HasSuffix(name, "/"):
				err = os.Mkdir(path, 0o700)
			case err == nil && empty:
				err = os.WriteFile(path, nil, 0o600)
			case err == nil:
				err = os.WriteFile(path, []byte("x"), 0o600)
			}
			if err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
		lines := [][]string{{"serve", "--config", file}, {"account", "add", "alice@localhost.test", "--config", file}, {"queue", "list", "--config", file}}
		if c.says == "" {
			lines = lines[1:2]
		}
		for _, line := range lines {
			want := statusRefused
			if c.says == "" {
				want = statusDone
			}
			if out, errs, status := chmail(t, "a fine long password\n", line...); status != want || !strings.Contains(errs, c.says) {
				t.Errorf("%s: chmail %v: status %d: %s%s", what, line, status, out, errs)
			}
		}
		if n, err := size(filepath.Join(cfg.Data, databaseFile)); err != nil || (n > 0) != (c.says == "") {
			t.Errorf("%s: the database afterwards has %d octets: %v", what, n, err)
		}
	}
}
