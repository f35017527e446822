package intake

import (
	"context"
	"strings"
	"testing"

	"chmail/internal/address"
	"chmail/internal/message"
)

func TestWhoAsksIsToldThatHisMailWasDelivered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		notify, ret string
		null, told  bool
	}{
		"asked":                {notify: "SUCCESS,FAILURE", told: true},
		"with the whole mail":  {notify: "SUCCESS", ret: "FULL", told: true},
		"not asked":            {notify: ""},
		"of failures only":     {notify: "FAILURE,DELAY"},
		"of nothing":           {notify: "NEVER"},
		"nobody is there":      {notify: "SUCCESS", null: true},
		"in small, as by some": {notify: "success", told: true},
	} {
		o := newOffice(t)
		env := toBob()
		env.Params = message.Params{Ret: c.ret, EnvID: "mine+3D1", Rcpt: []message.RcptParam{{Notify: c.notify, ORcpt: "rfc822;robert+40example.com"}}}
		if c.null {
			env.From = address.Address{}
		}
		if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o.has(alice) != c.told {
			t.Errorf("%s: told %t", name, o.has(alice))
		}
		if !c.told {
			continue
		}
		got := o.last(alice)
		for _, want := range []string{
			"Return-Path: <>\r\n", "report-type=delivery-status", "Original-Envelope-Id: mine=1\r\n", "Original-Recipient: rfc822; robert@example.com\r\n",
			"Final-Recipient: rfc822; bob@example.com\r\nAction: delivered\r\nStatus: 2.0.0\r\n", "has been delivered to:", "Message-ID: <1@example.com>\r\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", name, want, got)
			}
		}
		if whole := strings.Contains(got, "\r\nHello.\r\n"); whole != (c.ret == "FULL") {
			t.Errorf("%s: the whole mail comes back: %t", name, whole)
		}
		o.swept()
	}
}

func TestAMailThatIsNotTakenIsNotReportedAsDelivered(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.remove(bob, noon) // while the mail is on its way
	env := toBob()
	env.Params.Rcpt = []message.RcptParam{{Notify: "SUCCESS"}}
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err == nil {
		t.Fatal("it is taken")
	}
	o.empty()
}

func TestNothingThatBecomesOfAMailFromOutsideWritesBack(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"delivered": false, "its recipient is gone": true} {
		o := newOffice(t)
		if gone {
			o.remove(bob, noon)
		}
		env := fromOutside()
		env.From = must(alice) // whom a forger names
		env.Params = message.Params{Ret: "FULL", Rcpt: []message.RcptParam{{Notify: "SUCCESS,FAILURE,DELAY"}}}
		if err := o.Accept(context.Background(), env, strings.NewReader(outside("", "Hello.\n"))); (err != nil) != gone {
			t.Fatalf("%s: %v", name, err)
		}
		if o.has(alice) {
			t.Errorf("%s: %s", name, o.last(alice))
		}
	}
}
