package pages

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"chmail/chatd"
	"chmail/internal/web"
)

// joinPath is what the tokens of the join page's form are made for, as those of a reader's page are for its link.
const joinPath = "/join"

// maxTyped is how long a code that was typed may be, in octets, to be shown once more: 40 characters of any script.
const maxTyped = 160

// joinData is what the page shows on which a code is typed.
type joinData struct {
	Page  string // the page's token; "" for a browser without a cookie
	Fault string // key of what there is to say; "" for nothing
	Code  string // as it was typed, to be corrected
}

// joinForm serves GET and HEAD /join. It changes nothing but the visitor cookie, which the browser must have by the time it posts.
func (p *Pages) joinForm(w http.ResponseWriter, r *http.Request) error {
	visitor := p.visitorOf(r)
	if r.Method == http.MethodGet {
		var err error
		if visitor, err = p.greet(w, r); err != nil {
			return err
		}
	}
	return p.showJoin(w, r, visitor, http.StatusOK, "")
}

func (p *Pages) showJoin(w http.ResponseWriter, r *http.Request, visitor string, status int, fault string) error {
	data := joinData{Fault: fault}
	typed := r.URL.Query().Get("code") // of an invitation that was written in a conversation; a person has to press the button
	if fault != "" {
		typed = r.PostForm.Get("code")
	}
	if len(typed) <= maxTyped {
		data.Code = typed
	}
	if visitor != "" {
		data.Page = p.forms.page(visitor, joinPath, time.Now())
	}
	return p.render.Render(w, r, web.View{Name: "join", Status: status, TitleKey: "join.title", Styles: []string{"desk.css"}, Data: data})
}

// join serves POST /join, which the site takes from its own pages alone: who types a code that works is led to the conversation. Every code that does not gets one answer, and can be corrected.
func (p *Pages) join(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return p.unread(w, r, err)
	}
	visitor := p.visitorOf(r)
	if _, good := p.forms.made(r.PostForm.Get("page"), visitor, joinPath, time.Now()); !good || visitor == "" {
		if visitor == "" {
			var err error
			if visitor, err = p.greet(w, r); err != nil {
				return err
			}
		}
		return p.showJoin(w, r, visitor, http.StatusForbidden, "join.fault.again")
	}
	to, err := p.o.Chat.Redeem(r.Context(), r.PostForm.Get("code"), visitor, web.Peer(r))
	switch chatd.Refusal(err) {
	case "code":
		return p.showJoin(w, r, visitor, http.StatusForbidden, "join.fault.code")
	case "busy":
		w.Header().Set("Retry-After", "600")
		return p.showJoin(w, r, visitor, http.StatusTooManyRequests, "join.fault.busy")
	}
	if err != nil {
		return err
	}
	where := "/c/" + url.PathEscape(to.Token) + "?joined" // a person did that: the page need not wait for a sign to show what was said
	if to.Conv != "" {
		where = "/t/" + url.PathEscape(to.Conv)
	}
	http.Redirect(w, r, where, http.StatusSeeOther)
	return nil
}

// come serves POST /desk/come, which the site takes from its own pages alone: a colleague joins the conversation into which he is invited, or comes back into one. Every invitation that is not his to use
// gets one answer, his desk, which says that it is gone.
func (p *Pages) come(w http.ResponseWriter, r *http.Request) error {
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		http.Redirect(w, r, "/desk/login", http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return p.unread(w, r, err)
	}
	visitor, err := p.greet(w, r)
	if err != nil {
		return err
	}
	conv := r.PostForm.Get("conv") // where he takes part already
	if conv != "" {
		err = p.o.Chat.ComeBack(r.Context(), sess.Login, conv, visitor)
	} else {
		conv, err = p.o.Chat.Come(r.Context(), sess.Login, r.PostForm.Get("id"), visitor)
	}
	if errors.Is(err, chatd.ErrNoConversation) {
		http.Redirect(w, r, "/desk?gone=1", http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/t/"+url.PathEscape(conv), http.StatusSeeOther)
	return nil
}

// guest serves GET and HEAD /t/CONV, the page of a guest. Whoever is none there gets the site's one 404 page.
func (p *Pages) guest(w http.ResponseWriter, r *http.Request) error {
	peer, visitor := web.Peer(r), p.visitorOf(r)
	if !p.misses.Wait(r.Context(), peer) {
		p.o.Site.Error(w, r, http.StatusTooManyRequests)
		return nil
	}
	conv := r.PathValue("conv")
	view, err := p.o.Chat.Guest(r.Context(), conv, visitor)
	if visitor == "" || errors.Is(err, chatd.ErrNoConversation) {
		p.misses.Hit(peer)
		p.o.Site.Error(w, r, http.StatusNotFound)
		return nil
	}
	if err != nil {
		return err
	}
	socket := p.o.Site.SocketOrigin(0)
	data := readerData{Owner: view.Owner, Subject: view.About, Days: p.keptDays(), Sockets: socket + "/ws", Guest: conv, With: view.Who, MaxFile: p.o.Chat.MaxFile()}
	connect := []string{socket}
	if data.MaxFile > 0 { // where files are sent to
		connect = append(connect, p.o.Site.Origin()+"/t/")
	}
	return p.render.Render(w, r, web.View{
		Name: "reader", TitleKey: "reader.title", TitleWith: []any{"name", data.Owner},
		Styles: []string{"chat.css", "reader.css"}, Script: "reader.js", Preload: readerModules,
		Says: []string{"chat.", "reader.end.", "reader.guest", "reader.line.", "reader.state."}, Connect: connect, Data: data,
	})
}
