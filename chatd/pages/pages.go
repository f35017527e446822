// Package pages serves what people see of a chat: the reader's page behind the link in a mail, and the owner's desk with its
// sign-in. It shows and asks; who is rung is the broker's business, what is said is the chat server's.
//
// A GET changes nothing but three things: it sets the visitor cookie where there is none, it remembers a language that was asked for by its
// link, and it asks for the listener on the owner's port, which closes by itself. A HEAD changes nothing at all. Mail scanners follow links and run scripts.
package pages

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"chmail/chatd"
	"chmail/internal/call"
	"chmail/internal/web"
)

//go:embed templates words static
var bundle embed.FS

// Links finds what a link's token stands for.
type Links interface {
	// Resolve returns call.ErrNoLink for every token that does not work, whatever the reason.
	Resolve(ctx context.Context, token string) (call.Link, error)
	// Opened says that the page of a link was fetched, by a browser or a machine, from there.
	Opened(link call.Link, peer netip.Addr)
	// Wants is what the page's reader has to do before the owner is called, as the call's state will be: call.Silent, call.Unproved, or "": show himself.
	Wants(link call.Link) call.State
}

var _ Chat = (*chatd.Server)(nil)

// Chat is the chat server as its pages need it.
type Chat interface {
	// Open says that the visitor's page behind a link is being opened, and starts the listener on the owner's port where he has
	// one; a failure leaves the web port to talk through. It is called on every GET, so its time tells how old the page is.
	Open(ctx context.Context, link call.Link, visitor string) error
	// Conversations are the latest of a login, newest first.
	Conversations(ctx context.Context, login string, limit int) ([]chatd.Talk, error)
	// Conversation is one of a login's; chatd.ErrNoConversation when it is not his.
	Conversation(ctx context.Context, login, id string) (chatd.Talk, error)
	// Blocked tells whether a login has blocked the visitor with this cookie.
	Blocked(ctx context.Context, login, visitor string) (bool, error)
	// Post says something for a visitor without scripts, and calls the owner; why it took nothing tells chatd.Refusal.
	Post(ctx context.Context, link call.Link, n chatd.Note) error
	// Look shows a visitor his conversation; with waits he stays there, if he was.
	Look(ctx context.Context, link call.Link, visitor string, waits bool) (chatd.Sight, error)
	// Quit has a visitor who was there by Post leave.
	Quit(link call.Link, visitor string)
	// Redeem uses a code up for a visitor's browser, and tells where it leads; why it does not tells chatd.Refusal.
	Redeem(ctx context.Context, code, visitor string, peer netip.Addr) (chatd.Landing, error)
	// Guest is the conversation of a guest; chatd.ErrNoConversation when this visitor is none there.
	Guest(ctx context.Context, conv, visitor string) (chatd.GuestView, error)
	// Come uses an invitation of a colleague up for his browser, and returns the conversation; chatd.ErrNoConversation for every one that is not to be used.
	Come(ctx context.Context, login, id, visitor string) (conv string, err error)
	// ComeBack leads a colleague back into a conversation in which he is a guest; chatd.ErrNoConversation where he is none.
	ComeBack(ctx context.Context, login, conv, visitor string) error
	// ReaderSocket speaks the reader's frames, for /ws on the web port.
	ReaderSocket(w http.ResponseWriter, r *http.Request)
	// DeskSocket speaks the desk's frames for a login that is signed in; it ends with the request's context.
	DeskSocket(w http.ResponseWriter, r *http.Request, login string)
	Files
	Finder
	Phrases
}

// Accounts checks who signs in.
type Accounts interface {
	// Authenticate reports ok=false for wrong credentials and an error when that could not be found out: trouble of ours, or a
	// *message.Refusal when too many try at once. Delays are inside.
	Authenticate(ctx context.Context, user, password string, peer netip.Addr) (login string, ok bool, err error)
}

// Options are what the pages are made from; all but Push and Log must be there.
type Options struct {
	Site     *web.Site
	Sessions *web.Sessions
	Links    Links
	Mails    Mails
	Chat     Chat
	Accounts Accounts
	Push     Push          // nil: no browser can be woken
	Local    bool          // visitors can be sent mail in this server's own domains only
	Keep     time.Duration // how long conversations are kept, in whole days; 0: for ever
	Log      *slog.Logger  // nil: slog.Default()
}

// Pages are the reader's page and the desk.
type Pages struct {
	o       Options
	render  *web.Renderer
	misses  *web.Limiter // tokens that led nowhere
	signIns *web.Limiter
	forms   formKey
}

const (
	missesPerMinute  = 20
	signInsPerMinute = 20
)

// New prepares the pages. It fails when an option is missing or a template, text or static file is faulty.
func New(o Options) (*Pages, error) {
	if o.Site == nil || o.Sessions == nil || o.Links == nil || o.Mails == nil || o.Chat == nil || o.Accounts == nil {
		return nil, errors.New("pages need a site, sessions, links, mails, a chat server and accounts")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	render, err := o.Site.Add("chat", bundle)
	if err != nil {
		return nil, fmt.Errorf("preparing the chat pages: %w", err)
	}
	return &Pages{
		o: o, render: render,
		misses:  web.NewLimiter(missesPerMinute, time.Minute),
		signIns: web.NewLimiter(signInsPerMinute, time.Minute),
		forms:   newFormKey(),
	}, nil
}

// Register adds the pages' routes to a mux, which is to be served through Site.Handler.
func (p *Pages) Register(mux *http.ServeMux) error {
	page := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, p.o.Site.HandlerFunc(f))
	}
	page("GET /c/{token}", p.reader)
	page("GET /c/{token}/log", p.plainLog)
	page("POST /c/{token}", p.post)
	p.fileRoutes(page)
	page("GET /t/{conv}", p.guest)
	page("GET /join", p.joinForm)
	page("POST /join", p.join)
	mux.HandleFunc("GET /ws", p.readerSocket)
	page("GET /{$}", p.root)
	page("GET /desk", p.desk)
	page("GET /desk/{$}", p.root)
	page("GET /desk/c/{conv}", p.desk)
	page("GET /desk/mails", p.mails)
	page("POST /desk/mails", p.change)
	page("GET /desk/login", p.loginForm)
	page("POST /desk/login", p.login)
	page("POST /desk/logout", p.logout)
	page("GET /desk/ws", p.deskSocket)
	page("POST /desk/come", p.come)
	page("POST /desk/find", p.find)
	page("GET /desk/phrases", p.phrases)
	page("POST /desk/phrases", p.keepPhrase)
	return p.pushRoutes(page)
}

// root leads whoever types the bare name to the desk.
func (p *Pages) root(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/desk", http.StatusSeeOther)
	return nil
}
