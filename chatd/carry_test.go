package chatd

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

// carried is a code by which a reader's conversation goes on elsewhere.
func (p *page) carried() string {
	p.t.Helper()
	p.send(frame{"t": "carry", "cid": "carry"})
	f := p.expect("code")
	code, _ := f["code"].(string)
	if f["cid"] != "carry" || len(code) != codeSize+2 || f["left_ms"] != 600_000.0 {
		p.t.Fatalf("a code: %v", f)
	}
	return code
}

// types has somebody's browser use a code.
func (h *house) types(code, name string) (Landing, error) {
	return h.srv.Redeem(h.t.Context(), code, cookieOf(name), somewhere)
}

// landed is types for a code that works.
func (h *house) landed(code, name string) Landing {
	h.t.Helper()
	to, err := h.types(code, name)
	if err != nil {
		h.t.Fatal(err)
	}
	return to
}

// useless expects that a code gets the one answer for all that do not work.
func (h *house) useless(why, code, name string) {
	h.t.Helper()
	if to, err := h.types(code, name); Refusal(err) != "code" || !errors.Is(err, ErrCode) || to != (Landing{}) {
		h.t.Errorf("%s: %v, %v", why, to, err)
	}
}

func TestAVisitorGoesOnOnAnotherDevice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "from the desktop"})
	bob.expect("ack")
	code := bob.carried()
	if to := h.landed(code, "Phone"); to.Token != offer {
		t.Fatalf("it leads to %v", to)
	}
	phone := h.reader(offer, "Phone", 0, 0)
	if f := phone.expect("joined"); f["conv"] != conv {
		t.Fatalf("on the phone: %v", f)
	}
	phone.said(0, "from the desktop")
	phone.send(frame{"t": "say", "cid": "2", "text": "from the phone"})
	phone.expect("ack")
	if n := bob.said(2, "from the phone"); n != 3 { // the desktop stays, and hears it
		t.Errorf("the desktop is at %d", n)
	}
	bob.send(frame{"t": "edit", "cid": "3", "n": 3, "text": "from the phone, changed at the desktop"})
	bob.expect("ack")
	if f := phone.expect("event"); f["kind"] != "edit" || f["from"] != "visitor" {
		t.Errorf("the phone hears %v", f)
	}
	talks, err := h.srv.Conversations(t.Context(), alice, 10)
	if err != nil || len(talks) != 1 || talks[0].ID != conv {
		t.Errorf("the owner sees %v, %v", talks, err)
	}
	other, others := h.talking(gutters, "Phone") // with another link that browser is who it was
	if others == conv {
		t.Error("it is Bob everywhere")
	}
	other.cut()

	h.landed(code, "Phone") // the answer had not arrived
	h.useless("used", code, "Mina")
	h.stop()
	h.start()
	phone = h.reader(offer, "Phone", 4, 0)
	if f := phone.expect("joined"); f["conv"] != conv {
		t.Errorf("after a restart: %v", f)
	}
	h.useless("used, after a restart", code, "Mina")
}

func TestACodeSurvivesARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, _ := h.talking(offer, "Bob")
	code := bob.carried()
	h.stop()
	h.start()
	h.landed(strings.ToLower(strings.ReplaceAll(code, " ", "-")), "Phone") // as people type
}

