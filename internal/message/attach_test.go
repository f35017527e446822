package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/mail"
	"runtime"
	"strings"
	"testing"
	"time"
)

// attached reads what goes along with a mail: names and bytes, in order.
func attached(t *testing.T, raw []byte) (names []string, kinds []string, bodies [][]byte) {
	t.Helper()
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if len(line) > MaxLine || strings.ContainsAny(line, "\r\n") || !IsASCII([]byte(line)) {
			t.Fatalf("a line of the mail is %q", line)
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatalf("%s, %v", kind, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for i := 0; ; i++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return names, kinds, bodies
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if kind != "multipart/alternative" {
				t.Errorf("it begins with %s", kind)
			}
			continue
		}
		if len(p.Header) != 3 {
			t.Errorf("the part's header: %v", p.Header)
		}
		b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		if err != nil {
			t.Fatal(err)
		}
		disposition, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		if err != nil || disposition != "attachment" {
			t.Errorf("%q: %v", p.Header.Get("Content-Disposition"), err)
		}
		names, kinds, bodies = append(names, params["filename"]), append(kinds, kind), append(bodies, b)
	}
}

func withAttachments(all ...Attachment) *Transcript {
	return &Transcript{To: "alice@x.test", Host: "mail.x.test", Who: "Bob", Link: "https://chat.x.test/desk/c/42", At: time.Now(), Attach: all, Said: []Said{{Text: "See the plan"}}}
}

func file(name, kind string, body []byte) Attachment {
	return Attachment{Name: name, Type: kind, Body: func(w io.Writer) error {
		for len(body) > 0 { // in pieces that are no lines
			n := min(len(body), 1000)
			if _, err := w.Write(body[:n]); err != nil {
				return err
			}
			body = body[n:]
		}
		return nil
	}}
}

func TestFilesGoAlongWithATranscript(t *testing.T) {
	t.Parallel()
	seed := rand.NewChaCha8(sha256.Sum256([]byte("files")))
	bodies := [][]byte{nil, []byte("x"), make([]byte, 57), make([]byte, 100_003)}
	for _, b := range bodies {
		seed.Read(b)
	}
	names := []string{"plan.pdf", `a "quoted" \ name; filename="evil.exe".txt`, "屋根の見積書（第二案）" + strings.Repeat("長", 150) + ".pdf", "größer 100%'*.txt"}
	kinds := []string{"application/octet-stream", "image/jpeg", "application/octet-stream", "application/octet-stream"}
	raw := new(bytes.Buffer)
	if err := withAttachments(file(names[0], "application/octet-stream", bodies[0]), file(names[1], "image/jpeg", bodies[1]), file(names[2], "no type\r\nBcc: eve@y.test", bodies[2]),
		file(names[3], "text/html; charset=utf-8", bodies[3])).Write(raw); err != nil {
		t.Fatal(err)
	}
	gotNames, gotKinds, gotBodies := attached(t, raw.Bytes())
	if len(gotBodies) != len(bodies) {
		t.Fatalf("%d files go along", len(gotBodies))
	}
	for i := range bodies {
		if gotNames[i] != names[i] || gotKinds[i] != kinds[i] || !bytes.Equal(gotBodies[i], bodies[i]) {
			t.Errorf("%q arrives as %q of %s, %d octets of %d", names[i], gotNames[i], gotKinds[i], len(gotBodies[i]), len(bodies[i]))
		}
	}
}

func TestAFilesNameStaysInItsField(t *testing.T) {
	t.Parallel()
	raw := new(bytes.Buffer)
	if err := withAttachments(file("x\r\nBcc: eve@y.test\r\n\r\nbody\u202egnp.exe", "text/plain", nil), file("", "image/png", []byte("y"))).Write(raw); err != nil {
		t.Fatal(err)
	}
	names, _, _ := attached(t, raw.Bytes())
	if want := []string{"x Bcc: eve@y.test bodygnp.exe", ""}; len(names) != 2 || names[0] != want[0] || names[1] != want[1] {
		t.Errorf("named %q, want %q", names, want)
	}
	if m, err := mail.ReadMessage(raw); err != nil || m.Header.Get("Bcc") != "" {
		t.Errorf("header %v, %v", m.Header, err)
	}
}

var errGone = errors.New("the file is gone")

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	broken := Attachment{Name: "x", Type: "image/png", Body: func(io.Writer) error { return errGone }}
	if err := withAttachments(broken).Write(io.Discard); !errors.Is(err, errGone) {
		t.Errorf("err = %v", err)
	}
	if err := withAttachments(file("x", "image/png", make([]byte, 1<<20))).Write(brokenPipe{}); !errors.Is(err, errGone) {
		t.Errorf("err = %v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errGone }

func TestWhereAFileIsFoundIsSaid(t *testing.T) {
	t.Parallel()
	for language, want := range map[string][3]string{
		"en": {"plan.pdf (21 kB, attached)", "film.mov (90 MB, not attached, found at:)", "old.zip (not attached; it is in the conversation)"},
		"ja": {"plan.pdf (21 kB、添付)", "film.mov (90 MB、添付していません。次の場所にあります：)", "old.zip (添付していません。会話でご覧いただけます)"},
		"ko": {"plan.pdf (21 kB, 첨부)", "film.mov (90 MB, 첨부하지 않음, 다음 위치에 있음:)", "old.zip (첨부하지 않음, 대화에서 볼 수 있음)"},
	} {
		tr := withAttachments()
		tr.Language = language
		link := "https://chat.x.test/desk/c/42/files/abc"
		tr.Said = []Said{{File: "plan.pdf", Size: "21 kB", Attached: true, Link: link + "1"}, {File: "film.mov", Size: "90 MB", Link: link}, {File: "old.zip", Link: "javascript:alert(1)"}}
		text, page := tr.text(), tr.html()
		for _, w := range append(want[:], link+"\r\n") {
			if !strings.Contains(text, w) {
				t.Errorf("%s: the text lacks %q:\n%s", language, w, text)
			}
		}
		if !strings.Contains(page, `<a href="`+link+`">`) || strings.Contains(page+text, link+"1") || strings.Contains(page+text, "javascript:") {
			t.Errorf("%s:\n%s", language, page)
		}
	}
}

// BenchmarkAttach is a mail with a file of 10 MiB: what stays in memory of it is told as well.
func BenchmarkAttach(b *testing.B) {
	piece := make([]byte, 64<<10)
	large := Attachment{Name: "film.mov", Type: "application/octet-stream", Body: func(w io.Writer) error {
		for range 160 {
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
		return nil
	}}
	b.SetBytes(10 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if err := withAttachments(large).Write(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func TestALargeFileIsNotHeldInMemory(t *testing.T) {
	piece := make([]byte, 64<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := withAttachments(Attachment{Name: "film.mov", Body: func(w io.Writer) error {
		for range 1600 {
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
		return nil
	}}).Write(io.Discard)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; err != nil || grown > 4<<20 {
		t.Errorf("a file of 100 MiB takes %d octets, %v", grown, err)
	}
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"plan.pdf", "", "屋根.pdf", `"\`, "a\r\nb", "%'*", strings.Repeat("長", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := clean(s, maxFileName)
		_, params, err := mime.ParseMediaType("attachment" + strings.ReplaceAll(fileName(want), "\r\n", ""))
		if err != nil || params["filename"] != want {
			t.Errorf("%q is read as %q, %v", want, params["filename"], err)
		}
		for line := range strings.SplitSeq(fileName(want), "\r\n") {
			if len(line) > lineGoal+20 {
				t.Errorf("a line of %d octets: %q", len(line), fmt.Sprint(line))
			}
		}
	})
}
