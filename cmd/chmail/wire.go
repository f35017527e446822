package main

import (
	"context"
	"errors"
	"log/slog"

	"chmail/chatd"
	"chmail/config"
	"chmail/internal/admin"
	"chmail/internal/intake"
	"chmail/internal/queue"
	"chmail/internal/web"
	"chmail/pop3d"
	"chmail/smtpd"
)

// system is the whole, wired. What is built first stands first; it is taken down in the opposite order (serve.go).
//
//	mail client ─── smtpd ────▶ intake ────▶ mailbox ◀──── pop3d ─── mail client
//	                  │         │  │ ▲ └───▶ queue ───▶ relay│─── other hosts
//	                  │    card ▼    │ word                  │
//	                  └─seen─▶ chbroker ◀──────seen──────────┘
//	             tell, alert │    ▲ resolve, visit, answer
//	                         ▼    │
//	                         chatd ◀── chatd/pages ◀── internal/web ─── browser
type system struct {
	*core
	cfg  *config.Config
	log  *slog.Logger
	data *dataFolder
	keys *certificates

	queue  *queue.Queue // not started where no mail goes to other hosts
	post   postOffice
	intake *intake.Intake
	smtp   *smtpd.Server
	pop3   *pop3d.Server
	chat   *chatd.Server
	pages  *web.Server
	admin  *admin.Server
}

// wire builds every server and hands it what it needs. Nothing listens yet.
func wire(ctx context.Context, cfg *config.Config, data *dataFolder, log *slog.Logger) (_ *system, err error) {
	s := &system{cfg: cfg, log: log, data: data}
	if s.core, err = openCore(ctx, cfg, data, log); err != nil {
		return nil, err
	}
	if s.keys, err = loadCertificates(cfg, s.db, log); err != nil {
		return nil, errors.Join(err, s.core.Close())
	}
	for _, build := range []func(context.Context) error{s.wireMail, s.wireChat, s.wireAdmin} {
		if err := build(ctx); err != nil {
			return nil, errors.Join(err, s.core.Close())
		}
	}
	// The circles are closed: the broker starts chats and chats ask the broker; it leaves word by mail and mail gets its card from it.
	s.ahead.word, s.ahead.tell, s.ahead.listening, s.ahead.dismiss = s.words().leave, s.chat.Tell, s.chat.Listening, s.chat.Dismiss
	s.ahead.deleted, s.ahead.turned = s.chat.Deleted, s.chat.Turned
	return s, nil
}
