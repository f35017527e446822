package chbroker

import (
	"slices"

	"chmail/internal/call"
)

const (
	maxOfLink = maxVisits / 2 // open calls by one link: whoever has one cannot fill the door for all
	maxCrowd  = 100           // calls that found the door full and wait to be told of together; more are not counted
	maxMore   = 1000          // readers of such as are not counted, who hear as well when word has been left
)

// full tells whether one more reader with this link finds the owner's door full.
func (o *owned) full(link int64) bool {
	same := 0
	for _, c := range o.visits {
		if c.rec.link.ID == link {
			same++
		}
	}
	return len(o.visits) >= maxVisits || same >= maxOfLink
}

// crowd is for a reader who finds the door full. Nothing rings for him, but the owner is left word, one notice for all of them in a while, and the reader
// is told how it stands once that is true.
func (bd *board) crowd(rec *record) {
	rec.over, rec.crowd = true, true
	w := bd.wordOf(rec, crowdOf(rec.link.Login))
	w.crowd = true
	bd.b.log.Warn("call finds the door full", "call", rec.id, "conv", rec.conv, "login", rec.link.Login, "link", rec.link.ID)
	known := slices.ContainsFunc(slices.Concat(w.due, w.under, w.more), func(r *record) bool { return r.conv == rec.conv })
	if w.recent() {
		bd.tellCrowd(rec.link.Login, rec)
	}
	switch {
	case known:
	case len(w.due)+len(w.under) < maxCrowd:
		w.owe(rec)
	case !w.recent() && len(w.more) < maxMore:
		w.more = append(w.more, rec)
	}
	w.push()
}

// crowdOf names the word of all who found a login's door full; no conversation is called so.
func crowdOf(login string) string { return "crowd at " + login }

// tellCrowd tells readers who found the door full how it stands, by evidence.
func (bd *board) tellCrowd(login string, recs ...*record) {
	bd.b.work.start(func() { bd.post(crowdJudged{recs, bd.judge(login)}) })
}

type crowdJudged struct {
	recs  []*record
	state call.State
}

func (e crowdJudged) on(bd *board) {
	for _, r := range e.recs {
		if bd.convs[r.conv] != nil || r.state != call.Opened {
			continue // he has come in meanwhile, or knows
		}
		r.state = e.state
		if r.word != noWord {
			bd.saves.put(*r)
		}
		bd.tells.add(told{r.conv, e.state})
	}
}

// leaveShared takes a conversation off what is due about many at once: the owner talks with that reader.
func (bd *board) leaveShared(rec *record) {
	for _, about := range []string{crowdOf(rec.link.Login), limitedOf(rec.link.Login)} {
		w := bd.words[about]
		if w == nil {
			continue
		}
		for _, r := range slices.Clone(w.due) {
			if r.conv == rec.conv {
				w.cancel(r)
			}
		}
	}
}
