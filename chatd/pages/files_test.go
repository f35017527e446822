package pages

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"sync"
	"testing"

	"chmail/chatd"
	"chmail/internal/call"
)

// fakeFiles keeps files in memory, of one conversation.
type fakeFiles struct {
	mu   sync.Mutex
	max  int64
	kept map[string]*chatd.Shelved // by id
	sent []chatd.Upload
	told func(chatd.Sent, string) // that a file has become an event, of a side
	fail error
}

func (f *fakeFiles) MaxFile() int64 { return f.max }

func (f *fakeFiles) FileFromVisitor(_ context.Context, _ call.Link, _ string, u chatd.Upload) (chatd.Sent, error) {
	return f.take("visitor", u)
}

func (f *fakeFiles) FileFromOwner(_ context.Context, login, conv string, u chatd.Upload) (chatd.Sent, error) {
	if login != alice || conv == "foreign" {
		return chatd.Sent{}, fmt.Errorf("taking a file: %w", chatd.ErrNoConversation)
	}
	return f.take("owner", u)
}

func (f *fakeFiles) FileFromGuest(_ context.Context, conv, visitor string, u chatd.Upload) (chatd.Sent, error) {
	if visitor == "" || conv != "c1" {
		return chatd.Sent{}, fmt.Errorf("taking a file: %w", chatd.ErrNoConversation)
	}
	return f.take("guest", u)
}

func (f *fakeFiles) GuestFile(_ context.Context, conv, visitor, id string) (*chatd.Shelved, error) {
	return f.find(visitor != "" && conv == "c1", id)
}

func (f *fakeFiles) take(side string, u chatd.Upload) (chatd.Sent, error) {
	body, err := io.ReadAll(u.Body)
	if err != nil {
		return chatd.Sent{}, fmt.Errorf("taking a file in: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return chatd.Sent{}, f.fail
	}
	u.Body = nil
	f.sent = append(f.sent, u)
	s := chatd.Sent{Conv: "talk", N: int64(len(f.sent)), File: chatd.File{ID: fmt.Sprint("file", len(f.sent)), Type: "application/octet-stream", Size: int64(len(body))}}
	f.keep(s.File, u.Name, body)
	if f.told != nil {
		f.told(s, side)
	}
	return s, nil
}

func (f *fakeFiles) keep(file chatd.File, name string, body []byte) {
	if f.kept == nil {
		f.kept = make(map[string]*chatd.Shelved)
	}
	f.kept[file.ID] = &chatd.Shelved{File: file, Name: name, Send: func(_ context.Context, w io.Writer) error {
		_, err := w.Write(body)
		return err
	}}
}

func (f *fakeFiles) VisitorFile(_ context.Context, _ call.Link, visitor, id string) (*chatd.Shelved, error) {
	return f.find(visitor != "", id)
}

func (f *fakeFiles) OwnerFile(_ context.Context, login, conv, id string) (*chatd.Shelved, error) {
	return f.find(login == alice && conv == "talk", id)
}

func (f *fakeFiles) find(may bool, id string) (*chatd.Shelved, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file := f.kept[id]; may && file != nil {
		return file, nil
	}
	return nil, chatd.ErrNoFile
}

func (f *fakeFiles) PassedFile(_ context.Context, _ call.Link, id, pass string) (*chatd.Shelved, error) {
	return f.find(pass == "good", id)
}

// keepPicture keeps a picture under an id.
func (f *fakeFiles) keepPicture(t *testing.T, id string) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 1600, 1200))
	for i := range img.Pix {
		img.Pix[i] = byte(i / 6400)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep(chatd.File{ID: id, Type: "image/jpeg", Size: int64(b.Len()), Width: 1600, Height: 1200}, id+".jpg", b.Bytes())
}
