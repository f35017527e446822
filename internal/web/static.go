package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed static templates words
var files embed.FS

const staticPrefix = "/static/"

// static holds one bundle's files in memory, plain and, once somebody has asked for one, compressed. Its address carries a hash over all of them: a module
// can import its neighbour by a relative path, and a new version of anything is a new address for everything.
type static struct {
	base  string // "/static/NAME/HASH/"
	hash  string
	files map[string]staticFile
}

type staticFile struct {
	kind    string
	plain   []byte
	gzipped func() []byte // made when it is first asked for; nil when it would not be smaller
}

// contentTypes are the kinds of file that a bundle may hold; another one is refused at start.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".json": "application/json",
}

func newStatic(name string, fsys fs.FS) (*static, error) {
	st := &static{files: make(map[string]staticFile)}
	sum := sha256.New()
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		kind, ok := contentTypes[path.Ext(p)]
		if !ok {
			return fmt.Errorf("static file %s has a kind that we do not serve", p)
		}
		body, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", p, len(body))
		sum.Write(body)
		st.files[p] = staticFile{kind: kind, plain: body, gzipped: sync.OnceValue(func() []byte { return compress(body) })}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading static files of %s: %w", name, err)
	}
	st.hash = base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12])
	st.base = staticPrefix + name + "/" + st.hash + "/"
	return st, nil
}

// compress returns nil for what does not get smaller. Writing to memory does not fail.
func compress(body []byte) []byte {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := zw.Write(body); err != nil {
		return nil
	}
	if err := zw.Close(); err != nil || out.Len() >= len(body) {
		return nil
	}
	return out.Bytes()
}

// serveStatic serves /static/NAME/HASH/FILE. A page that was loaded before a new version may still ask with the old
// hash: it gets today's file, which it must not keep.
func (s *Site) serveStatic(w http.ResponseWriter, r *http.Request) {
	if !allowGet(w, r) {
		s.Error(w, r, http.StatusMethodNotAllowed)
		return
	}
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, staticPrefix), "/", 3)
	if len(parts) != 3 {
		s.Error(w, r, http.StatusNotFound)
		return
	}
	st := s.static[parts[0]]
	if st == nil {
		s.Error(w, r, http.StatusNotFound)
		return
	}
	f, ok := st.files[parts[2]]
	if !ok {
		s.Error(w, r, http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	if parts[1] == st.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := f.plain
	if acceptsGzip(r) {
		if small := f.gzipped(); small != nil {
			h.Set("Content-Encoding", "gzip")
			body = small
		}
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	writeBody(w, r, body)
}

func acceptsGzip(r *http.Request) bool {
	for enc := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(enc, ";")
		if strings.TrimSpace(name) == "gzip" {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0"
		}
	}
	return false
}
