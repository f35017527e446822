package chatd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chmail/internal/call"
	"chmail/internal/picture"
	"chmail/internal/sqldb"
)

// ErrNoFile says that there is no such file for whoever asks, whether or not there is one for somebody else.
var ErrNoFile = errors.New("no such file")

// An Upload is a file that somebody sends.
type Upload struct {
	CID  string // the client's own id for it; with the same it is sent once, however often it is tried
	Name string // as his computer calls it
	Size int64  // octets that are announced; negative: not known
	Body io.Reader
	Peer netip.Addr
}

// A Sent is a file that is safe.
type Sent struct {
	Conv string
	N    int64 // its event
	File File
}

// MaxFile is how many octets a file may have; 0 when none can be sent.
func (s *Server) MaxFile() int64 { return max(s.store.files.limits.Max, 0) }

// FileFromVisitor takes a file from the visitor behind a link, with whom there must be a conversation: he has shown intent. It returns when the file is safe.
// Why nothing was taken tells Refusal: beside what it tells of messages, "large", "picture", "empty", "intent" or "nofiles".
func (s *Server) FileFromVisitor(ctx context.Context, link call.Link, cookie string, u Upload) (Sent, error) {
	v := browserVisitor(cookie)
	if err := s.blocked(ctx, link, v); err != nil {
		return Sent{}, err
	}
	id, err := s.store.find(ctx, link, v)
	if err != nil {
		return Sent{}, err
	}
	if id == "" {
		return Sent{}, faultIntent
	}
	return s.receive(ctx, id, link.Login, visitor, u)
}

// FileFromOwner takes a file from a login for one of its conversations; ErrNoConversation when that is not his. It answers a call that waits there. Otherwise
// it is as FileFromVisitor.
func (s *Server) FileFromOwner(ctx context.Context, login, conv string, u Upload) (Sent, error) {
	if _, err := s.store.one(ctx, login, conv); err != nil {
		return Sent{}, err
	}
	sent, err := s.receive(ctx, conv, login, owner, u)
	if err == nil {
		s.o.Broker.Join(login, "file", conv)
	}
	return sent, err
}

// FileFromGuest takes a file from a guest of a conversation; ErrNoConversation when this visitor is none there. Otherwise it is as FileFromVisitor.
func (s *Server) FileFromGuest(ctx context.Context, conv, cookie string, u Upload) (Sent, error) {
	g, err := s.store.guest(ctx, conv, browserVisitor(cookie))
	if errors.Is(err, faultLink) {
		return Sent{}, ErrNoConversation
	}
	if err != nil {
		return Sent{}, err
	}
	return s.receive(ctx, conv, g.login, g.side(), u)
}

// GuestFile is a file of a conversation in which a visitor is a guest, of those that he may know of; ErrNoFile otherwise.
func (s *Server) GuestFile(ctx context.Context, conv, cookie, file string) (*Shelved, error) {
	g, err := s.store.guest(ctx, conv, browserVisitor(cookie))
	if errors.Is(err, faultLink) {
		return nil, ErrNoFile
	}
	if err != nil {
		return nil, err
	}
	f, err := s.store.file(ctx, conv, file)
	if err == nil && f.n < g.since { // of what was said before he came
		return nil, ErrNoFile
	}
	return f, err
}

// VisitorFile is a file of the conversation that a visitor has by a link; ErrNoFile otherwise.
func (s *Server) VisitorFile(ctx context.Context, link call.Link, cookie, file string) (*Shelved, error) {
	id, err := s.store.find(ctx, link, browserVisitor(cookie))
	if err != nil {
		return nil, err
	}
	return s.store.file(ctx, id, file)
}

// OwnerFile is a file of a login's conversation; ErrNoFile otherwise.
func (s *Server) OwnerFile(ctx context.Context, login, conv, file string) (*Shelved, error) {
	if _, err := s.store.one(ctx, login, conv); err != nil {
		if errors.Is(err, ErrNoConversation) {
			err = ErrNoFile
		}
		return nil, err
	}
	return s.store.file(ctx, conv, file)
}

// receive takes a file for a side of a conversation that is its own.
func (s *Server) receive(ctx context.Context, conv, login, side string, u Upload) (Sent, error) {
	files := s.store.files
	name := cleanFileName(u.Name)
	switch {
	case files.limits.Max < 0:
		return Sent{}, faultNoFiles
	case !goodCID(u.CID):
		return Sent{}, faultFrame
	}
	key, sent, err := s.store.mayReceive(ctx, conv, side, u.CID, max(u.Size, 1), files.limits)
	switch {
	case err != nil || sent.N != 0:
		return sent, err
	case u.Size == 0:
		return Sent{}, faultEmpty
	case u.Size > files.limits.Max:
		return Sent{}, faultLarge
	}
	leave, ok := files.enter(u.Peer)
	if !ok {
		return Sent{}, errBusy
	}
	defer leave()
	f, kind, err := s.keepFile(ctx, u.Body, func(size int64) (*draft, error) { return s.store.draft(ctx, key, login, side, size, time.Now()) })
	if err != nil {
		return Sent{}, err
	}
	if kind != "" {
		name = withEnding(name, f.Type)
	}
	sent, err = s.tellFile(ctx, conv, side, u.CID, name, f)
	if err != nil || sent.File.ID != f.ID { // or the same was sent by another connection meanwhile
		err = errors.Join(err, s.store.forget(context.WithoutCancel(ctx), f.key))
	}
	if err == nil {
		s.log.Info("chatd: file", "conv", conv, "side", side, "type", sent.File.Type, "size", sent.File.Size, "peer", u.Peer)
	}
	return sent, err
}

