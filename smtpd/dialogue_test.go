package smtpd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"chmail/internal/message"
)

// TestDialogues plays testdata/*.txtar. "dialogue" is what is said; its lines:
//
//	C: line           the client sends; several in a row go out in one piece
//	C" text\r\n       the same, as a Go string without its quotes, no line end added
//	C* 1000 text\r\n  the same, as many times
//	S: line           the server answers; "..." at the end stands for anything
//	! connect PORT    another client on that port: submission, submissions or mx. The first line of a dialogue
//	! tls             handshake behind STARTTLS
//	! hang up         the client goes away
//	! closed          the server has closed
//	! wait 10m        time passes
//	! break WHAT      something behind the server fails from now on
//	! mend WHAT       and works again
//	! seen N HOST     signs of life so far, and what the last called itself
//	! shutdown        begins
//	! log TEXT        the log has this
//
// Files "mail 1", "mail 2", … are what must have been delivered: a line "FROM > TO, TO as LOGIN via TLS", then the text. A line "options:" in front of the first
// file says "no tls", "bare_lf", "relay", "message N", "recipients N", "errors N", "life D", "listed ZONE", "ours DOMAIN", "rate N" or "delay D".
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { play(t, a) })
		})
	}
}

type player struct {
	t       *testing.T
	stage   *stage
	clients []*client
	now     *client
	batch   strings.Builder
	down    chan struct{} // the shutdown has ended; nil before it began
}

func play(t *testing.T, a *txtar.Archive) {
	p := &player{t: t}
	p.stage = newStage(t, func(o *Options) {
		for line := range strings.Lines(string(a.Comment)) {
			if list, ok := strings.CutPrefix(line, "options: "); ok {
				for option := range strings.SplitSeq(strings.TrimSpace(list), ", ") {
					p.option(o, option)
				}
			}
		}
	})
	defer p.end() // when a line goes wrong
	var want []string
	for _, f := range a.Files {
		if f.Name != "dialogue" {
			want = append(want, string(f.Data))
			continue
		}
		for i, line := range strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n") {
			t.Logf("%d %s", i+1, line)
			p.line(line)
		}
	}
	p.send()
	p.end()
	p.mails(want)
}

func (p *player) end() {
	for _, c := range p.clients {
		c.conn.Close()
	}
	if p.down == nil {
		p.shutdown()
	}
	<-p.down
}

func (p *player) shutdown() {
	p.down = make(chan struct{})
	go func() {
		defer close(p.down)
		p.stage.shutdown()
	}()
	synctest.Wait()
}

func (p *player) option(o *Options, option string) {
	name, value, _ := strings.Cut(option, " ")
	n, _ := strconv.Atoi(value)
	switch name {
	case "no":
		o.TLS = nil
	case "bare_lf":
		o.BareLF = true
	case "relay":
		o.Relay = true
	case "message":
		o.Limits.Message = int64(n)
	case "recipients":
		o.Limits.Recipients = n
	case "errors":
		o.Limits.Errors = n
	case "listed":
		o.Guard.Listed = func(_ context.Context, peer netip.Addr) string {
			if peer == netip.MustParseAddr("192.0.2.7") {
				return value
			}
			return ""
		}
	case "ours":
		o.Guard.Domains = []string{value}
	case "rate":
		o.Guard.Rate = n
	case "delay":
		d, err := time.ParseDuration(value)
		if err != nil {
			p.t.Fatal(err)
		}
		o.Guard.Delay = d
	case "life":
		d, err := time.ParseDuration(value)
		if err != nil {
			p.t.Fatal(err)
		}
		o.Limits.Life = d
	default:
		p.t.Fatalf("option %q", option)
	}
}

