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
