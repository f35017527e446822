package chatd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

// offices is a house whose logins are colleagues.
func offices(t *testing.T) (*house, *postbox) {
	t.Helper()
	h, p := newHouse(t), &postbox{}
	h.stop()
	h.start(func(o *Options) { o.Post = p })
	return h, p
}

// invites invites a colleague and returns what came of it: "" or an error's code.
func (p *page) invites(conv, login string, all bool) string {
	p.t.Helper()
	p.send(frame{"t": "invite", "conv": conv, "cid": "invite.colleague.1", "text": login, "all": all})
	for {
		switch f := p.next(); f["t"] {
		case "invited":
			for _, a := range f["list"].([]any) {
				if a.(map[string]any)["login"] == strings.ToLower(strings.TrimSpace(login)) {
					return ""
				}
			}
		case "error":
			return fmt.Sprint(f["code"])
		}
	}
}

// next is whatever comes next.
func (p *page) next() frame {
	p.t.Helper()
	select {
	case f, ok := <-p.in:
		if !ok {
			p.t.Fatalf("hung up: %v", p.err)
		}
		return f
	case <-time.After(p.wait):
		p.t.Fatal("nothing comes")
	}
	return nil
}

// invitation is what a desk is told of when it has one invitation; "" when it has none.
func (p *page) invitation() (id string, all frame) {
	p.t.Helper()
	f := p.expect("invitations")
	list, _ := f["list"].([]any)
	if len(list) == 0 {
		return "", nil
	}
	if len(list) > 1 {
		p.t.Fatalf("invitations: %v", list)
	}
	one := list[0].(map[string]any)
	return one["id"].(string), one
}

// come expects that an invitation leads into a conversation, or nowhere.
func (h *house) come(why, login, id, browser, conv string) {
	h.t.Helper()
	got, err := h.srv.Come(h.t.Context(), login, id, cookieOf(browser))
	if got != conv || (err == nil) != (conv != "") || err != nil && !errors.Is(err, ErrNoConversation) {
		h.t.Errorf("%s: %q, %v", why, got, err)
	}
}

func TestAColleagueIsInvitedByHisLogin(t *testing.T) {
	t.Parallel()
	h, post := offices(t)
	bob, conv := h.talking(offer, "Bob")
	secret := bob.says("1", "between the two of us", nil)
	desk, hers := h.desk(alice), h.desk(carol)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.expect("invited")
	if id, _ := hers.invitation(); id != "" {
		t.Error("she is invited already")
	}
	if why := desk.invites(conv, " Carol@localhost.test", false); why != "" {
		t.Fatalf("refused: %s", why)
	}
	id, shown := hers.invitation()
	if shown["owner"] != "Alice Example" || shown["login"] != alice || shown["who"] != "" || shown["about"] != "Offer for the roof" || shown["conv"] != nil {
		t.Errorf("she is shown %v", shown)
	}
	h.come("stolen by another login", dave, id, "Mallory", "")
	h.come("the inviter himself", alice, id, "Mallory", "")
	h.come("a guess", carol, "AAAAAAAAAAAAAAAAAAAAAA", "Carol", "")
	h.come("him who is there already", carol, id, "Bob", "")
	h.come("hers", carol, id, "Carol", conv)
	h.come("again, in the same browser", carol, id, "Carol", conv)
	h.come("replayed elsewhere", carol, id, "Carol's phone", "")
	if again, _ := hers.invitation(); again != "" {
		t.Error("the card stays")
	}
	guest := h.guest(conv, "Carol", 0)
	if f := guest.expect("joined"); f["login"] != carol || f["name"] != "Carol Example <"+carol+">" || f["first"] != float64(secret+1) {
		t.Errorf("joined: %v", f)
	}
	guest.send(frame{"t": "name", "name": "Alice Example"}) // a colleague has the name of her account
	n := guest.says("1", "I know about roofs", nil)
	for who, p := range map[string]*page{"Bob": bob, "Alice": desk} {
		if f := p.told("say", "guest", 1); f["login"] != carol || f["name"] != "Carol Example <"+carol+">" {
			t.Errorf("%s hears %v", who, f)
		}
	}
	h.stop()
	h.start(func(o *Options) { o.Post = post })
	late := h.reader(offer, "Bob", n-1, 0)
	late.expect("joined")
	if f := late.told("say", "guest", 1); f["login"] != carol {
		t.Errorf("from the database: %v", f)
	}
	if len(post.invited) != 0 {
		t.Errorf("mailed, though her desk was open: %v", post.invited)
	}
}

