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

// TestAReportOfADeliveryNamesNobodyWhoWasToGetTheMailBlind: it goes to all who read the sender's address, which may be an alias.
func TestAReportOfADeliveryNamesNobodyWhoWasToGetTheMailBlind(t *testing.T) {
	t.Parallel()
	for _, ret := range []string{"FULL", "HDRS"} {
		o := newOffice(t)
		env := toBob()
		env.Params = message.Params{Ret: ret, Rcpt: []message.RcptParam{{Notify: "SUCCESS"}}}
		if err := o.Submit(context.Background(), env, strings.NewReader(letter("Bcc: secret@example.com\nResent-Bcc: hidden@example.com\n", "Hello.\n"))); err != nil {
			t.Fatal(err)
		}
		got := o.last(alice)
		if strings.Contains(got, "secret@") || strings.Contains(got, "hidden@") || strings.Count(got, "Return-Path:") != 1 || !strings.Contains(got, "CH-Login: "+alice+"\r\n") {
			t.Errorf("%s: the report has\n%s", ret, got)
		}
	}
}

func TestOfThoseElsewhereTheQueueTells(t *testing.T) {
	t.Parallel()
	o, _ := away(t)
	env := toCarla(toBob())
	env.Params.Rcpt = []message.RcptParam{{Notify: "SUCCESS"}, {Notify: "SUCCESS"}}
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil {
		t.Fatal(err)
	}
	if got := o.last(alice); !strings.Contains(got, "Final-Recipient: rfc822; bob@example.com") || strings.Contains(got, "carla@") {
		t.Errorf("the report has\n%s", got)
	}
}

func TestAReportOfADeliveryNeedsRoom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quota       int64
		params      message.Params
		told, whole bool
	}{
		"there is room":              {quota: 1 << 20, params: message.Params{Ret: "FULL"}, told: true, whole: true},
		"full":                       {quota: 100},
		"of a mail that demands TLS": {params: message.Params{Ret: "FULL", RequireTLS: true}, told: true},
	} {
		o := newOffice(t)
		o.people.boxes = map[string]message.Box{alice: {Quota: c.quota}}
		env := toBob()
		env.Params = c.params
		env.Params.Rcpt = []message.RcptParam{{Notify: "SUCCESS"}}
		if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !o.has(bob) || o.has(alice) != c.told {
			t.Errorf("%s: bob has it: %t, alice is told: %t", name, o.has(bob), o.has(alice))
		}
		if c.told && strings.Contains(o.last(alice), "\r\nHello.") != c.whole {
			t.Errorf("%s: the report has\n%s", name, o.last(alice))
		}
		o.swept()
	}
}

func TestALargeMailDoesNotComeBackWhole(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	env := toBob()
	env.Params = message.Params{Ret: "FULL", Rcpt: []message.RcptParam{{Notify: "SUCCESS"}}}
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", strings.Repeat("Hello, hello, hello.\n", maxReceipt/20)))); err != nil {
		t.Fatal(err)
	}
	if got := o.last(alice); len(got) > 8<<10 || !strings.Contains(got, "text/rfc822-headers") {
		t.Errorf("the report has %d octets", len(got))
	}
}

// TestWhoIsGoneIsNotReportedToHaveGotAMail, and neither does a report that cannot be delivered any more cost a mail.
func TestWhoIsGoneIsNotReportedToHaveGotAMail(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]string{"a recipient": bob, "whoever would be told": carol} {
		o := newOffice(t)
		env := toBob()
		env.From = must(carol) // with a grant
		env.To = append(env.To, must("dora@example.com"))
		env.Drops = append(env.Drops, []string{"dora@example.com"})
		env.Params.Rcpt = []message.RcptParam{{Notify: "SUCCESS"}, {Notify: "SUCCESS"}}
		o.remove(gone, noon)
		if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !o.has("dora@example.com") || o.has(carol) {
			t.Errorf("%s: the mail is here: %t; told: %t", name, o.has("dora@example.com"), o.has(carol))
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