// What that browser had with the same link before is not mixed with what it has now, and is not lost to the owner.
func TestWhoHadAConversationOfHisOwnTakesUpTheOther(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	phone, own := h.talking(offer, "Phone")
	phone.send(frame{"t": "say", "cid": "1", "text": "is that me?"})
	phone.expect("ack")
	h.landed(bob.carried(), "Phone")
	if f := phone.expect("bye"); f["reason"] != "replaced" {
		t.Errorf("the page that was open: %v", f)
	}
	phone = h.reader(offer, "Phone", 0, 0)
	if f := phone.expect("joined"); f["conv"] != conv {
		t.Errorf("joined %v, want %s", f, conv)
	}
	known, err := h.srv.store.hasSaid(t.Context(), h.broker.link(offer), browserVisitor(cookieOf("Phone")), "1")
	if known || err != nil {
		t.Errorf("what it said in the other is known here: %v, %v", known, err)
	}
	if _, err := h.srv.Conversation(t.Context(), alice, own); err != nil {
		t.Errorf("the other conversation: %v", err)
	}
	// Where a conversation began it can be taken back to, too.
	p := h.reader(offer, "Bob", 0, 0)
	p.expect("joined")
	h.landed(p.carried(), "Bob")
	mina, minas := h.talking(offer, "Mina")
	h.landed(mina.carried(), "Phone") // the latest counts
	phone = h.reader(offer, "Phone", 0, 0)
	if f := phone.expect("joined"); f["conv"] != minas {
		t.Errorf("joined %v, want %s", f, minas)
	}
}

func TestEveryCodeThatDoesNotWorkGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	code := bob.carried()
	newer := bob.carried()
	h.useless("replaced by a newer one", code, "Phone")
	for _, typed := range []string{"", "ABCD EFGH JKLM", "ABCDEFGHJKLMN", "0000 0000 0000", "💩", strings.Repeat("A ", 1000)} {
		h.useless(typed, typed, "Phone")
	}
	h.expireCodes()
	h.useless("expired", newer, "Phone")
	code = bob.carried()
	desk := h.desk(alice)
	desk.send(frame{"t": "revoke", "conv": conv})
	for desk.expect("link")["works"] != false {
	}
	h.useless("of a link that has ended", code, "Phone")
	bob.send(frame{"t": "carry", "cid": "late"})
	if f := bob.expect("error"); f["code"] != "link" || f["cid"] != "late" {
		t.Errorf("a code for a link that has ended: %v", f)
	}
	mina, minas := h.talking(gutters, "Mina")
	code = mina.carried()
	desk.send(frame{"t": "block", "conv": minas})
	mina.refused("link")
	h.useless("of a blocked visitor", code, "Phone")
	h.useless("of a blocked visitor, for himself", code, "Mina")
	dave, daves := h.talking(quote, "Dave")
	code = dave.carried()
	if done, err := NewArchive(h.db).Delete(t.Context(), carol, daves, time.Time{}); !done || err != nil {
		t.Fatal(done, err)
	}
	h.useless("of a conversation that is gone", code, "Phone")
}

