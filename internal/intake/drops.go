package intake

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// Room tells whether a login's maildrop has room for a mail of so many octets, 0 where that is not known: asked at RCPT, when a recipient can still be
// refused without harm to the others (hazards 38). It costs one point read where the account has a quota, and nothing otherwise.
//
// Shared tells that an alias leads others to the mail as well. It is accepted for all of them at once, so that who has no room could neither be refused alone nor be waited for: he gets it
// all the same, until he is beyond his quota by as much as notices may be.
func (in *Intake) Room(ctx context.Context, login string, size int64, shared bool) (bool, error) {
	more := int64(0)
	if shared {
		more = beyond
	}
	return in.room(ctx, login, size, more)
}

// room is Room with a quota that is so many octets more.
func (in *Intake) room(ctx context.Context, login string, size, more int64) (bool, error) {
	b, err := in.o.Manners.Box(ctx, login)
	if err != nil {
		return false, fmt.Errorf("asking for the quota of %s: %w", login, err)
	}
	if b.Quota == 0 {
		return true, nil
	}
	b.Quota += more
	used, err := in.o.Store.Octets(ctx, login)
	return !b.Full(used, size), err
}

// drops are the maildrops that a mail is for, in the order of its recipients; last, where it is wanted and he is no recipient, that of its sender. An account whose
// settings cannot be read has no quota and wants no copy: no mail is lost for that.
func (in *Intake) drops(ctx context.Context, env *message.Envelope) []message.Drop {
	all := make([]message.Drop, 0, len(env.Drops)+1)
	mine := false
	for i, logins := range env.Drops {
		for _, login := range logins {
			quota := in.box(ctx, login).Quota
			if quota > 0 && i < len(env.Shared) && env.Shared[i] {
				quota += beyond // as in Room
			}
			all = append(all, message.Drop{Login: login, Quota: quota})
			mine = mine || login == env.Login
		}
	}
	if env.Login != "" && !mine {
		if b := in.box(ctx, env.Login); b.Sent {
			all = append(all, message.Drop{Login: env.Login, Quota: b.Quota, Copy: true})
		}
	}
	return all
}

func (in *Intake) box(ctx context.Context, login string) message.Box {
	b, err := in.o.Manners.Box(ctx, login)
	if err != nil {
		in.log.Warn("intake: a maildrop is taken to have no quota, since its account's settings are not known", "login", login, "err", err)
		return message.Box{}
	}
	return b
}

// left is what a commit has left out.
type left struct {
	gone   []string // logins whose accounts were removed
	noCopy bool     // for its sender: he has no room for it
}

// remaining returns those of a mail's maildrops whose accounts are those that its recipients were when they were accepted: a mail may take long to come, and
// whoever has been given an address meanwhile must not read what was for the one before. Nor must it be written in the name of a new
// holder by a session that signed in as the one before: signedOut. Its sender's own is among them if it has room for the copy; an account that cannot keep one sends all the same.
func (in *Intake) remaining(tx *sqldb.Tx, m *mail, size int64) (drops []message.Drop, l left, err error) {
	env := m.env
	if env.Login != "" {
		if ok, err := in.o.Owners.Remains(tx, env.Login, env.SignedIn); err != nil || !ok {
			return nil, left{}, cmp.Or(err, error(signedOut))
		}
	}
	for _, d := range m.drops {
		if d.Copy {
			used, err := in.o.Store.Used(tx, d.Login)
			if err != nil {
				return nil, left{}, err
			}
			if l.noCopy = (message.Box{Quota: d.Quota}).Full(used, size); !l.noCopy {
				drops = append(drops, d)
			}
			continue
		}
		ok, err := in.o.Owners.Remains(tx, d.Login, env.Began)
		switch {
		case err != nil:
			return nil, left{}, err
		case ok:
			drops = append(drops, d)
		case !slices.Contains(l.gone, d.Login):
			l.gone = append(l.gone, d.Login)
		}
	}
	return drops, l, nil
}
