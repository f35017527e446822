package intake

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/stamp"
)

// outside is a mail from elsewhere with these fields.
func outside(fields, body string) string {
	return wire("From: Carol <carol@elsewhere.test>\nTo: bob@example.com\nSubject: Offer\n" + fields + "\n" + body)
}

func TestAMailFromOutsideKeepsItsBody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	body := wire("See https://elsewhere.test/c/x\n\n.\nCH-Link: <https://evil.test/>\n")
	raw := outside("DKIM-Signature: v=1; d=elsewhere.test\nBcc: dave@elsewhere.test\nDate: x\n", "") + body
	got := o.accept(raw)
	sound(t, got)
	if !strings.HasSuffix(got, raw) {
		t.Errorf("it was changed: %q", got)
	}
	want := wire("Return-Path: <carol@elsewhere.test>\nReceived: from mx.elsewhere.test ([203.0.113.9])\n\tby mail.example.com with ESMTPS id ")
	if !strings.HasPrefix(got, want) || o.broker.times() != 0 || o.count("test_link") != 0 {
		t.Errorf("it begins %q, the broker was asked %d times", got[:len(want)], o.broker.times())
	}
	if head, _, _ := strings.Cut(got, "\r\n\r\n"); strings.Count(head, "\r\nAuthentication-Results: mail.example.com; none\r\n") != 1 {
		t.Errorf("it does not say that nothing was checked:\n%s", head)
	}
	if log := o.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "from=carol@elsewhere.test to=bob@example.com") || strings.Contains(log, "Offer") || strings.Contains(log, "Hello") {
		t.Errorf("the log says %q", log)
	}
}

// notary finds what it is told to find.
type notary struct {
	sigs    []stamp.Signature
	err     error
	panics  bool
	reject  string
	unclear bool
	// suspect is why the mail is to be marked.
	suspect string
	saw     string
	within  time.Duration // that it was given
}

const seal = "Authentication-Results: mail.example.com; spf=pass\r\n"

func (n *notary) Check(ctx context.Context, _ *message.Envelope, src message.Source) (*Findings, error) {
	if n.panics {
		panic("a mail that breaks it")
	}
	b, err := message.ReadRange(src, 0, src.Size())
	n.saw = string(b)
	until, _ := ctx.Deadline()
	n.within = time.Until(until)
	if err = errors.Join(n.err, err); err != nil {
		return nil, err
	}
	return &Findings{Field: []byte(seal), Signatures: n.sigs, Unclear: n.unclear, Reject: n.reject, Suspect: n.suspect, Summary: "spf=pass"}, nil
}

func TestWhatWasFoundOutAboutAMailStandsOnTop(t *testing.T) {
	t.Parallel()
	forgery := "Authentication-Results: mail.example.com; spf=pass smtp.mailfrom=forged.test\n"
	for name, c := range map[string]struct {
		notary *notary
		field  string
	}{
		"found":             {&notary{}, seal},
		"not without panic": {&notary{panics: true}, "Authentication-Results: mail.example.com; spf=temperror; dkim=temperror; dmarc=temperror\r\n"},
	} {
		o := newOffice(t)
		o.checker = c.notary
		o.open(o.db)
		got := o.accept(outside(forgery, "Hello.\n"))
		field := strings.NewReplacer("\r\n ", " ", "\r\n\t", " ", "  ", " ").Replace(got)
		if strings.Count(got, "Authentication-Results") != 1 || !strings.Contains(field, "+0000\r\n"+c.field) {
			t.Errorf("%s: %q", name, got)
		}
		if n := c.notary; !n.panics && (n.within <= 0 || n.within > 10*time.Second) {
			t.Errorf("%s: it may take %v", name, n.within)
		}
	}
}

func TestAMailThatItsAuthorsDomainDisownsIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.checker = &notary{reject: "elsewhere.test"}
	o.open(o.db)
	o.isRefusal(o.Accept(context.Background(), fromOutside(), strings.NewReader(outside("", "Hello.\n"))), 550, "policy of elsewhere.test")
	o.empty()
}

