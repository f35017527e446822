package chatd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

// story is what somebody hears up to an event, each as "number kind of text".
func (p *page) story(last int) (all []string) {
	p.t.Helper()
	for {
		f := p.expect("event")
		of, _ := f["of"].(float64)
		text, _ := f["text"].(string)
		all = append(all, strings.TrimSpace(fmt.Sprintf("%v %s %v %s", f["n"], f["kind"], of, text)))
		if int(f["n"].(float64)) == last {
			return all
		}
	}
}

// everywhere is what the database holds of all that was said.
func (h *house) everywhere() (all string) {
	h.t.Helper()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT (SELECT group_concat(text, '|') FROM chatd_event) || (SELECT group_concat(said, '|') FROM chatd_conversation)`).Scan(&all)
	}); err != nil {
		h.t.Fatal(err)
	}
	return all
}

func TestWhatWasSaidIsChangedAndTakenBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	say := func(cid, text string) int {
		bob.send(frame{"t": "say", "cid": cid, "text": text})
		return int(bob.expect("ack")["n"].(float64))
	}
	greeting, secret := say("1", "Good mroning"), say("2", "my PIN is 4711")
	desk := h.desk(alice)
	if f := desk.expect("list")["talks"].([]any)[0].(map[string]any); f["unread"] != 2.0 {
		t.Errorf("listed: %v", f)
	}
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.said(0, "Good mroning", "my PIN is 4711")

	bob.send(frame{"t": "edit", "cid": "3", "n": greeting, "text": "Good mrning"})
	bob.expect("ack")
	bob.send(frame{"t": "edit", "cid": "4", "n": greeting, "text": "Good morning"})
	bob.expect("ack")
	bob.send(frame{"t": "edit", "cid": "5", "n": secret, "text": "my PIN is 4712"})
	bob.expect("ack")
	bob.send(frame{"t": "delete", "cid": "6", "n": secret})
	gone := bob.expect("ack")
	bob.send(frame{"t": "delete", "cid": "6", "n": secret}) // it did not hear the answer
	if again := bob.expect("ack"); again["n"] != gone["n"] || again["cid"] != "6" {
		t.Errorf("once more: %v, before %v", again, gone)
	}
	var list frame
	for range 4 {
		list = desk.expect("said")
	}
	if list["conv"] != conv || list["unread"] != 1.0 || list["text"] != "Good morning" || list["n"] != 7.0 {
		t.Errorf("the list is told %v", list)
	}
	want := []string{"1 join 0", "2 say 0 Good morning", "3 say 0", "4 edit 2 Good morning", "5 edit 2 Good morning", "6 edit 3", "7 delete 3"}
	check := func(when string) {
		t.Helper()
		fresh := h.reader(offer, "Bob", 0, 0)
		if got := fresh.story(7); strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("%s, who comes new hears\n%q, want\n%q", when, got, want)
		}
	}
	check("from memory")
	if all := h.everywhere(); strings.Contains(all, "471") || strings.Contains(all, "mr") {
		t.Errorf("the database still holds %q", all)
	}
	h.stop()
	h.start()
	check("from the database")
}

func TestOnlyOnesOwnWordsCanBeTakenBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "from Bob"})
	bob.expect("ack")
	desk := h.desk(alice)
	desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "from Alice"})
	alices := int(desk.expect("ack")["n"].(float64))
	mina := h.reader(offer, "Mina", 0, 0) // has not said anything yet
	mina.expect("joined")
	for i, c := range []struct {
		p *page
		n int
	}{{bob, alices}, {bob, 1}, {bob, 99}, {desk, 2}, {mina, 2}} {
		for _, verb := range []string{"edit", "delete"} {
			cid := fmt.Sprint(verb, i)
			f := frame{"t": verb, "cid": cid, "n": c.n, "text": "never said"}
			if c.p == desk {
				f["conv"] = conv
			}
			c.p.send(f)
			if e := c.p.expect("error"); e["code"] != "refused" || e["cid"] != cid {
				t.Errorf("%s of %d: %v", verb, c.n, e)
			}
		}
	}
	bob.send(frame{"t": "delete", "cid": "3", "n": 2})
	bob.expect("ack")
	bob.send(frame{"t": "edit", "cid": "4", "n": 2, "text": "still here"}) // what was taken back
	if e := bob.expect("error"); e["code"] != "refused" {
		t.Errorf("after it was taken back: %v", e)
	}
	desk.send(frame{"t": "end", "conv": conv})
	desk.send(frame{"t": "edit", "conv": conv, "cid": "5", "n": alices, "text": "and more"})
	if e := desk.expect("error"); e["code"] != "ended" {
		t.Errorf("in a conversation that has ended: %v", e)
	}
	if all := h.everywhere(); strings.Contains(all, "never") || strings.Contains(all, "still") || strings.Contains(all, "more") || !strings.Contains(all, "from Alice") {
		t.Errorf("the database holds %q", all)
	}
	bob.send(frame{"t": "edit", "cid": "6", "n": 2, "text": "bell\a"})
	if e := bob.expect("error"); e["code"] != "text" {
		t.Errorf("no text: %v", e)
	}
	bob.send(frame{"t": "delete", "cid": "", "n": 2})
	bob.refused("frame")
}

func TestAfterTenMinutesItStandsAsItWasSaid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	for _, cid := range []string{"just", "late"} {
		bob.send(frame{"t": "say", "cid": cid, "text": cid})
		bob.expect("ack")
	}
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chatd_event SET at = ? WHERE cid = 'just'`, time.Now().Add(patience-amendWithin))
		if err == nil {
			_, err = tx.Exec(`UPDATE chatd_event SET at = ? WHERE cid = 'late'`, time.Now().Add(-amendWithin))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	bob.send(frame{"t": "edit", "cid": "3", "n": 3, "text": "later"})
	if e := bob.expect("error"); e["code"] != "refused" || e["conv"] != conv {
		t.Errorf("too late: %v", e)
	}
	bob.send(frame{"t": "edit", "cid": "4", "n": 2, "text": "just in time"})
	bob.expect("ack")
}