// A guest who came by a code cannot look like a colleague.
func TestNobodyNamesHimselfAColleague(t *testing.T) {
	t.Parallel()
	h, _ := offices(t)
	bob, conv := h.talking(offer, "Bob")
	h.landed(h.desk(alice).invited(conv, false), "Mallory")
	mallory := h.guest(conv, "Mallory", 0)
	mallory.expect("joined")
	mallory.send(frame{"t": "name", "name": "Carol Example <" + carol + ">"})
	if f := bob.told("name", "guest", 1); f["login"] != nil || f["text"] != "Carol Example ‹"+carol+"›" {
		t.Errorf("named: %v", f)
	}
}

func TestWhomAnOwnerCannotInviteGetsOneAnswer(t *testing.T) {
	t.Parallel()
	h, _ := offices(t)
	_, conv := h.talking(offer, "Bob")
	_, carols := h.talking(quote, "Bob")
	desk := h.desk(alice)
	for _, login := range []string{alice, "nobody@localhost.test", "x", "carol@elsewhere.test", string(make([]byte, maxLogin+1))} {
		if why := desk.invites(conv, login, true); why != "colleague" {
			t.Errorf("%.30q: %q", login, why)
		}
	}
	for _, verb := range []string{"invite", "withdraw"} { // into a conversation that is another's
		d := h.desk(alice)
		d.send(frame{"t": verb, "conv": carols, "cid": "1", "text": dave})
		d.refused("refused")
	}
	if h.rows("chatd_invitation") != 0 {
		t.Error("something was kept")
	}
}

func TestAnInvitationIsTakenBack(t *testing.T) {
	t.Parallel()
	h, _ := offices(t)
	_, conv := h.talking(offer, "Bob")
	_, minas := h.talking(gutters, "Mina")
	desk, hers, his := h.desk(alice), h.desk(carol), h.desk(dave)
	hers.invitation()
	his.invitation()
	desk.invites(conv, carol, true)
	id, _ := hers.invitation()
	his.send(frame{"t": "not-now", "text": id}) // another's stays
	his.invitation()
	desk.send(frame{"t": "withdraw", "conv": minas, "text": carol}) // and so does one into another conversation
	desk.readersOf(conv)                                            // by then it has been done
	if list, err := h.srv.store.invitations(t.Context(), carol, time.Now()); err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("left is %v, %v", list, err)
	}
	desk.send(frame{"t": "withdraw", "conv": conv, "text": carol})
	if again, _ := hers.invitation(); again != "" {
		t.Error("it stays at her desk")
	}
	h.come("taken back", carol, id, "Carol", "")

	desk.invites(conv, carol, true)
	id, _ = hers.invitation()
	hers.send(frame{"t": "not-now", "text": id})
	hers.invitation()
	h.come("declined", carol, id, "Carol", "")

	desk.invites(conv, carol, true)
	id, _ = hers.invitation()
	h.come("hers", carol, id, "Carol", conv)
	hers.invitation()
	guest := h.guest(conv, "Carol", 0)
	guest.expect("joined")
	desk.send(frame{"t": "remove", "conv": conv, "who": 1})
	guest.refused("removed")
	h.come("of one who was removed", carol, id, "Carol", "")
	if why := desk.invites(conv, carol, true); why != "busy" { // the fourth in an hour
		t.Errorf("invited once more: %q", why)
	}
	h.srv.limits.invites = newInvites()
	if why := desk.invites(conv, carol, true); why != "colleague" {
		t.Errorf("who was removed is invited: %q", why)
	}

	desk.invites(minas, dave, true)
	id, _ = his.invitation()
	desk.send(frame{"t": "end", "conv": minas})
	desk.expect("call")
	for {
		if _, err := h.srv.store.inviteColleague(t.Context(), h.key(minas), carol, true, time.Now()); errors.Is(err, faultEnded) {
			break
		}
	}
	h.come("of what has ended", dave, id, "Dave", "")
}

