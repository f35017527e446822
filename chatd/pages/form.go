package pages

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"time"

	"chmail/chatd"
	"chmail/internal/call"
	"chmail/internal/web"
)

// Without scripts a reader posts a form. Scanners of mail follow links, fill forms in and submit them, and none of that must ring anywhere: a message
// counts only from a page that was given to the same browser and has been open for as long as nobody needs less for, with a text in it, and with
// nothing in a field that people do not see.

const (
	formAge   = 3 * time.Second // what a page's form must have been open for
	formLife  = 12 * time.Hour  // after which it has to be confirmed
	logEvery  = "4"             // seconds from look to look of the log
	logSlowly = "40"            // and for whoever needs more time to read it (WCAG 2.2.1)
	trapField = "website"       // what fills everything in fills this in, too
)

// formData is the form on the reader's page.
type formData struct {
	Plain  bool   // the page is for browsers without scripts; otherwise only its noscript part is
	Show   string // address of the plain page
	Log    string // address of the log
	Action string
	Page   string // the page's token
	Note   string // key of what there is to say; "" for nothing
	Most   string // what a file may have, in words
	Name   string
	Text   string // typed and not sent yet
}

// A formKey signs the tokens of pages. It lasts as long as the program: the form of an older page has to be confirmed.
type formKey [32]byte

func newFormKey() (k formKey) {
	rand.Read(k[:]) // never fails
	return k
}

const (
	pageHead = 8 + 16                 // when the page was made, and a number used once
	pageSize = pageHead + sha256.Size // and the signature
)

// page makes a token for a page that a visitor is given now.
func (k *formKey) page(visitor, link string, now time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, pageSize), uint64(now.UnixMilli()))
	b = b[:pageHead]
	rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(k.sign(b, visitor, link))
}

// sign appends the signature of a token for a visitor's page of a link; neither has a blank in it.
func (k *formKey) sign(head []byte, visitor, link string) []byte {
	mac := hmac.New(sha256.New, k[:])
	mac.Write(head)
	mac.Write([]byte(visitor + " " + link))
	return mac.Sum(head)
}

