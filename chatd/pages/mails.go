package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chmail/internal/call"
	"chmail/internal/web"
)

// Mails are the owner's mails: those that carry a chat link, and those that went out without.
type Mails interface {
	// Mails returns at most limit of a login's links, newest first: those before the link older, those right after the link newer, or, with both 0, the
	// latest. more tells whether there are others on the way on.
	Mails(ctx context.Context, login string, older, newer int64, limit int) (mails []call.Link, more bool, err error)
	// SetTerms says on what terms login is rung for whoever follows a link of his; call.ErrNoLink when he has no such link, or it can be followed no more.
	SetTerms(ctx context.Context, login string, id int64, terms call.Terms) error
	// Revoke ends a link of login's for everybody, for good. That it has ended already, or is not his, is fine.
	Revoke(ctx context.Context, login string, id int64) error
}

const (
	mailsPath = "/desk/mails"
	mailsPage = 50 // mails a page
)

type mailsData struct {
	Login        string
	Mails        []sentMail
	Older, Newer string // addresses of the neighbouring pages; "" where there is none
	Here         string // this page's address
	Saved        int64  // the link about which something was said a moment ago that holds now; 0: none
	Account      string // text key of the terms that hold for links without their own
}

// sentMail is one mail as the page tells of it. Times are UTC: the page has no script to ask the browser for its zone.
type sentMail struct {
	ID            int64         // the link's
	Terms         []termsChoice // on which it can ring
	Subject       string
	Machine, Sent string
	Recipients    int
	Ends, Until   string
	Over          bool   // the link works no more
	Off           bool   // because its owner has switched it off
	Without       bool   // there is no link
	StampKey      string // text key of what the stamp did; "" when that is not known
	WhyKey        string // text key of why not more; "" when there is no reason
	What          string // what WhyKey fills in, such as a domain
	Detail        string // the reason in the stamp's own words, which are English, where WhyKey's say less
}

// termsChoice is one of the terms on which a link can ring.
type termsChoice struct {
	Is  call.Terms
	Key string // of its words
	Now bool   // it is what holds
}

// termsChoices are all of them; local: only addresses of this server can be proved.
func termsChoices(now call.Terms, local bool) []termsChoice {
	all := []termsChoice{{Is: "", Key: "desk.terms.account"}, {Is: call.AtOnce}, {Is: call.AfterWords}, {Is: call.Proved}}
	for i := range all {
		if all[i].Is == call.Proved && local {
			all[i].Key = "desk.terms.proved.local"
		}
		all[i].Key, all[i].Now = cmp.Or(all[i].Key, "desk.terms."+string(all[i].Is)), all[i].Is == now
	}
	return all
}