// keepFile takes a file in, and puts it, or the picture that was made of it, into the database. kind is what kind of picture came; "" for what is none.
func (s *Server) keepFile(ctx context.Context, body io.Reader, begin func(size int64) (*draft, error)) (f *File, kind string, err error) {
	files := s.store.files
	spool, err := files.spool()
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, spool.Close(), os.Remove(spool.Name())) }()
	size, err := io.Copy(spool, io.LimitReader(body, files.limits.Max+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("taking a file in: %w", err)
	case size > files.limits.Max:
		return nil, "", faultLarge
	case size == 0:
		return nil, "", faultEmpty
	}
	head := make([]byte, picture.SniffLen)
	if _, err := spool.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", fmt.Errorf("looking at a file: %w", err)
	}
	d, err := begin(size)
	if err != nil {
		return nil, "", err
	}
	info := picture.Info{Type: anyFile}
	if kind = picture.Sniff(head); kind != "" {
		info, err = files.cleaner.Clean(ctx, spool, size, d)
	} else {
		_, err = io.Copy(d, io.NewSectionReader(spool, 0, size))
	}
	if err == nil {
		f, err = d.finish(info)
	}
	switch {
	case errors.Is(err, picture.ErrLarge):
		err = fmt.Errorf("%w: %w", faultLarge, err)
	case errors.Is(err, picture.ErrBroken):
		err = fmt.Errorf("%w: %w", faultPicture, err)
	}
	if err != nil {
		return nil, kind, errors.Join(err, s.store.forget(context.WithoutCancel(ctx), d.key))
	}
	return f, kind, nil
}

// tellFile has the room make an event of a file, and waits until it is committed.
func (s *Server) tellFile(ctx context.Context, conv, side, cid, name string, f *File) (Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, sayWithin)
	defer cancel()
	r, err := s.rooms.take(ctx, conv)
	if err != nil {
		return Sent{}, err
	}
	defer s.rooms.release(r)
	done := make(chan any, 1)
	pace := r.pace[side]
	if guestNumber(side) != 0 {
		pace = r.tail.paceOf(side)
	}
	if pace.Wait(ctx) != nil || !r.post(ctx, said{side: side, cid: cid, text: name, file: f, done: done}) {
		return Sent{}, errLeft
	}
	select {
	case a := <-done:
		switch a := a.(type) {
		case filedFrame:
			return Sent{Conv: conv, N: a.n, File: a.file}, nil
		case errorFrame:
			return Sent{}, &fault{a.Code, a.Text}
		}
		return Sent{}, errLeft
	case <-r.done:
	case <-ctx.Done():
	}
	return Sent{}, errLeft
}

// filedFrame tells whoever waits for a file that it is safe.
type filedFrame struct {
	n    int64
	file File
}

// mayReceive finds the conversation's key, and the file if it is safe already; otherwise it tells whether there is room for one.
func (s *store) mayReceive(ctx context.Context, conv, side, cid string, size int64, l FileLimits) (key int64, sent Sent, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		var state, login string
		if err := tx.QueryRow(`SELECT key, state, login FROM chatd_conversation WHERE id = ?`, conv).Scan(&key, &state, &login); err != nil {
			return err
		}
		var n int64
		err := tx.QueryRow(`SELECT n FROM chatd_event WHERE conv = ? AND side = ? AND cid = ?`, key, side, cid).Scan(&n)
		if err == nil {
			sent = Sent{Conv: conv, N: n}
			sent.File, err = fileOf(tx, key, n)
			return err
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if call.State(state) == call.Ended {
			return faultEnded
		}
		room, err := roomFor(tx, key, login, 0, size, l)
		if err == nil && !room {
			err = faultFull
		}
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoConversation
	}
	if err != nil {
		return 0, Sent{}, fmt.Errorf("looking whether a file can be taken: %w", err)
	}
	return key, sent, nil
}

// fileOf is the file of an event; an empty one where it has none, or none any more.
func fileOf(tx *sqldb.Tx, conv, n int64) (f File, err error) {
	err = tx.QueryRow(`SELECT id, type, size, width, height, key FROM chatd_file WHERE conv = ? AND n = ?`, conv, n).Scan(&f.ID, &f.Type, &f.Size, &f.Width, &f.Height, &f.key)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return f, err
}

const (
	maxFileName   = 120 // characters
	maxFileEnding = 12
)

// cleanFileName makes of what somebody's computer calls a file a name for everybody's: one line without folders, without what some system takes for
// something else, short, its ending kept.
func cleanFileName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, ""), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.In(r, unicode.Cf, unicode.Co) && r != zwnj && r != zwj: // what turns the writing around would hide the ending
			return -1
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), strings.ContainsRune(`/<>:"|?*`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(strings.Join(strings.Fields(name), " "), ". ")
	runes := []rune(name)
	if len(runes) > maxFileName {
		ending := []rune(path.Ext(name))
		if len(ending) > maxFileEnding {
			ending = nil
		}
		name = strings.TrimSpace(string(runes[:maxFileName-len(ending)])) + string(ending)
	}
	if strings.Trim(name, "_ ") == "" {
		return "file"
	}
	return name
}

// withEnding gives a picture the name's ending that fits what it has become.
func withEnding(name, kind string) string {
	endings := map[string][]string{picture.JPEG: {".jpg", ".jpeg"}, picture.PNG: {".png"}, picture.GIF: {".gif"}}[kind]
	ext := path.Ext(name)
	for _, e := range endings {
		if strings.EqualFold(ext, e) {
			return name
		}
	}
	if known := strings.ToLower(ext); known == ".webp" || known == ".jpg" || known == ".jpeg" || known == ".png" || known == ".gif" || known == ".jfif" {
		name = name[:len(name)-len(ext)]
	}
	return name + endings[0]
}
