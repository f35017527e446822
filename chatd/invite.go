package chatd

import (
	"context"
	"errors"
	"hash/maphash"
	"time"
)

// An owner invites a colleague, somebody with an account here, by his login: the account is the proof that a code is otherwise, so what is sent holds no right
// by itself. It lies at all desks of the colleague until he joins, says "not now", it is taken back, or its time is over.

const (
	inviteLife      = 24 * time.Hour // a colleague may come by tomorrow
	invitesAtOnce   = 10             // that one login has waiting for him
	invitesPerPair  = 3              // from one login to another in an hour: "not now" is an answer
	invitesPerOwner = 20             // that one login sends in an hour
	invitesInAll    = 1000           // in an hour
	inviteMails     = 4              // notices of invitations that one login is sent in a day
	maxLogin        = 320

	colleagueBrowsers = 4  // in which one colleague takes part in a conversation
	guestPlacesShown  = 50 // conversations in which a colleague takes part, the latest, that his desk shows
)

// ErrNoColleague says that there is no such account.
var ErrNoColleague = errors.New("no such account")

// A Colleague is somebody with an account on this server.
type Colleague struct {
	Login string // as the account has it
	Name  string // "" when the account has none
}

// called is how he is called in conversations: whoever only says his name cannot have one like it.
func (c Colleague) called() string {
	if c.Name == "" {
		return "<" + c.Login + ">"
	}
	return c.Name + " <" + c.Login + ">"
}

// invites count invitations, by what they are counted for.
type invites struct {
	seed                     maphash.Seed
	locks                    *loginLocks // whoever tells desks of them
	pairs, owners, all, mail *tally
}

func newInvites() *invites {
	return &invites{
		seed: maphash.MakeSeed(), locks: newLoginLocks(), pairs: &tally{window: time.Hour, max: invitesPerPair}, owners: &tally{window: time.Hour, max: invitesPerOwner},
		all: &tally{window: time.Hour, max: invitesInAll}, mail: &tally{window: 24 * time.Hour, max: inviteMails},
	}
}

func (i *invites) key(s string) int64 { return int64(maphash.String(i.seed, s) >> 1) }

// tries counts that an owner names somebody; false when he has done that too often.
func (i *invites) tries(from string, now time.Time) bool { return i.owners.hit(i.key(from), now) }

// allow counts an invitation; false when there were too many.
func (i *invites) allow(from, to string, now time.Time) bool {
	return i.pairs.hit(i.key(from+"\n"+to), now) && i.all.hit(0, now)
}

// An invitation as the colleague's desk shows it.
type invitation struct {
	ID     string `json:"id"`
	Owner  string `json:"owner"` // how he is called
	Login  string `json:"login"` // and his address
	Who    string `json:"who"`   // the visitor, "" when he gave no name
	About  string `json:"about"`
	LeftMS int64  `json:"left_ms"`
}

// invitationsFrame tells a login's desks into which conversations he is invited, all of them, and in which he is a guest.
type invitationsFrame struct {
	T     string       `json:"t"`
	List  []invitation `json:"list"`
	Guest []guestPlace `json:"guest"`
}

// A guestPlace is a conversation in which a colleague takes part, as his own desk shows it.
type guestPlace struct {
	Conv  string `json:"conv"`
	Owner string `json:"owner"` // how he is called
	Login string `json:"login"` // and his address
	Who   string `json:"who"`   // the visitor, "" when he gave no name
	About string `json:"about"`
}

// An awaited colleague as the owner's desk shows him.
type awaited struct {
	Login  string `json:"login"`
	LeftMS int64  `json:"left_ms"`
}

// invitedFrame tells the owner's desks which colleagues have been invited into a conversation and have not come yet.
type invitedFrame struct {
	T    string    `json:"t"`
	Conv string    `json:"conv"`
	List []awaited `json:"list"`
}

// inviteColleague invites the account that f.Text names. Whatever is wrong with that name gets one answer.
func (d *desk) inviteColleague(ctx context.Context, r *room, f frameIn) error {
	s := d.srv
	var to Colleague
	err := error(faultBusy)
	if s.limits.invites.tries(d.login, time.Now()) { // before the name is looked at: to guess names is an invitation as well
		to, err = s.colleague(ctx, d.login, f.Text)
	}
	if err == nil && !s.limits.invites.allow(d.login, to.Login, time.Now()) {
		err = faultBusy
	}
	fresh := false
	if err == nil {
		fresh, err = s.store.inviteColleague(ctx, r.key, to.Login, f.All, time.Now())
	}
	var refused *fault
	switch {
	case errors.As(err, &refused):
		d.c.put(refusal(f.CID, r.id, refused))
		return nil
	case err != nil:
		return err
	}
	s.log.Info("chatd: colleague invited", "conv", r.id, "login", d.login, "colleague", to.Login)
	if err := errors.Join(s.tellInvited(ctx, r.key, r.id, d.login, nil), s.tellInvitations(ctx, to.Login, nil)); err != nil {
		return err
	}
	if fresh && s.rooms.deskCount(to.Login) == 0 && s.limits.invites.mail.hit(s.limits.invites.key(to.Login), time.Now()) {
		s.kept.Go(func() { // the inviter does not wait for it, nor hears of it
			if err := s.o.Post.Invite(s.ctx, to.Login, d.login); err != nil {
				s.log.Warn("chatd: a colleague is not told by mail that he is invited", "login", to.Login, "err", err)
			}
		})
	}
	return nil
}

