package mailbox

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	unfinished = ".part" // ends the name of a blob that is being written
	copyPiece  = 256 << 10
	runBytes   = 9 // random, in the name of a run
)

// blobs are files, each with the bytes of one message. A name is the run that made it and a count within the run, so that whatever bears
// another run's name is either in the database or was left behind.
type blobs struct {
	dir    string
	folder *os.File // open, for its fsync
	run    string
	count  atomic.Int64
}

func newBlobs(dir string) (*blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// The folder's own name must survive a power cut, or all blobs go with it.
	parent, err := os.Open(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
		return nil, err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	var b [runBytes]byte
	rand.Read(b[:]) // never fails
	return &blobs{dir: dir, folder: folder, run: base64.RawURLEncoding.EncodeToString(b[:])}, nil
}

func (b *blobs) close() error { return b.folder.Close() }

func (b *blobs) path(name string) string { return filepath.Join(b.dir, name) }

// write makes a blob of exactly size bytes and returns its name. The order is what makes it safe: the bytes are on the disk before they bear
// the name, and the name is before anybody puts it into the database.
func (b *blobs) write(ctx context.Context, r io.Reader, size int64) (name string, err error) {
	name = b.run + "." + strconv.FormatInt(b.count.Add(1), 36)
	part := b.path(name + unfinished)
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	err = fill(ctx, f, r, size)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, b.path(name)); err != nil {
		return "", errors.Join(err, os.Remove(part))
	}
	if err := b.folder.Sync(); err != nil {
		return "", errors.Join(err, os.Remove(b.path(name)))
	}
	return name, nil
}

// fill copies size bytes by pieces; the end of ctx ends it between two of them.
func fill(ctx context.Context, f *os.File, r io.Reader, size int64) error {
	for left := size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(f, r, min(left, copyPiece))
		if left -= n; err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("copying its %d octets, %d of them to come: %w", size, left, err)
		}
	}
	return atEnd(r, size)
}

// open opens a blob for reading; it must have the size that the database says.
func (b *blobs) open(name string, size int64) (*os.File, error) {
	f, err := os.Open(b.path(name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("blob %s has %d octets, not %d", name, info.Size(), size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// remove removes a blob that nothing in the database names. That it is not there is fine.
func (b *blobs) remove(name string) error {
	if err := os.Remove(b.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// madeBy is the run that made a blob.
func madeBy(name string) string {
	run, _, _ := strings.Cut(name, ".")
	return run
}

// made tells whether a file of this name was made by some run; anything else in the folder is not ours to touch.
func made(name string) bool {
	run, _, ok := strings.Cut(name, ".")
	if !ok {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(run)
	return err == nil && len(raw) == runBytes
}

// earlier yields the blobs that other runs have left in the folder, by pieces, as long as it is told to go on: names, of which the unfinished are nobody's.
func (b *blobs) earlier(yield func(names []string) (goOn bool, err error)) error {
	d, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(256)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		others := names[:0]
		for _, n := range names {
			if made(n) && !strings.HasPrefix(n, b.run+".") {
				others = append(others, n)
			}
		}
		if goOn, err := yield(others); err != nil || !goOn {
			return err
		}
	}
}
