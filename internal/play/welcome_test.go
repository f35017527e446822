package play

import (
	"strings"
	"testing"
)

func TestTheWelcomeLeadsToEverythingThereIsToTry(t *testing.T) {
	t.Parallel()
	ports, err := PortsFrom(DefaultBase)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Welcome(&out, Instance{Ports: ports, URL: "http://localhost:14080", State: State{
		Sender: Person{Login: "alice@" + Domain, Name: "Alice", Password: "right"}, Reader: Person{Login: "bob@" + Domain, Name: "Bob"},
	}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"http://localhost:14080/desk ", "http://localhost:14080/desk/mails\n", "why", "password right", "the one that you have set", "a new one comes with the next mail that you send as Alice"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing:\n%s", want, out.String())
		}
	}
}
