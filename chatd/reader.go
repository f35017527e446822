package chatd

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"time"

	"chmail/internal/call"
	"chmail/internal/netutil"
	"chmail/internal/web"
)

// ReaderSocket speaks the reader's frames, for /ws on the web port; the same rooms as on the owners' ports. It refuses every origin
// but the site's.
func (s *Server) ReaderSocket(w http.ResponseWriter, r *http.Request) {
	if !s.o.Site.SameOrigin(r) {
		http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
		return
	}
	sock, err := accept(w, r)
	if err != nil {
		s.log.Debug("chatd: no socket", "peer", web.Peer(r), "err", err)
		return
	}
	s.reader(r.Context(), sock, r, web.Peer(r), 0)
}

// reader serves a reader's page on a socket that came in on a chat port, or on the web port (0).
func (s *Server) reader(ctx context.Context, sock *socket, r *http.Request, peer netip.Addr, port int) {
	ctx, hang := context.WithCancel(ctx)
	defer hang()
	c := newClient(sock, hang)
	defer sock.conn.CloseNow()
	defer here(&s.crowd.counts.readers)()
	done, ok := s.admit(ctx, c)
	defer done()
	if !ok {
		return
	}
	leave, ok := s.limits.enter(peer)
	if !ok {
		s.part(c, peer, errBusy)
		return
	}
	defer leave()
	v := &visit{srv: s, c: c, peer: peer, port: port, opened: time.Now()}
	defer v.exit()
	g := &guestVisit{srv: s, c: c, peer: peer}
	defer g.exit()
	cookie := s.visitorCookie(r)
	joined := false
	err := s.converse(ctx, sock, c, true, func(ctx context.Context, f frameIn) error {
		if !joined {
			if joined = true; f.T == "join" && f.Token == "" && f.Conv != "" {
				return netutil.Apart(func() error { return g.join(ctx, f, cookie, port) })
			}
			return netutil.Apart(func() error { return v.join(ctx, f, cookie) }) // look-ups need a deep stack, and this goroutine is for hours
		}
		if g.room != nil {
			return g.frame(ctx, f)
		}
		return v.frame(ctx, f)
	})
	s.part(c, peer, err)
}

// visitorCookie is what the page's GET has given this browser; "" when there is none of the right shape.
func (s *Server) visitorCookie(r *http.Request) string {
	c, err := r.Cookie(s.o.Site.CookieName("visitor"))
	if err != nil {
		return ""
	}
	if id, err := base64.RawURLEncoding.Strict().DecodeString(c.Value); err != nil || len(id) < 16 || len(id) > 64 {
		return ""
	}
	return c.Value
}

// join is the first frame. It makes nothing and calls nobody.
func (v *visit) join(ctx context.Context, f frameIn, cookie string) error {
	switch {
	case f.T != "join" || f.Conv != "":
		return faultFrame
	case f.V != 1:
		return faultVersion
	case cookie == "":
		return faultCookie
	}
	link, err := v.srv.resolve(ctx, f.Token, v.peer, v.port)
	if err != nil {
		return err
	}
	v.link, v.token, v.visitor, v.last = link, f.Token, browserVisitor(cookie), f.Last
	if f.Name != nil {
		v.name = cleanName(*f.Name)
	}
	if sock, ok := v.c.voice.(*socket); ok && f.URLs {
		sock.address = v.address
	}
	v.opened = v.srv.pages.when(doorKey{link.ID, v.visitor}, v.opened)
	return v.enter(ctx, func(conv string, newest int64) {
		v.c.put(joinedFrame{T: "joined", Conv: conv, Last: newest, Owner: ownerName(link), About: link.Mail.Subject, Name: v.name, Wants: v.srv.o.Broker.Wants(link)})
	})
}

// ownerName is how a reader is told the owner is called.
func ownerName(l call.Link) string {
	if l.Name != "" {
		return l.Name
	}
	return l.Login
}

// frame does what a reader who has joined asks for. He may name his own conversation and no other, and has no verb of the owner's.
func (v *visit) frame(ctx context.Context, f frameIn) error {
	if f.Conv != "" && (v.room == nil || f.Conv != v.room.id) {
		return faultRefused
	}
	switch f.T {
	case "intent":
		return v.intent(ctx)
	case "leave":
		return v.leave(ctx)
	case "say":
		return v.say(ctx, f.CID, f.Text)
	case kindEdit, kindDelete:
		return v.amend(ctx, f)
	case "address":
		return v.leaveAddress(ctx, f.Text, f.Lang)
	case "proof":
		return v.proveAddress(ctx, f.Text)
	case "copy":
		return v.sendCopy(ctx)
	case "carry":
		return v.carry(ctx, f.CID)
	case "typing", "got", "seen":
		return v.sign(ctx, f)
	case "name":
		if f.Name == nil {
			return faultFrame
		}
		return v.rename(ctx, *f.Name)
	}
	return faultRefused
}
