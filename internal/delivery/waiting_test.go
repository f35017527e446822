package delivery

import "testing"

func TestAFilterKnowsAnAddressInItsOtherSpellings(t *testing.T) {
	t.Parallel()
	w := Waiting{ID: "a", Login: "alice@example.com", To: "Bob@xn--bcher-kva.example", Destination: "smarthost:isp"}
	for _, c := range []struct {
		f    Filter
		fits bool
	}{
		{Filter{}, true}, {Filter{To: "bob@bücher.example"}, true}, {Filter{To: "BÜCHER.example"}, true}, {Filter{To: "xn--bcher-kva.example"}, true}, {Filter{To: "cher.example"}, false},
		{Filter{To: "bob@"}, false}, {Filter{Login: "Alice@Example.com", Destination: "smarthost:isp"}, true}, {Filter{Destination: "xn--bcher-kva.example"}, false}, {Filter{Held: true}, false},
		{Filter{ID: "b"}, false},
	} {
		if c.f.Fits(&w) != c.fits {
			t.Errorf("%+v: %v", c.f, !c.fits)
		}
	}
}
