package intake

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"chmail/internal/address"
	"chmail/internal/message"
)

func TestAMailIsStampedAndStoredWithItsLink(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	raw := letter("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n", "Shall we?\n")
	got := o.submit(raw)
	sound(t, got)
	want := wire("Return-Path: <alice@example.com>\nReceived: from submission\n\tby mail.example.com with ESMTPSA id ")
	if !strings.HasPrefix(got, want) {
		t.Fatalf("it begins %q", got[:min(len(got), 300)])
	}
	if strings.Contains(got, "203.0.113.9") || strings.Contains(got, "laptop") {
		t.Error("it tells where alice sits")
	}
	m, body := parse(t, got)
	if m.Header.Get("CH-Login") != alice || m.Header.Get("CH-Host") != "chat.example.com" || m.Header.Get("CH-Port") != "24001" || m.Header.Get("CH-Link") != "<"+token+">" {
		t.Errorf("CH fields: %v", m.Header)
	}
	if !strings.Contains(body, token) {
		t.Errorf("the body is %q", body)
	}
	// Above the CH fields stand trace fields only, below them is what the client sent.
	_, below, _ := strings.Cut(got, "CH-Link: <"+token+">\r\n")
	if !strings.HasPrefix(below, raw[:strings.Index(raw, "Shall")]) {
		t.Errorf("below the CH fields stands %q", below)
	}
	if o.count("test_link") != 1 || o.broker.about.Subject != "Dinner" || o.broker.about.MessageID != "<1@example.com>" || o.broker.about.FromName != "Alice" || o.broker.about.Recipients != 1 {
		t.Errorf("the broker knows %+v", o.broker.about)
	}
	o.swept()
}

func TestALogLineSaysWhoWroteToWhomAndNothingOfWhat(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	env := toBob()
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "A secret.\n"))); err != nil {
		t.Fatal(err)
	}
	log := o.log.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "id="+env.ID) || !strings.Contains(log, "login="+alice+" to="+bob+" message_id=<1@example.com>") || !strings.Contains(log, "stamp=body") {
		t.Errorf("the log says %q", log)
	}
	for _, secret := range []string{"Dinner", "secret", "/c/"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log says %q", log)
		}
	}
}

func TestOneMessageGoesToEveryMaildrop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	env := toBob()
	env.To, env.Drops = append(env.To, must("carol@example.com")), append(env.Drops, []string{"carol@example.com"})
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil {
		t.Fatal(err)
	}
	if o.count("test_mail") != 1 || o.count("test_entry") != 2 || o.last(bob) != o.last("carol@example.com") {
		t.Error("it is not one message in two maildrops")
	}
	if strings.Contains(o.last(bob), "\tfor <") {
		t.Error("one recipient is told of another")
	}
}

func TestOnlyWhoOwnsTheAddressMayWriteUnderIt(t *testing.T) {
	t.Parallel()
	rest := "To: bob@example.com\n\nHello.\n"
	for name, c := range map[string]struct{ fields, word string }{
		"somebody else":             {"From: bob@example.com\n", "does not belong"},
		"somebody among own":        {"From: alice@example.com, bob@example.com\n", "does not belong"},
		"somebody as sender":        {"From: alice@example.com\nSender: bob@example.com\n", "does not belong"},
		"two senders":               {"From: alice@example.com\nSender: alice@example.com, sales@example.com\n", "cannot be read"},
		"two Sender fields":         {"From: alice@example.com\nSender: alice@example.com\nSender: alice@example.com\n", "cannot be read"},
		"two From":                  {"From: alice@example.com\nFrom: alice@example.com\n", "more than one From"},
		"two From in disguise":      {"From: alice@example.com\nfrom : bob@example.com\n", "more than one From"},
		"no From":                   {"Subject: hello\n", "no From"},
		"an empty From":             {"From:\n", "cannot be read"},
		"a group":                   {"From: friends: alice@example.com;\n", "cannot be read"},
		"a name without an address": {"From: Alice\n", "cannot be read"},
		"own name, other address":   {"From: \"alice@example.com\" <bob@example.com>\n", "does not belong"},
		"a comment that misleads":   {"From: bob@example.com (alice@example.com)\n", "does not belong"},
		"behind a stray line":       {"From: alice@example.com\nno field\nFrom: bob@example.com\n", "no header field"},
		"a stray line":              {"From: alice@example.com\nno field\n", "no header field"},
		"a folded first line":       {" From: alice@example.com\nFrom: alice@example.com\n", "folded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newOffice(t).refused(wire(c.fields+rest), 550, c.word)
		})
	}
	o := newOffice(t)
	for _, fields := range []string{
		"From: alice@example.com\n", "FROM:ALICE@EXAMPLE.COM\n", "From: sales@example.com\n", "From: Alice <alice@example.com>, Sales <sales@example.com>\nSender: alice@example.com\n",
		"From: =?utf-8?q?Alice_=C3=9C?=\n <alice@example.com> (at home)\n",
	} {
		sound(t, o.submit(wire(fields+rest)))
	}
	err := o.Submit(context.Background(), toBob(), strings.NewReader(wire("From: trouble@example.com\n"+rest)))
	var r *message.Refusal
	if err == nil || errors.As(err, &r) {
		t.Errorf("not knowing whose an address is came back as %v", err)
	}
}

