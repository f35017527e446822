package dnsbl

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// zone is a DNS in memory; a name that is "silent" never gets an answer.
type zone struct {
	names map[string]string
	asked atomic.Int32
}

func (z *zone) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	z.asked.Add(1)
	ip, ok := z.names[host]
	switch {
	case ip == "silent":
		<-ctx.Done()
		return nil, ctx.Err()
	case !ok:
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []net.IPAddr{{IP: net.ParseIP(ip)}}, nil
}

func lists(t *testing.T, z *zone, log *bytes.Buffer, names ...string) *Lists {
	t.Helper()
	var zones []Zone
	for _, n := range names {
		one, err := ParseZone(n)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, one)
	}
	return New(zones, z, slog.New(slog.NewTextHandler(log, nil)))
}

func TestAListThatHasAnAddressIsNamed(t *testing.T) {
	t.Parallel()
	z := &zone{names: map[string]string{
		"7.2.0.192.one.test.": "127.0.0.4", "8.2.0.192.two.test.": "127.0.0.12", "9.2.0.192.two.test.": "127.0.0.11", "7.2.0.192.two.test.": "127.0.0.2",
		"12.2.0.192.one.test.": "127.0.0.1", "13.2.0.192.two.test.": "127.0.0.1", "14.2.0.192.three.test.": "127.0.0.1", "15.2.0.192.one.test.": "127.0.1.1",
		"10.2.0.192.one.test.": "127.255.255.254", "11.2.0.192.one.test.": "203.0.113.1",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.one.test.": "127.0.0.2",
	}}
	log := &bytes.Buffer{}
	l := lists(t, z, log, "One.test", "two.test.=2-11", "three.test=1-3")
	for ip, want := range map[string]string{
		"192.0.2.7": "one.test", "192.0.2.8": "", "192.0.2.9": "two.test", "192.0.2.1": "", "192.0.2.10": "", "192.0.2.11": "", "192.0.2.12": "", "192.0.2.13": "",
		"192.0.2.14": "three.test", "192.0.2.15": "one.test", "2001:db8::1": "one.test", "::ffff:192.0.2.7": "one.test", "2001:db8::2": "",
	} {
		if got := l.Listed(t.Context(), netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %q, not %q", ip, got, want)
		}
	}
	if text := log.String(); strings.Count(text, "answers with an error") != 2 || strings.Count(text, "list=one.test") != 1 || strings.Count(text, "list=two.test") != 1 {
		t.Errorf("the log says %q", text)
	}
	asked := z.asked.Load()
	if l.Listed(t.Context(), netip.MustParseAddr("192.0.2.7")); z.asked.Load() != asked {
		t.Error("it is asked again at once")
	}
	if l.Listed(t.Context(), netip.Addr{}) != "" {
		t.Error("nobody is listed")
	}
}

func TestAListThatIsSilentKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{names: map[string]string{"7.2.0.192.one.test.": "silent", "7.2.0.192.two.test.": "127.0.0.2", "8.2.0.192.one.test.": "silent"}}
		l := lists(t, z, &bytes.Buffer{}, "one.test", "two.test")
		began := time.Now()
		if got := l.Listed(t.Context(), netip.MustParseAddr("192.0.2.7")); got != "two.test" {
			t.Errorf("the other list: %q", got)
		}
		if got := l.Listed(t.Context(), netip.MustParseAddr("192.0.2.8")); got != "" || time.Since(began) > 2*within {
			t.Errorf("%q after %v", got, time.Since(began))
		}
		asked := z.asked.Load()
		if l.Listed(t.Context(), netip.MustParseAddr("192.0.2.8")); z.asked.Load() == asked {
			t.Error("that nobody has answered is taken for an answer")
		}
	})
}

func TestAnAnswerIsForgottenAndAFloodIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{names: map[string]string{"7.2.0.192.one.test.": "127.0.0.2", "7.113.0.203.one.test.": "127.0.0.2"}}
		l := lists(t, z, &bytes.Buffer{}, "one.test")
		listed := func(ip string) bool { return l.Listed(t.Context(), netip.MustParseAddr(ip)) != "" }
		if !listed("192.0.2.7") {
			t.Error("not listed")
		}
		delete(z.names, "7.2.0.192.one.test.") // the host has been taken off
		time.Sleep(knownFor - time.Second)
		if before := z.asked.Load(); !listed("192.0.2.7") || z.asked.Load() != before {
			t.Error("an answer is not remembered")
		}
		time.Sleep(time.Second)
		if listed("192.0.2.7") {
			t.Error("an answer is remembered for ever")
		}
		for i := range maxKnown + 10 {
			l.keep(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}), known{"one.test", time.Now().Add(knownFor)})
		}
		if n := len(l.known); n > maxKnown {
			t.Errorf("%d addresses are remembered", n)
		}
		for i := range maxAsked {
			ip := netip.AddrFrom4([4]byte{192, 0, 3, byte(i)})
			z.names[reversed(ip)+"one.test."] = "silent"
		}
		for i := range maxAsked {
			go l.Listed(t.Context(), netip.AddrFrom4([4]byte{192, 0, 3, byte(i)}))
		}
		synctest.Wait()
		began, before := time.Now(), z.asked.Load()
		if listed("203.0.113.7") || z.asked.Load() != before || time.Since(began) != 0 {
			t.Errorf("one more is asked about, or waits %v", time.Since(began))
		}
		time.Sleep(within)
		synctest.Wait()
		if !listed("203.0.113.7") {
			t.Error("nothing is asked about any more")
		}
	})
}

func TestWhatIsNoListIsNamed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "zen", "zen spamhaus", "[192.0.2.1]", "a.test=", "a.test=0", "a.test=5-4", "a.test=256", "a.test=x"} {
		if z, err := ParseZone(text); err == nil {
			t.Errorf("%q: %+v", text, z)
		}
	}
}

func TestWhatAListSaysItself(t *testing.T) {
	t.Parallel()
	z := &zone{names: map[string]string{
		"2.0.0.127.sound.test.": "127.0.0.2", "2.0.0.127.closed.test.": "127.255.255.254", "2.0.0.127.every.test.": "127.0.0.1", "2.0.0.127.page.test.": "203.0.113.1", "2.0.0.127.silent.test.": "silent",
	}}
	ended, end := context.WithCancel(t.Context())
	end()
	for name, want := range map[string]struct {
		listed  bool
		useless string
		fails   bool
	}{
		"sound.test": {true, "", false}, "sound.test=2": {true, "", false}, "sound.test=3-9": {false, "", false}, "unknown.test": {false, "", false}, "page.test": {false, "", false},
		"closed.test": {false, "127.255.255.254", true}, "every.test": {false, "127.0.0.1", true}, "every.test=1": {true, "", false}, "silent.test": {false, "", true},
	} {
		one, err := ParseZone(name)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if name == "silent.test" {
			ctx = ended
		}
		listed, err := one.Ask(ctx, z, netip.MustParseAddr("127.0.0.2"))
		useless := (*UselessError)(nil)
		if listed != want.listed || (err != nil) != want.fails || errors.As(err, &useless) != (want.useless != "") || useless != nil && useless.Answer.String() != want.useless {
			t.Errorf("%s: %t, %v", name, listed, err)
		}
	}
}
