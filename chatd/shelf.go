package chatd

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/netutil"
	"chmail/internal/picture"
	"chmail/internal/sqldb"
	"chmail/internal/web"
)

// Files that people send each other. One belongs to a conversation and to the side that sent it from the moment that it is begun (hazards 4, "Foreign upload
// attached"); it is an event like a message from the moment at which that is committed, and until then nobody's. Its bytes lie in the database, in pieces:
// so one commit says that all of it is there, whatever removes the conversation removes it, and a copy of the database is a copy of everything. A piece is
// small, so that mail that is being taken in waits for none.

const (
	pieceSize    = 64 << 10         // octets; whoever reads a file slowly holds one in memory
	commitSize   = 4 * pieceSize    // written at once
	filesOfOne   = 500              // of a conversation
	uploadsAll   = 32               // on their way at once,
	uploadsEach  = 4                // of them from one network
	filesPerNet  = 60               // begun from one network in ten minutes
	unbegunAfter = 2 * time.Hour    // what has not become an event by then never will: no upload is allowed to take so long
	sweepPieces  = 128              // removed in one transaction
	spoolPrefix  = "file-"          // of what is on its way in
	sayWithin    = 20 * time.Second // a file that has come must have become an event
)

// FileLimits bound the files of chats; zero numbers take the defaults named with them.
type FileLimits struct {
	Max          int64  // octets of one file; 10 MiB; negative: there are none
	Conversation int64  // of all files of a conversation; 200 MiB
	Login        int64  // of all files in the conversations of a login; 2 GiB
	Attach       int64  // of the files that go along with what was said, when that is mailed; 0: none do
	Spool        string // folder for what is on its way in; "": the system's for temporary files
}

// A File is a file that somebody has sent, as everybody in its conversation may know it.
type File struct {
	ID     string `json:"id"`              // names it in addresses, and opens nothing
	Type   string `json:"type"`            // of a picture that was encoded anew: image/jpeg, image/png or image/gif; otherwise application/octet-stream
	Size   int64  `json:"size"`            // octets
	Width  int    `json:"width,omitempty"` // pixels of a picture, 0 otherwise
	Height int    `json:"height,omitempty"`
	URL    string `json:"url,omitempty"` // where a terminal's owner finds it, with a pass; "" for everybody else

	key int64
}

// Picture tells whether it is a picture, which may be shown.
func (f *File) Picture() bool { return strings.HasPrefix(f.Type, "image/") }

const anyFile = "application/octet-stream" // whatever it claims to be: nobody is to open it for what it says

var (
	faultLarge   = &fault{"large", "this file is too large"}
	faultPicture = &fault{"picture", "this picture cannot be read"}
	faultIntent  = &fault{"intent", "begin the conversation first"}
	faultNoFiles = &fault{"nofiles", "files cannot be sent here"}
	faultEmpty   = &fault{"empty", "there is nothing in this file"}
)

// shelf is what files need beside the database.
type shelf struct {
	limits  FileLimits
	cleaner *picture.Cleaner
	begun   *web.Limiter
	slots   chan struct{}
	woken   chan struct{} // there is something to be removed; holds one
	pass    [32]byte      // key of the addresses that terminals are shown

	part sync.Mutex // of all files, one part at a time is committed: what is committed beside it waits for no more

	mu    sync.Mutex
	byNet map[netip.Prefix]int // uploads on their way
}

func newShelf(l FileLimits) *shelf {
	if l.Max == 0 {
		l.Max = 10 << 20
	}
	if l.Conversation == 0 {
		l.Conversation = 200 << 20
	}
	if l.Login == 0 {
		l.Login = 2 << 30
	}
	f := &shelf{
		limits: l, cleaner: picture.NewCleaner(picture.Limits{}), begun: web.NewLimiter(filesPerNet, 10*time.Minute),
		slots: make(chan struct{}, uploadsAll), woken: make(chan struct{}, 1), byNet: make(map[netip.Prefix]int),
	}
	rand.Read(f.pass[:]) // never fails
	return f
}

// wake has what is nobody's removed soon.
func (f *shelf) wake() {
	if f == nil { // an Archive removes by itself
		return
	}
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// enter takes a place for an upload; false when there are too many on their way, or were.
func (f *shelf) enter(a netip.Addr) (leave func(), ok bool) {
	if !f.begun.Hit(a) {
		return nil, false
	}
	p := netutil.Network(a)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byNet[p] >= uploadsEach {
		return nil, false
	}
	select {
	case f.slots <- struct{}{}:
	default:
		return nil, false
	}
	f.byNet[p]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.byNet[p]--; f.byNet[p] == 0 {
			delete(f.byNet, p)
		}
		<-f.slots
	}, true
}

