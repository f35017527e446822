package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"chmail/internal/delivery"
)

// nobody has no address: those of the documentation (RFC 5737) may be in use where the tests run.
func nobody(netip.Addr) bool { return false }

// tried opens a line where nobody answers, and returns the addresses that were dialled and the verdict.
func tried(t *testing.T, o Options, destination string) ([]string, *delivery.Verdict) {
	t.Helper()
	var dialled []string
	o.Name = "relay.example.com"
	o.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, errors.New("connection refused")
	}
	line, err := New(o).Open(t.Context(), destination, delivery.Mail{})
	if line != nil || err == nil {
		t.Fatal("a line to nobody")
	}
	return dialled, err.(*delivery.Verdict)
}

func TestWhereAMailGoes(t *testing.T) {
	t.Parallel()
	z := &zone{
		mx: map[string][]string{
			"null.example.": {"0 ."}, "two.example.": {"20 b.example.", "10 A.example."}, "down.example.": {"fail"}, "literal.example.": {"10 192.0.2.7."},
			"local.example.": {"10 localhost.", "20 x.localhost."}, "private.example.": {"10 private1.example."}, "gone.example.": {"10 nothere.example."},
			"half.example.": {"10 nothere.example.", "20 a.example."}, "slow.example.": {"10 slowhost.example."}, "mixed.example.": {"10 .", "20 a.example."},
			"ours.example.": {"10 a.example.", "20 Relay.example.com.", "20 b.example.", "30 c.example."}, "only-ours.example.": {"10 relay.example.com."},
			"address.example.": {"10 a.example.", "20 me.example.", "30 b.example."}, "bad.example.": {"10 -x-.example."},
			"halfslow.example.": {"10 slowhost.example.", "20 nothere.example."},
		},
		ip: map[string][]string{
			"a.example.": {"192.0.2.1"}, "b.example.": {"192.0.2.2", "192.0.2.3", "2001:db8::2"}, "c.example.": {"192.0.2.4"}, "plain.example.": {"192.0.2.5"}, "private1.example.": {"10.0.0.1", "127.0.0.1"},
			"slowhost.example.": {"fail"}, "me.example.": {"192.0.2.99"}, "failing.example.": {"fail"}, "xn--bcher-kva.example.": {"::ffff:192.0.2.6"},
		},
	}
	own := func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.99") }
	for destination, want := range map[string]struct{ dialled, verdict string }{
		"null.example":      {"", "5.1.10 null.example takes no mail (null MX)"},
		"two.example":       {"192.0.2.1 [2001:db8::2] 192.0.2.2 192.0.2.3", "b.example [192.0.2.3]: 4.4.1 no connection: connection refused (temporary)"},
		"plain.example":     {"192.0.2.5", "plain.example [192.0.2.5]: 4.4.1 no connection: connection refused (temporary)"},
		"nowhere.example":   {"", "5.1.2 nowhere.example does not exist, or has no mail server"},
		"failing.example":   {"", "4.4.3 the address of failing.example cannot be looked up (temporary)"},
		"down.example":      {"", "4.4.3 the mail servers of down.example cannot be looked up (temporary)"},
		"literal.example":   {"", "5.4.4 no MX of literal.example is a mail server on the Internet"},
		"local.example":     {"", "5.4.4 no MX of local.example is a mail server on the Internet"},
		"bad.example":       {"", "5.4.4 no MX of bad.example is a mail server on the Internet"},
		"private.example":   {"", "5.4.4 private1.example has no address on the Internet"},
		"gone.example":      {"", "5.4.4 the mail server nothere.example does not exist"},
		"half.example":      {"192.0.2.1", "a.example [192.0.2.1]: 4.4.1 no connection: connection refused (temporary)"},
		"slow.example":      {"", "4.4.3 the address of slowhost.example cannot be looked up (temporary)"},
		"halfslow.example":  {"", "4.4.3 the address of slowhost.example cannot be looked up (temporary)"},
		"mixed.example":     {"192.0.2.1", "a.example [192.0.2.1]: 4.4.1 no connection: connection refused (temporary)"},
		"ours.example":      {"192.0.2.1", "a.example [192.0.2.1]: 4.4.1 no connection: connection refused (temporary)"},
		"only-ours.example": {"", "5.4.6 the mail servers of only-ours.example are this server, which does not know the domain"},
		"address.example":   {"192.0.2.1", "a.example [192.0.2.1]: 4.4.1 no connection: connection refused (temporary)"},
		"me.example":        {"", "5.4.6 the mail servers of me.example are this server, which does not know the domain"},
		"xn--bcher-kva.example": {"192.0.2.6",
			"xn--bcher-kva.example [192.0.2.6]: 4.4.1 no connection: connection refused (temporary)"},
		"[192.0.2.8]":              {"192.0.2.8", "[192.0.2.8]: 4.4.1 no connection: connection refused (temporary)"},
		"[IPv6:2001:db8::8]":       {"[2001:db8::8]", "[IPv6:2001:db8::8]: 4.4.1 no connection: connection refused (temporary)"},
		"[127.0.0.1]":              {"", "5.4.4 127.0.0.1 has no address on the Internet"},
		"[IPv6:::ffff:192.0.2.99]": {"", "5.4.6 the mail servers of 192.0.2.99 are this server, which does not know the domain"},
		"[IPv6:::ffff:192.0.2.8]":  {"192.0.2.8", "[192.0.2.8]: 4.4.1 no connection: connection refused (temporary)"},
		"[192.0.2.99]":             {"", "5.4.6 the mail servers of 192.0.2.99 are this server, which does not know the domain"},
		"[x]":                      {"", "5.1.2 the domain cannot be written"},
		"a b.example":              {"", "5.1.2 the domain cannot be written"},
	} {
		dialled, v := tried(t, Options{Resolver: z, Own: own}, destination)
		if got := strings.ReplaceAll(strings.Join(dialled, " "), ":25", ""); got != want.dialled || told(v) != want.verdict {
			t.Errorf("%s: %q, %s", destination, got, told(v))
		}
	}
}