// key is a conversation's number.
func (h *house) key(conv string) int64 {
	h.t.Helper()
	r, err := h.srv.rooms.take(h.t.Context(), conv)
	if err != nil {
		h.t.Fatal(err)
	}
	defer h.srv.rooms.release(r)
	return r.key
}

func TestInvitationsEndWithTheAccountAndInTime(t *testing.T) {
	t.Parallel()
	h, _ := offices(t)
	_, conv := h.talking(offer, "Bob")
	desk, hers := h.desk(alice), h.desk(carol)
	hers.invitation()
	desk.invites(conv, carol, true)
	id, _ := hers.invitation()
	if _, err := h.srv.store.come(t.Context(), Colleague{Login: carol}, id, browserVisitor(cookieOf("Carol")), time.Now().Add(inviteLife+time.Second)); !errors.Is(err, ErrNoConversation) {
		t.Errorf("after its time: %v", err)
	}
	if list, err := h.srv.store.invitations(t.Context(), carol, time.Now().Add(inviteLife+time.Second)); err != nil || len(list) != 0 {
		t.Errorf("listed after its time: %v, %v", list, err)
	}
	h.come("hers", carol, id, "Carol", conv)
	desk.invites(conv, dave, true)
	open := h.guest(conv, "Carol", 0)
	open.expect("joined")
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.told("join", "guest", 1)
	h.removeRows(carol)
	h.srv.Dismiss(carol)
	open.refused("removed") // though she was there
	desk.told("removed", "guest", 1)
	h.guest(conv, "Carol", 0).refused("removed")
	h.come("of an account that is gone", carol, id, "Carol", "")
	h.removeRows(alice)
	if n := h.rows("chatd_invitation"); n != 0 {
		t.Errorf("%d invitations are left", n)
	}
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
}

func TestInvitationsAreNoWeapon(t *testing.T) {
	t.Parallel()
	h, post := offices(t)
	_, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	for i := range 2 * invitesPerPair {
		why := desk.invites(conv, carol, false)
		if want := map[bool]string{true: "", false: "busy"}[i < invitesPerPair]; why != want {
			t.Errorf("invitation %d: %q", i, why)
		}
	}
	h.stop()                                                                         // what was to be mailed is
	if want := []string{carol + " by " + alice}; !slices.Equal(post.invited, want) { // it is the same invitation
		t.Errorf("mailed: %v", post.invited)
	}
	h.start(func(o *Options) { o.Post = post })
	now := time.Now()
	in := newInvites()
	for i := range invitesPerOwner {
		if !in.tries(alice, now) {
			t.Errorf("the owner's invitation %d is refused", i)
		}
	}
	if in.tries(alice, now) || !in.tries(carol, now) || !in.tries(alice, now.Add(time.Hour)) {
		t.Error("limits of one owner")
	}
	for i := range invitesAtOnce - 1 {
		h.exec(`INSERT INTO chatd_conversation (id, link, visitor, login, name, about, owner, state, said, last, seen, size, epoch, created, at) VALUES (?, ?, x'00', ?, '', '', '', '', '', 0, 0, 0, 0, 0, 0)`, fmt.Sprint("c", i), i+100, alice)
		h.exec(`INSERT INTO chatd_invitation (id, conv, login, whole, until) SELECT id, key, ?, FALSE, ? FROM chatd_conversation WHERE id = ?`, carol, now.Add(time.Hour), fmt.Sprint("c", i))
	}
	_, more := h.talking(gutters, "Mina")
	if why := h.desk(alice).invites(more, carol, false); why != "busy" {
		t.Errorf("one more than may wait: %q", why)
	}
}

func TestInvitationsEndWithTheConversation(t *testing.T) {
	t.Parallel()
	h, _ := offices(t)
	_, conv := h.talking(offer, "Bob")
	desk, hers := h.desk(alice), h.desk(carol)
	hers.invitation()
	desk.invites(conv, carol, false)
	id, _ := hers.invitation()
	desk.send(frame{"t": "end", "conv": conv})
	if left, _ := hers.invitation(); left != "" {
		t.Error("the card stays")
	}
	h.come("into what has ended", carol, id, "Carol", "")
}

// places are the conversations that a desk shows as those in which its login takes part.
func (p *page) places(want ...string) {
	p.t.Helper()
	for {
		var got []string
		list, _ := p.expect("invitations")["guest"].([]any)
		for _, g := range list {
			got = append(got, g.(map[string]any)["conv"].(string))
		}
		if slices.Equal(got, want) {
			return
		}
	}
}

