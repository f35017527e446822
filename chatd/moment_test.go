package chatd

import "testing"

func TestTheReaderIsToldThatTheOwnerComesInAMoment(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	desk := h.desk(alice)
	h.broker.until(t, "the desk", func() bool { return len(h.broker.devices) == 1 })
	bob, conv := h.talking(offer, "Bob")
	id := desk.expect("visit")["call"]
	foreign := h.desk(carol)
	foreign.send(frame{"t": "moment", "call": id})
	if f := foreign.expect("silence"); f["call"] != id {
		t.Errorf("Carol is told %v", f)
	}
	desk.send(frame{"t": "moment", "call": id})
	for {
		if c := bob.expect("call"); c["state"] == "moment" {
			break
		}
	}
	if f := desk.expect("visit"); f["conv"] != conv { // silent, and still there
		t.Errorf("the desk is told %v", f)
	}
	again := h.reader(offer, "Bob", 0, 0)
	if c := again.expect("call"); c["state"] != "moment" {
		t.Errorf("after a reload: %v", c)
	}
	desk.send(frame{"t": "answer", "call": id})
	for again.expect("call")["state"] != "answered" {
	}
	desk.send(frame{"t": "moment", "call": id})
	desk.expect("silence")
}
