package chatd

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"chmail/internal/address"
	"chmail/internal/sqldb"
)

// A visitor may leave an address, so that what the owner answers after he has gone reaches him by mail (R12). It counts once he has typed the code that
// was mailed there. Nothing that he writes is in that mail, and how many are sent is bounded on every side: it must be no way to have the server mail strangers.
const (
	proofDigits  = 8
	proofLife    = 15 * time.Minute
	proofTries   = 5
	proofPerNet  = 5      // codes mailed for one network in proofWindow,
	proofPerLink = 20     // for the readers of one link in an hour,
	proofPerBox  = 5      // to one address in a day,
	proofInAll   = 10_000 // and in all in a day
	proofWindow  = 10 * time.Minute
)

// A Post brings mail to people. Its methods may be called by several goroutines; nil means that it is durable.
type Post interface {
	// Reaches tells whether mail to an address can be brought to its domain. It says nothing about whether there is such a mailbox.
	Reaches(address string) bool
	// Transcript brings the owner what was said; again after a failure, and rarely twice for the same after a crash.
	Transcript(ctx context.Context, t Transcript) error
	// Code brings a code to the address that it is to prove, in a language ("en", "ja", "ko").
	Code(ctx context.Context, to, code, language string) error
	// Answer brings a visitor, at his proved address, what the owner has said meanwhile, or, as he asked for it, the whole conversation; as Transcript
	// does.
	Answer(ctx context.Context, to, language string, t Transcript) error
	// Colleague finds the account that a login names, in any spelling; ErrNoColleague when there is none.
	Colleague(ctx context.Context, login string) (Colleague, error)
	// Invite tells a login, in his maildrop, that another login of this server has invited him into a conversation.
	Invite(ctx context.Context, to, from string) error
}

// What a visitor is told about his address.
const (
	addressSent        = "sent"        // a code is on its way, if there is such a mailbox
	addressBad         = "bad"         // this is no mail address
	addressUnreachable = "unreachable" // this server cannot send mail there
	addressBusy        = "busy"        // too many codes: later
	addressWrong       = "wrong"       // not this code, or no longer
	addressProved      = "proved"
	addressCopied      = "copied" // the transcript is on its way
)

type addressFrame struct {
	T       string `json:"t"`
	Conv    string `json:"conv"`
	State   string `json:"state"`
	Address string `json:"address,omitempty"`
}

// posts bound what visitors have mailed.
type posts struct {
	links, boxes, all, copies *tally

	queue chan func(context.Context) // mails on their way
}

func newPosts() posts {
	return posts{
		links: &tally{window: time.Hour, max: proofPerLink}, boxes: &tally{window: 24 * time.Hour, max: proofPerBox},
		all: &tally{window: 24 * time.Hour, max: proofInAll}, copies: &tally{window: 24 * time.Hour, max: 3},
		queue: make(chan func(context.Context), 64),
	}
}

// allow counts a code that is to be mailed; false when there were too many, and then nothing is counted but for the network, which asked.
func (p *posts) allow(link, box int64, now time.Time, network func() bool) bool {
	if p.links.over(link, now) || p.boxes.over(box, now) || p.all.over(0, now) || !network() {
		return false
	}
	return p.links.hit(link, now) && p.boxes.hit(box, now) && p.all.hit(0, now)
}

// leaveAddress takes an address that the visitor leaves, and has a code mailed there.
func (v *visit) leaveAddress(ctx context.Context, typed, language string) error {
	if v.room == nil || !v.wants {
		return faultRefused
	}
	tell := func(state, address string) error {
		v.c.put(addressFrame{T: "address", Conv: v.room.id, State: state, Address: address})
		return nil
	}
	to, err := address.Parse(typed)
	if err != nil || len(typed) > 254 {
		return tell(addressBad, "")
	}
	box := to.String()
	l := v.srv.limits
	switch {
	case v.srv.o.Post == nil || !v.srv.o.Post.Reaches(box):
		return tell(addressUnreachable, box)
	case !l.posts.allow(v.link.ID, boxKey(to), time.Now(), func() bool { return l.proofs.Hit(v.peer) }):
		return tell(addressBusy, "")
	}
	code, err := v.srv.store.pend(ctx, v.room.key, box, cleanLanguage(language), time.Now())
	if err != nil {
		return err
	}
	// Beside the conversation: how long it takes says nothing about whether there is such a mailbox.
	send := func(ctx context.Context) {
		if err := v.srv.o.Post.Code(ctx, box, code, cleanLanguage(language)); err != nil && ctx.Err() == nil {
			v.srv.log.Info("chatd: a code was not brought", "conv", v.room.id, "err", err)
		}
	}
	select {
	case l.posts.queue <- send:
	default:
		return tell(addressBusy, "")
	}
	v.srv.log.Info("chatd: code for an address", "conv", v.room.id, "link", v.link.ID, "peer", v.peer)
	return tell(addressSent, box)
}