// A colleague who has closed the conversation finds it at his own desk, whichever browser that is in, until he is removed or it ends.
func TestAColleagueComesBackFromHisDesk(t *testing.T) {
	t.Parallel()
	h, _ := offices(t)
	bob, conv := h.talking(offer, "Bob")
	secret := bob.says("1", "between the two of us", nil)
	desk, hers := h.desk(alice), h.desk(carol)
	back := func(why, login, browser string, works bool) {
		t.Helper()
		if err := h.srv.ComeBack(t.Context(), login, conv, cookieOf(browser)); (err == nil) != works || err != nil && !errors.Is(err, ErrNoConversation) {
			t.Errorf("%s: %v", why, err)
		}
	}
	back("before she is invited", carol, "Carol", false)
	desk.invites(conv, carol, false)
	id := ""
	for id == "" {
		id, _ = hers.invitation()
	}
	back("before she has joined", carol, "Carol", false)
	h.come("hers", carol, id, "Carol", conv)
	hers.places(conv)
	h.guest(conv, "Carol", 0).expect("joined")
	bob.says("2", "to everybody", nil)
	back("in the same browser", carol, "Carol", true)
	back("on her phone", carol, "Phone", true)
	back("another login", dave, "Mallory", false)
	back("the owner", alice, "Alice", false)
	back("in the browser of him who is there already", carol, "Bob", false)
	phone := h.guest(conv, "Phone", 0)
	if f := phone.expect("joined"); f["login"] != carol || f["first"] != float64(secret+1) {
		t.Errorf("on her phone she is %v", f)
	}
	for i := 2; i < colleagueBrowsers; i++ {
		back("in one more", carol, fmt.Sprint("Browser ", i), true)
	}
	back("in too many", carol, "One more", false)
	again := h.desk(carol)
	again.places(conv)
	desk.send(frame{"t": "remove", "conv": conv, "who": 1})
	phone.refused("removed")
	again.places()
	back("after she was removed", carol, "Phone", false)

	desk.invites(conv, dave, true)
	his, err := h.srv.store.invitations(t.Context(), dave, time.Now())
	if err != nil || len(his) != 1 {
		t.Fatalf("%v, %v", his, err)
	}
	h.come("his", dave, his[0].ID, "Dave", conv)
	daves := h.desk(dave)
	daves.places(conv)
	desk.send(frame{"t": "end", "conv": conv})
	daves.places()
	back("after the end", dave, "Dave", false)
}

// A colleague may come in several browsers, and goes in all of them.
func TestAColleagueInTwoBrowsersIsOnePerson(t *testing.T) {
	t.Parallel()
	h, _ := offices(t)
	bob, conv := h.talking(offer, "Bob")
	desk, hers := h.desk(alice), h.desk(carol)
	hers.invitation()
	var open []*page
	for _, browser := range []string{"Carol", "Phone"} {
		desk.invites(conv, carol, false)
		id := ""
		for id == "" {
			id, _ = hers.invitation()
		}
		h.come("hers", carol, id, browser, conv)
		p := h.guest(conv, browser, 0)
		p.expect("joined")
		open = append(open, p)
	}
	desk.invites(conv, dave, false)
	his, err := h.srv.store.invitations(t.Context(), dave, time.Now())
	if err != nil || len(his) != 1 {
		t.Fatalf("%v, %v", his, err)
	}
	h.come("another colleague's, in her browser: her words would be his", dave, his[0].ID, "Carol", "")
	desk.send(frame{"t": "remove", "conv": conv, "who": 1})
	for _, p := range open {
		p.refused("removed")
	}
	bob.told("removed", "guest", 1)
	bob.told("removed", "guest", 2)
}

func TestNamesAreNotGuessedWithoutLimit(t *testing.T) {
	t.Parallel()
	h, _ := offices(t)
	_, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	for i := range invitesPerOwner + 3 {
		if why, want := desk.invites(conv, fmt.Sprintf("nobody%d@localhost.test", i), false), map[bool]string{true: "colleague", false: "busy"}[i < invitesPerOwner]; why != want {
			t.Errorf("guess %d: %q, want %q", i, why, want)
		}
	}
}
