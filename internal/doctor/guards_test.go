package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestAnRspamdThatIsNotThereIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		required bool
		err      error
		want     State
		says     string
	}{
		{false, nil, OK, "answers"}, {true, nil, OK, "answers"}, {false, errors.New("connection refused"), Warn, "connection refused; mail from others is taken"},
		{true, errors.New("connection refused"), Fail, "connection refused; mail from others is put off (451)"},
	} {
		d := New(Options{Rspamd: Rspamd{Required: c.required, Ping: func(context.Context) error { return c.err }}})
		if all := d.rspamd(t.Context()); len(all) != 1 || all[0].State != c.want || !strings.Contains(all[0].Text, c.says) || (all[0].Mend == "") != (c.want == OK) {
			t.Errorf("required %t, %v: %+v", c.required, c.err, all)
		}
	}
	if all := New(Options{}).rspamd(t.Context()); len(all) != 0 {
		t.Errorf("none is configured: %+v", all)
	}
}

func TestAListThatIsOfNoUseIsTold(t *testing.T) {
	t.Parallel()
	useless := errors.New("127.255.255.254 is the answer")
	for name, c := range map[string]struct {
		listed map[string]bool
		err    error
		want   State
		says   string
		mend   string
	}{
		"sound.test":  {map[string]bool{"127.0.0.2": true}, nil, OK, "answers", ""},
		"dead.test":   {nil, nil, Warn, "does not have its test address 127.0.0.2", "correct its name"},
		"all.test":    {map[string]bool{"127.0.0.2": true, "127.0.0.1": true}, nil, Fail, "mail from everybody is refused", "take it out"},
		"closed.test": {nil, useless, Warn, "127.255.255.254 is the answer; it keeps nobody out", "relay.resolver"},
		"silent.test": {nil, fmt.Errorf("%w: time is over", ErrNoAnswer), Warn, "no answer: time is over", "and it stays so, correct its name"},
	} {
		d := New(Options{Lists: []List{{Name: "first.test", Has: func(context.Context, netip.Addr) (bool, error) { return false, useless }}, {Name: name, Has: func(_ context.Context, ip netip.Addr) (bool, error) { return c.listed[ip.String()], c.err }}}})
		all := d.lists(t.Context())
		if len(all) != 2 || all[0].Subject != "first.test" {
			t.Fatalf("%s: %+v", name, all)
		}
		if f := all[1]; f.State != c.want || f.Subject != name || !strings.Contains(f.Text, c.says) || !strings.Contains(f.Mend, c.mend) || (f.Mend == "") != (c.want == OK) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
