package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"chmail/chatd"
	"chmail/internal/call"
	"chmail/internal/web"
)

// Files go in by a POST and come out by a GET, each of somebody who is in the conversation: the visitor behind the link, a guest, or the owner who is signed in. For everybody
// else, and for files that are not there, there is the site's one 404 page.

var _ Files = (*chatd.Server)(nil)

// Files are the chat server's as its pages need them.
type Files interface {
	// MaxFile is how many octets a file may have; 0 when none can be sent.
	MaxFile() int64
	// FileFromVisitor takes a file from the visitor behind a link; why not tells chatd.Refusal.
	FileFromVisitor(ctx context.Context, link call.Link, visitor string, u chatd.Upload) (chatd.Sent, error)
	// FileFromOwner takes a file from a login; chatd.ErrNoConversation when the conversation is not his.
	FileFromOwner(ctx context.Context, login, conv string, u chatd.Upload) (chatd.Sent, error)
	// FileFromGuest takes a file from a guest; chatd.ErrNoConversation when this visitor is none in the conversation.
	FileFromGuest(ctx context.Context, conv, visitor string, u chatd.Upload) (chatd.Sent, error)
	// GuestFile is a file that a guest may know of; chatd.ErrNoFile otherwise.
	GuestFile(ctx context.Context, conv, visitor, file string) (*chatd.Shelved, error)
	// VisitorFile and OwnerFile are files of somebody's own conversation, PassedFile one for which a terminal was given a pass; chatd.ErrNoFile otherwise.
	VisitorFile(ctx context.Context, link call.Link, visitor, file string) (*chatd.Shelved, error)
	PassedFile(ctx context.Context, link call.Link, file, pass string) (*chatd.Shelved, error)
	OwnerFile(ctx context.Context, login, conv, file string) (*chatd.Shelved, error)
}

const (
	fileWithin = 30 * time.Minute // to come in, or to go out
	filePolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"
	fileNameIn = 4 << 10 // octets of a header field with a file's name
)

func (p *Pages) fileRoutes(page func(string, func(http.ResponseWriter, *http.Request) error)) {
	page("POST /c/{token}/files", p.readerSends)
	page("GET /c/{token}/files/{file}", p.readerFetches)
	page("POST /t/{conv}/files", p.guestSends)
	page("GET /t/{conv}/files/{file}", p.guestFetches)
	page("POST /desk/c/{conv}/files", p.ownerSends)
	page("GET /desk/c/{conv}/files/{file}", p.ownerFetches)
}

// readerSends takes a file from a reader's page. The origin must be exactly the site's, as for a socket: a form elsewhere cannot send one.
func (p *Pages) readerSends(w http.ResponseWriter, r *http.Request) error {
	if !p.o.Site.SameOrigin(r) {
		p.o.Site.Error(w, r, http.StatusForbidden)
		return nil
	}
	link, ok, err := p.link(w, r)
	if err != nil || !ok {
		return err
	}
	visitor := p.visitorOf(r)
	if visitor == "" {
		return p.sent(w, chatd.Sent{}, "cookie")
	}
	return p.take(w, r, func(ctx context.Context, u chatd.Upload) (chatd.Sent, error) {
		return p.o.Chat.FileFromVisitor(ctx, link, visitor, u)
	})
}

// guestSends takes a file from a guest's page.
func (p *Pages) guestSends(w http.ResponseWriter, r *http.Request) error {
	if !p.o.Site.SameOrigin(r) {
		p.o.Site.Error(w, r, http.StatusForbidden)
		return nil
	}
	visitor := p.visitorOf(r)
	if visitor == "" {
		return p.sent(w, chatd.Sent{}, "cookie")
	}
	return p.take(w, r, func(ctx context.Context, u chatd.Upload) (chatd.Sent, error) {
		return p.o.Chat.FileFromGuest(ctx, r.PathValue("conv"), visitor, u)
	})
}

// ownerSends takes a file from a desk.
func (p *Pages) ownerSends(w http.ResponseWriter, r *http.Request) error {
	if !p.o.Site.SameOrigin(r) {
		p.o.Site.Error(w, r, http.StatusForbidden)
		return nil
	}
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		return p.sent(w, chatd.Sent{}, "signed-out")
	}
	if err != nil {
		return err
	}
	return p.take(w, r, func(ctx context.Context, u chatd.Upload) (chatd.Sent, error) {
		return p.o.Chat.FileFromOwner(ctx, sess.Login, r.PathValue("conv"), u)
	})
}