// mails serves /desk/mails: what the owner sent, and how far each mail was stamped.
func (p *Pages) mails(w http.ResponseWriter, r *http.Request) error {
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		http.Redirect(w, r, "/desk/login?next="+url.QueryEscape(mailsPath), http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	older, newer := place(r, "older"), place(r, "newer")
	if older != 0 {
		newer = 0
	}
	all, more, err := p.o.Mails.Mails(r.Context(), sess.Login, older, newer, mailsPage)
	if err != nil {
		return fmt.Errorf("listing mails: %w", err)
	}
	hasOlder, hasNewer := more, older != 0
	if newer != 0 {
		hasOlder, hasNewer = true, more
	}
	if older != 0 && len(all) == 0 || newer != 0 && !more && len(all) < mailsPage { // mails came or went since that address was made
		http.Redirect(w, r, mailsPath, http.StatusSeeOther)
		return nil
	}
	data := mailsData{Login: sess.Login, Here: here(r), Saved: place(r, "saved"), Account: p.accountTerms(sess.Login)}
	now, layout := time.Now(), p.render.Speech(r).T("mails.layout")
	for _, l := range all {
		data.Mails = append(data.Mails, sent(l, now, layout, p.o.Local))
	}
	if hasOlder {
		data.Older = mailsPath + "?older=" + strconv.FormatInt(all[len(all)-1].ID, 10)
	}
	if hasNewer {
		data.Newer = mailsPath + "?newer=" + strconv.FormatInt(all[0].ID, 10)
	}
	return p.render.Render(w, r, web.View{Name: "mails", TitleKey: "mails.title", Styles: []string{"desk.css", "mails.css"}, Data: data})
}

// accountTerms is the text of the terms that a login's links go by which have none of their own.
func (p *Pages) accountTerms(login string) string {
	terms := map[call.State]call.Terms{call.Silent: call.AfterWords, call.Unproved: call.Proved}[p.o.Links.Wants(call.Link{Login: login})]
	return "desk.terms." + string(cmp.Or(terms, call.AtOnce))
}

// change says on what terms the link of a mail rings, or ends it, and leads back to where it was said. That the form is ours, the site has made sure of.
func (p *Pages) change(w http.ResponseWriter, r *http.Request) error {
	sess, err := p.o.Sessions.Session(r)
	if errors.Is(err, web.ErrNoSession) {
		http.Redirect(w, r, "/desk/login?next="+url.QueryEscape(mailsPath), http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	var id int64
	if err = r.ParseForm(); err == nil {
		id, err = strconv.ParseInt(r.PostForm.Get("link"), 10, 64)
	}
	terms, off := call.Terms(r.PostForm.Get("terms")), r.PostForm.Has("off")
	if err != nil || !off && (!r.PostForm.Has("terms") || !terms.Known()) {
		p.o.Site.Error(w, r, http.StatusBadRequest)
		return nil
	}
	back, mail := here(r), strconv.FormatInt(id, 10)
	if off {
		err = p.o.Mails.Revoke(r.Context(), sess.Login, id)
	} else {
		err = p.o.Mails.SetTerms(r.Context(), sess.Login, id, terms)
	}
	if off && err == nil || errors.Is(err, call.ErrNoLink) { // the page shows that it works no more
		http.Redirect(w, r, back+"#mail-"+mail, http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	between := "?"
	if strings.Contains(back, "?") {
		between = "&"
	}
	http.Redirect(w, r, back+between+"saved="+mail+"#mail-"+mail, http.StatusSeeOther)
	return nil
}

// here is the address of the page of mails that a request is about.
func here(r *http.Request) string {
	for _, key := range []string{"older", "newer"} {
		if at := place(r, key); at != 0 {
			return mailsPath + "?" + key + "=" + strconv.FormatInt(at, 10)
		}
	}
	return mailsPath
}

// place is a link's id in the query; 0 for none.
func place(r *http.Request, key string) int64 {
	id, err := strconv.ParseInt(r.URL.Query().Get(key), 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// sent tells of one mail; layout is how the page's language writes a time, as time.Format takes it.
func sent(l call.Link, now time.Time, layout string, local bool) sentMail {
	m := sentMail{
		ID: l.ID, Terms: termsChoices(l.Terms, local), Subject: l.Mail.Subject, Recipients: l.Mail.Recipients, Over: l.Revoked || !now.Before(l.Expires), Off: l.Revoked,
		Machine: l.Created.UTC().Format(time.RFC3339), Sent: l.Created.UTC().Format(layout),
		Ends: l.Expires.UTC().Format(time.RFC3339), Until: l.Expires.UTC().Format(layout),
	}
	kind, why, _ := strings.Cut(l.Mail.Stamp, ": ")
	switch kind {
	case "body", "header-only", "skipped":
		m.StampKey = "mails.stamp." + kind
	default:
		return m
	}
	m.Without = kind == "skipped" || strings.HasPrefix(why, "no card") || why == "no link"
	for part, key := range map[string]string{"text/plain left alone: ": "mails.stamp.html", "text/html left alone: ": "mails.stamp.text"} {
		if rest, ok := strings.CutPrefix(why, part); ok {
			why = rest
			if kind == "body" { // the other part has the link
				m.StampKey = key
			}
		}
	}
	m.WhyKey, m.What, m.Detail = explain(why)
	return m
}
