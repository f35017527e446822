package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"chmail/internal/mailbox"
	"chmail/internal/sqldb"
)

// unfinishedDatabase is the database of a backup that is not whole yet, or never will be: a folder with it is no data folder.
const unfinishedDatabase = databaseFile + ".unfinished"

type backupVerb struct {
	Folder string `arg:"" help:"A new folder, or an empty one, that is made where it is missing; not in the data folder."`
	Link   bool   `help:"Link large messages instead of copying them, where the folder is on the same disk."`
}

// Help shows the verb at work.
func (backupVerb) Help() string {
	return `Mail, accounts, chats, keys and the queue as they are at one moment, while the server runs or not. The configuration and the certificate's files are not in it. It is whole when the
verb has ended with status 0. Where it has said "Kept" and then names large messages, it lacks those alone, since the data folder does not have them either, as after a broken disk; where it has not
said "Kept", nothing can go on from it.

To restore, stop the server, put the folder in the place of the data folder, owned by the server's user, and look at chmail queue list before you start: what waited then is sent again, also what
has been delivered since.

With --link a large message is the same file here and there, which takes neither time nor space: bring the folder to another disk then, and neither chown nor chmod what is in it, since that would
change the server's own files. Keys are always copied.

Examples:

    chmail backup /var/backups/chmail-$(date +%F)
    chmail backup --link /var/lib/chmail-now && rsync -a /var/lib/chmail-now/ backup.example.net:chmail/ && rm -r /var/lib/chmail-now`
}

// Run makes the copy.
func (v *backupVerb) Run(ctx context.Context, o *outside, line *cli) (err error) {
	if v.Folder == "" {
		return wrongUsage("the folder has no name: name a new one, for instance /var/backups/chmail")
	}
	cfg, err := line.load()
	if err != nil {
		return err
	}
	from := &dataFolder{path: cfg.Data} // its holder may be the running server: nothing is changed there
	switch lacks, err := from.lacks(); {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run this as the server's user", err)
	case err != nil:
		return err
	case lacks:
		return fmt.Errorf("there is nothing to keep: %w in %s. The first start of the server makes it; if it has been started, data in the configuration names another folder than it has", errNoDatabase, from.path)
	}
	if err := outsideOf(from.path, v.Folder); err != nil {
		return err
	}
	if err := emptyFolder(v.Folder); err != nil {
		return err
	}
	k := &keeping{from: from, to: &dataFolder{path: v.Folder}, link: v.Link}
	if err := k.begin(ctx); err != nil {
		return errors.Join(err, k.end())
	}
	err = k.rest(ctx)
	if err = errors.Join(err, k.end()); err != nil {
		return fmt.Errorf("%w\nNothing can go on from %s: remove it", err, printable(v.Folder))
	}
	info, err := os.Stat(k.to.database())
	if err != nil {
		return err
	}
	if err := o.printf("Kept in %s: the database (%d MiB), %d large message%s, the keys.\n", printable(v.Folder), info.Size()>>20, k.blobs, plural(k.blobs)); err != nil {
		return err
	}
	if n := len(k.missing); n > 0 {
		const most = 10
		why := "which the data folder itself does not have whole any more"
		if k.unheld {
			why = "which a server of an older version that runs has removed meanwhile: restart the server first, and make another backup. Where none runs, the data folder itself does not have them whole any more"
		}
		return fmt.Errorf("not in the backup: %d large message%s, %s: %s", n, plural(n), why, strings.Join(k.missing[:min(n, most)], ", "))
	}
	return nil
}

// keeping is a backup on its way. The order is what makes it whole: from before the database is copied until all is done no blob is removed, and a blob that the copy names is on the disk before it is
// named. So every one of them is there, however short its message's stay; and what the copy does not name is not needed.
type keeping struct {
	from, to *dataFolder
	link     bool // where possible
	hold     io.Closer
	unheld   bool // a server of before there was a lock may remove blobs meanwhile

	blobs   int
	missing []string // blobs that the database names and the data folder does not have, as after a broken disk
}

