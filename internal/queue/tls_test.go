package queue

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/delivery"
	"chmail/internal/message"
)

// TestAMailThatMayGoByAnyConnectionIsNotHeldUpByTheOthers: they wait for their domain's certificate to be mended, and it is perhaps the mail that says so (RFC 8689 4.2.2).
func TestAMailThatMayGoByAnyConnectionIsNotHeldUpByTheOthers(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("weak.test", func(h *host) { h.unsafe, h.wait = true, time.Second })
		o.mail("bob@weak.test")
		synctest.Wait()
		o.mail("carla@weak.test")
		o.anyTLS = true
		o.mail("dora@weak.test")
		o.anyTLS = false
		o.mail("eve@weak.test")
		after(20 * time.Minute)
		o.gets("weak.test", "dora@weak.test")
		if n := o.number(`SELECT count(*) FROM queue_rcpt WHERE tries > 0`); n != 3 {
			t.Errorf("%d others were tried, want 3", n)
		}
		o.with("weak.test", func(h *host) { h.unsafe = false })
		after(time.Hour)
		o.gets("weak.test", "bob@weak.test", "carla@weak.test", "dora@weak.test", "eve@weak.test")
		o.empty()
	})
}

// TestAMailThatDemandsTLSIsNotBroughtBackWhole: the report goes its own way, which may be less safe (RFC 8689 5).
func TestAMailThatDemandsTLSIsNotBroughtBackWhole(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.refuses("no.test", 550, "no")
		o.send(message.Params{Ret: "FULL", RequireTLS: true}, alice, "bob@no.test")
		o.send(message.Params{Ret: "FULL"}, alice, "bob@no.test")
		synctest.Wait()
		told := o.told(alice)
		if len(told) != 2 || strings.Contains(told[0], "Hello.") || !strings.Contains(told[0], "Subject: Offer") || !strings.Contains(told[1], "Hello.") {
			t.Errorf("told %q", told)
		}
		o.empty()
	})
}

// TestAMailThatAsksTooMuchDoesNotKeepTheOthersWaiting: what one mail demands of a host, and others do not, is no reason to leave that host alone.
func TestAMailThatAsksTooMuchDoesNotKeepTheOthersWaiting(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		o.with("far.test", func(h *host) {
			h.down = func() *delivery.Verdict {
				return &delivery.Verdict{Enhanced: [3]int{4, 4, 1}, Text: "its better server is down", Temporary: true, Own: true}
			}
		})
		o.mail("bob@far.test")
		synctest.Wait()
		o.accepts("far.test")
		o.mail("carla@far.test")
		synctest.Wait()
		o.gets("far.test", "carla@far.test")
		after(time.Hour)
		o.gets("far.test", "bob@far.test", "carla@far.test")
		o.empty()
	})
}
