package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The names in a data folder.
const (
	databaseFile = "chmail.db"
	blobFolder   = "blobs"
	spoolFolder  = "spool"
	dkimName     = "dkim" // the keys that mail is signed with
	lockFile     = "lock"
	blobLockFile = "blobs.lock" // shared by backups, alone held by whoever removes blobs
	controlFile  = "control.sock"
	pushKeyFile  = "push.key" // this server's identity towards push services
)

// errDataInUse says that another process holds the data folder.
var errDataInUse = errors.New("the data is in use")

// errNoDatabase says that a data folder has no database yet, or is the wrong folder.
var errNoDatabase = errors.New("there is no database")

// A dataFolder is a data folder that this process holds alone until Close.
type dataFolder struct {
	path     string
	lock     *os.File
	removals sync.Mutex // one at a time: the lock is between processes
}

// openData makes the folder where it is missing, for nobody else to look into, and takes its lock. errDataInUse when another
// process has it; the error then says which.
func openData(path string) (*dataFolder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder %s: %w", path, err)
	}
	if err := ownData(path); err != nil {
		return nil, err
	}
	// A folder that was there before may be open to others: mail and password hashes are nobody else's business.
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, fmt.Errorf("closing the data folder %s to others: %w", path, err)
	}
	name := filepath.Join(path, lockFile)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, withOwner(path, fmt.Errorf("opening the data folder's lock: %w", err))
	}
	if db, err := os.OpenFile(filepath.Join(path, databaseFile), os.O_RDWR, 0); err == nil {
		err = db.Close() // before SQLite has a lock on it, which would go with that
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	} else if errors.Is(err, fs.ErrPermission) { // SQLite would say that it is "unable to open database file"
		return nil, errors.Join(withOwner(path, fmt.Errorf("opening the database: %w", err)), f.Close())
	}
	if taken, err := lockAlone(f); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", name, err), f.Close())
	} else if !taken {
		return nil, errors.Join(fmt.Errorf("%w: %s holds %s", errDataInUse, holder(f), path), f.Close())
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("writing %s: %w", name, err), f.Close())
	}
	d := &dataFolder{path: path, lock: f}
	blobs, err := d.openBlobLock() // so that a backup finds it
	if err == nil {
		err = blobs.Close()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

// withOwner says what to do when a file in the data folder is not its owner's.
func withOwner(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: it is another user's than the folder; give everything in it to one: chown -R --reference=%s %[2]s", err, path)
	}
	return err
}

// ownData refuses to write into a data folder that is another user's, which root could: the server, which runs as that user, could not open what was made in it.
func ownData(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the data folder: %w", err)
	}
	if !ownedByUs(info) {
		return fmt.Errorf("the data folder %s belongs to another user, as whom the server runs: run this as that user (sudo -u chmail chmail …), or give it to this one (chown -R)", path)
	}
	return nil
}

func (d *dataFolder) openBlobLock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(d.path, blobLockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the blobs' lock: %w", err)
	}
	return f, nil
}

// removing runs remove unless a backup has asked that no blob goes: then it reports false. It is the mailbox's Options.Removing.
func (d *dataFolder) removing(remove func() error) (done bool, err error) {
	d.removals.Lock()
	defer d.removals.Unlock()
	f, err := d.openBlobLock()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }() // which gives the lock free
	if done, err = lockAlone(f); err != nil || !done {
		return false, err
	}
	return true, remove()
}

// keepBlobs has every blob stay until what it returns is closed, or this process ends. The folder is another's: nothing is made in it. Where there is no lock, this program has never opened it, and unless an older one works on it
// nobody removes anything.
func (d *dataFolder) keepBlobs(ctx context.Context) (io.Closer, error) {
	f, err := os.Open(filepath.Join(d.path, blobLockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the blobs' lock: %w", err)
	}
	tick := time.NewTicker(time.Millisecond) // a removal is over in a moment
	defer tick.Stop()
	for {
		switch shared, err := lockShared(f); {
		case err != nil:
			return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
		case shared:
			return f, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}

// waitForData is openData with patience: a verb of the program may hold the data for a moment.
func waitForData(ctx context.Context, path string, patience time.Duration) (*dataFolder, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		d, err := openData(path)
		if !errors.Is(err, errDataInUse) {
			return d, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// holder is what the lock's file says of its owner.
func holder(f *os.File) string {
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0) // it is shorter than that; what cannot be read is not known
	if pid := strings.TrimSpace(string(text[:n])); pid != "" {
		return "process " + pid
	}
	return "another process"
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// lacks tells whether there is no database, as before the first start. An error says that there must have been one: a server that began anew there would refuse all mail as being for nobody.
func (d *dataFolder) lacks() (bool, error) {
	database, err := size(d.database())
	if err != nil {
		return false, err
	}
	log, err := size(d.database() + "-wal") // which may hold all that there is
	if err != nil || database > 0 {
		return false, err
	}
	if database == 0 && log > 0 {
		return false, nil
	}
	if unfinished, err := size(filepath.Join(d.path, unfinishedDatabase)); err != nil || unfinished >= 0 {
		return false, cmp.Or(err, fmt.Errorf("%w in %s, which is a backup that was broken off: put a whole one in its place, or move this folder away to begin anew", errNoDatabase, d.path))
	}
	entries, err := os.ReadDir(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("looking for the database: %w", err)
	}
	for _, e := range entries { // keys of DKIM may be there: they can be made before the first start
		path := filepath.Join(d.path, e.Name())
		switch below, err := os.ReadDir(path); {
		case database == 0 && (e.Name() == pushKeyFile || e.Name() == blobFolder && len(below) > 0):
			return false, fmt.Errorf("%w in %s, since %s is there and empty, as after a copy that was broken off. Put it there once more, from where the folder or its backup came; to begin anew, move the whole folder away", errNoDatabase, d.path, databaseFile)
		case e.Name() == pushKeyFile, e.Name() == databaseFile+"-wal" && log > 0, e.Name() == blobFolder && err == nil && len(below) > 0:
			return false, fmt.Errorf("%w in %s, and yet there is %s: this is a part of a server's data. Put %s there, from where the folder or its backup came; to begin anew, move the whole folder away", errNoDatabase, d.path, e.Name(), databaseFile)
		case e.IsDir():
			if _, err := os.Stat(filepath.Join(path, databaseFile)); err == nil {
				return false, fmt.Errorf("%w in %s, but in %s there is one: move what is in there up, or name that folder as data in the configuration", errNoDatabase, d.path, path)
			}
		}
	}
	return true, nil
}

// size is how many octets a file has; negative: it is not there.
func size(path string) (int64, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1, nil
	case err != nil:
		return 0, fmt.Errorf("looking for the database: %w", err)
	}
	return info.Size(), nil
}

func (d *dataFolder) database() string { return filepath.Join(d.path, databaseFile) }
func (d *dataFolder) blobs() string    { return filepath.Join(d.path, blobFolder) }
func (d *dataFolder) spool() string    { return filepath.Join(d.path, spoolFolder) }
func (d *dataFolder) pushKey() string  { return filepath.Join(d.path, pushKeyFile) }
func (d *dataFolder) control() string  { return filepath.Join(d.path, controlFile) }

// Close gives the folder free. The lock's file stays: removing it would let two processes lock two files of the same name.
func (d *dataFolder) Close() error { return d.lock.Close() }