// spool is a file for what is on its way in. Nothing in it was ever acknowledged, so nothing is synced.
func (f *shelf) spool() (*os.File, error) {
	if f.limits.Spool != "" {
		if err := os.MkdirAll(f.limits.Spool, 0o700); err != nil {
			return nil, fmt.Errorf("making the spool: %w", err)
		}
	}
	file, err := os.CreateTemp(f.limits.Spool, spoolPrefix)
	if err != nil {
		return nil, fmt.Errorf("making a file in the spool: %w", err)
	}
	return file, nil
}

// clear removes from the spool what earlier runs have left in it: photographs as they came, with all that they tell.
func (f *shelf) clear() error {
	if f.limits.Spool == "" {
		return nil
	}
	left, err := os.ReadDir(f.limits.Spool)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sweeping the spool: %w", err)
	}
	for _, e := range left {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), spoolPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(f.limits.Spool, e.Name())); err != nil {
			return fmt.Errorf("sweeping the spool: %w", err)
		}
	}
	return nil
}

// A draft is a file that is being written into the database; it is nobody's business until an event names it.
type draft struct {
	ctx   context.Context
	store *store
	key   int64
	size  int64
	max   int64
	i     int64
	buf   []byte
}

// draft begins a file of a side of a conversation. size is what came; until it is finished, it counts on the login with that.
func (s *store) draft(ctx context.Context, conv int64, login, side string, size int64, now time.Time) (*draft, error) {
	d := &draft{ctx: ctx, store: s, max: s.files.limits.Max}
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		if room, err := roomFor(tx, conv, login, 0, size, s.files.limits); err != nil || !room {
			return cmp.Or(err, error(faultFull))
		}
		return tx.QueryRow(`INSERT INTO chatd_file (id, conv, login, side, type, size, width, height, begun) VALUES (?, ?, ?, ?, '', ?, 0, 0, ?) RETURNING key`,
			randomID(), conv, login, side, size, now).Scan(&d.key)
	})
	if err != nil {
		return nil, fmt.Errorf("beginning a file: %w", err)
	}
	return d, nil
}

