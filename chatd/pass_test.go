package chatd

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A terminal has no cookie that a browser could show a file with: it is told where a browser finds it, for a day.
func TestATerminalIsToldWhereAFileIs(t *testing.T) {
	t.Parallel()
	h := newSecureHouse(t)
	bob := h.connect(h.at(alice))
	bob.say("JOIN " + offer + " Bob\n")
	conv := strings.Fields(bob.expect("OK "))[0]
	bob.expect("* 1 ") // he has come in
	sent, err := h.srv.FileFromOwner(t.Context(), alice, conv, upload("f", "offer.pdf", "the offer"))
	if err != nil {
		t.Fatal(err)
	}
	if got := bob.expect("* 3 "); got != "Alice Example: /file 9 offer.pdf" { // after both have come in
		t.Errorf("told %q", got)
	}
	where, ok := strings.CutPrefix(bob.expect("| "), h.url+"/c/"+offer+"/files/"+sent.File.ID+"?pass=")
	if !ok {
		t.Fatalf("it lies at %q", where)
	}
	ctx, link, files := t.Context(), h.broker.link(offer), h.srv.store.files
	if f, err := h.srv.PassedFile(ctx, link, sent.File.ID, where); err != nil || f.Name != "offer.pdf" {
		t.Errorf("with the pass: %+v, %v", f, err)
	}
	other, err := h.srv.FileFromOwner(ctx, alice, conv, upload("g", "other.pdf", "another"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		token, file, pass string
	}{
		"another file": {offer, other.File.ID, where}, "another link": {gutters, sent.File.ID, where}, "another owner's": {quote, sent.File.ID, where}, "none": {offer, sent.File.ID, ""},
		"a made-up one": {offer, sent.File.ID, strings.Repeat("A", len(where))}, "a longer one": {offer, sent.File.ID, where + "AAAA"},
		"yesterday's":                       {offer, sent.File.ID, files.passFor(sent.File.ID, link.ID, now.Add(-passLife-2*time.Minute))},
		"a good one for a link without it":  {gutters, sent.File.ID, files.passFor(sent.File.ID, h.broker.link(gutters).ID, now)},
		"a good one for a file of nobody's": {offer, "nothing", files.passFor("nothing", link.ID, now)},
	} {
		if f, err := h.srv.PassedFile(ctx, h.broker.link(c.token), c.file, c.pass); !errors.Is(err, ErrNoFile) || f != nil {
			t.Errorf("with a pass that is %s: %+v, %v", name, f, err)
		}
	}
	// A program that speaks frames asks for it.
	p, err := h.dial(h.socket(0), who("Mina"))
	if err != nil {
		t.Fatal(err)
	}
	p.send(frame{"t": "join", "v": 1, "token": offer, "last": 0, "urls": true})
	p.expect("joined")
	p.send(frame{"t": "say", "cid": "1", "text": "x"})
	p.expect("ack")
	mine := h.mustSend("Mina", upload("f", "roof.txt", "x"))
	for e := p.expect("event"); ; e = p.expect("event") {
		if f, ok := e["file"].(map[string]any); ok {
			if at, _ := f["url"].(string); !strings.HasPrefix(at, h.url+"/c/"+offer+"/files/"+mine.File.ID+"?pass=") || e["text"] != "roof.txt" || e["name"] != nil {
				t.Errorf("told %v", e)
			}
			break
		}
	}
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": mine.Conv, "last": 0})
	for e := desk.expect("event"); ; e = desk.expect("event") {
		if f, ok := e["file"].(map[string]any); ok {
			if f["url"] != nil {
				t.Errorf("a page is given a pass: %v", e)
			}
			break
		}
	}
}