// made is when the page of a token was made; false when it is not a page of this visitor's, or too old.
func (k *formKey) made(token, visitor, link string, now time.Time) (time.Time, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != pageSize || !hmac.Equal(k.sign(b[:pageHead:pageHead], visitor, link), b) {
		return time.Time{}, false
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	return at, now.Sub(at) <= formLife
}

// noteID is the id of a message in a page's form: the same for the same text from the same page.
func noteID(page, text string) string {
	sum := sha256.Sum256([]byte(page + " " + text))
	return "form." + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// at is the address of what belongs to the link's page, with what the request asked for to be kept.
func at(r *http.Request, path string, more ...string) string {
	q := url.Values{}
	if r.URL.Query().Get("as") == "reader" {
		q.Set("as", "reader")
	}
	for _, m := range more {
		q.Set(m, "1")
	}
	to := "/c/" + url.PathEscape(r.PathValue("token")) + path
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	return to
}

// form is an empty form of a page that is made now.
func (p *Pages) form(r *http.Request, visitor string) formData {
	f := formData{Show: at(r, "", "plain"), Log: at(r, "/log"), Action: at(r, ""), Most: mebibytes(p.o.Chat.MaxFile())}
	if visitor != "" {
		f.Page = p.forms.page(visitor, r.PathValue("token"), time.Now())
	}
	return f
}

// visitorOf is the request's visitor cookie; "" when it has none of the right shape.
func (p *Pages) visitorOf(r *http.Request) string {
	if c, err := r.Cookie(p.o.Site.CookieName(visitorCookie)); err == nil && goodVisitor(c.Value) {
		return c.Value
	}
	return ""
}

// plain shows the reader's page for browsers without scripts.
func (p *Pages) plain(w http.ResponseWriter, r *http.Request, link call.Link, visitor string, f formData, status int) error {
	f.Plain = true
	if visitor != "" {
		sight, err := p.o.Chat.Look(r.Context(), link, visitor, false)
		if err != nil {
			return err
		}
		if f.Name == "" {
			f.Name = sight.Name
		}
		if sight.Here {
			f.Log = at(r, "/log", "wait")
		}
	}
	data, _ := p.readerData(link)
	data.Form = f
	return p.render.Render(w, r, web.View{
		Name: "reader", Status: status, TitleKey: "reader.title", TitleWith: []any{"name", data.Owner}, Frames: true,
		Styles: []string{"chat.css", "reader.css", "noscript.css"}, Data: data,
	})
}

// post serves POST /c/TOKEN: a message, if a person has sent it; otherwise the form again, with what is to be done.
func (p *Pages) post(w http.ResponseWriter, r *http.Request) error {
	link, ok, err := p.link(w, r)
	if err != nil || !ok {
		return err
	}
	sent, err := p.fields(w, r)
	if err != nil {
		return p.unread(w, r, err)
	}
	visitor, page := p.visitorOf(r), sent.Get("page")
	made, good := p.forms.made(page, visitor, r.PathValue("token"), time.Now())
	if good = good && visitor != ""; good && sent.Has("leave") {
		p.o.Chat.Quit(link, visitor)
		http.Redirect(w, r, at(r, "", "plain", "left"), http.StatusSeeOther)
		return nil
	}
	name, text := sent.Get("name"), strings.ReplaceAll(sent.Get("text"), "\r\n", "\n")
	refuse := func(why string, status int) error {
		if visitor == "" {
			if visitor, err = p.greet(w, r); err != nil {
				return err
			}
		}
		f := p.form(r, visitor)
		if good && (time.Since(made) < formAge || why == "plain.busy") {
			f.Page = page // it grows older; and what may have been taken after all keeps its id
		}
		f.Note, f.Name, f.Text = why, name, text
		return p.plain(w, r, link, visitor, f, status)
	}
	switch {
	case !good, time.Since(made) < formAge, sent.Get(trapField) != "":
		return refuse("plain.again", http.StatusForbidden)
	case strings.TrimSpace(text) == "": // a file alone says enough for somebody who is there
		if sight, err := p.o.Chat.Look(r.Context(), link, visitor, true); err != nil {
			return err
		} else if !sight.Here || sent.file == nil {
			return refuse("plain.empty", http.StatusUnprocessableEntity)
		}
		return p.postFile(w, r, link, visitor, sent, refuse)
	}
	err = p.o.Chat.Post(r.Context(), link, chatd.Note{
		Token: r.PathValue("token"), Visitor: visitor, Name: name, CID: noteID(page, text), Text: text, Peer: web.Peer(r),
	})
	switch chatd.Refusal(err) {
	case "busy":
		return refuse("plain.busy", http.StatusTooManyRequests)
	case "text":
		return refuse("plain.long", http.StatusUnprocessableEntity)
	case "ended":
		return refuse("reader.state.ended", http.StatusConflict)
	case "full":
		return refuse("reader.end.full", http.StatusConflict)
	case "link":
		p.o.Site.Error(w, r, http.StatusNotFound)
		return nil
	}
	if err != nil {
		return err
	}
	text = "" // it is said, whatever becomes of the file
	return p.postFile(w, r, link, visitor, sent, refuse)
}

// postFile takes the file of a form, if there is one, and shows the page again.
func (p *Pages) postFile(w http.ResponseWriter, r *http.Request, link call.Link, visitor string, sent posting, refuse func(why string, status int) error) error {
	if sent.file != nil {
		switch why, err := p.fileOf(r, link, visitor, sent); {
		case err != nil:
			return err
		case why == "link":
			p.o.Site.Error(w, r, http.StatusNotFound)
			return nil
		case why == "busy":
			return refuse("plain.busy", http.StatusTooManyRequests)
		case why != "":
			return refuse("chat.file.refused."+why, http.StatusUnprocessableEntity)
		}
	}
	http.Redirect(w, r, at(r, "", "plain"), http.StatusSeeOther)
	return nil
}

// logData is what was said, and how the call stands.
type logData struct {
	Owner string
	State string // key of the call's state in words
	Again string // address of the next look
	Pace  string // and of a page that looks more slowly, or faster again; "" when it does not look by itself
	Slow  bool
	Files string // where files are found
	Said  []chatd.Said
}

// plainLog serves the log of the plain page, a page in its frame. While its reader is there it looks again by itself, and so shows that he waits.
func (p *Pages) plainLog(w http.ResponseWriter, r *http.Request) error {
	link, ok, err := p.link(w, r)
	if err != nil || !ok {
		return err
	}
	data, _ := p.readerData(link)
	d := logData{Owner: data.Owner, State: "plain.start"}
	if data.Wants == call.Unproved {
		d.State = "plain.unproved"
	}
	waits := r.Method == http.MethodGet && r.URL.Query().Has("wait")
	d.Again, d.Files = at(r, "/log"), "/c/"+url.PathEscape(r.PathValue("token"))+"/files/"
	if visitor := p.visitorOf(r); visitor != "" {
		sight, err := p.o.Chat.Look(r.Context(), link, visitor, waits)
		if err != nil {
			return err
		}
		d.Said = sight.Said
		switch {
		case sight.State == call.Ended:
			d.State = "reader.state.ended"
		case sight.Elsewhere && sight.State == call.Answered:
			d.State = "reader.state.answered"
		case sight.Here && sight.State == call.Opened:
			d.State = "reader.state.ringing"
		case sight.Here && sight.State == call.Unproved:
			d.State = "plain.unproved"
		case sight.Here && sight.State != "":
			d.State = "reader.state." + string(sight.State)
		}
		if sight.Here {
			d.Again, d.Slow = at(r, "/log", "wait"), r.URL.Query().Has("slow")
			if d.Slow {
				d.Again, d.Pace = at(r, "/log", "wait", "slow"), d.Again
			} else {
				d.Pace = at(r, "/log", "wait", "slow")
			}
			if waits {
				w.Header().Set("Refresh", map[bool]string{false: logEvery, true: logSlowly}[d.Slow])
			}
		}
	}
	return p.render.Render(w, r, web.View{
		Name: "log", TitleKey: "plain.log", Framed: true, Styles: []string{"chat.css", "noscript.css"}, Data: d,
	})
}
