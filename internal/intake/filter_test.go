package intake

import (
	"context"
	"strings"
	"testing"

	"chmail/internal/message"
)

// sieve says one thing of every mail.
type sieve struct {
	j    Judgement
	why  string
	seen int
}

func (s *sieve) Judge(context.Context, *message.Envelope, message.Source) (Judgement, string) {
	s.seen++
	return s.j, s.why
}

func TestAFilterHasMailFromOutsideTakenMarkedPutOffOrRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		j    Judgement
		code int
		mark bool
	}{{Take, 250, false}, {Suspect, 250, true}, {Later, 451, false}, {Refuse, 550, false}} {
		o := newOffice(t)
		s := &sieve{j: c.j, why: "rspamd score 7.5"}
		o.filter, o.checker = s, &notary{suspect: "dmarc=quarantine"}
		o.open(o.db)
		raw := outside("", "Hello.\n")
		if c.code != 250 {
			r := o.isRefusal(o.Accept(context.Background(), fromOutside(), strings.NewReader(raw)), c.code, "")
			if r.Cause == nil || r.Cause.Error() != s.why || strings.Contains(r.Text, "rspamd") {
				t.Errorf("%d: %+v", c.j, r)
			}
			o.empty()
			continue
		}
		got := o.accept(raw)
		if c.mark != strings.Contains(got, "X-Spam-Status: Yes, dmarc=quarantine; rspamd score 7.5\r\n") || s.seen != 1 {
			t.Errorf("%d: %q, asked %d times", c.j, got, s.seen)
		}
		if o.submit(letter("", "Hello.\n")); s.seen != 1 {
			t.Error("it is asked about our own people's mail")
		}
	}
}

// TestWhoIsRefusedMayWriteToThePostmaster: he would otherwise be told so by a refusal, and refused there as well (RFC 5321 4.5.1).
func TestWhoIsRefusedMayWriteToThePostmaster(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to    []string
		j     Judgement
		taken bool
	}{
		{[]string{"postmaster@example.com"}, Refuse, true},
		{[]string{"PostMaster@example.com", "postmaster@example.com"}, Refuse, true},
		{[]string{"postmaster@example.com", bob}, Refuse, false}, // or anybody would name him as well
		{[]string{bob}, Refuse, false},
		{[]string{"postmaster@example.com"}, Later, false}, // it comes again
	} {
		o := newOffice(t)
		o.filter = &sieve{j: c.j, why: "rspamd score 20.0"}
		o.open(o.db)
		env := fromOutside()
		env.To, env.Drops = nil, nil
		for _, to := range c.to {
			env.To, env.Drops = append(env.To, must(to)), append(env.Drops, []string{bob})
		}
		err := o.Accept(context.Background(), env, strings.NewReader(outside("", "Why am I refused?\n")))
		if !c.taken {
			if err == nil {
				t.Errorf("%v: taken", c.to)
			}
			o.empty()
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.to, err)
		} else if got := o.last(bob); !strings.Contains(got, "X-Spam-Status: Yes, rspamd score 20.0\r\n") {
			t.Errorf("%v: not marked: %q", c.to, got)
		}
	}
}