// begin has all blobs stay, and copies the database.
func (k *keeping) begin(ctx context.Context) (err error) {
	_, err = os.Stat(filepath.Join(k.from.path, blobLockFile))
	k.unheld = errors.Is(err, fs.ErrNotExist)
	if k.hold, err = k.from.keepBlobs(ctx); err != nil {
		return err
	}
	return sqldb.Copy(ctx, k.from.database(), k.unfinished())
}

// end lets blobs go again.
func (k *keeping) end() error {
	if k.hold == nil {
		return nil
	}
	return k.hold.Close()
}

func (k *keeping) unfinished() string { return filepath.Join(k.to.path, unfinishedDatabase) }

// rest keeps everything else, and gives the database its name when all is there.
func (k *keeping) rest(ctx context.Context) error {
	if err := os.Mkdir(k.to.blobs(), 0o700); err != nil {
		return err
	}
	if err := sqldb.Read(ctx, k.unfinished(), func(tx *sqldb.Tx) error { return mailbox.Blobs(tx, k.blob) }); err != nil {
		return err
	}
	// Twice: the first round has the note of what signs, the second every key that this names, also one that was just being made.
	for range 2 {
		for _, name := range []string{dkimName, pushKeyFile} {
			if err := keepFiles(filepath.Join(k.from.path, name), filepath.Join(k.to.path, name)); err != nil {
				return err
			}
		}
	}
	if err := syncFolder(k.to.blobs()); err != nil {
		return err
	}
	if err := os.Rename(k.unfinished(), k.to.database()); err != nil {
		return err
	}
	return syncFolder(k.to.path)
}

// blob keeps a large message.
func (k *keeping) blob(name string, size int64) error {
	from, to := filepath.Join(k.from.blobs(), name), filepath.Join(k.to.blobs(), name)
	info, err := os.Stat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Size() != size:
		k.missing = append(k.missing, name)
		return nil
	case err != nil:
		return fmt.Errorf("keeping a large message: %w", err)
	}
	if !k.link || os.Link(from, to) != nil { // on another disk, or another user's file
		err := copyFile(from, to)
		if k.unheld && errors.Is(err, fs.ErrNotExist) {
			k.missing = append(k.missing, name)
			return nil
		}
		if err != nil {
			return fmt.Errorf("keeping a large message: %w", err)
		}
	}
	k.blobs++
	return nil
}

// outsideOf refuses a folder that is the data folder or lies in it: each backup would be a part of the server's data, and would be lost with them.
func outsideOf(data, folder string) error {
	in, err := realPath(data)
	if err != nil {
		return err
	}
	path, err := realPath(folder)
	if err != nil {
		return err
	}
	if rest, err := filepath.Rel(in, path); err == nil && filepath.IsLocal(rest) {
		return wrongUsage("%s is in the data folder %s, with which it would be lost: name a folder elsewhere", printable(folder), data)
	}
	return nil
}

// realPath is a path without links, of which the end need not be there yet.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", path, err)
	}
	rest := ""
	for {
		there, err := filepath.EvalSymlinks(abs)
		if err == nil {
			return filepath.Join(there, rest), nil
		}
		up := filepath.Dir(abs)
		if !errors.Is(err, fs.ErrNotExist) || up == abs {
			return "", fmt.Errorf("finding %s: %w", path, err)
		}
		abs, rest = up, filepath.Join(filepath.Base(abs), rest)
	}
}

// emptyFolder makes a folder for nobody else to look into. One with something in it is left alone.
func emptyFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("making the folder %s: %w", path, err)
	}
	entries, err := os.ReadDir(path)
	switch {
	case err != nil:
		return fmt.Errorf("looking into %s: %w", path, err)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: name a new folder, so that no older backup is spoilt", path)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return fmt.Errorf("closing %s to others: %w", path, err)
	}
	return nil
}

// keepFiles copies a file, or all files below a folder, that are not there yet. What goes meanwhile, or was never there, is left out.
func keepFiles(from, to string) error {
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rest)
		if e.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if err := copyFile(path, target); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keeping %s: %w", from, err)
	}
	return nil
}

// copyFile writes a file once more, for its owner's eyes only, and to the disk. A copy is never a link: who may read a key, and whose it is, is asked of the file, whatever name it goes by.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// syncFolder has the names in a folder survive a power cut.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