func TestEqualServersShareTheMail(t *testing.T) {
	t.Parallel()
	z := &zone{
		mx: map[string][]string{"x.example.": {"10 a.example.", "10 b.example.", "20 c.example."}},
		ip: map[string][]string{"a.example.": {"192.0.2.1"}, "b.example.": {"192.0.2.2"}, "c.example.": {"192.0.2.3"}},
	}
	first := map[string]int{}
	for range 200 {
		dialled, _ := tried(t, Options{Resolver: z, Own: nobody}, "x.example")
		first[dialled[0]]++
		if len(dialled) != 3 || dialled[2] != "192.0.2.3:25" {
			t.Fatalf("dialled %v", dialled)
		}
	}
	if len(first) != 2 || first["192.0.2.1:25"] < 50 || first["192.0.2.2:25"] < 50 {
		t.Errorf("first were %v", first)
	}
}

func TestAnAttemptGoesToSoManyAddressesOnly(t *testing.T) {
	t.Parallel()
	z := &zone{mx: map[string][]string{}, ip: map[string][]string{}}
	for i := range 40 {
		name := string(rune('a'+i%26)) + strings.Repeat("x", i/26) + ".example."
		z.mx["x.example."] = append(z.mx["x.example."], "10 "+name)
		z.ip[name] = []string{"192.0.2.1", "192.0.2.2"}
	}
	if dialled, _ := tried(t, Options{Resolver: z, Own: nobody, MaxAddresses: 5}, "x.example"); len(dialled) != 5 {
		t.Errorf("%d addresses", len(dialled))
	}
	z.ip["y.example."] = []string{"2001:db8::1", "192.0.2.1"}
	if dialled, _ := tried(t, Options{Resolver: z, Own: nobody, NoIPv6: true}, "y.example"); !slices.Equal(dialled, []string{"192.0.2.1:25"}) {
		t.Errorf("without IPv6: %v", dialled)
	}
	if dialled, _ := tried(t, Options{Resolver: z, Own: nobody, MaxHosts: 2}, "x.example"); len(dialled) != 4 {
		t.Errorf("%d addresses of two hosts", len(dialled))
	}
}

func TestThisComputersAddressesAreItsOwn(t *testing.T) {
	t.Parallel()
	if !isInterface(netip.MustParseAddr("127.0.0.1")) || isInterface(netip.MustParseAddr("8.8.8.8")) {
		t.Error("127.0.0.1 is no address of this computer, or 8.8.8.8 is")
	}
}

// TestTheNextServerIsTriedWhenOneRefuses has a first server that is closed, a second that greets with a refusal, and a third that takes the mail.
func TestTheNextServerIsTriedWhenOneRefuses(t *testing.T) {
	t.Parallel()
	z := exampleOrg()
	z.ip["mx.example.org."] = []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
	p := &peers{t: t, scripts: []string{"refused", "S: 421 busy\n! closed\n", wholeMail}}
	m := mailOf(t, "to a@example.org\nto b@example.org\n\nSubject: x\n\n")
	line, err := New(Options{Name: "relay.example.com", Resolver: z, Own: nobody, Dial: p.dial}).Open(t.Context(), "example.org", m)
	if err != nil {
		t.Fatal(err)
	}
	verdicts, again := line.Send(t.Context(), m)
	line.Close()
	p.playing.Wait()
	if told(&verdicts[0]) != "mx.example.org [192.0.2.3]: 250 2.0.0 ok" || !again || !slices.Equal(p.dialled, []string{"192.0.2.1:25", "192.0.2.2:25", "192.0.2.3:25"}) {
		t.Errorf("%s, dialled %v", told(&verdicts[0]), p.dialled)
	}
}