func TestBlindCopiesStayBlind(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	got := o.submit(letter("Bcc: carol@example.com,\n dave@example.com\nresent-bcc : erin@example.com\nCc: frank@example.com\nBCC: grace@example.com\n", "Hello.\n"))
	for _, who := range []string{"carol", "dave", "erin", "grace", "cc:  "} {
		if strings.Contains(got, who) {
			t.Errorf("%s is named in %q", who, got)
		}
	}
	if !strings.Contains(got, "\r\nCc: frank@example.com\r\n") {
		t.Error("Cc is gone as well")
	}
}

func TestWhatAClientForgotIsAddedBelow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	got := o.submit(wire("From: alice@example.com\nSubject: Dinner\n\nShall we?\n"))
	m, _ := parse(t, got)
	if m.Header.Get("Date") != "Wed, 25 Nov 2026 12:00:00 +0000" {
		t.Errorf("Date is %q", m.Header.Get("Date"))
	}
	id := m.Header.Get("Message-ID")
	if !strings.HasPrefix(id, "<") || !strings.HasSuffix(id, "@example.com>") || o.broker.about.MessageID != id {
		t.Errorf("Message-ID is %q, the broker was told %q", id, o.broker.about.MessageID)
	}
	if !strings.Contains(got, "Subject: Dinner\r\nDate: ") || !strings.Contains(got, id+"\r\n\r\nShall") {
		t.Errorf("they are not below what the client sent: %q", got)
	}
	// Also when there is nothing but the header, cut off in its last line.
	sound(t, o.submit("From: alice@example.com"))
	if m, _ := parse(t, o.last(bob)+"\r\n"); m.Header.Get("Date") == "" || m.Header.Get("From") != alice {
		t.Errorf("got %q", o.last(bob))
	}
}

func TestAClientCannotSpeakForTheServer(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	got := o.submit("From bob Wed Nov 25 11:00:00 2026\r\n" + letter("CH-Link: <https://evil.test/>\nch-login : bob\nReturn-Path: <bob@example.com>\n"+
		"Authentication-Results: mail.example.com;\n dkim=pass\nAuthentication-Results: other.test; dkim=pass\n", "Hello.\n"))
	m, _ := parse(t, got)
	if strings.Contains(got, "evil") || len(m.Header["Ch-Login"]) != 1 || len(m.Header["Return-Path"]) != 1 {
		t.Errorf("got %q", got)
	}
	if ar := m.Header["Authentication-Results"]; len(ar) != 1 || !strings.HasPrefix(ar[0], "other.test") {
		t.Errorf("Authentication-Results: %q", ar)
	}
}

func TestAReceiptHasALinkInItsHeaderOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	env := toBob()
	env.From = address.Address{}
	raw := letter("", "I have read it.\n")
	if err := o.Submit(context.Background(), env, strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	got := o.last(bob)
	if !strings.HasPrefix(got, "Return-Path: <>\r\n") || strings.Count(got, token) != 1 || !strings.HasSuffix(got, raw) {
		t.Errorf("got %q", got)
	}
}

func TestWhatNoMailMayHoldIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		code int
		word string
	}{
		"NUL in the body":        {letter("", "a\x00b\n"), 550, "NUL"},
		"NUL in the header":      {letter("X: a\x00b\n", "a\n"), 550, "NUL"},
		"bare LF":                {letter("", "a\n") + "b\n", 550, "bare"},
		"bare CR":                {letter("", "a\rb\n"), 550, "bare"},
		"a CR at the end":        {letter("", "a\n") + "b\r", 550, "bare"},
		"CR CR LF":               {letter("", "a\n") + "b\r\r\n", 550, "bare"},
		"51 Received":            {strings.Repeat("Received: by x; Wed, 25 Nov 2026 11:59:00 +0000\r\n", 51) + letter("", "a\n"), 554, "circles"},
		"a header without end":   {letter(strings.Repeat("X: 0123456789\n", 20000), "a\n"), 552, "header"},
		"a header with one line": {"From: alice@example.com\r\nX: " + strings.Repeat("x ", 200<<10), 552, "header"},
		"a header with no room":  {letter(strings.Repeat("X: "+strings.Repeat("x", 495)+"\n", 495), "a\n"), 552, "header"}, // 247 KiB: ours would not fit any more
		"too many fields":        {letter(strings.Repeat("X: 1\n", 2500), "a\n"), 552, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := newOffice(t).refused(c.raw, c.code, c.word); r.Close != (c.word == "bare") {
				t.Errorf("closing the connection: %v", r.Close)
			}
		})
	}
	o := newOffice(t)
	sound(t, o.submit(strings.Repeat("Received: by x; Wed, 25 Nov 2026 11:59:00 +0000\r\n", 50)+letter("", "a\n")))
}

func TestTheSizeMakesNoDifference(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	head := letter("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nBcc: carol@example.com\n", "")
	for _, size := range []int{63 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 64<<10 + 4, 65 << 10, 1 << 20} {
		body := strings.Repeat("0123456789012345678901234567890123456789012345678901234567890123456789\r\n", size/72+1)
		body = body[:size-len(head)-2] + crlf
		if n := len(body); body[n-3] == '\r' {
			body = body[:n-3] + "." + crlf
		}
		raw := head + body
		if len(raw) != size {
			t.Fatal(len(raw), size)
		}
		for _, r := range []io.Reader{strings.NewReader(raw), iotest.HalfReader(strings.NewReader(raw)), iotest.DataErrReader(strings.NewReader(raw))} {
			if err := o.Submit(context.Background(), toBob(), r); err != nil {
				t.Fatal(size, err)
			}
			got := o.last(bob)
			sound(t, got)
			if strings.Contains(got, "carol") || strings.Count(got, token) != 2 || !strings.Contains(got, body) || strings.Count(got, crlf) != strings.Count(raw, crlf)+11 {
				t.Errorf("%d octets: got %d lines of %d, %d links", size, strings.Count(got, crlf), strings.Count(raw, crlf), strings.Count(got, token))
			}
		}
	}
	o.swept()
}

func TestALastLineWithoutItsEndGetsOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, size := range []int{10, 64 << 10, 64<<10 + 1, 200 << 10} {
		body := wire(strings.Repeat("0123456789\n", size/12+1))
		got := o.submit(letter("List-Id: <x.test>\n", "") + body + "end")
		sound(t, got)
		if !strings.HasSuffix(got, body+"end\r\n") {
			t.Errorf("it ends in %q", got[len(got)-40:])
		}
	}
}

func TestAReaderThatBreaksOffLeavesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	slow := errors.New("gone")
	for _, size := range []int{0, 1000, 100 << 10} {
		raw := letter("", strings.Repeat("x\n", size))
		err := o.Submit(context.Background(), toBob(), io.MultiReader(strings.NewReader(raw), iotest.ErrReader(slow)))
		if !errors.Is(err, slow) {
			t.Errorf("got %v", err)
		}
		err = o.Accept(context.Background(), fromOutside(), io.MultiReader(strings.NewReader(raw), iotest.ErrReader(io.ErrUnexpectedEOF)))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	}
	too := message.Refuse(552, [3]int{5, 3, 4}, "too large")
	o.isRefusal(o.Submit(context.Background(), toBob(), iotest.ErrReader(too)), 552, "too large")
	err := o.Submit(context.Background(), toBob(), lazy{})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
	o.empty()
}

// lazy reads nothing, for ever.
type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }

func TestTheSpoolIsSweptAtTheStart(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, name := range []string{"mail-123", "mail-[x", "other"} {
		if err := os.WriteFile(filepath.Join(o.spool, name), []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.open(o.db)
	left, err := os.ReadDir(o.spool)
	if err != nil || len(left) != 1 || left[0].Name() != "other" {
		t.Errorf("the spool holds %v, %v", left, err)
	}
}