func (p *player) mails(want []string) {
	var got []string
	for _, m := range p.stage.office.mails {
		var to []string
		for i, a := range m.env.To {
			one := "<" + a.String() + ">"
			switch to := m.env.Drops[i]; {
			case len(to) == 0:
				one += " elsewhere"
			case len(to) > 1:
				one += " in " + strings.Join(to, " ")
			}
			if all := m.env.Params.Rcpt; len(all) > i && all[i] != (message.RcptParam{}) {
				one += " notify " + all[i].Notify + " orcpt " + all[i].ORcpt
			}
			to = append(to, one)
		}
		head := fmt.Sprintf("<%s> > %s as %s via %s", m.env.From, strings.Join(to, ", "), m.env.Login, m.env.TLS)
		if p := m.env.Params; p.Ret != "" || p.EnvID != "" {
			head += " ret " + p.Ret + " envid " + p.EnvID
		}
		if m.env.Params.RequireTLS {
			head += " requiretls"
		}
		got = append(got, strings.TrimSpace(head)+"\n"+strings.ReplaceAll(m.text, "\r\n", "\n"))
		for i, to := range m.env.To {
			if shared := i < len(m.env.Shared) && m.env.Shared[i]; shared != (to.Local == "all" || to.Local == "crowd") {
				p.t.Errorf("%s leads to several: %t", to, shared)
			}
		}
		if len(m.env.ID) != 12 || len(m.env.Drops) != len(m.env.To) || m.env.Peer.String() != "192.0.2.7" || m.env.Began.IsZero() || m.env.Received.Before(m.env.Began) {
			p.t.Errorf("envelope %+v", m.env)
		}
	}
	for i := range max(len(want), len(got)) {
		w, g := "nothing", "nothing"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			p.t.Errorf("mail %d: delivered\n%s\nwant\n%s", i+1, g, w)
		}
	}
}

func (p *player) line(line string) {
	mark, rest, _ := strings.Cut(line, " ")
	switch mark {
	case "C:":
		p.batch.WriteString(rest + "\r\n")
		return
	case `C"`, "C*":
		n := 1
		if mark == "C*" {
			times, text, _ := strings.Cut(rest, " ")
			n, _ = strconv.Atoi(times)
			rest = text
		}
		text, err := strconv.Unquote(`"` + rest + `"`)
		if err != nil {
			p.t.Fatal(err)
		}
		p.batch.WriteString(strings.Repeat(text, n))
		return
	}
	p.send()
	switch mark {
	case "S:":
		got := p.now.hear()
		if prefix, ok := strings.CutSuffix(rest, "..."); got != rest && !(ok && strings.HasPrefix(got, prefix)) {
			p.t.Fatalf("heard %q, want %q\n%s", got, rest, p.stage.log)
		}
	case "!":
		p.act(rest)
	case "", "#":
	default:
		p.t.Fatalf("line %q", line)
	}
}

func (p *player) send() {
	if p.batch.Len() > 0 {
		p.now.say(p.batch.String())
		p.batch.Reset()
	}
}

func (p *player) act(rest string) {
	verb, arg, _ := strings.Cut(rest, " ")
	switch verb {
	case "connect":
		p.now = p.stage.connect(Profile(arg))
		p.clients = append(p.clients, p.now)
	case "tls":
		p.now.startTLS()
	case "hang":
		p.now.conn.Close()
		synctest.Wait()
	case "closed":
		if got := p.now.ended(); got != "" {
			p.t.Fatalf("heard %q, want the end", got)
		}
	case "wait":
		d, err := time.ParseDuration(arg)
		if err != nil {
			p.t.Fatal(err)
		}
		time.Sleep(d)
	case "break":
		p.breakdown(arg)
	case "mend":
		p.stage.office.mu.Lock()
		delete(p.stage.office.broken, arg)
		p.stage.office.mu.Unlock()
	case "seen":
		o := p.stage.office
		o.mu.Lock()
		defer o.mu.Unlock()
		if got := fmt.Sprint(len(o.seen)); len(o.seen) > 0 {
			s := o.seen[len(o.seen)-1]
			if got += " " + s.Host; got != arg || s.IP.String() != "192.0.2.7" || s.Source != "smtp" {
				p.t.Errorf("seen %s, %+v; want %s", got, s, arg)
			}
		} else if got != arg {
			p.t.Errorf("nobody was seen")
		}
	case "shutdown":
		synctest.Wait()
		p.shutdown()
	case "log":
		synctest.Wait()
		if !strings.Contains(p.stage.log.String(), arg) {
			p.t.Errorf("the log lacks %q:\n%s", arg, p.stage.log)
		}
	default:
		p.t.Fatalf("! %s", rest)
	}
}

func (p *player) breakdown(what string) {
	o := p.stage.office
	o.mu.Lock()
	defer o.mu.Unlock()
	switch what {
	case "panics":
		o.panics = true
	case "hasty":
		o.hasty = true
	case "crowded":
		o.broken["password"] = fmt.Errorf("signing in: %w", message.Refuse(454, [3]int{4, 7, 0}, "too many attempts to sign in, try again later"))
	case "quota":
		o.broken["doorway"] = fmt.Errorf("delivering: %w", message.Refuse(452, [3]int{4, 2, 2}, "the mailbox is full\r\n250 smuggled"))
	default:
		o.broken[what] = errors.New("secret: the disk of host7 is broken")
	}
}