// proveAddress takes the code that was mailed.
func (v *visit) proveAddress(ctx context.Context, typed string) error {
	if v.room == nil || !v.wants {
		return faultRefused
	}
	box, err := v.srv.store.prove(ctx, v.room.key, typed, time.Now())
	if err != nil {
		return err
	}
	if box == "" {
		v.c.put(addressFrame{T: "address", Conv: v.room.id, State: addressWrong})
		return nil
	}
	v.srv.log.Info("chatd: address proved", "conv", v.room.id)
	v.c.put(addressFrame{T: "address", Conv: v.room.id, State: addressProved, Address: box})
	v.room.tail.tell(addressFrame{T: "address", Conv: v.room.id, State: addressProved, Address: box}, owner)
	return v.call(ctx) // which may be what the owner wanted to know first
}

// sendCopy mails the visitor the whole conversation, as he asks.
func (v *visit) sendCopy(ctx context.Context) error {
	if v.room == nil || !v.wants {
		return faultRefused
	}
	box, language, err := v.srv.store.proved(ctx, v.room.key)
	if err != nil {
		return err
	}
	if box == "" || v.srv.o.Post == nil {
		return faultRefused
	}
	if !v.srv.limits.posts.copies.hit(v.room.key, time.Now()) {
		v.c.put(addressFrame{T: "address", Conv: v.room.id, State: addressBusy})
		return nil
	}
	t := Transcript{Login: v.link.Login, Conv: v.room.id, Link: v.link.ID, Who: v.name, About: v.link.Mail.Subject, Whole: true, Token: v.token}
	if t.Entries, t.More, err = v.srv.store.spoken(ctx, v.room.key, 0, v.room.tail.newest()); err != nil {
		return err
	}
	if err := v.srv.withFiles(ctx, t, func(t Transcript) error { return v.srv.o.Post.Answer(ctx, box, language, t) }); err != nil {
		if ctx.Err() != nil {
			return err
		}
		v.srv.log.Warn("chatd: a conversation was not mailed to its visitor", "conv", v.room.id, "err", err)
		v.c.put(addressFrame{T: "address", Conv: v.room.id, State: addressBusy})
		return nil
	}
	v.c.put(addressFrame{T: "address", Conv: v.room.id, State: addressCopied, Address: box})
	return nil
}

// tellAddress tells a client which address the visitor of a conversation has proved, if he has.
func (s *Server) tellAddress(ctx context.Context, c *client, r *room) error {
	box, _, err := s.store.proved(ctx, r.key)
	if err == nil && box != "" {
		c.put(addressFrame{T: "address", Conv: r.id, State: addressProved, Address: box})
	}
	return err
}

func cleanLanguage(l string) string {
	switch l {
	case "ja", "ko":
		return l
	}
	return "en"
}

// boxKey is the same for all spellings of an address that may be one mailbox: with many hosts, what stands behind a plus is the owner's own label.
func boxKey(a address.Address) int64 {
	local, domain, _ := strings.Cut(a.Login(), "@")
	local, _, _ = strings.Cut(local, "+")
	sum := sha256.Sum256([]byte(local + "@" + domain))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

func proofHash(conv int64, code string) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "proof %d %s", conv, code))
	return sum[:]
}

// pend keeps an address that is to be proved, and returns the code that proves it. One that is proved already stays so until then.
func (s *store) pend(ctx context.Context, conv int64, box, language string, now time.Time) (code string, err error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", fmt.Errorf("making a code: %w", err)
	}
	code = fmt.Sprintf("%0*d", proofDigits, n)
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO chatd_address (conv, proved, pending, hash, tries, until, language, mailed, mailed_at) VALUES (?1, '', ?2, ?3, 0, ?4, ?5, 0, 0)
			ON CONFLICT (conv) DO UPDATE SET pending = ?2, hash = ?3, tries = 0, until = ?4, language = ?5`, conv, box, proofHash(conv, code), now.Add(proofLife), language)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("keeping an address that is to be proved: %w", err)
	}
	return code, nil
}

// prove compares a code with the one that was mailed; "" when it is not that, or no longer. Each try counts, before it is looked at.
func (s *store) prove(ctx context.Context, conv int64, typed string, now time.Time) (box string, err error) {
	digits := make([]byte, 0, proofDigits)
	for i := 0; i < len(typed) && len(digits) <= proofDigits; i++ {
		if typed[i] >= '0' && typed[i] <= '9' {
			digits = append(digits, typed[i])
		}
	}
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		box = ""
		var hash []byte
		var pending string
		err := tx.QueryRow(`UPDATE chatd_address SET tries = tries + 1 WHERE conv = ? AND pending <> '' AND tries < ? AND until > ? RETURNING pending, hash`, conv, proofTries, now).Scan(&pending, &hash)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(hash, proofHash(conv, string(digits))) != 1 {
			return nil
		}
		box = pending
		_, err = tx.Exec(`UPDATE chatd_address SET proved = pending, pending = '', hash = x'', mailed = (SELECT last FROM chatd_conversation WHERE key = ?1) WHERE conv = ?1`, conv)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("proving an address: %w", err)
	}
	return box, nil
}

// proved is the address that the visitor of a conversation has proved, "" for none, and his language.
func (s *store) proved(ctx context.Context, conv int64) (box, language string, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT proved, language FROM chatd_address WHERE conv = ?`, conv).Scan(&box, &language)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", "", fmt.Errorf("looking for a proved address: %w", err)
	}
	return box, language, nil
}
