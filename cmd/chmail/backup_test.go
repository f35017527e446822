package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/config"
	"chmail/internal/mailbox"
	"chmail/internal/play"
	"chmail/internal/sqldb"
)

// openedCore is the data that a configuration names, as a server has them open.
func openedCore(t *testing.T, file string) (*core, *dataFolder) {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := openData(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openCore(t.Context(), cfg, data, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), data.Close()); err != nil {
			t.Error(err)
		}
	})
	return c, data
}

// hold takes a large message in as the queue does; the second function lets it go.
func (c *core) hold(t *testing.T) (id int64, release func()) {
	t.Helper()
	body := bytes.Repeat([]byte("x"), 65<<10)
	m, err := c.mail.Put(context.Background(), bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Error(err)
	}
	if err := c.db.Update(context.Background(), func(tx *sqldb.Tx) (err error) {
		id, err = c.mail.Deliver(tx, m, nil, 1, time.Now())
		return err
	}); err != nil {
		t.Error(err)
	}
	return id, func() {
		if err := c.db.Update(context.Background(), func(tx *sqldb.Tx) error { return c.mail.Release(tx, id) }); err != nil {
			t.Error(err)
		}
	}
}

// lost are the large messages that a backup's database names and the backup has not, or not whole.
func lost(t *testing.T, folder string) (named int, lost []string) {
	t.Helper()
	if err := sqldb.Read(t.Context(), filepath.Join(folder, databaseFile), func(tx *sqldb.Tx) error {
		return mailbox.Blobs(tx, func(name string, size int64) error {
			if info, err := os.Stat(filepath.Join(folder, blobFolder, name)); err != nil || info.Size() != size {
				lost = append(lost, name)
			}
			named++
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return named, lost
}

// However the message's life and the backup's steps come to lie: what the copied database names is there.
func TestALargeMessageThatGoesWhileABackupIsMadeIsInIt(t *testing.T) {
	t.Parallel()
	c, data := openedCore(t, writeConfig(t))
	_, before := c.hold(t)
	c.hold(t)
	folder := filepath.Join(t.TempDir(), "backup")
	k := &keeping{from: data, to: &dataFolder{path: folder}}
	if err := errors.Join(emptyFolder(folder), k.begin(t.Context())); err != nil {
		t.Fatal(err)
	}
	before() // the copy of the database names it
	_, after := c.hold(t)
	after() // and has never heard of this one
	if err := errors.Join(k.rest(t.Context()), k.end()); err != nil {
		t.Fatal(err)
	}
	for _, leftover := range []string{unfinishedDatabase, unfinishedDatabase + "-wal", unfinishedDatabase + "-shm", unfinishedDatabase + "-journal"} {
		if _, err := os.Stat(filepath.Join(folder, leftover)); err == nil {
			t.Errorf("%s is left", leftover)
		}
	}
	if named, lost := lost(t, folder); named != 2 || len(lost) > 0 || k.blobs != 2 || len(k.missing) > 0 {
		t.Errorf("%d large messages are named, %d counted, of which %v are lost (%v)", named, k.blobs, lost, k.missing)
	}
	_, another := c.hold(t)
	another() // the next to go has the others follow soon
	for end := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		all, err := os.ReadDir(data.blobs())
		if err == nil && len(all) == 1 {
			break
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("%d large messages lie in the data folder afterwards, %v", len(all), err)
		}
	}
}

func TestABackupOfABusyServerIsWhole(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	c, _ := openedCore(t, file)
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 8 { // mails with an attachment that go out at once
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, release := c.hold(t)
					release()
				}
			}
		})
	}
	for i := range 4 {
		folder := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if out, errs, status := chmail(t, "", "backup", folder, "--config", file); status != statusDone {
			t.Errorf("status %d: %s%s", status, out, errs)
		}
		if named, lost := lost(t, folder); len(lost) > 0 {
			t.Errorf("of %d large messages %d are lost", named, len(lost))
		}
	}
	close(stop)
	all.Wait()
}