// take hands a request's body to whoever keeps it, as it comes, and answers.
func (p *Pages) take(w http.ResponseWriter, r *http.Request, keep func(context.Context, chatd.Upload) (chatd.Sent, error)) error {
	ctx, cancel := context.WithTimeout(r.Context(), fileWithin)
	defer cancel()
	most := p.o.Chat.MaxFile()
	body := web.LargeBody(w, r, most+1) // one more shows that it is too much
	body.Patient()
	sent, err := keep(ctx, chatd.Upload{CID: r.URL.Query().Get("cid"), Name: nameSent(r), Size: r.ContentLength, Body: body, Peer: web.Peer(r)})
	var tooLarge *http.MaxBytesError
	switch why := chatd.Refusal(err); {
	case err == nil:
		return p.sent(w, sent, "")
	case errors.Is(err, chatd.ErrNoConversation), why == "link":
		p.o.Site.Error(w, r, http.StatusNotFound)
		return nil
	case errors.As(err, &tooLarge):
		return p.sent(w, sent, "large")
	case why == "":
		if r.Context().Err() == nil && ctx.Err() == nil {
			p.o.Log.Error("pages: a file was not kept", "err", err)
		}
		why = "trouble"
		fallthrough
	default:
		if r.ContentLength <= most { // a browser that is still sending would not read the answer
			if _, err := io.Copy(io.Discard, body); err != nil {
				p.o.Log.Debug("pages: the rest of a file did not come", "err", err)
			}
		}
		return p.sent(w, sent, why)
	}
}

// nameSent is what the sender's computer calls the file: the file name of a Content-Disposition (RFC 6266), so that no address holds it.
func nameSent(r *http.Request) string {
	field := r.Header.Get("Content-Disposition")
	if len(field) > fileNameIn {
		return ""
	}
	_, params, err := mime.ParseMediaType(field)
	if err != nil {
		return ""
	}
	return params["filename"]
}

// sentAnswer is what a page is told of a file that it has sent.
type sentAnswer struct {
	Conv string      `json:"conv,omitempty"`
	N    int64       `json:"n,omitempty"`
	File *chatd.File `json:"file,omitempty"`
	Code string      `json:"code,omitempty"` // why it was not taken
}

// sent answers: with the event that a file has become, or with why it has not.
func (p *Pages) sent(w http.ResponseWriter, sent chatd.Sent, why string) error {
	a := sentAnswer{Conv: sent.Conv, N: sent.N, Code: why}
	if why == "" {
		a.File = &sent.File
	}
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("answering for a file: %w", err)
	}
	status := map[string]int{
		"": http.StatusCreated, "large": http.StatusRequestEntityTooLarge, "busy": http.StatusTooManyRequests, "trouble": http.StatusServiceUnavailable,
		"cookie": http.StatusForbidden, "signed-out": http.StatusForbidden, "nofiles": http.StatusForbidden, "frame": http.StatusBadRequest,
		"picture": http.StatusUnprocessableEntity, "empty": http.StatusUnprocessableEntity,
	}[why]
	if status == 0 {
		status = http.StatusConflict
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		p.o.Log.Debug("pages: a sender has gone", "err", err)
	}
	return nil
}

func (p *Pages) readerFetches(w http.ResponseWriter, r *http.Request) error {
	link, ok, err := p.link(w, r)
	if err != nil || !ok {
		return err
	}
	if pass := r.URL.Query().Get("pass"); pass != "" {
		f, err := p.o.Chat.PassedFile(r.Context(), link, r.PathValue("file"), pass)
		return p.give(w, r, f, err)
	}
	f, err := p.o.Chat.VisitorFile(r.Context(), link, p.visitorOf(r), r.PathValue("file"))
	return p.give(w, r, f, err)
}

func (p *Pages) guestFetches(w http.ResponseWriter, r *http.Request) error {
	f, err := p.o.Chat.GuestFile(r.Context(), r.PathValue("conv"), p.visitorOf(r), r.PathValue("file"))
	return p.give(w, r, f, err)
}

func (p *Pages) ownerFetches(w http.ResponseWriter, r *http.Request) error {
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		err = chatd.ErrNoFile
	}
	if err != nil {
		return p.give(w, r, nil, err)
	}
	f, err := p.o.Chat.OwnerFile(r.Context(), sess.Login, r.PathValue("conv"), r.PathValue("file"))
	return p.give(w, r, f, err)
}

// give sends a file in a way that lets no browser open it as a page of ours: to be saved, of no type that does anything, in a sandbox where nothing may run. A
// picture has its type, so that the log can show it.
func (p *Pages) give(w http.ResponseWriter, r *http.Request, f *chatd.Shelved, err error) error {
	if errors.Is(err, chatd.ErrNoFile) {
		p.o.Site.Error(w, r, http.StatusNotFound)
		return nil
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("Content-Disposition", disposition(f.Name))
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Content-Length", strconv.FormatInt(f.Size, 10))
	h.Set("Accept-Ranges", "none")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), fileWithin)
	defer cancel()
	if err := f.Send(ctx, web.SlowAnswer(w)); err != nil {
		p.o.Log.Debug("pages: a file was not sent to its end", "err", err)
		panic(http.ErrAbortHandler) // half a file must not look like one
	}
	return nil
}

// disposition is the Content-Disposition of a file that is to be saved under a name (RFC 6266, with the extended form of RFC 8187 where the name is not ASCII).
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r >= utf8.RuneSelf || strings.ContainsRune(`"\%`, r) {
			return '_'
		}
		return r
	}, name)
	field := `attachment; filename="` + plain + `"`
	if plain != name {
		field += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return field
}
