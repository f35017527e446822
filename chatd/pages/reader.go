package pages

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"chmail/internal/call"
	"chmail/internal/web"
)

const (
	visitorCookie = "visitor"
	visitorBytes  = 18 // 144 bits, 24 characters
	visitorAge    = 180 * 24 * time.Hour
)

// readerModules are what reader.js imports, fetched along with it.
var readerModules = []string{"amend.js", "composer.js", "dom.js", "intent.js", "line.js", "links.js", "log.js", "talk.js", "words.js"}

// readerSays are the texts that the scripts of the reader's page need; the page itself has the others.
var readerSays = []string{"chat.", "reader.address.", "reader.carry.", "reader.end.", "reader.line.", "reader.state."}

// readerData is what the reader's page shows.
type readerData struct {
	Owner   string // how the owner is called
	Address string // his mail address
	Named   bool   // Owner is a name, so that the address says something more
	Subject string
	Mailto  string
	Days    int    // for which a conversation is kept; 0: for ever
	MaxFile int64  // octets of a file; 0: none can be sent
	Sockets string // WebSocket addresses, the best first, separated by blanks
	Form    formData
	Wants   call.State // what has to be done before the owner is called: call.Opened, call.Silent or call.Unproved
	Reach   string     // a domain of those in which alone he can be sent mail; "": all
	Joined  bool       // he has just come in by a code from his other device
	Guest   string     // the conversation of a guest; "" for a link's reader
	With    string     // and how its visitor is called; "" when he gave no name
}

// StateKey is the text of where the call stands before anything has happened.
func (d readerData) StateKey() string { return "reader.state." + string(d.Wants) }

// reader serves GET and HEAD /c/TOKEN. Every token that does not work leads to the site's one 404 page, after the same work.
func (p *Pages) reader(w http.ResponseWriter, r *http.Request) error {
	link, ok, err := p.link(w, r)
	if err != nil || !ok {
		return err
	}
	if r.URL.Query().Get("as") != "reader" && p.owns(r, link) {
		return p.render.Render(w, r, web.View{
			Name: "own", TitleKey: "own.title",
			Data: struct{ Subject, AsReader string }{link.Mail.Subject, r.URL.Path + "?as=reader"},
		})
	}
	visitor := p.visitorOf(r)
	if r.Method == http.MethodGet {
		if visitor, err = p.greet(w, r); err != nil {
			return err
		}
		p.o.Links.Opened(link, web.Peer(r))
		if err := p.o.Chat.Open(r.Context(), link, visitor); err != nil {
			p.o.Log.Warn("pages: chat port not opened, the web port has to do", "login", link.Login, "port", link.Port, "err", err)
		}
	}
	form := p.form(r, visitor)
	if q := r.URL.Query(); q.Has("plain") {
		if q.Has("left") {
			form.Note = "plain.left"
		}
		return p.plain(w, r, link, visitor, form, http.StatusOK)
	}
	data, connect := p.readerData(link)
	data.Form, data.Joined = form, r.URL.Query().Has("joined")
	return p.render.Render(w, r, web.View{
		Name: "reader", TitleKey: "reader.title", TitleWith: []any{"name", data.Owner},
		Styles: []string{"chat.css", "reader.css"}, Script: "reader.js", Preload: readerModules,
		Says: readerSays, Connect: connect, Data: data,
	})
}

// follow finds the link of a page that is asked for. Whom its owner has blocked gets call.ErrNoLink, as for a token that does not work.
func (p *Pages) follow(r *http.Request) (call.Link, error) {
	link, err := p.o.Links.Resolve(r.Context(), r.PathValue("token"))
	if err != nil {
		return call.Link{}, err
	}
	visitor := p.visitorOf(r)
	if visitor == "" { // nobody we know
		return link, nil
	}
	blocked, err := p.o.Chat.Blocked(r.Context(), link.Login, visitor)
	if err == nil && blocked {
		err = call.ErrNoLink
	}
	return link, err
}

// link finds the link that a request names; false when it has been answered: every token that does not work leads to the site's one 404 page.
func (p *Pages) link(w http.ResponseWriter, r *http.Request) (link call.Link, ok bool, err error) {
	peer := web.Peer(r)
	if !p.misses.Wait(r.Context(), peer) {
		p.o.Site.Error(w, r, http.StatusTooManyRequests)
		return link, false, nil
	}
	link, err = p.follow(r)
	if errors.Is(err, call.ErrNoLink) {
		p.misses.Hit(peer)
		p.o.Site.Error(w, r, http.StatusNotFound)
		return link, false, nil
	}
	if err != nil {
		return link, false, fmt.Errorf("resolving a link: %w", err)
	}
	return link, true, nil
}

func (p *Pages) readerData(link call.Link) (readerData, []string) {
	d := readerData{Owner: link.Name, Address: link.Login, Named: link.Name != "", Subject: link.Mail.Subject, Mailto: mailto(link), Days: p.keptDays()}
	if !d.Named {
		d.Owner = link.Login
	}
	var connect []string
	if link.Port != 0 {
		connect = append(connect, p.o.Site.SocketOrigin(link.Port))
	}
	connect = append(connect, p.o.Site.SocketOrigin(0))
	d.MaxFile = p.o.Chat.MaxFile()
	d.Wants = cmp.Or(p.o.Links.Wants(link), call.Opened)
	if at := strings.LastIndexByte(link.Login, '@'); p.o.Local && at >= 0 { // whatever other domains are here is nobody's business
		d.Reach = link.Login[at+1:]
	}
	for i, origin := range connect {
		if i > 0 {
			d.Sockets += " "
		}
		d.Sockets += origin + "/ws"
	}
	if d.MaxFile > 0 { // where files are sent to
		connect = append(connect, p.o.Site.Origin()+"/c/")
	}
	return d, connect
}

// owns tells whether the link's owner is the one who opens it. Not to know is to treat him as a reader.
func (p *Pages) owns(r *http.Request, link call.Link) bool {
	sess, err := p.o.Sessions.Session(r)
	if err != nil && !errors.Is(err, web.ErrNoSession) {
		p.o.Log.Warn("pages: owner not recognised", "login", link.Login, "err", err)
	}
	return err == nil && sess.Login == link.Login
}

// greet gives the browser its visitor cookie, unless it has one: a conversation belongs to it. The cookie's value is returned.
func (p *Pages) greet(w http.ResponseWriter, r *http.Request) (visitor string, err error) {
	if visitor := p.visitorOf(r); visitor != "" {
		return visitor, nil
	}
	id := make([]byte, visitorBytes)
	if _, err := rand.Read(id); err != nil {
		return "", fmt.Errorf("making a visitor's id: %w", err)
	}
	visitor = base64.RawURLEncoding.EncodeToString(id)
	http.SetCookie(w, p.o.Site.Cookie(visitorCookie, visitor, int(visitorAge/time.Second)))
	return visitor, nil
}

func goodVisitor(value string) bool {
	id, err := base64.RawURLEncoding.Strict().DecodeString(value)
	return err == nil && len(id) >= 16 && len(id) <= 64
}

// readerSocket hands /ws on the web port to the chat server: the same room as on the owner's port.
func (p *Pages) readerSocket(w http.ResponseWriter, r *http.Request) {
	if !p.o.Site.SameOrigin(r) {
		p.o.Site.Error(w, r, http.StatusForbidden)
		return
	}
	p.o.Chat.ReaderSocket(w, r)
}

// keptDays is for how many days conversations are kept; 0: for ever.
func (p *Pages) keptDays() int { return int(p.o.Keep / (24 * time.Hour)) }
