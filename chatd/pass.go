package chatd

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"chmail/internal/call"
)

// A terminal shows no pictures, and the browser that its owner would open a file with is another visitor. So whoever is in a conversation by a terminal is given a pass
// with a file: for that file, that link and a day. It is no right to anything else, and ends with the file, the link and the program.

const (
	passLife = 24 * time.Hour
	passMAC  = 16 // octets of it; 128 bits are not guessed
)

// passFor is a pass for a file of a conversation that a link has led to.
func (f *shelf) passFor(file string, link int64, now time.Time) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(now.Add(passLife).Unix()/60))
	return base64.RawURLEncoding.EncodeToString(append(b, f.seal(b, file, link)...))
}

// seal is what only this program can have written under a pass.
func (f *shelf) seal(until []byte, file string, link int64) []byte {
	mac := hmac.New(sha256.New, f.pass[:])
	mac.Write(until)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(link)))
	mac.Write([]byte(file))
	return mac.Sum(nil)[:passMAC]
}

// passes tells whether a pass is good.
func (f *shelf) passes(pass, file string, link int64, now time.Time) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(pass)
	return err == nil && len(b) == 4+passMAC && hmac.Equal(b[4:], f.seal(b[:4], file, link)) && now.Unix()/60 <= int64(binary.BigEndian.Uint32(b))
}

// PassedFile is a file for whoever has a pass for it, that a terminal was shown; ErrNoFile otherwise.
func (s *Server) PassedFile(ctx context.Context, link call.Link, file, pass string) (*Shelved, error) {
	if !s.store.files.passes(pass, file, link.ID, time.Now()) {
		return nil, ErrNoFile
	}
	return s.store.passed(ctx, link, file)
}

// address is where whoever is in by a terminal finds a file.
func (v *visit) address(file string) string {
	return v.srv.o.Site.Origin() + "/c/" + v.token + "/files/" + file + "?pass=" + v.srv.store.files.passFor(file, v.link.ID, time.Now())
}

// withAddress is the frame of an event, with the address of its file.
func withAddress(e *event, address func(file string) string) ([]byte, error) {
	var f eventFrame
	if err := json.Unmarshal(e.wire, &f); err != nil || f.File == nil {
		return nil, fmt.Errorf("reading an event again: %w", errors.Join(err, errors.ErrUnsupported))
	}
	f.File.URL = address(f.File.ID)
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return b, nil
}
