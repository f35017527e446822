package pages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"chmail/chatd"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/web"
)

// deskModules are what desk.js imports, fetched along with it.
var deskModules = []string{"acts.js", "amend.js", "attach.js", "blocked.js", "calls.js", "composer.js", "dom.js", "line.js", "guests.js", "invited.js", "links.js", "log.js", "panes.js", "push.js", "rest.js", "signs.js", "sound.js", "talk.js", "words.js"}

// deskPath is where a sign-in may lead to.
var deskPath = regexp.MustCompile(`^/desk(/mails|/c/[A-Za-z0-9_-]{1,64})?$`)

const (
	deskHome   = "/desk"
	listed     = 100 // conversations shown at the side
	maxUser    = 320
	maxSecret  = 1024
	byeTimeout = 5 * time.Second
	// machineTime is to the millisecond, as the list is ordered.
	machineTime = "2006-01-02T15:04:05.000Z07:00"
)

type deskData struct {
	Login         string
	Days          int // for which a conversation is kept; 0: for ever
	Sockets       string
	Shown         string // id of the conversation in the address
	Conversations []listedTalk
	Older         string // a time at or before which there are more conversations; "" when all are shown
	MaxFile       int64  // octets of a file; 0: none can be sent
	Gone          bool   // what was asked for is no longer there
	Push          string // key with which this browser may be woken; "" for not at all
	Local         bool   // only addresses of this server can be proved
}

// listedTalk adds to a Talk what the template needs.
type listedTalk struct {
	chatd.Talk
	Stands       string
	StateKey     string
	Machine, Day string
}

type loginData struct {
	Next, User string
	Fault      string // text key, or ""
}

