package call

import "testing"

// The page, the desk and the tables all speak these words; whoever changes one changes a protocol (interfaces.md, "Chat socket").
func TestWordsOfTheChatSocket(t *testing.T) {
	t.Parallel()
	for got, want := range map[State]string{
		Opened: "opened", Silent: "silent", Ringing: "ringing", Answered: "answered", Declined: "declined", Retrying: "retrying", Moment: "moment",
		Away: "away", Unknown: "unknown", Noticed: "noticed", Back: "back", Left: "left",
	} {
		if string(got) != want {
			t.Errorf("state %q is to be called %q on the wire", got, want)
		}
	}
	for got, want := range map[AlertKind]string{AlertVisit: "visit", AlertRing: "ring", AlertSilence: "silence"} {
		if string(got) != want {
			t.Errorf("alert %q is to be called %q on the wire", got, want)
		}
	}
}