// TestAMailThatIsLostAtItsEndGoesToNoOtherServer in the same attempt: the first one may have it.
func TestAMailThatIsLostAtItsEndGoesToNoOtherServer(t *testing.T) {
	t.Parallel()
	z := exampleOrg()
	z.ip["mx.example.org."] = []string{"192.0.2.1", "192.0.2.2"}
	p := &peers{t: t, scripts: []string{"S: 220 one\nC: EHLO relay.example.com\nS: 250 one\nC: MAIL FROM:<alice@example.com>\nS: 250 ok\nC: RCPT TO:<a@example.org>\nS: 250 ok\n" +
		"C: DATA\nS: 354 go on\nC: Subject: x\nC: \nC: .\n! reset\n"}}
	m := mailOf(t, "to a@example.org\n\nSubject: x\n\n")
	line, err := New(Options{Name: "relay.example.com", Resolver: z, Own: nobody, Dial: p.dial}).Open(t.Context(), "example.org", m)
	if err != nil {
		t.Fatal(err)
	}
	verdicts, _ := line.Send(t.Context(), m)
	line.Close()
	p.playing.Wait()
	if v := verdicts[0]; v.Stale || !v.Temporary {
		t.Errorf("%+v", v)
	}
}

// TestAServerThatTookNothingIsBetterThanNone: behind it stands only this server itself, as somebody's second MX.
func TestAServerThatTookNothingIsBetterThanNone(t *testing.T) {
	t.Parallel()
	z := exampleOrg()
	z.mx["example.org."] = []string{"10 mx.example.org.", "20 backup.example.org."}
	z.ip["backup.example.org."] = []string{"192.0.2.9"}
	const busy = "S: 220 one\nC: EHLO relay.example.com\nS: 250 one\nC: MAIL FROM:<alice@example.com>\nS: 451 4.3.0 busy\nC: QUIT\nS: 221 bye\n"
	p := &peers{t: t, scripts: []string{busy, wholeMail}}
	r := New(Options{Name: "relay.example.com", Resolver: z, Own: func(a netip.Addr) bool { return a.String() == "192.0.2.9" }, Dial: p.dial})
	m := mailOf(t, "to a@example.org\nto b@example.org\n\nSubject: x\n\n")
	for i, want := range []string{"451 4.3.0 busy (stale, temporary)", "250 2.0.0 ok"} {
		line, err := r.Open(t.Context(), "example.org", m)
		if err != nil {
			t.Fatalf("attempt %d: %v", i, told(err.(*delivery.Verdict)))
		}
		verdicts, _ := line.Send(t.Context(), m)
		line.Close()
		if got := told(&verdicts[0]); got != "mx.example.org [192.0.2.1]: "+want {
			t.Errorf("attempt %d: %s", i, got)
		}
	}
	p.playing.Wait()
}

func TestTheNextServerIsTriedWhenOneGreetsAndTakesNothing(t *testing.T) {
	t.Parallel()
	const hello = "S: 220 one\nC: EHLO relay.example.com\nS: 250 one\n"
	for name, script := range map[string]string{
		"it ends the session":       hello + "C: MAIL FROM:<alice@example.com>\nS: 421 4.3.2 going down\n! closed\n",
		"it closes":                 hello + "C: MAIL FROM:<alice@example.com>\n! reset\n",
		"it has no room":            hello + "C: MAIL FROM:<alice@example.com>\nS: 452 4.3.1 no room\nC: QUIT\nS: 221 bye\n",
		"it has none for recipient": hello + "C: MAIL FROM:<alice@example.com>\nS: 250 ok\nC: RCPT TO:<a@example.org>\n! reset\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := exampleOrg()
			z.ip["mx.example.org."] = []string{"192.0.2.1", "192.0.2.2"}
			p := &peers{t: t, scripts: []string{script, wholeMail, script}}
			r := New(Options{Name: "relay.example.com", Resolver: z, Own: nobody, Dial: p.dial})
			m := mailOf(t, "to a@example.org\nto b@example.org\n\nSubject: x\n\n")
			send := func() (delivery.Verdict, bool) {
				line, err := r.Open(t.Context(), "example.org", m)
				if err != nil {
					t.Fatal(err)
				}
				defer line.Close()
				verdicts, again := line.Send(t.Context(), m)
				return verdicts[0], again
			}
			if v, again := send(); !v.Stale || again || !v.Temporary {
				t.Errorf("the first: %+v, %t", v, again)
			}
			if v, _ := send(); v.Code != 250 || v.Stale {
				t.Errorf("the second: %+v", v)
			}
			r.left.add(netip.MustParseAddrPort("192.0.2.2:25"))
			if v, _ := send(); v.Stale || !v.Temporary { // the last of them: that is an attempt
				t.Errorf("both are left: %+v", v)
			}
			p.playing.Wait()
			if !slices.Equal(p.dialled, []string{"192.0.2.1:25", "192.0.2.2:25", "192.0.2.1:25"}) {
				t.Errorf("dialled %v", p.dialled)
			}
		})
	}
}
