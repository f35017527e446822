package smtpd

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"chmail/internal/message"
)

// FuzzDSN says any wishes for reports to the submission port. What is kept of them is what a report and the next host may be given: xtext, in the lengths of RFC 3461
// 4.1 to 4.4; anything else is refused, and the session goes on.
func FuzzDSN(f *testing.F) {
	f.Add("FULL", "QQ314159", "SUCCESS,FAILURE", "rfc822;bob+2Bwork@example.net")
	f.Add("hdrs", "a+3Db+20c", "delay,success", "RFC822;bob@example.net")
	f.Add("HDRS", "+0D+0A", "NEVER", "utf-8;b\\x{F6}b@example.net")
	f.Add("ALL", "+", "NEVER,SUCCESS", "x400;/c=us/")
	f.Add("FULL FULL", strings.Repeat("e", 101), "SUCCESS,SUCCESS", "rfc822;"+strings.Repeat("o", 500))
	f.Add("", "=", "", ";")
	s := newStage(f, func(o *Options) {
		o.Limits.Errors, o.Limits.Life, o.Relay = 1<<30, time.Hour, true
		o.Log = slog.New(slog.DiscardHandler)
	})
	c := s.connect(Submissions)
	hear := func(t testing.TB) string {
		for {
			line := c.hear()
			if line == "" {
				t.Fatal("the connection has ended")
			}
			if wellFormed(t, line); line[3] == ' ' {
				return line
			}
		}
	}
	c.say("EHLO a\r\nAUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAG9wZW4gc2VzYW1l\r\n")
	for range 3 {
		hear(f)
	}
	f.Fuzz(func(t *testing.T, ret, envid, notify, orcpt string) {
		for _, p := range []*string{&ret, &envid, &notify, &orcpt} {
			*p = strings.NewReplacer("\r", "", "\n", "").Replace((*p)[:min(len(*p), 600)]) // it would be another line
		}
		c.say("RSET\r\nMAIL FROM:<alice@example.com> RET=" + ret + " ENVID=" + envid + "\r\n")
		if hear(t); hear(t)[0] != '2' {
			return
		}
		c.say("RCPT TO:<bob@example.com> NOTIFY=" + notify + " ORCPT=" + orcpt + "\r\n")
		if hear(t)[0] != '2' {
			return
		}
		c.say("DATA\r\n")
		hear(t)
		if c.say("x\r\n.\r\n"); hear(t)[0] != '2' {
			t.Fatal("the mail is not taken")
		}
		s.office.mu.Lock()
		defer s.office.mu.Unlock()
		p := s.office.mails[len(s.office.mails)-1].env.Params
		s.office.mails = nil
		all := append(p.Rcpt, message.RcptParam{})
		if !plainXtext(p.EnvID) || len(p.EnvID) > 100 || !plainXtext(all[0].ORcpt) || len(all[0].ORcpt) > 500 {
			t.Errorf("kept %+v", p)
		}
		if p.Ret != "" && p.Ret != "FULL" && p.Ret != "HDRS" {
			t.Errorf("RET %q", p.Ret)
		}
		never := false
		for one := range strings.SplitSeq(all[0].Notify, ",") {
			never = never || one == "NEVER"
			if !strings.Contains(" NEVER SUCCESS FAILURE DELAY ", " "+one+" ") && all[0].Notify != "" {
				t.Errorf("NOTIFY %q", all[0].Notify)
			}
		}
		if never && all[0].Notify != "NEVER" {
			t.Errorf("NOTIFY %q", all[0].Notify)
		}
	})
	_ = c.conn.Close()
	_, _ = io.Copy(io.Discard, c.conn)
}

// plainXtext tells whether s can stand in a command and in a header field as it is.
func plainXtext(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '=' })
}
