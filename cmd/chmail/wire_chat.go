package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"

	"chmail/chatd"
	"chmail/chatd/pages"
	"chmail/chbroker"
	"chmail/config"
	"chmail/internal/push"
	"chmail/internal/web"
)

// wireChat builds the way of a chat: the pages, the chat server behind them, and the ports that it opens when a link is followed.
func (s *system) wireChat(context.Context) (err error) {
	cfg := s.cfg.Chat
	if s.chat, err = chatd.New(chatd.Options{
		DB: s.db, Site: s.site, TLS: s.keys.chat, Hosts: hosts(cfg.Listen), Broker: s.broker, Log: s.log,
		Post: s.words(), TranscriptAfter: cfg.Times.Transcript, Keep: cfg.Keep, PortIdle: cfg.PortIdle, Conns: cfg.Connections, PerNet: cfg.PerNetwork, Files: fileLimits(cfg.Files, s.data.spool()),
	}); err != nil {
		return err
	}
	p, err := pages.New(pages.Options{Site: s.site, Sessions: s.sessions, Links: s.broker, Mails: s.broker, Chat: s.chat, Accounts: countedLogins{s.accounts, s.figures, "web"}, Push: waking{s.push, s.broker}, Local: s.cfg.Relay.Off, Keep: cfg.Keep, Log: s.log})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	if err := p.Register(mux); err != nil {
		return err
	}
	s.ahead.pushWords = p.PushWords
	s.pages = web.NewServer(web.ServerOptions{Handler: s.site.Handler(mux), TLS: s.keys.pages, Log: s.log, Conns: cfg.Connections, PerNet: cfg.PerNetwork})
	return nil
}

// fileLimits are those of the configuration, in which 0 is none.
func fileLimits(f config.Files, spool string) chatd.FileLimits {
	l := chatd.FileLimits{Max: int64(f.Max), Conversation: int64(f.Conversation), Login: int64(f.Login), Attach: int64(f.Attach), Spool: spool}
	if l.Max == 0 {
		l.Max = -1
	}
	return l
}

// waking is what the pages need of two rooms: who keeps the browsers, and who wants to hear that one has rung.
type waking struct {
	*push.Pusher
	broker *chbroker.Broker
}

// Subscribe keeps the browser of a session.
func (w waking) Subscribe(ctx context.Context, sess web.Session, lang string, raw []byte) error {
	return w.Pusher.Subscribe(ctx, push.Session{Login: sess.Login, ID: sess.ID(), Began: sess.Created}, lang, raw)
}

// SignedOut forgets it.
func (w waking) SignedOut(ctx context.Context, sess web.Session) error {
	return w.Pusher.SignedOut(ctx, sess.Login, sess.ID())
}

// Rung tells the broker; all browsers with a closed desk are one device for it.
func (w waking) Rung(login, callID string) { w.broker.Rung(login, chbroker.PushDevice, callID) }

// hosts are the addresses of listeners without their ports, each once: what the chat ports bind.
func hosts(addresses []string) []string {
	var all []string
	for _, a := range addresses {
		host, _, err := net.SplitHostPort(a)
		if err != nil {
			panic(fmt.Sprintf("chat.listen %q passed the configuration's checks: %v", a, err))
		}
		if !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return all
}