// desk serves /desk and /desk/c/CONV to whoever is signed in, and leads everybody else to the sign-in, which comes back.
func (p *Pages) desk(w http.ResponseWriter, r *http.Request) error {
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		http.Redirect(w, r, "/desk/login?next="+url.QueryEscape(r.URL.Path), http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	talks, err := p.o.Chat.Conversations(r.Context(), sess.Login, listed)
	if err != nil {
		return fmt.Errorf("listing conversations: %w", err)
	}
	older := ""
	if len(talks) == listed {
		older = strconv.FormatInt(talks[listed-1].At.UnixMilli(), 10)
	}
	shown := r.PathValue("conv")
	if shown != "" {
		if talks, err = p.withShown(r.Context(), talks, sess.Login, shown); errors.Is(err, chatd.ErrNoConversation) {
			http.Redirect(w, r, "/desk?gone=1", http.StatusSeeOther) // removed, or never his: the desk has to ring all the same
			return nil
		} else if err != nil {
			return err
		}
	}
	socket := p.o.Site.SocketOrigin(0)
	data := deskData{Login: sess.Login, Local: p.o.Local, Days: p.keptDays(), Sockets: socket + "/desk/ws", Shown: shown, Older: older, MaxFile: p.o.Chat.MaxFile(), Gone: r.URL.Query().Has("gone")}
	if p.o.Push != nil {
		data.Push = p.o.Push.Key()
	}
	for _, t := range talks {
		data.Conversations = append(data.Conversations, p.listed(t))
	}
	return p.render.Render(w, r, web.View{
		Name: "desk", TitleKey: "desk.title",
		Styles: []string{"chat.css", "desk.css"}, Script: "desk.js", Preload: deskModules,
		Says: []string{"chat.", "desk."}, Connect: []string{socket, p.o.Site.Origin()}, Data: data,
		Policies: []string{"worker"}, Manifest: "/desk/manifest.webmanifest",
	})
}

// withShown makes sure that the conversation in the address is in the list, and that it is this login's.
func (p *Pages) withShown(ctx context.Context, talks []chatd.Talk, login, id string) ([]chatd.Talk, error) {
	for _, t := range talks {
		if t.ID == id {
			return talks, nil
		}
	}
	t, err := p.o.Chat.Conversation(ctx, login, id)
	if err != nil {
		return nil, fmt.Errorf("finding a conversation: %w", err)
	}
	return append(talks, t), nil
}

func (p *Pages) listed(t chatd.Talk) listedTalk {
	l := listedTalk{Talk: t, Stands: standing(call.State(t.State), t.Here), Machine: t.At.UTC().Format(machineTime), Day: t.At.UTC().Format(time.DateOnly)}
	if key := "desk.state." + l.Stands; p.render.Words().Has(key) {
		l.StateKey = key
	}
	return l
}

// standing is how a conversation stands, for its owner: the end of a key of desk.state. panes.js says the same as things change.
func standing(state call.State, here bool) string {
	unanswered := state == call.Away || state == call.Unknown || state == call.Noticed || state == call.Leaving
	switch {
	case state == call.Declined, state == call.Ended:
		return string(state)
	case here && unanswered:
		return "waits"
	case here && state == "":
		return "here"
	case here:
		return string(state)
	case unanswered:
		return "missed"
	}
	return "gone"
}

// loginForm shows the sign-in, or leads on whoever is signed in already.
func (p *Pages) loginForm(w http.ResponseWriter, r *http.Request) error {
	next := safeNext(r.URL.Query().Get("next"))
	switch _, err := p.o.Sessions.Session(r); {
	case err == nil:
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	case !errors.Is(err, web.ErrNoSession):
		return err
	}
	return p.showLogin(w, r, http.StatusOK, loginData{Next: next})
}

func (p *Pages) showLogin(w http.ResponseWriter, r *http.Request, status int, data loginData) error {
	return p.render.Render(w, r, web.View{
		Name: "login", Status: status, TitleKey: "login.title", Styles: []string{"desk.css"}, Data: data,
	})
}

// login signs in with the mail login. A wrong address and a wrong password get the same answer.
func (p *Pages) login(w http.ResponseWriter, r *http.Request) error {
	peer := web.Peer(r)
	if !p.signIns.Hit(peer) {
		w.Header().Set("Retry-After", "60")
		p.o.Site.Error(w, r, http.StatusTooManyRequests)
		return nil
	}
	if err := r.ParseForm(); err != nil {
		return p.unread(w, r, err)
	}
	user, password := r.PostForm.Get("user"), r.PostForm.Get("password")
	data := loginData{Next: safeNext(r.PostForm.Get("next")), User: user}
	if user == "" || password == "" || len(user) > maxUser || len(password) > maxSecret {
		data.User, data.Fault = "", "login.fault.wrong"
		return p.showLogin(w, r, http.StatusForbidden, data)
	}
	under, err := p.o.Sessions.Under(r.Context(), user)
	if err != nil {
		return err
	}
	login, ok, err := p.o.Accounts.Authenticate(r.Context(), user, password, peer)
	switch {
	case err != nil:
		level := slog.LevelError
		var busy *message.Refusal
		if errors.As(err, &busy) || r.Context().Err() != nil { // too many try at once, or the browser has gone: nothing is broken
			level = slog.LevelInfo
		}
		p.o.Log.Log(r.Context(), level, "pages: sign-in could not be decided", "peer", peer, "err", err)
		data.Fault = "login.fault.busy"
		return p.showLogin(w, r, http.StatusServiceUnavailable, data)
	case !ok:
		p.o.Log.Info("pages: sign-in refused", "peer", peer)
		data.Fault = "login.fault.wrong"
		return p.showLogin(w, r, http.StatusForbidden, data)
	}
	if err := p.o.Sessions.StartUnder(w, r, login, under); err != nil {
		return err
	}
	p.o.Log.Info("pages: signed in", "login", login, "peer", peer)
	http.Redirect(w, r, data.Next, http.StatusSeeOther)
	return nil
}

// logout ends the session, and with it that its browser is woken: without a script as well.
func (p *Pages) logout(w http.ResponseWriter, r *http.Request) error {
	sess, err := p.o.Sessions.Session(r)
	if err != nil && !errors.Is(err, web.ErrNoSession) {
		return err
	}
	if e := p.o.Sessions.End(w, r); e != nil {
		return e
	}
	if err == nil && p.o.Push != nil {
		if err := p.o.Push.SignedOut(r.Context(), sess); err != nil { // who wakes it finds that the session is over
			p.o.Log.Error("pages: a browser that is signed out was not forgotten", "login", sess.Login, "err", err)
		}
	}
	http.Redirect(w, r, "/desk/login", http.StatusSeeOther)
	return nil
}

// safeNext allows the desk's own addresses only: a sign-in must not become a way to somewhere else.
func safeNext(next string) string {
	if deskPath.MatchString(next) {
		return next
	}
	return deskHome
}

// deskSocket hands /desk/ws to the chat server once it is sure whose desk it is. The socket ends with the session.
func (p *Pages) deskSocket(w http.ResponseWriter, r *http.Request) error {
	if !p.o.Site.SameOrigin(r) {
		p.o.Site.Error(w, r, http.StatusForbidden)
		return nil
	}
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		p.signedOut(w, r)
		return nil
	}
	if err != nil {
		return err
	}
	ctx, release := p.o.Sessions.Bind(r, sess)
	defer release()
	p.o.Chat.DeskSocket(w, r.WithContext(ctx), sess.Login)
	return nil
}

// signedOut tells a desk whose session is over so, in a frame: a script cannot see the status of a refused upgrade, and
// would try for ever.
func (p *Pages) signedOut(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	ctx, cancel := context.WithTimeout(r.Context(), byeTimeout)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"t":"error","code":"signed-out","text":"sign in again"}`)); err != nil {
		p.o.Log.Debug("pages: desk left before it was told to sign in", "err", err)
	}
	if err := conn.Close(websocket.StatusPolicyViolation, "signed out"); err != nil {
		p.o.Log.Debug("pages: closing a desk's socket", "err", err)
	}
}