// colleague finds whom an owner may invite by that name; everybody else, himself as well, is faultColleague.
func (s *Server) colleague(ctx context.Context, login, typed string) (Colleague, error) {
	if s.o.Post == nil || len(typed) > maxLogin {
		return Colleague{}, faultColleague
	}
	c, err := s.o.Post.Colleague(ctx, typed)
	if errors.Is(err, ErrNoColleague) || err == nil && c.Login == login {
		return Colleague{}, faultColleague
	}
	return c, err
}

// withdraw takes an invitation back that nobody has used. That there is none is no error: the colleague may just have answered.
func (d *desk) withdraw(ctx context.Context, r *room, f frameIn) error {
	if from, err := d.srv.store.uninvite(ctx, `i.conv = ? AND i.login = ?`, r.key, f.Text); err != nil || from.key == 0 {
		return err
	}
	return errors.Join(d.srv.tellInvited(ctx, r.key, r.id, d.login, nil), d.srv.tellInvitations(ctx, f.Text, nil))
}

// uninviteAll takes back all invitations into a conversation that ends, which nobody has used: they would lie there for nothing.
func (s *Server) uninviteAll(ctx context.Context, r *room) error {
	logins, err := s.store.uninviteAll(ctx, r.key)
	for _, login := range logins {
		err = errors.Join(err, s.tellInvitations(ctx, login, nil))
	}
	if len(logins) > 0 {
		err = errors.Join(err, s.tellInvited(ctx, r.key, r.id, r.login, nil))
	}
	return err
}

// notNow says no to an invitation. One that is not there, or another's, is left as it is.
func (d *desk) notNow(ctx context.Context, id string) error {
	from, err := d.srv.store.uninvite(ctx, `i.id = ? AND i.login = ?`, id, d.login)
	if err != nil {
		return err
	}
	if from.key != 0 {
		err = d.srv.tellInvited(ctx, from.key, from.conv, from.login, nil)
	}
	return errors.Join(err, d.srv.tellInvitations(ctx, d.login, nil))
}

// Come uses an invitation of a login up for a browser, in which he is a guest from then on, and returns the conversation. Whatever is wrong with it, and whoever may not use it, gets
// ErrNoConversation. The browser that has used it may do so again as long as it lasts.
func (s *Server) Come(ctx context.Context, login, id, visitor string) (conv string, err error) {
	if s.o.Post == nil || visitor == "" {
		return "", ErrNoConversation
	}
	me, err := s.o.Post.Colleague(ctx, login)
	if errors.Is(err, ErrNoColleague) {
		return "", ErrNoConversation
	}
	if err != nil {
		return "", err
	}
	k, err := s.store.come(ctx, me, id, browserVisitor(visitor), time.Now())
	if err != nil {
		return "", err
	}
	s.log.Info("chatd: colleague", "conv", k.conv, "login", k.login, "colleague", login)
	if err := errors.Join(s.tellInvited(ctx, k.key, k.conv, k.login, nil), s.tellInvitations(ctx, login, nil)); err != nil {
		s.log.Warn("chatd: desks are not told that an invitation was used", "conv", k.conv, "err", err)
	}
	return k.conv, nil
}

// ComeBack leads a colleague back into a conversation in which he takes part, also in another browser of his, which is a guest there from then on; at most four of his are. A
// conversation that he was removed from, that has ended or in which he never was gets ErrNoConversation.
func (s *Server) ComeBack(ctx context.Context, login, conv, visitor string) error {
	if s.o.Post == nil || visitor == "" {
		return ErrNoConversation
	}
	me, err := s.o.Post.Colleague(ctx, login)
	if errors.Is(err, ErrNoColleague) {
		return ErrNoConversation
	}
	if err != nil {
		return err
	}
	return s.store.comeBack(ctx, me, conv, browserVisitor(visitor))
}

// tellColleagues tells the desks of a conversation's colleagues, beside whatever its room is doing, in which conversations they still take part.
func (s *Server) tellColleagues(conv int64) {
	s.kept.Go(func() {
		logins, err := s.store.colleaguesIn(s.ctx, conv)
		for _, login := range logins {
			err = errors.Join(err, s.tellInvitations(s.ctx, login, nil))
		}
		if err != nil && s.ctx.Err() == nil {
			s.log.Warn("chatd: colleagues are not told in which conversations they are", "err", err)
		}
	})
}

// tellInvitations tells one desk of a login, or all of them, into which conversations he is invited.
func (s *Server) tellInvitations(ctx context.Context, login string, one *client) error {
	return s.tellDesks(login, one, func() (any, error) {
		list, err := s.store.invitations(ctx, login, time.Now())
		if err != nil {
			return nil, err
		}
		in, err := s.store.guestPlaces(ctx, login)
		return invitationsFrame{T: "invitations", List: list, Guest: in}, err
	})
}

// tellInvited tells one of the owner's desks, or all of them, whom of his colleagues he waits for in a conversation.
func (s *Server) tellInvited(ctx context.Context, key int64, conv, login string, one *client) error {
	return s.tellDesks(login, one, func() (any, error) {
		list, err := s.store.invited(ctx, key, time.Now())
		return invitedFrame{T: "invited", Conv: conv, List: list}, err
	})
}

// tellDesks tells desks of a login how something stands. What is told last is so.
func (s *Server) tellDesks(login string, one *client, how func() (any, error)) error {
	lock := s.limits.invites.locks.of(login)
	lock.Lock()
	defer lock.Unlock()
	f, err := how()
	if err != nil {
		return err
	}
	s.rooms.putDesks(login, one, f)
	return nil
}
