package doctor

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// guardWithin is how long an rspamd, or a list, is waited for.
const guardWithin = 5 * time.Second

// Rspamd is the filter that mail from other hosts goes through.
type Rspamd struct {
	Required bool // without it, mail is put off
	Ping     func(context.Context) error
}

// rspamd looks whether the filter is there.
func (d *Doctor) rspamd(ctx context.Context) []Finding {
	if d.Rspamd.Ping == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, guardWithin)
	defer cancel()
	f := Finding{State: OK, Check: "rspamd", Subject: "smtp.mx.rspamd.url", Text: "answers"}
	if err := d.Rspamd.Ping(ctx); err != nil {
		f.State, f.Text, f.Mend = Warn, err.Error()+"; mail from others is taken without being looked at", "start rspamd, or correct smtp.mx.rspamd.url"
		if d.Rspamd.Required {
			f.State, f.Text = Fail, err.Error()+"; mail from others is put off (451) until it answers"
		}
	}
	return []Finding{f}
}

// List is one of the DNS that is asked about hosts which bring mail.
type List struct {
	Name string
	// Has tells whether it has an address, whichever of its answers count. An error is what the list says in the place of an answer; one that wraps ErrNoAnswer, that it says nothing.
	Has func(context.Context, netip.Addr) (bool, error)
}

// Each list has the one, and none the other (RFC 5782 5).
const (
	listedTest   = "127.0.0.2"
	unlistedTest = "127.0.0.1"
)

// lists looks whether each list is of use: one that was given up keeps nobody out, or everybody.
func (d *Doctor) lists(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, guardWithin)
	defer cancel()
	all := make([]Finding, len(d.Lists))
	var wait sync.WaitGroup
	for i, l := range d.Lists {
		wait.Go(func() { all[i] = l.judge(ctx) })
	}
	wait.Wait()
	return all
}

func (l List) judge(ctx context.Context) Finding {
	f := Finding{State: OK, Check: "dnsbl", Subject: l.Name, Text: "answers: it has its test address " + listedTest + ", and not " + unlistedTest}
	listed, err := l.Has(ctx, netip.MustParseAddr(listedTest))
	everybody := false
	if err == nil {
		everybody, err = l.Has(ctx, netip.MustParseAddr(unlistedTest))
	}
	const correct = "correct its name in smtp.mx.dnsbl, or take it out"
	switch {
	case errors.Is(err, ErrNoAnswer):
		f.State, f.Text, f.Mend = Warn, err.Error()+"; every host that connects waits for it, and it keeps nobody out", "see that the name server answers, that of relay.resolver or the system's; if it does, and it stays so, "+correct
	case err != nil:
		f.State, f.Text = Warn, err.Error()+"; it keeps nobody out"
		f.Mend = "ask by a name server of your own, named in relay.resolver, since many lists do not answer public ones; or " + correct
	case everybody:
		f.State, f.Text, f.Mend = Fail, "has "+unlistedTest+", as no list may: one that was given up has every address, and mail from everybody is refused", "take it out of smtp.mx.dnsbl"
	case !listed:
		f.State, f.Text, f.Mend = Warn, "does not have its test address "+listedTest+": it was given up, or its name is wrong, and it keeps nobody out", correct
	}
	return f
}
