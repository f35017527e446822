package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// ErrUnsent says that something was said of which it is not known that it arrived.
var ErrUnsent = errors.New("not all that you said has arrived")

// settleWithin is how long what was said may take to arrive once there is no more of it and the line is down.
const settleWithin = time.Minute

// A Plain shows a conversation line by line. The kind of a line is its first character, as in the line protocol:
//
//	# whom one talks to, and about which mail
//	* N TIME NAME: a message, event N      | and its further lines
//	- N TIME what else happened
//	+ N  what was read from the input is event N, and safe
//	! state: where the call stands, in words; and remarks
type Plain struct {
	mu     sync.Mutex
	out    io.Writer
	err    error         // of the first write that failed
	failed chan struct{} // closed then
	owner  string
	open   int   // messages that are on their way
	lost   int   // messages that were not taken
	last   int64 // the newest event shown
	newest int64 // there was when the line came up; -1 before
	change chan struct{}
}

// NewPlain writes to out.
func NewPlain(out io.Writer) *Plain {
	return &Plain{out: out, failed: make(chan struct{}), newest: -1, change: make(chan struct{}, 1)}
}

// Tell shows an update; it is made for Options.Tell.
func (p *Plain) Tell(u Update) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch u := u.(type) {
	case Up:
		p.owner, p.newest = u.Owner, u.Last
		p.print("! connected")
		p.changed()
	case Down:
		p.print("! disconnected: trying again; nothing that you wrote is lost")
	case Anew:
		p.last = 0
		p.print("! again: the server begins again with the first event")
	case Call:
		p.print("! " + Safe(u.State) + ": " + stateWords(u.State, p.owner))
	case Event:
		p.last = u.N
		p.event(u)
		p.changed()
	case Sent:
		p.print(fmt.Sprintf("+ %d", u.N))
		p.open--
		p.last = max(p.last, u.N)
		p.changed()
	case Refused:
		p.lost++
		p.open--
		p.print("! refused: " + Safe(u.Text))
		p.changed()
	}
}

func (p *Plain) event(e Event) {
	if e.CID != "" {
		p.print(fmt.Sprintf("+ %d", e.N))
		p.open--
		return
	}
	at := e.At.UTC().Format(time.RFC3339)
	if e.Kind != "say" || e.Text == "" {
		p.lines(fmt.Sprintf("- %d %s ", e.N, at), eventWords(e, p.owner))
		return
	}
	name := p.owner
	if e.Mine {
		if name = e.Name; name == "" {
			name = "You"
		}
	}
	name = strings.ReplaceAll(Safe(name), ":", "")
	p.lines(fmt.Sprintf("* %d %s %s: ", e.N, at, name), SafeLines(e.Text))
}

// lines prints a text of several lines, with a head before the first.
func (p *Plain) lines(head, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		p.print(head + line)
		head = "| "
	}
}

func (p *Plain) changed() {
	select {
	case p.change <- struct{}{}:
	default:
	}
}

func (p *Plain) print(line string) {
	if p.err != nil {
		return
	}
	if _, err := fmt.Fprintln(p.out, line); err != nil {
		p.err = fmt.Errorf("writing the conversation: %w", err)
		close(p.failed)
	}
}

// Run reads messages from in, a line each, and says them, until /leave or its end; then it stays for that long, and until all has
// arrived. ErrUnsent, or an error of the Client's Run, says how it ended.
func (p *Plain) Run(ctx context.Context, c *Client, door Door, in io.Reader, stay time.Duration) error {
	p.mu.Lock()
	p.owner = door.Owner
	p.print("# " + door.Title() + ", " + door.About())
	p.mu.Unlock()
	leaving, leave := context.WithCancel(ctx)
	defer leave()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(leaving) }()
	read := make(chan error, 1)
	go func() { read <- p.read(leaving, c, in, stay) }()
	var err error
	select {
	case err = <-ended:
		ended <- nil
	case err = <-read:
	case <-p.failed:
	case <-ctx.Done():
	}
	leave()
	err = errors.Join(err, <-ended)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open > 0 || p.lost > 0 {
		err = errors.Join(err, ErrUnsent)
	} else if err == nil {
		p.print("! goodbye")
	}
	return errors.Join(err, p.err)
}

// read says what is read, and returns when it is time to leave.
func (p *Plain) read(ctx context.Context, c *Client, in io.Reader, stay time.Duration) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		left, fault := p.line(ctx, c, strings.TrimRight(line, "\r\n"))
		switch {
		case fault != nil:
			return fault
		case left:
			p.settle(ctx, false)
			return nil
		case errors.Is(err, io.EOF):
			select {
			case <-time.After(stay):
			case <-ctx.Done():
			}
			p.settle(ctx, true)
			return nil
		case err != nil:
			return fmt.Errorf("reading what to say: %w", err)
		}
	}
}

// line is one line of the input; it tells whether it was to leave.
func (p *Plain) line(ctx context.Context, c *Client, line string) (left bool, err error) {
	switch word, rest, _ := strings.Cut(line, " "); {
	case line == "/leave", line == "/quit":
		return true, nil
	case word == "/name" && cleanName(rest) != "":
		c.Name(rest)
		return false, nil
	case strings.HasPrefix(line, "//"):
		line = line[1:]
	case strings.HasPrefix(line, "/"):
		p.mu.Lock()
		defer p.mu.Unlock()
		p.print("! not sent: there are /leave and /name NAME; // begins a message with a slash")
		p.lost++
		return false, nil
	}
	for _, text := range Pieces(line) {
		p.mu.Lock()
		p.open++
		p.mu.Unlock()
		if _, err := c.Say(ctx, text); err != nil {
			return false, nil // to leave; what was not said counts as open
		}
	}
	return false, nil
}

// settle waits until all that was said has arrived and, where that is wanted, what was there before has been shown; as long as there is
// progress.
func (p *Plain) settle(ctx context.Context, all bool) {
	for {
		p.mu.Lock()
		done := p.open == 0 && (!all || p.newest >= 0 && p.last >= p.newest)
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-p.change:
		case <-time.After(settleWithin):
			return
		case <-ctx.Done():
			return
		}
	}
}
