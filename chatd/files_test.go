package chatd

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

var somewhere = netip.MustParseAddr("192.0.2.7")

func upload(cid, name, body string) Upload {
	return Upload{CID: cid, Name: name, Size: int64(len(body)), Body: strings.NewReader(body), Peer: somewhere}
}

// send sends a file as a visitor does.
func (h *house) send(who string, u Upload) (Sent, error) {
	return h.srv.FileFromVisitor(h.t.Context(), h.broker.link(offer), cookieOf(who), u)
}

func (h *house) mustSend(who string, u Upload) Sent {
	h.t.Helper()
	s, err := h.send(who, u)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// fetch reads a file as a visitor does.
func (h *house) fetch(who, id string) (string, error) {
	f, err := h.srv.VisitorFile(h.t.Context(), h.broker.link(offer), cookieOf(who), id)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = f.Send(h.t.Context(), &b)
	return b.String(), err
}

// shelved is how many files and pieces the database holds.
func (h *house) shelved() (files, pieces int) {
	h.t.Helper()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT (SELECT count(*) FROM chatd_file), (SELECT count(*) FROM chatd_piece)`).Scan(&files, &pieces)
	}); err != nil {
		h.t.Fatal(err)
	}
	return files, pieces
}

// until looks again and again for something that another goroutine does without telling anybody.
func (h *house) until(what string, is func() bool) {
	h.t.Helper()
	look, limit := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-limit:
			h.t.Fatalf("never: %s", what)
		}
	}
}

func photograph(t testing.TB) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 60, 40))
	for i := range 60 {
		img.Set(i, i%40, color.RGBA{200, uint8(i), 20, 255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAFileIsSentOnceAndReadByThoseWhoAreThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	plan := strings.Repeat("the plan of the roof\n", 30_000) // ten pieces, in three commits
	sent := h.mustSend("Bob", upload("f1", `C:\Users\Bob\the "plan".pdf`, plan))
	if again := h.mustSend("Bob", upload("f1", "plan.pdf", plan)); again != sent {
		t.Errorf("sent once more it is %+v, was %+v", again, sent)
	}
	for _, p := range []*page{bob, desk} {
		e := p.expect("event")
		for e["kind"] != "file" {
			e = p.expect("event")
		}
		f, _ := e["file"].(map[string]any)
		if e["text"] != "the _plan_.pdf" || e["from"] != "visitor" || e["cid"] != "f1" || f["id"] != sent.File.ID || f["type"] != "application/octet-stream" || f["size"] != float64(len(plan)) || f["width"] != nil {
			t.Errorf("told %v", e)
		}
	}
	if got, err := h.fetch("Bob", sent.File.ID); err != nil || got != plan {
		t.Errorf("%d octets come back, %d were sent: %v", len(got), len(plan), err)
	}
	own, err := h.srv.OwnerFile(t.Context(), alice, conv, sent.File.ID)
	if err != nil || own.Name != "the _plan_.pdf" || own.Size != int64(len(plan)) {
		t.Errorf("the owner finds %+v: %v", own, err)
	}
	answer, err := h.srv.FileFromOwner(t.Context(), alice, conv, upload("f1", "photo.webp", photograph(t))) // an id of the other side's
	if err != nil || answer.File.Type != "image/jpeg" || answer.File.Width != 60 || answer.File.Height != 40 {
		t.Errorf("the owner's photograph: %+v, %v", answer, err)
	}
	if f, err := h.srv.VisitorFile(t.Context(), h.broker.link(offer), cookieOf("Bob"), answer.File.ID); err != nil || f.Name != "photo.jpg" || !f.Picture() {
		t.Errorf("the visitor finds %+v: %v", f, err)
	}
	talk, err := h.srv.Conversation(t.Context(), alice, conv)
	if err != nil || talk.Text != "photo.jpg" || talk.Unread != 1 {
		t.Errorf("listed as %+v: %v", talk, err)
	}
	h.stop()
	h.start()
	fresh := h.reader(offer, "Bob", 0, 0)
	var files []string
	for n := 0.0; n < float64(answer.N); {
		e := fresh.expect("event")
		n = e["n"].(float64)
		if f, ok := e["file"].(map[string]any); ok {
			files = append(files, fmt.Sprint(e["text"], " ", f["id"]))
		}
	}
	if want := fmt.Sprint([]string{"the _plan_.pdf " + sent.File.ID, "photo.jpg " + answer.File.ID}); fmt.Sprint(files) != want {
		t.Errorf("after a restart: %v, want %v", files, want)
	}
	if got, err := h.fetch("Bob", sent.File.ID); err != nil || got != plan {
		t.Errorf("after a restart %d octets: %v", len(got), err)
	}
}

// Knowing a file's id gives you nothing, and no foreign conversation takes one (hazards 4, "Foreign upload attached").
func TestForeignFilesAreNoFiles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, bobs := h.talking(offer, "Bob")
	_, minas := h.talking(offer, "Mina")
	_, carols := h.talking(quote, "Bob")
	ctx, link := t.Context(), h.broker.link(offer)
	file := h.mustSend("Bob", upload("f", "a.txt", "between the two of us")).File.ID
	for name, find := range map[string]func() (*Shelved, error){
		"another visitor of the link":       func() (*Shelved, error) { return h.srv.VisitorFile(ctx, link, cookieOf("Mina"), file) },
		"a browser without a conversation":  func() (*Shelved, error) { return h.srv.VisitorFile(ctx, link, cookieOf("Nobody"), file) },
		"a browser without a cookie":        func() (*Shelved, error) { return h.srv.VisitorFile(ctx, link, "", file) },
		"the same browser by another link":  func() (*Shelved, error) { return h.srv.VisitorFile(ctx, h.broker.link(quote), cookieOf("Bob"), file) },
		"the same by another of this owner": func() (*Shelved, error) { return h.srv.VisitorFile(ctx, h.broker.link(gutters), cookieOf("Bob"), file) },
		"another owner":                     func() (*Shelved, error) { return h.srv.OwnerFile(ctx, carol, bobs, file) },
		"another owner, in his own":         func() (*Shelved, error) { return h.srv.OwnerFile(ctx, carol, carols, file) },
		"the owner, in another of his":      func() (*Shelved, error) { return h.srv.OwnerFile(ctx, alice, minas, file) },
		"the owner, nowhere":                func() (*Shelved, error) { return h.srv.OwnerFile(ctx, alice, "", file) },
		"the visitor, of no such name":      func() (*Shelved, error) { return h.srv.VisitorFile(ctx, link, cookieOf("Bob"), file+"x") },
		"the visitor, without a name":       func() (*Shelved, error) { return h.srv.VisitorFile(ctx, link, cookieOf("Bob"), "") },
	} {
		if f, err := find(); !errors.Is(err, ErrNoFile) || f != nil {
			t.Errorf("%s finds %v: %v", name, f, err)
		}
	}
	for _, c := range []struct{ login, conv string }{{carol, bobs}, {alice, carols}, {alice, "nothing"}, {alice, ""}} {
		if _, err := h.srv.FileFromOwner(ctx, c.login, c.conv, upload("x", "x", "intruding")); !errors.Is(err, ErrNoConversation) {
			t.Errorf("%s sends into %q: %v", c.login, c.conv, err)
		}
	}
	if _, err := h.send("Nobody", upload("x", "x", "before any intent")); Refusal(err) != "intent" {
		t.Errorf("before there is a conversation: %v", err)
	}
	if files, _ := h.shelved(); files != 1 {
		t.Errorf("%d files are kept", files)
	}
	// A message's or a foreign file's number is nothing that one could take back as one's own.
	mina := h.reader(offer, "Mina", 0, 0)
	mina.expect("joined")
	mina.send(frame{"t": "delete", "cid": "d", "n": 2})
	if f := mina.expect("error"); f["code"] != "refused" {
		t.Errorf("taking back: %v", f)
	}
	if got, err := h.fetch("Bob", file); err != nil || got != "between the two of us" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAFileIsTakenBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	sent := h.mustSend("Bob", upload("f", "my diary.txt", strings.Repeat("secret ", 100_000)))
	desk := h.desk(alice)
	desk.send(frame{"t": "delete", "conv": conv, "cid": "no", "n": sent.N})
	if f := desk.expect("error"); f["code"] != "refused" {
		t.Errorf("the other side takes it back: %v", f)
	}
	bob.send(frame{"t": "edit", "cid": "e", "n": sent.N, "text": "harmless.txt"})
	if f := bob.expect("error"); f["code"] != "refused" {
		t.Errorf("a file gets another name: %v", f)
	}
	bob.send(frame{"t": "delete", "cid": "d", "n": sent.N})
	bob.expect("ack")
	if _, err := h.fetch("Bob", sent.File.ID); !errors.Is(err, ErrNoFile) {
		t.Errorf("what was taken back: %v", err)
	}
	h.until("its bytes are gone", func() bool { files, pieces := h.shelved(); return files+pieces == 0 })
	if strings.Contains(h.everywhere(), "diary") {
		t.Error("its name is kept")
	}
	fresh := h.reader(offer, "Bob", 0, 0)
	for e := fresh.expect("event"); e["n"] != float64(sent.N+1); e = fresh.expect("event") {
		if e["file"] != nil || e["kind"] == "file" && e["text"] != nil {
			t.Errorf("who comes later is told %v", e)
		}
	}
	if again, err := h.send("Bob", upload("f", "my diary.txt", "x")); err != nil || again.N != sent.N || again.File.ID != "" {
		t.Errorf("sent again under the id that was taken back: %+v, %v", again, err)
	}
}

// When a conversation goes, its files go, whichever way it goes.
func TestFilesGoWithTheirConversation(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(h *house, conv string) error{
		"the administrator deletes it": func(h *house, conv string) error {
			_, err := NewArchive(h.db).Delete(h.t.Context(), alice, conv, time.Time{})
			return err
		},
		"its time is over": func(h *house, conv string) error {
			h.srv.o.Keep = time.Hour
			return h.srv.expire(h.t.Context(), time.Now().Add(2*time.Hour))
		},
		"the account is removed": func(h *house, _ string) error {
			err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error { return Remove(tx, alice) })
			h.srv.Dismiss(alice)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			bob, conv := h.talking(offer, "Bob")
			for i := range 3 {
				h.mustSend("Bob", upload(fmt.Sprint("f", i), "a.bin", strings.Repeat("x", 700_000)))
			}
			bob.cut()
			h.stop()
			h.start()
			if err := remove(h, conv); err != nil {
				t.Fatal(err)
			}
			h.until("all bytes are gone", func() bool { files, pieces := h.shelved(); return files+pieces == 0 })
		})
	}
}

// What was begun and never became an event, because the sender or the server went away, is swept; what became one stays.
func TestWhatIsHalfSentIsSwept(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	spool := filepath.Join(t.TempDir(), "spool")
	h.stop()
	h.start(func(o *Options) { o.Files = FileLimits{Spool: spool} })
	h.talking(offer, "Bob")
	kept := h.mustSend("Bob", upload("kept", "a.txt", "kept"))
	for name, body := range map[string]io.Reader{
		"a line that breaks": io.MultiReader(strings.NewReader("half of "), brokenReader{}),
	} {
		if _, err := h.send("Bob", Upload{CID: "half", Name: "half", Size: 100, Body: body, Peer: somewhere}); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if left, err := os.ReadDir(spool); err != nil || len(left) != 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
	old := time.Now().Add(-3 * time.Hour)
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { // what a run leaves behind that is killed
		if _, err := tx.Exec(`INSERT INTO chatd_file (id, conv, login, side, type, size, width, height, begun) SELECT 'dead', key, login, 'visitor', '', 0, 0, 0, ? FROM chatd_conversation`, old); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO chatd_piece (file, i, bytes) SELECT key, 0, randomblob(1000) FROM chatd_file WHERE id = 'dead'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(spool, spoolPrefix+"dead")
	if err := os.WriteFile(dead, []byte("where Bob lives"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.stop()
	h.start(func(o *Options) { o.Files = FileLimits{Spool: spool} })
	if left, err := os.ReadDir(spool); err != nil || len(left) != 0 {
		t.Errorf("after a start the spool holds %v, %v", left, err)
	}
	if err := h.srv.expire(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if files, pieces := h.shelved(); files != 1 || pieces != 1 {
		t.Errorf("%d files and %d pieces are left", files, pieces)
	}
	if got, err := h.fetch("Bob", kept.File.ID); err != nil || got != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestFilesHaveTheirLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stop()
	h.start(func(o *Options) { o.Files = FileLimits{Max: 1000, Conversation: 2500, Login: 4000} })
	bob, conv := h.talking(offer, "Bob")
	h.talking(gutters, "Bob")
	k := strings.Repeat("x", 1000)
	for _, c := range []struct {
		u   Upload
		why string
	}{
		{upload("1", "a", k), ""}, {upload("2", "a", k+"x"), "large"},
		{Upload{CID: "3", Name: "it does not say how large", Size: -1, Body: strings.NewReader(k + "x"), Peer: somewhere}, "large"},
		{Upload{CID: "4", Name: "it lies about it", Size: 10, Body: strings.NewReader(k + "x"), Peer: somewhere}, "large"},
		{upload("5", "a", ""), "empty"}, {Upload{CID: "6", Size: -1, Body: strings.NewReader(""), Peer: somewhere}, "empty"},
		{upload("7", "no picture.png", "\x89PNG\r\n\x1a\n<script>"), "picture"}, {upload("", "a", "x"), "frame"}, {upload("with blank", "a", "x"), "frame"},
		{upload("8", "a", k), ""}, {upload("9", "a", k), "full"}, {upload("10", "a", k[:500]), ""}, {upload("11", "a", "x"), "full"}, {upload("1", "a", k), ""},
	} {
		if _, err := h.send("Bob", c.u); Refusal(err) != c.why || (err == nil) != (c.why == "") {
			t.Errorf("%s: %v, want %q", c.u.CID, err, c.why)
		}
	}
	// The owner's other conversation has room for what is left to him in all.
	other := func(u Upload) error {
		_, err := h.srv.FileFromVisitor(t.Context(), h.broker.link(gutters), cookieOf("Bob"), u)
		return err
	}
	h.until("what was refused is swept", func() bool { files, _ := h.shelved(); return files == 3 })
	if err := other(upload("1", "a", k)); err != nil {
		t.Error(err)
	}
	if err := other(upload("2", "a", k)); Refusal(err) != "full" {
		t.Errorf("beyond the login's limit: %v", err)
	}
	desk := h.desk(alice)
	desk.send(frame{"t": "end", "conv": conv})
	for f := bob.expect("call"); f["state"] != "ended"; {
		f = bob.expect("call")
	}
	if _, err := h.send("Bob", upload("12", "a", "x")); Refusal(err) != "ended" {
		t.Errorf("after the end: %v", err)
	}
	if _, err := h.send("Bob", upload("1", "a", k)); err != nil {
		t.Errorf("what was acknowledged before: %v", err)
	}
	h.stop()
	h.start(func(o *Options) { o.Files = FileLimits{Max: -1} })
	if _, err := h.send("Bob", upload("13", "a", "x")); Refusal(err) != "nofiles" || h.srv.MaxFile() != 0 {
		t.Errorf("where there are none: %v, %d", err, h.srv.MaxFile())
	}
}

func TestOneNetworkSendsOnlySoMuch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.talking(offer, "Bob")
	block := make(chan struct{})
	var waiting sync.WaitGroup
	begun := make(chan struct{}, uploadsEach)
	for i := range uploadsEach {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			_, err := h.send("Bob", Upload{CID: fmt.Sprint("slow", i), Size: -1, Body: &slowReader{begun: begun, block: block}, Peer: somewhere})
			if err != nil {
				t.Errorf("a slow one: %v", err)
			}
		}()
	}
	for range uploadsEach {
		<-begun
	}
	if _, err := h.send("Bob", upload("more", "a", "x")); Refusal(err) != "busy" {
		t.Errorf("one more at once: %v", err)
	}
	elsewhere := upload("elsewhere", "a", "x")
	elsewhere.Peer = netip.MustParseAddr("198.51.100.1")
	if _, err := h.send("Bob", elsewhere); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	close(block)
	waiting.Wait()
	refused := 0
	for i := range filesPerNet {
		if _, err := h.send("Bob", upload(fmt.Sprint("n", i), "a", "x")); Refusal(err) == "busy" {
			refused++
		}
	}
	if refused != uploadsEach+1 {
		t.Errorf("of %d files in a row %d are refused", filesPerNet, refused)
	}
}

// slowReader says that it is read, and gives something when it may.
type slowReader struct {
	begun chan<- struct{}
	block <-chan struct{}
	done  bool
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.done {
		return 0, io.EOF
	}
	r.done = true
	r.begun <- struct{}{}
	<-r.block
	return copy(p, "slow"), nil
}

// The same file on two connections, as after a line that broke: one of them is kept, and both are told of it.
func TestTheSameFileTwiceAtOnceIsOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.talking(offer, "Bob")
	body := strings.Repeat("x", 600_000)
	sent := make(chan Sent, 3)
	for range 3 {
		go func() {
			s, err := h.send("Bob", upload("same", "a", body))
			if err != nil {
				t.Error(err)
			}
			sent <- s
		}()
	}
	first := <-sent
	for range 2 {
		if s := <-sent; s.N != first.N || s.File.ID != first.File.ID {
			t.Errorf("told %+v and %+v", first, s)
		}
	}
	h.until("what was too much is swept", func() bool { files, pieces := h.shelved(); return files == 1 && pieces == 10 })
}

// What a computer calls a file is a stranger's text: it must lead into no folder, hide no ending, and stand in no header.
func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plan.pdf": "plan.pdf", `C:\fakepath\plan.pdf`: "plan.pdf", "../../etc/passwd": "passwd", "/": "file", "": "file", "..": "file", ".": "file", "....": "file", "  a  b \t.txt": "a b .txt",
		".htaccess": "htaccess", "invoice\u202efdp.exe": "invoicefdp.exe", "a\r\nSet-Cookie: x=1": "a Set-Cookie_ x=1", `"><script>alert(1)<`: "___script_alert(1)_", "a\x00b": "a_b", "con|aux?.txt": "con_aux_.txt",
		"見積書.pdf": "見積書.pdf", "\xff\xfe": "file", strings.Repeat("x", 300) + ".pdf": strings.Repeat("x", 116) + ".pdf", strings.Repeat("x", 300) + "." + strings.Repeat("y", 50): strings.Repeat("x", 120),
		"ends with a dot.": "ends with a dot", "\u200b\u2060": "file", "___": "file", "a;b}c{background:url(x)": "a;b}c{background_url(x)",
	} {
		if got := cleanFileName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
		if again := cleanFileName(want); again != want {
			t.Errorf("%q becomes %q once more", want, again)
		}
	}
	for in, want := range map[string]string{"a.webp": "a.jpg", "a.JPG": "a.JPG", "a.jpeg": "a.jpeg", "a": "a.jpg", "a.html": "a.html.jpg", "a.png": "a.jpg"} {
		if got := withEnding(in, "image/jpeg"); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