// What an administrator does with his backup, giving it to somebody else for instance, does not reach the server.
func TestABackupSharesNoFileWithTheServerUnlessAsked(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	c, data := openedCore(t, file)
	c.hold(t)
	if out, errs, status := chmail(t, "", "dkim", "new", play.Domain, "--selector", "spring", "--config", file); status != statusDone {
		t.Fatalf("%s%s", out, errs)
	}
	if err := os.Chmod(filepath.Join(data.path, dkimName, play.Domain, "signing"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, link := range []bool{false, true} {
		folder := filepath.Join(t.TempDir(), "backup")
		args := []string{"backup", folder, "--config", file}
		if link {
			args = append(args, "--link")
		}
		out, errs, status := chmail(t, "", args...)
		if status != statusDone || !strings.Contains(out, "1 large message, the keys.") {
			t.Fatalf("chmail %v: status %d: %s%s", args, status, out, errs)
		}
		same := func(path string) bool {
			t.Helper()
			a, err := os.Stat(filepath.Join(data.path, path))
			b, berr := os.Stat(filepath.Join(folder, path))
			if err != nil || berr != nil || a.Size() != b.Size() {
				t.Fatalf("%s: %v, %v", path, err, berr)
			}
			if same := os.SameFile(a, b); same || b.Mode().Perm() == 0o600 {
				return same
			}
			t.Errorf("%s may be read by others: %v", path, b.Mode())
			return false
		}
		for _, key := range []string{pushKeyFile, "dkim/" + play.Domain + "/signing", "dkim/" + play.Domain + "/spring-rsa.rsa.pem"} {
			if same(key) {
				t.Errorf("--link=%v: %s is the same file", link, key)
			}
		}
		blobs, err := os.ReadDir(data.blobs())
		if err != nil || len(blobs) != 1 {
			t.Fatal(err, len(blobs))
		}
		if same(filepath.Join(blobFolder, blobs[0].Name())) != link {
			t.Errorf("--link=%v, and the large message is not so", link)
		}
	}
}

func TestABackupSaysWhatTheDataDoNotHave(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	c, data := openedCore(t, file)
	c.hold(t)
	blobs, err := os.ReadDir(data.blobs())
	if err != nil {
		t.Fatal(err)
	}
	c.hold(t)
	if err := os.Truncate(filepath.Join(data.blobs(), blobs[0].Name()), 10); err != nil { // after a broken disk
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "backup")
	out, errs, status := chmail(t, "", "backup", folder, "--config", file)
	if status != statusRefused || !strings.Contains(errs, "does not have whole any more: "+blobs[0].Name()) || !strings.Contains(out, "1 large message,") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}

// A server that was started before its program was replaced may know nothing of backups: what it removes meanwhile is no fault of the disk.
func TestABackupBesideAServerOfAnOlderVersionSaysWhatToDo(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	c, data := openedCore(t, file)
	c.hold(t)
	blobs, err := os.ReadDir(data.blobs())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(data.path, blobLockFile)), os.Remove(filepath.Join(data.blobs(), blobs[0].Name()))); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := chmail(t, "", "backup", filepath.Join(t.TempDir(), "backup"), "--config", file); status != statusRefused || !strings.Contains(errs, "restart the server first") || !strings.Contains(errs, blobs[0].Name()) {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}

func TestABackupDoesNotLieInTheDataFolder(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	_, data := openedCore(t, file)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data.path, link); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{data.path, filepath.Join(data.path, "backups", "monday"), filepath.Join(link, "tuesday")} {
		if out, errs, status := chmail(t, "", "backup", folder, "--config", file); status != statusUsage || !strings.Contains(errs, "in the data folder") {
			t.Errorf("%s: status %d: %s%s", folder, status, out, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(data.path, "backups")); err == nil {
		t.Error("it was made all the same")
	}
}

func TestABackupOfNothingSaysWhy(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	refused := func(want int, says, folder string) {
		t.Helper()
		if out, errs, status := chmail(t, "", "backup", folder, "--config", file); status != want || out != "" || !strings.Contains(errs, says) {
			t.Errorf("status %d, want %d with %q: %s%s", status, want, says, out, errs)
		}
	}
	folder, data := filepath.Join(t.TempDir(), "backup"), filepath.Join(filepath.Dir(file), "data")
	refused(statusRefused, "there is nothing to keep: there is no database in "+data, folder)
	deep := filepath.Join(data, "chmail")
	if err := errors.Join(os.MkdirAll(deep, 0o700), os.WriteFile(filepath.Join(deep, databaseFile), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	refused(statusRefused, "but in "+deep+" there is one: move what is in there up", folder)
	if os.Geteuid() != 0 { // from whom nothing is closed
		if err := os.Chmod(data, 0); err != nil {
			t.Fatal(err)
		}
		refused(statusRefused, "permission denied: run this as the server's user", folder)
		if err := os.Chmod(data, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("a folder was made for it")
	}
	refused(statusUsage, "the folder has no name", "")
}
