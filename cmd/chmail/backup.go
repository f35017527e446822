package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"chmail/internal/sqldb"
)

type backupVerb struct {
	Folder string `arg:"" help:"A new folder, or an empty one, that is made where it is missing."`
}

// Help shows the verb at work.
func (backupVerb) Help() string {
	return `Mail, accounts, chats, keys and the queue as they are at one moment, while the server runs or not. Large messages are linked, not copied, where the folder is on the
same disk: copy the folder somewhere else then. The configuration and the certificate are not in it. To restore, stop the server, put the folder in the place of the data
folder, and look at chmail queue list before you start: what waited then is sent again, also what has been delivered since.

Examples:

    chmail backup /var/backups/chmail-2026-11-26
    chmail backup /mnt/backup/chmail && rsync -a /mnt/backup/chmail backup.example.net:`
}

// Run makes the copy.
func (v *backupVerb) Run(ctx context.Context, o *outside, line *cli) error {
	cfg, err := line.load()
	if err != nil {
		return err
	}
	from := &dataFolder{path: cfg.Data} // its holder may be the running server: nothing is changed there
	if _, err := os.Stat(from.database()); err != nil {
		return fmt.Errorf("there is nothing to keep: %w", err)
	}
	if err := emptyFolder(v.Folder); err != nil {
		return err
	}
	to := &dataFolder{path: v.Folder}
	// What is removed after the database has been copied is in the first round, what is new by then in the second.
	blobs, err := keepFiles(from.blobs(), to.blobs())
	if err != nil {
		return err
	}
	if err := sqldb.Copy(ctx, from.database(), to.database()); err != nil {
		return err
	}
	for _, name := range []string{blobFolder, "dkim", pushKeyFile} {
		n, err := keepFiles(filepath.Join(from.path, name), filepath.Join(to.path, name))
		if err != nil {
			return err
		}
		if name == blobFolder {
			blobs += n
		}
	}
	info, err := os.Stat(to.database())
	if err != nil {
		return err
	}
	return o.printf("Kept in %s: the database (%d MiB), %d large message%s, the keys.\n", printable(v.Folder), info.Size()>>20, blobs, plural(blobs))
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

// keepFiles links or copies a file, or all files below a folder, that are not there yet. What goes meanwhile, or was never there, is left out.
func keepFiles(from, to string) (n int, err error) {
	err = filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
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
		err = keepFile(path, target)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist):
			return nil
		case err == nil:
			n++
		}
		return err
	})
	if err != nil {
		return n, fmt.Errorf("keeping %s: %w", from, err)
	}
	return n, nil
}

// keepFile makes a file be in another place too. Blobs and keys never change, they are only replaced, so a link is as good as a copy.
func keepFile(from, to string) (err error) {
	if err := os.Link(from, to); err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
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