// expireCodes makes all codes ten minutes old.
func (h *house) expireCodes() {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chatd_code SET until = ?`, time.Now())
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
}

// rows is how many a table has.
func (h *house) rows(table string) (n int) {
	h.t.Helper()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n)
	}); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestWhoIsBlockedIsBlockedOnAllHisDevices(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	h.landed(bob.carried(), "Phone")
	phone := h.reader(offer, "Phone", 0, 0)
	phone.expect("joined")
	mail, _ := h.talking(gutters, "Phone") // a conversation of that browser's own
	desk := h.desk(alice)
	desk.blocked()
	desk.send(frame{"t": "block", "conv": conv})
	if convs := desk.blocked(); len(convs) != 1 || convs[0] != conv {
		t.Errorf("blocked: %v", convs)
	}
	for _, p := range []*page{bob, phone, mail} {
		p.refused("link")
	}
	h.reader(gutters, "Phone", 0, 0).refused("link")
	desk.send(frame{"t": "unblock", "conv": conv})
	desk.blocked()
	h.reader(gutters, "Phone", 0, 0).expect("joined")
}

func TestWhatCodesMadeGoesWithItsConversation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	h.landed(bob.carried(), "Phone")
	bob.carried()
	mina, _ := h.talking(gutters, "Mina")
	h.landed(mina.carried(), "Phone")
	if c, d := h.rows("chatd_code"), h.rows("chatd_device"); c != 3 || d != 2 {
		t.Errorf("%d codes and %d devices", c, d)
	}
	for _, row := range []string{"hash", "sealed", "used"} {
		var clear int
		if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow(`SELECT count(*) FROM chatd_code WHERE instr(CAST(`+row+` AS TEXT), ?) > 0`, offer).Scan(&clear)
		}); err != nil || clear != 0 {
			t.Errorf("the database names the token (%v)", err)
		}
	}
	if done, err := NewArchive(h.db).Delete(t.Context(), alice, conv, time.Time{}); !done || err != nil {
		t.Fatal(done, err)
	}
	if c, d := h.rows("chatd_code"), h.rows("chatd_device"); c != 1 || d != 1 {
		t.Errorf("after a conversation was deleted, %d codes and %d devices", c, d)
	}
	phone := h.reader(offer, "Phone", 0, 0)
	if f := phone.expect("joined"); f["conv"] != "" {
		t.Errorf("the phone finds %v", f)
	}
	h.removeRows(alice)
	if c, d := h.rows("chatd_code"), h.rows("chatd_device"); c != 0 || d != 0 {
		t.Errorf("after the account was removed, %d codes and %d devices", c, d)
	}
}

func TestCodesAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, _ := h.talking(offer, "Bob")
	good := bob.carried()
	for range guessesPerNet {
		h.useless("a guess", "AAAAAAAAAAAA", "Mallory")
	}
	if _, err := h.types(good, "Mallory"); Refusal(err) != "busy" {
		t.Errorf("a guess too many from one network: %v", err)
	}
	elsewhere := netip.MustParseAddr("198.51.100.1")
	if _, err := h.srv.Redeem(t.Context(), good, cookieOf("Phone"), elsewhere); err != nil {
		t.Errorf("from another network: %v", err)
	}
	for i := h.rows("chatd_code"); i < codesPerHour; i++ {
		bob.carried()
	}
	bob.send(frame{"t": "carry", "cid": "more"})
	if f := bob.expect("error"); f["code"] != "busy" || f["cid"] != "more" {
		t.Errorf("a code too many: %v", f)
	}
	for i := range guessesInAll {
		a := netip.AddrFrom4([4]byte{203, byte(i >> 8), byte(i), 1})
		if _, err := h.srv.Redeem(t.Context(), "AAAAAAAAAAAA", cookieOf("Mallory"), a); err == nil {
			t.Fatal("a guess works")
		}
	}
	if _, err := h.srv.Redeem(t.Context(), good, cookieOf("Phone"), elsewhere); Refusal(err) != "busy" {
		t.Errorf("after so many guesses in all: %v", err)
	}
}

func TestAConversationIsOnSoManyDevices(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, _ := h.talking(offer, "Bob")
	for i := range maxDevices {
		h.landed(bob.carried(), fmt.Sprint("Device ", i))
	}
	bob.send(frame{"t": "carry", "cid": "more"})
	if f := bob.expect("error"); f["code"] != "devices" || f["cid"] != "more" {
		t.Errorf("one more: %v", f)
	}
}

func FuzzReadCode(f *testing.F) {
	for _, seed := range []string{"ABCD EFGH JKLM", "abcd-efgh-jklm", "ＡＢＣＤ　ＥＦＧＨ　ＪＫＬＭ", "", "0", "ABCDEFGHJKLMN", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code := readCode(typed)
		if code == "" {
			return
		}
		if len(code) != codeSize || strings.Trim(code, codeLetters) != "" || readCode(showCode(code)) != code {
			t.Errorf("%q is read as %q", typed, code)
		}
	})
}

func TestACodeIsReadAsPeopleTypeIt(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"ABCD EFGH 2345", " abcdefgh2345\t", "abcd-efgh-2345", "ＡＢＣＤ　ｅｆｇｈ　２３４５", "ABCDーEFGHー2345", "ABCD–EFGH—2345"} {
		if got := readCode(typed); got != "ABCDEFGH2345" {
			t.Errorf("%q is read as %q", typed, got)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		code := newCode()
		if readCode(showCode(code)) != code || seen[code] {
			t.Fatalf("the code %q", code)
		}
		seen[code] = true
	}
}
