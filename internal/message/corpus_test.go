package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// corpus hands every mail of $CHMAIL_CORPUS to the test, with the line ends of the wire: real mail that is not ours to publish.
func corpus(t *testing.T, each func(name string, msg []byte)) {
	t.Helper()
	root := os.Getenv("CHMAIL_CORPUS")
	if root == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("CHMAIL_CORPUS is not set: CI reads real mail")
		}
		t.Skip("CHMAIL_CORPUS names no folder of mails")
	}
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains([]string{".tsv", ".md", ".source", ".asc", ".pem"}, filepath.Ext(path)) {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
		n++
		each(strings.TrimPrefix(path, root), bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatalf("no mail in %s", root)
	}
}

// errUncertain says that the standard library would not follow a message to its end.
var errUncertain = errors.New("uncertain")

// leaves takes an entity apart with the standard library and returns the bodies of its leaves.
func leaves(kind string, body io.Reader) ([]string, error) {
	media, params, err := mime.ParseMediaType(kind)
	if err != nil && kind != "" {
		return nil, fmt.Errorf("%w: %w", errUncertain, err)
	}
	if !strings.HasPrefix(media, "multipart/") {
		b, err := io.ReadAll(body)
		return []string{string(b)}, err
	}
	var all []string
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUncertain, err)
		}
		sub, err := leaves(p.Header.Get("Content-Type"), p)
		if err != nil {
			return nil, err
		}
		all = append(all, sub...)
	}
}

// Where both are certain, the scanner and the standard library find the same parts, to the byte.
func TestRealMailIsTakenApartAsTheStandardLibraryDoes(t *testing.T) {
	t.Parallel()
	certain, compared, multi := 0, 0, 0
	why := map[string]int{}
	corpus(t, func(name string, msg []byte) {
		tree := scan(t, msg)
		window, err := Scan(bytes.NewReader(msg))
		if err != nil || len(window.Parts) != len(tree.Parts) || window.Defects != tree.Defects {
			t.Errorf("%s: seen through a window it differs: %v", name, err)
		}
		why[tree.Defects.String()]++
		if tree.Defects != 0 {
			return
		}
		certain++
		m, err := mail.ReadMessage(bytes.NewReader(msg[tree.Head.Off:]))
		if err != nil {
			return
		}
		want, err := leaves(m.Header.Get("Content-Type"), m.Body)
		if err != nil {
			return
		}
		var got []string
		for i := range tree.Parts {
			if p := &tree.Parts[i]; !p.Multipart() {
				got = append(got, string(msg[p.Body:p.End]))
			}
		}
		compared++
		if len(got) > 1 {
			multi++
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d leaves, the standard library finds %d", name, len(got), len(want))
		}
	})
	t.Logf("%d certain, %d compared, %d of them multiparts; %v", certain, compared, multi, why)
	if compared < certain/2 {
		t.Errorf("only %d of %d could be compared", compared, certain)
	}
}
