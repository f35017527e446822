package chbroker

import "chmail/internal/call"

// End says that a login has ended a conversation of his: its call is over, what sounds falls silent, and no word of it is left any more. Its reader is told
// by whoever says so.
func (b *Broker) End(login, conv string) { b.board.post(endEvent{login, conv}) }

type endEvent struct{ login, conv string }

func (e endEvent) on(bd *board) {
	if w := bd.words[e.conv]; w != nil && w.owner == e.login {
		w.cancelAll()
	}
	bd.leaveShared(&record{conv: e.conv, link: call.Link{Login: e.login}})
	if o := bd.owners[e.login]; o != nil {
		o.saw(func(rec *record) bool { return rec.conv == e.conv })
		o.tidy()
	}
	c := bd.convs[e.conv]
	if c == nil || c.rec.link.Login != e.login {
		return
	}
	c.rec.state, c.saving.held = call.Ended, nil
	c.decide(declined, "")
	bd.log(c, "is over: its owner has ended the conversation")
	c.take()
}