func TestAMailWhoseOriginCannotBeFoundOutIsBroughtAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.checker = &notary{err: errors.New("no resolver")}
	o.open(o.db)
	o.isRefusal(o.Accept(context.Background(), fromOutside(), strings.NewReader(outside("", "Hello.\n"))), 451, "try again later")
	o.checker = &notary{unclear: true}
	o.open(o.db)
	o.isRefusal(o.Accept(context.Background(), fromOutside(), strings.NewReader(outside("", "Hello.\n"))), 550, "From")
	o.empty()
}

func TestASuspectMailIsMarked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.checker = &notary{suspect: "dmarc=quarantine"}
	o.open(o.db)
	raw := outside("X-Spam-Flag: NO\nX-SPAM-status: No, score=-5\n\thits=0\nX-Spam-Level: 0\n", "Hello.\n")
	got := o.accept(raw)
	sound(t, got)
	want := seal + "X-Spam-Flag: YES\r\nX-Spam-Status: Yes, dmarc=quarantine\r\nFrom: Carol"
	if !strings.Contains(got, want) || strings.Count(got, "X-Spam-Flag") != 1 || strings.Contains(got, "score") || !strings.Contains(got, "\r\nSubject: Offer\r\nX-Spam-Level: 0\r\n\r\nHello.") {
		t.Errorf("marked: %q", got)
	}
	o.tag = "[suspect]"
	o.open(o.db)
	if got = o.accept(raw); !strings.Contains(got, "\r\nSubject: [suspect] Offer\r\n") {
		t.Errorf("tagged: %q", got)
	}
	if !strings.Contains(o.log.String(), "marked=dmarc=quarantine") && !strings.Contains(o.log.String(), `marked="dmarc=quarantine"`) {
		t.Errorf("the log says %s", o.log.String())
	}
}

