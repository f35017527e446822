package chatd

import (
	"context"
	"errors"
	"fmt"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// linkFrame tells the owner's desks whether the link by which a conversation came about can still be followed, and on what terms it rings.
type linkFrame struct {
	T     string     `json:"t"`
	Conv  string     `json:"conv"`
	Works bool       `json:"works"`
	Terms call.Terms `json:"terms,omitempty"` // "": those of the account
}

// linkOf is the number of the link by which a conversation came about.
func (s *store) linkOf(ctx context.Context, key int64) (id int64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT link FROM chatd_conversation WHERE key = ?`, key).Scan(&id)
	})
	if err != nil {
		return 0, fmt.Errorf("finding a conversation's link: %w", err)
	}
	return id, nil
}

// revoke ends the link of a conversation of this login's, for everybody who has it. Who is talking by it goes on until he leaves.
func (d *desk) revoke(ctx context.Context, r *room) error {
	id, err := d.srv.store.linkOf(ctx, r.key)
	if err != nil {
		return err
	}
	if err := d.srv.o.Broker.Revoke(ctx, d.login, id); err != nil {
		return err
	}
	d.srv.log.Info("chatd: link revoked", "conv", r.id, "login", d.login, "link", id)
	r.tail.tell(linkFrame{T: "link", Conv: r.id}, owner)
	return nil
}

// showLink tells the desk whether the link of a conversation can still be followed.
func (d *desk) showLink(ctx context.Context, r *room) error {
	id, err := d.srv.store.linkOf(ctx, r.key)
	if err != nil {
		return err
	}
	works, terms, err := d.srv.o.Broker.Works(ctx, d.login, id)
	if err == nil {
		d.c.put(linkFrame{T: "link", Conv: r.id, Works: works, Terms: terms})
	}
	return err
}

// terms says on what terms the owner is rung for whoever follows the link of a conversation. Of a link that works no more the desk is told just that.
func (d *desk) terms(ctx context.Context, r *room, terms call.Terms) error {
	if !terms.Known() {
		return faultFrame
	}
	id, err := d.srv.store.linkOf(ctx, r.key)
	if err != nil {
		return err
	}
	switch err := d.srv.o.Broker.SetTerms(ctx, d.login, id, terms); {
	case errors.Is(err, call.ErrNoLink):
		return d.showLink(ctx, r)
	case err != nil:
		return err
	}
	r.tail.tell(linkFrame{T: "link", Conv: r.id, Works: true, Terms: terms}, owner)
	return nil
}