// Write takes more of it; faultLarge when that is too much.
func (d *draft) Write(p []byte) (n int, err error) {
	if d.size+int64(len(p)) > d.max {
		return 0, faultLarge
	}
	for len(p) > 0 {
		k := min(len(p), commitSize-len(d.buf))
		d.buf = append(d.buf, p[:k]...)
		p, n, d.size = p[k:], n+k, d.size+int64(k)
		if len(d.buf) == commitSize {
			if err := d.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (d *draft) flush() error {
	if len(d.buf) == 0 {
		return nil
	}
	d.store.files.part.Lock()
	defer d.store.files.part.Unlock()
	next := d.i
	err := d.store.db.Update(d.ctx, func(tx *sqldb.Tx) error {
		next = d.i
		for b := range slices.Chunk(d.buf, pieceSize) {
			if _, err := tx.Exec(`INSERT INTO chatd_piece (file, i, bytes) VALUES (?, ?, ?)`, d.key, next, b); err != nil {
				return err
			}
			next++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keeping a part of a file: %w", err)
	}
	d.i, d.buf = next, d.buf[:0]
	return nil
}

// finish keeps what is known of a file once all of it is there.
func (d *draft) finish(info picture.Info) (*File, error) {
	if err := d.flush(); err != nil {
		return nil, err
	}
	f := &File{Type: info.Type, Size: d.size, Width: info.Width, Height: info.Height, key: d.key}
	err := d.store.db.Update(d.ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`UPDATE chatd_file SET type = ?, size = ?, width = ?, height = ? WHERE key = ? RETURNING id`, f.Type, f.Size, f.Width, f.Height, f.key).Scan(&f.ID)
	})
	if err != nil {
		return nil, fmt.Errorf("keeping a file: %w", err)
	}
	return f, nil
}

// forget gives up a file of which nothing became.
func (s *store) forget(ctx context.Context, key int64) error {
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		tx.AfterCommit(s.files.wake)
		_, err := tx.Exec(`UPDATE chatd_file SET conv = NULL WHERE key = ? AND n IS NULL`, key)
		return err
	})
	if err != nil {
		return fmt.Errorf("giving a file up: %w", err)
	}
	return nil
}

// mayShelve tells whether a file is still there to become an event, and there is room for it.
func (s *store) mayShelve(tx *sqldb.Tx, r *record, f *File) (bool, error) {
	var there bool
	if err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chatd_file WHERE key = ? AND conv = ? AND n IS NULL)`, f.key, r.key).Scan(&there); err != nil || !there {
		return false, err
	}
	return roomFor(tx, r.key, r.login, f.key, f.Size, s.files.limits)
}

// shelve makes a file that of an event, within the transaction that adds it.
func shelve(tx *sqldb.Tx, r *record, f *File, n int64) error {
	_, err := tx.Exec(`UPDATE chatd_file SET n = ? WHERE key = ? AND conv = ? AND n IS NULL`, n, f.key, r.key)
	return err
}

// roomFor tells whether a file of this size fits into a conversation; key is that of its row, 0 before it has one. For a login all that takes room is counted:
// what is on its way, and what is being removed, too.
func roomFor(tx *sqldb.Tx, conv int64, login string, key, size int64, l FileLimits) (bool, error) {
	var count, here, all int64
	err := tx.QueryRow(`SELECT count(*), coalesce(sum(size), 0) FROM chatd_file WHERE conv = ? AND n IS NOT NULL`, conv).Scan(&count, &here)
	if err == nil {
		err = tx.QueryRow(`SELECT coalesce(sum(size), 0) FROM chatd_file WHERE login = ? AND key <> ?`, login, key).Scan(&all)
	}
	return err == nil && count < filesOfOne && here+size <= l.Conversation && all+size <= l.Login, err
}

// unshelve takes files from everybody, within the transaction that removes what named them; sweepFiles removes them.
func (s *store) unshelve(tx *sqldb.Tx, where string, args ...any) error {
	tx.AfterCommit(s.files.wake)
	_, err := tx.Exec(`UPDATE chatd_file SET conv = NULL, n = NULL WHERE `+where, args...)
	return err
}

// sweepFiles removes the files that are nobody's, in small steps: those that were taken back, those of removed conversations, and those that never became
// an event because their sender, or we, went away.
func (s *store) sweepFiles(ctx context.Context, now time.Time) error {
	for left := true; left; {
		err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
			left = false
			var key int64
			err := tx.QueryRow(`SELECT key FROM chatd_file WHERE conv IS NULL UNION ALL SELECT key FROM chatd_file WHERE n IS NULL AND begun < ? LIMIT 1`, now.Add(-unbegunAfter)).Scan(&key)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			left = true
			res, err := tx.Exec(`DELETE FROM chatd_piece WHERE file = ?1 AND i IN (SELECT i FROM chatd_piece WHERE file = ?1 LIMIT ?2)`, key, sweepPieces)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n == sweepPieces {
				return err
			}
			_, err = tx.Exec(`DELETE FROM chatd_file WHERE key = ?`, key)
			return err
		})
		if err != nil {
			return fmt.Errorf("removing files: %w", err)
		}
	}
	return nil
}

// Shelved is a file that somebody may read.
type Shelved struct {
	File
	Name string // as its sender's computer called it, cleaned
	n    int64  // the event that it is
	// Send writes the file to w, piece by piece: each call of w.Write gets one. An error leaves half a file: the connection is to be broken off.
	Send func(ctx context.Context, w io.Writer) error
}

// send writes a file to w, a piece in memory at a time.
func (s *store) send(ctx context.Context, f *File, w io.Writer) error {
	for i, left := int64(0), f.Size; left > 0; i++ {
		var b []byte
		err := s.db.View(ctx, func(tx *sqldb.Tx) error {
			return tx.QueryRow(`SELECT bytes FROM chatd_piece WHERE file = ? AND i = ?`, f.key, i).Scan(&b)
		})
		if err != nil {
			return fmt.Errorf("reading piece %d of a file: %w", i, err)
		}
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("sending a file: %w", err)
		}
		if left -= int64(len(b)); len(b) == 0 {
			return fmt.Errorf("piece %d of a file is empty", i)
		}
	}
	return nil
}

// passed finds a file of a conversation that a link has led to; ErrNoFile when there is none with this id.
func (s *store) passed(ctx context.Context, link call.Link, id string) (*Shelved, error) {
	var conv string
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT c.id FROM chatd_file f JOIN chatd_conversation c ON c.key = f.conv WHERE f.id = ? AND c.link = ? AND c.login = ?`, id, link.ID, link.Login).Scan(&conv)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNoFile
	case err != nil:
		return nil, fmt.Errorf("finding a file by its link: %w", err)
	}
	return s.file(ctx, conv, id)
}

// file finds a file of a conversation; ErrNoFile when that has none with this id.
func (s *store) file(ctx context.Context, conv, id string) (*Shelved, error) {
	f := new(Shelved)
	f.Send = func(ctx context.Context, w io.Writer) error { return s.send(ctx, &f.File, w) }
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT f.id, f.type, f.size, f.width, f.height, f.key, f.n, e.text FROM chatd_file f
			JOIN chatd_conversation c ON c.key = f.conv AND c.id = ? JOIN chatd_event e ON e.conv = f.conv AND e.n = f.n WHERE f.id = ?`, conv, id).
			Scan(&f.ID, &f.Type, &f.Size, &f.Width, &f.Height, &f.key, &f.n, &f.Name)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNoFile
	case err != nil:
		return nil, fmt.Errorf("finding a file: %w", err)
	}
	return f, nil
}
