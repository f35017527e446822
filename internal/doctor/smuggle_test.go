package doctor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/smuggling"
)

// door is a server in memory. behave tells, for each connection, what it does with the mail: an answer, "close", "silent", or "" for going on to obey what stands behind LF.LF; and "shut" for
// a connection that is never made.
type door struct {
	chunking  bool
	refuses   bool // at RCPT
	behave    func(connection int, mail string) string
	connected int
}

func (d *door) dial(context.Context, string, string) (net.Conn, error) {
	d.connected++
	n := d.connected
	if d.behave(n, "") == "shut" {
		return nil, io.ErrClosedPipe
	}
	client, server := net.Pipe()
	go d.serve(server, n)
	return client, nil
}

func (d *door) serve(c net.Conn, n int) {
	defer c.Close()
	in := bufio.NewReader(c)
	say := func(s string) { _, _ = io.WriteString(c, s+"\r\n") }
	say("220 door")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		mail := ""
		switch verb, rest, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case verb == "EHLO" && d.chunking:
			say("250-door\r\n250 CHUNKING")
			continue
		case verb == "RCPT" && d.refuses:
			say("550 no")
			continue
		case verb == "DATA":
			say("354 go on")
			for !strings.HasSuffix(mail, "NOOP\r\n.\r\n") {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				mail += line
			}
		case verb == "BDAT":
			var size int
			_, _ = fmt.Sscan(rest, &size)
			raw := make([]byte, size)
			_, _ = io.ReadFull(in, raw)
			mail = string(raw)
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
			continue
		}
		switch answer := d.behave(n, mail); answer {
		case "close":
			return
		case "silent":
			_, _ = in.ReadByte()
			return
		case "":
			say("250 taken\r\n250 NOOP")
		default:
			say(answer)
		}
	}
}

// probed counts what is told of a door.
func probed(d *door) (counts string, all []Finding) {
	by := map[State]int{}
	Smuggle(context.Background(), Door{Name: "mx", Addr: "192.0.2.1:25", From: "a@example.org", To: "postmaster@example.org"}, d.dial, func(f Finding) {
		by[f.State]++
		all = append(all, f)
	})
	return fmt.Sprintf("%d ok, %d smuggled, %d unknown, %d skipped", by[OK], by[Fail], by[Warn], by[Skip]), all
}

func TestADoorIsProbedWithEverythingWhateverItDoesWithOne(t *testing.T) {
	t.Parallel()
	variants := len(smuggling.Variants())
	sound := func(int, string) string { return "554 too many hops" }
	// taken tells whether the mail holds a sequence, as its own line or not.
	taken := func(mail, seq string) bool { return strings.Contains(mail, "doctor."+seq+"NOOP") }
	for what, c := range map[string]struct {
		door door
		want string
		told string // one of the lines
	}{
		"a sound one": {door{behave: sound}, fmt.Sprintf("%d ok, 0 smuggled, 0 unknown, 1 skipped", variants-1), "mx 192.0.2.1:25 BDAT: does not offer BDAT"},
		"with BDAT":   {door{behave: sound, chunking: true}, fmt.Sprintf("%d ok, 0 smuggled, 0 unknown, 0 skipped", 2*variants-1), "mx 192.0.2.1:25 BDAT CRLF.CRLF: refused: 554 too many hops"},
		"one that closes at a variant, and is gullible at a later one": {door{behave: func(_ int, mail string) string {
			switch {
			case taken(mail, "\n.\n"):
				return "close"
			case taken(mail, "\r\n.\r"):
				return ""
			}
			return "554 no"
		}}, fmt.Sprintf("%d ok, 1 smuggled, 1 unknown, 1 skipped", variants-3), "mx 192.0.2.1:25 DATA LF.LF: nothing can be said: no answer to the mail: EOF"},
		"one that closes at each":        {door{behave: func(int, string) string { return "close" }}, fmt.Sprintf("0 ok, 0 smuggled, %d unknown, 1 skipped", variants-1), ""},
		"one that is silent":             {door{behave: func(int, string) string { return "silent" }}, "0 ok, 0 smuggled, 4 unknown, 0 skipped", "mx 192.0.2.1:25 DATA: not probed further"},
		"one that takes no mail":         {door{behave: sound, refuses: true}, "0 ok, 0 smuggled, 0 unknown, 1 skipped", "mx 192.0.2.1:25 DATA: takes no mail from here: RCPT TO:<postmaster@example.org> is answered with 550 \"no\""},
		"one that is not there":          {door{behave: func(int, string) string { return "shut" }}, "0 ok, 0 smuggled, 0 unknown, 1 skipped", "mx 192.0.2.1:25 DATA: connecting: io: read/write on closed pipe"},
		"one that takes ten connections": {door{behave: func(n int, _ string) string { return map[bool]string{true: "shut", false: "554 no"}[n > 10] }}, "10 ok, 0 smuggled, 4 unknown, 0 skipped", "mx 192.0.2.1:25 DATA: not probed further"},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			got, all := probed(&c.door)
			if got != c.want || time.Since(began) > maxMissed*smuggleWithin {
				t.Errorf("%s: %s after %v, want %s", what, got, time.Since(began), c.want)
			}
			var lines strings.Builder
			for _, f := range all {
				fmt.Fprintf(&lines, "%s: %s\n", f.Subject, f.Text)
			}
			if !strings.Contains(lines.String(), c.told) {
				t.Errorf("%s: %q is not told:\n%s", what, c.told, &lines)
			}
		})
	}
}
