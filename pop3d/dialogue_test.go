package pop3d

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"
)

// TestDialogues plays testdata/*.txtar: files named after their maildrop's owner, such as "alice 1", are letters; "dialogue" is what is said. Its lines:
//
//	C: line           the client sends; several in a row go out in one piece
//	C" text\r\n       the same, as a Go string without its quotes, no line end added
//	S: line           the server answers; "..." at the end stands for anything
//	! on NAME         from here on another client, made at first mention ("on NAME in TLS": port 995)
//	! tls             handshake behind STLS
//	! hang up         the client goes away
//	! closed          the server has closed already
//	! wait 10m        time passes
//	! deliver TEXT    another letter for alice
//	! log TEXT        the log has this
//	! break WHAT      something behind the server fails from now on
//	! alice has UIDS  what lies in alice's maildrop
//	! seen N          signs of life so far
//	! shutdown
//
// A line "options:" in front of the first file says "login-delay 60s", "no tls" or "slow authentication 30s".
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
	clients map[string]*client
	now     *client
	batch   strings.Builder
}

func play(t *testing.T, a *txtar.Archive) {
	p := &player{t: t, clients: make(map[string]*client)}
	var delay time.Duration
	p.stage = newStage(t, func(o *Options) {
		for line := range strings.Lines(string(a.Comment)) {
			options, ok := strings.CutPrefix(line, "options: ")
			if !ok {
				continue
			}
			for option := range strings.SplitSeq(strings.TrimSpace(options), ", ") {
				switch words := strings.Fields(option); words[0] {
				case "login-delay":
					o.LoginDelay = span(t, words[1])
				case "no":
					o.TLS = nil
				case "slow":
					delay = span(t, words[2])
				default:
					t.Fatalf("option %q", option)
				}
			}
		}
	})
	p.stage.office.delay = delay
	for _, f := range a.Files {
		if who, _, ok := strings.Cut(f.Name, " "); ok {
			p.stage.office.deliver(who+"@example.com", crlf(string(f.Data)))
			continue
		}
		for i, line := range strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n") {
			t.Logf("%d %s", i+1, line)
			p.line(line)
		}
	}
	p.send()
	for _, c := range p.clients {
		c.conn.Close()
	}
	p.stage.shutdown()
}

func span(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (p *player) line(line string) {
	mark, rest, _ := strings.Cut(line, " ")
	if mark != "!" && p.now == nil {
		p.on("somebody")
	}
	switch mark {
	case "C:":
		p.batch.WriteString(rest + "\r\n")
		return
	case `C"`:
		text, err := strconv.Unquote(`"` + rest + `"`)
		if err != nil {
			p.t.Fatal(err)
		}
		p.batch.WriteString(text)
		return
	}
	p.send()
	switch mark {
	case "S:":
		p.now.want(rest)
	case "!":
		p.act(rest)
	case "", "#":
	default:
		p.t.Fatalf("line %q", line)
	}
}

func (p *player) send() {
	if p.batch.Len() > 0 {
		p.now.raw(p.batch.String())
		p.batch.Reset()
	}
}

func (p *player) on(who string) {
	name, implicit := strings.CutSuffix(who, " in TLS")
	if p.clients[name] == nil {
		p.clients[name] = p.stage.dial(implicit)
	}
	p.now = p.clients[name]
}

func (p *player) act(what string) {
	verb, rest, _ := strings.Cut(what, " ")
	switch verb {
	case "on":
		p.on(rest)
	case "tls":
		p.now.handshake()
	case "hang":
		p.now.conn.Close()
		synctest.Wait()
	case "closed":
		began := time.Now()
		if p.now.end(); time.Since(began) > 0 {
			p.t.Fatalf("the server closed %v later", time.Since(began))
		}
	case "wait":
		time.Sleep(span(p.t, rest))
		synctest.Wait()
	case "deliver":
		p.stage.office.deliver("alice@example.com", crlf(rest+"\n"))
	case "log":
		synctest.Wait()
		if log := p.stage.log.String(); !strings.Contains(log, rest) {
			p.t.Fatalf("the log lacks %q:\n%s", rest, log)
		}
	case "break":
		p.stage.office.breakIt(rest)
	case "alice":
		if got, want := p.stage.office.uids("alice@example.com"), strings.TrimSpace(strings.TrimPrefix(rest, "has")); got != want {
			p.t.Fatalf("alice has %q, want %q", got, want)
		}
	case "seen":
		if got := len(p.stage.office.signs()); strconv.Itoa(got) != rest {
			p.t.Fatalf("%d signs of life, want %s", got, rest)
		}
	case "shutdown":
		synctest.Wait()
		p.stage.shutdown()
	default:
		p.t.Fatalf("action %q", what)
	}
}
