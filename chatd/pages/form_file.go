package pages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"chmail/chatd"
	"chmail/internal/call"
	"chmail/internal/web"
)

// A form may carry a file: then it comes as multipart/form-data (RFC 7578), the fields first and the file behind them, which is read as it comes.

const (
	fieldMost  = 32 << 10 // octets of a field
	fieldsMost = 16       // of a form
	partsMost  = 64 << 10 // octets of a form beside its file
)

// posting is what a form sent.
type posting struct {
	url.Values
	file *multipart.Part // the next to be read; nil: none was chosen
	body *web.Body
}

// fields reads the fields of a form, up to the file.
func (p *Pages) fields(w http.ResponseWriter, r *http.Request) (posting, error) {
	most := p.o.Chat.MaxFile()
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || most == 0 {
		err := r.ParseForm()
		return posting{Values: r.PostForm}, err
	}
	form := posting{Values: make(url.Values), body: web.LargeBody(w, r, most+partsMost)}
	parts := multipart.NewReader(form.body, params["boundary"])
	for range fieldsMost {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return form, nil
		}
		if err != nil {
			return posting{}, fmt.Errorf("reading a form: %w", err)
		}
		if part.FormName() == "file" {
			if part.FileName() == "" { // none was chosen
				continue
			}
			form.file = part
			return form, nil
		}
		value, err := io.ReadAll(http.MaxBytesReader(nil, part, fieldMost))
		if err != nil {
			return posting{}, fmt.Errorf("reading a form: %w", err)
		}
		form.Add(part.FormName(), string(value))
	}
	return form, nil
}

// unread answers whoever has sent a form that cannot be read: that is his fault, 400, and no trouble of ours. What was too much of is left to the site.
func (p *Pages) unread(w http.ResponseWriter, r *http.Request, err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	p.o.Site.Error(w, r, http.StatusBadRequest)
	return nil
}

// fileOf takes the file of a form; why it was not taken is the code of docs/protocol.md, "" when it was.
func (p *Pages) fileOf(r *http.Request, link call.Link, visitor string, form posting) (why string, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), fileWithin)
	defer cancel()
	form.body.Patient()
	name := form.file.FileName()
	_, err = p.o.Chat.FileFromVisitor(ctx, link, visitor, chatd.Upload{CID: noteID(form.Get("page"), "file "+name), Name: name, Size: -1, Body: form.file, Peer: web.Peer(r)})
	if err == nil {
		return "", nil
	}
	var tooLarge *http.MaxBytesError
	switch why = chatd.Refusal(err); {
	case errors.As(err, &tooLarge):
		return "large", nil
	case why == "":
		return "", err
	}
	if _, err := io.Copy(io.Discard, form.file); err != nil { // a browser that is still sending would not read the answer
		p.o.Log.Debug("pages: the rest of a file did not come", "err", err)
	}
	return why, nil
}

// OfFile tells whether what there is to say is about a file.
func (f formData) OfFile() bool { return strings.HasPrefix(f.Note, "chat.file.") }

// mebibytes is a file's size, as people read it.
func mebibytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d kB", (n+1023)>>10)
	}
	return fmt.Sprintf("%d MB", n>>20)
}