func TestAnotherServersCHFieldsStayWhenItsDomainSignedThem(t *testing.T) {
	t.Parallel()
	const fields = "CH-Login: carol@elsewhere.test\nCH-Link: <https://chat.elsewhere.test/c/x>\n"
	good := []stamp.Signature{{Domain: "elsewhere.test", Valid: true, Signed: []string{"From", "CH-Login", "CH-Link"}}}
	for name, c := range map[string]struct {
		fields string
		notary *notary
		stay   bool
	}{
		"signed":                        {fields, &notary{sigs: good}, true},
		"not signed":                    {fields, &notary{}, false},
		"signed by somebody else":       {strings.ReplaceAll(fields, "carol@elsewhere", "bob@example"), &notary{sigs: good}, false},
		"not to be checked":             {fields, &notary{sigs: good, panics: true}, false},
		"in a header with a stray line": {"no field\n" + fields, &notary{sigs: good}, false},
	} {
		o := newOffice(t)
		o.checker = c.notary
		o.open(o.db)
		raw := outside(c.fields, "Hello.\n")
		got := o.accept(raw)
		if strings.Contains(got, "CH-") != c.stay || c.stay && (c.notary.saw != raw || !strings.HasSuffix(got, raw)) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAStrangerCannotSpeakForTheServer(t *testing.T) {
	t.Parallel()
	forged := "CH-Login: bob@example.com\nch-link : <https://evil.test/>\nCh-Port:\n 1\nReturn-Path: <evil@elsewhere.test>\n" +
		"Authentication-Results: MAIL.example.com.; evil=pass\nAuthentication-Results: mail.example.com 1; evil=pass\n" +
		"Authentication-Results: (x) \"mail.example.com\"; evil=pass\nAuthentication-Results: mail.example.com evil=pass\n"
	kept := "CHX: 1\nAuthentication-Results: mail.example.com.evil.test; dkim=none\n"
	for name, raw := range map[string]string{
		"in its place":           outside(forged+kept, "Hello.\n"),
		"behind a stray line":    outside("no field\n"+forged+kept, "Hello.\n"),
		"behind a line of a box": "From evil Wed Nov 25 11:00:00 2026\r\n" + outside(forged+kept, "Hello.\n"),
	} {
		o := newOffice(t)
		got := o.accept(raw)
		if _, below, ok := strings.Cut(got, ";\r\n\tWed, 25 Nov 2026 12:00:00 +0000\r\n"); !ok || strings.Contains(below, "evil=pass") || strings.Contains(below, "evil.test/") ||
			strings.Contains(below, "\r\n 1") || strings.Contains(below, "Return-Path") || strings.Contains(below, "From evil") ||
			!strings.HasSuffix(below, wire(kept+"\nHello.\n")) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWhatOtherServersShouldNotHaveSentIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		code int
		word string
	}{
		"two From":              {outside("From: carol@elsewhere.test\n", "a\n"), 550, "more than one From"},
		"two From, one hidden":  {outside("no field\nFrom : dave@elsewhere.test\n", "a\n"), 550, "more than one From"},
		"a long line":           {outside("", strings.Repeat("x", 999)+"\n"), 550, "998"},
		"a long header line":    {outside("X: "+strings.Repeat("x ", 500)+"\n", "a\n"), 550, "998"},
		"NUL":                   {outside("", "\x00\n"), 550, "NUL"},
		"bare LF":               {outside("", "") + "\n", 550, "bare"},
		"going round":           {outside(strings.Repeat("Received: by x\n", 51), "a\n"), 554, "circles"},
		"folded at the start":   {" x\r\n" + outside("", "a\n"), 550, "folded"},
		"a header of 300 KiB":   {outside(strings.Repeat("X: 0123456789\n", 20000), "a\n"), 552, "header"},
		"hidden in many fields": {outside(strings.Repeat("X: 1\n", 2100)+"From: dave@elsewhere.test\n", "a\n"), 552, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.isRefusal(o.Accept(context.Background(), fromOutside(), strings.NewReader(c.raw)), c.code, c.word)
		})
	}
}

func TestPoorMailFromOutsideIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, raw := range []string{
		"", "\r\n", "Hello.\r\n", "\r\nHello.\r\n", wire("To: bob\n\nNo From at all.\n"), wire("From: unreadable <<\n\nHello.\n"), wire("From: a@x.test\nno field\n more\n\nHello.\n"),
		outside("", strings.Repeat("x", 998)+"\n"), "Subject: x\r\n",
	} {
		got := o.accept(raw)
		sound(t, got)
		if !strings.HasSuffix(got, raw) {
			t.Errorf("%q became %q", raw, got)
		}
	}
	env := fromOutside()
	env.From = address.Address{}
	if err := o.Accept(context.Background(), env, strings.NewReader(outside("", "It bounced.\n"))); err != nil || !strings.HasPrefix(o.last(bob), "Return-Path: <>\r\n") {
		t.Errorf("a bounce: %v, %q", err, o.last(bob))
	}
}

func TestANoticeIsDeliveredUnstamped(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	notice := message.Notice{To: bob, Host: host, Link: "https://chat.example.com/desk/c/1", At: noon}
	raw, err := notice.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Notify(context.Background(), bob, noon, bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	got := o.last(bob)
	sound(t, got)
	if got != "Return-Path: <>\r\n"+string(raw) || o.broker.times() != 0 {
		t.Errorf("got %q", got)
	}
	if log := o.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "login="+bob) {
		t.Errorf("the log says %q", log)
	}
}

func TestANoticeThatCannotBeDelivered(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	raw := []byte(letter("", "Hello.\n"))
	o.isRefusal(o.Notify(context.Background(), "ghost@example.com", noon, bytes.NewReader(raw)), 550, "no such login")
	o.isRefusal(o.Notify(context.Background(), "no address", noon, bytes.NewReader(raw)), 550, "no such login")
	for _, bad := range [][]byte{[]byte("a: b\n\n"), []byte("a: \x00\r\n"), []byte(letter("", strings.Repeat("x", 1000)))} {
		if err := o.Notify(context.Background(), bob, noon, bytes.NewReader(bad)); err == nil {
			t.Errorf("%.40q was delivered", bad)
		}
	}
	broken := errors.New("full")
	o.store.put = broken
	if err := o.Notify(context.Background(), bob, noon, bytes.NewReader(raw)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	o.empty()
}
