package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"

	tea "charm.land/bubbletea/v2"
)

// goodbye is said when one leaves.
const goodbye = "Goodbye. The same command leads back into this conversation."

// A Screen shows a conversation on a terminal's full screen.
type Screen struct {
	quiet   bool
	program *tea.Program // set before the client runs
}

// NewScreen makes a screen; a quiet one makes no sound.
func NewScreen(quiet bool) *Screen { return &Screen{quiet: quiet} }

// Tell shows an update; it is made for Options.Tell.
func (s *Screen) Tell(u Update) { s.program.Send(u) }

// Run shows the conversation until the person leaves, ctx ends, or the conversation has ended for good and the person has seen that. The
// error is ErrUnsent, or one of the Client's Run.
func (s *Screen) Run(ctx context.Context, c *Client, door Door, name string, in io.Reader, out io.Writer) error {
	v := newView(c, door, name, s.quiet)
	s.program = tea.NewProgram(v, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	talking, leave := context.WithCancel(ctx)
	defer leave()
	over := make(chan error, 1)
	go func() {
		err := c.Run(talking)
		if err != nil {
			s.program.Send(ended{err})
		}
		over <- err
	}()
	_, err := s.program.Run()
	leave()
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		err = nil // told to stop, which is to leave
	} else if err != nil {
		err = fmt.Errorf("showing the conversation: %w", err)
	}
	err = errors.Join(err, <-over)
	if n := c.Waiting(); n > 0 {
		return errors.Join(err, fmt.Errorf("%w: %d of your messages", ErrUnsent, n))
	}
	if err == nil {
		_, err = fmt.Fprintln(out, goodbye)
	}
	return err
}
