package chatd

import (
	"context"
	"fmt"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

const othersListed = 50 // other readers of a mail that a desk is shown, the latest

// readersFrame tells one desk who else has followed the link of a conversation's mail, the latest first: whom the owner may bring in.
type readersFrame struct {
	T    string        `json:"t"`
	Conv string        `json:"conv"`
	List []otherReader `json:"list"`
}

// otherReader is a reader of the mail by his own conversation with the owner.
type otherReader struct {
	Conv string    `json:"conv"`
	Who  string    `json:"who"` // "" when he gave no name
	Here bool      `json:"here"`
	At   time.Time `json:"at"`
}

// readers answers whom the owner could bring into a conversation.
func (d *desk) readers(ctx context.Context, r *room) error {
	list, err := d.srv.store.otherReaders(ctx, r.key, d.login)
	for i := range list {
		list[i].Here = d.srv.rooms.visitorHere(list[i].Conv)
	}
	if err == nil {
		d.c.put(readersFrame{T: "readers", Conv: r.id, List: list})
	}
	return err
}

// otherReaders are the visitors who came by the link of a conversation of login's, each in a conversation that has not ended; none whom he has blocked.
func (s *store) otherReaders(ctx context.Context, key int64, login string) (list []otherReader, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = []otherReader{}
		rows, err := tx.Query(`SELECT o.id, o.name, o.at FROM chatd_conversation c JOIN chatd_conversation o ON o.link = c.link AND o.login = c.login AND o.key <> c.key
			WHERE c.key = ?1 AND c.login = ?2 AND o.state <> ?3 AND NOT EXISTS (SELECT 1 FROM chatd_block b WHERE b.login = ?2 AND b.visitor = o.visitor)
			ORDER BY o.at DESC, o.key DESC LIMIT ?4`, key, login, string(call.Ended), othersListed)
		if err != nil {
			return err
		}
		for rows.Next() {
			var o otherReader
			if err := rows.Scan(&o.Conv, &o.Who, &o.At); err != nil {
				return err
			}
			list = append(list, o)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing the readers of a mail: %w", err)
	}
	return list, nil
}