func TestATerminalPrintsWhatWasChanged(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]event{
		"* 4 Bob: /edit 2 Good\r\n| morning\r\n": {N: 4, Kind: kindEdit, Of: 2, Text: "Good\nmorning"},
		"* 5 Bob: /delete 2\r\n":                 {N: 5, Kind: kindDelete, Of: 2},
		"* 2 Bob: /deleted\r\n":                  {N: 2, Kind: kindSay},
	} {
		if got := string(appendEvent(nil, &e, "Bob")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Every change writes the message and all changes before it anew, so there is an end to that; what was said can still be taken back.
func TestAMessageIsChangedOnlySoOften(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, _ := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "say", "text": "first"})
	n := int(bob.expect("ack")["n"].(float64))
	for i := range maxEdits {
		bob.send(frame{"t": "edit", "cid": fmt.Sprint("edit", i), "n": n, "text": fmt.Sprint("change ", i)})
		bob.expect("ack")
	}
	bob.send(frame{"t": "edit", "cid": "more", "n": n, "text": "one too many"})
	if e := bob.expect("error"); e["code"] != "refused" || e["cid"] != "more" {
		t.Errorf("one change more: %v", e)
	}
	if all := h.everywhere(); strings.Contains(all, "many") || strings.Contains(all, "first") || !strings.Contains(all, fmt.Sprint("change ", maxEdits-1)) {
		t.Errorf("the database holds %q", all)
	}
	bob.send(frame{"t": "delete", "cid": "gone", "n": n})
	bob.expect("ack")
	if all := h.everywhere(); strings.Contains(all, "change") {
		t.Errorf("taken back, and the database holds %q", all)
	}
}
