package chatd

import "testing"

func TestALinkIsRevokedFromItsConversation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	looking := h.reader(offer, "Mina", 0, 0)
	looking.expect("joined")
	desk, phone := h.desk(alice), h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	if f := desk.expect("link"); f["conv"] != conv || f["works"] != true {
		t.Errorf("before: %v", f)
	}
	phone.expect("list")
	desk.send(frame{"t": "revoke", "conv": conv})
	for _, p := range []*page{desk, phone} {
		if f := p.expect("link"); f["conv"] != conv || f["works"] != false {
			t.Errorf("revoked: %v", f)
		}
	}
	h.reader(offer, "Carla", 0, 0).refused("link")
	looking.send(frame{"t": "intent"}) // he had only looked
	looking.refused("link")
	bob.send(frame{"t": "say", "cid": "1", "text": "still here"}) // and he talks
	bob.expect("ack")
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	if f := desk.expect("link"); f["works"] != false {
		t.Errorf("after: %v", f)
	}
	other, _ := h.talking(gutters, "Bob")
	other.send(frame{"t": "revoke"})
	other.refused("refused")
}
