package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxPassword bounds the line that a password is read from, in bytes; accounts have rules of their own.
const maxPassword = 4096

// readPassword takes a new password: one line of standard input when that is no terminal, otherwise asked for twice on the
// terminal without being shown. Only the line's end is taken off: blanks may belong to a password.
func (o *outside) readPassword(ctx context.Context, login string) (string, error) {
	return o.password(ctx, "New password for "+login+": ", "The same once more: ")
}

// knownPassword takes the password that a login has, in the same way, but asks for it only once.
func (o *outside) knownPassword(ctx context.Context, login string) (string, error) {
	return o.password(ctx, "Password for "+login+": ")
}

func (o *outside) password(ctx context.Context, questions ...string) (string, error) {
	if f, ok := o.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return o.askPassword(ctx, f, questions)
	}
	line, err := bufio.NewReader(io.LimitReader(o.in, maxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	switch {
	case line == "":
		return "", wrongUsage("no password: it is read as one line from standard input when that is no terminal")
	case len(line) > maxPassword:
		return "", wrongUsage("the password has more than %d bytes", maxPassword)
	}
	return line, nil
}

// errBrokenOff says that whoever was asked did not want to answer.
var errBrokenOff = errors.New("broken off; nothing was changed")

// askPassword asks without echo. Ctrl-C, Ctrl-D and the end of ctx break it off, and in every case the terminal gets back its
// echo, which it would lack for good otherwise. x/term's ReadPassword is of no use here: Ctrl-D does not end it.
func (o *outside) askPassword(ctx context.Context, terminal *os.File, questions []string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("asking for a password: %w", err)
	}
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := askAlike(readWriter{terminal, o.err}, questions)
		typed <- answer{text, err}
	}()
	var a answer
	select {
	case a = <-typed:
	case <-ctx.Done():
		a.err = errBrokenOff
	}
	err = term.Restore(fd, before)
	if errors.Is(a.err, errBrokenOff) {
		fmt.Fprintln(o.err)
	}
	return a.text, errors.Join(a.err, err)
}

type readWriter struct {
	io.Reader
	io.Writer
}

// askAlike asks on a terminal in raw mode. All questions must have the same answer.
func askAlike(terminal io.ReadWriter, questions []string) (first string, err error) {
	t := term.NewTerminal(terminal, "")
	for i, question := range questions {
		typed, err := t.ReadPassword(question)
		switch {
		case errors.Is(err, io.EOF):
			return "", errBrokenOff
		case err != nil:
			return "", fmt.Errorf("reading the password: %w", err)
		case typed == "":
			return "", errors.New("an empty password is no password; nothing was changed")
		case i > 0 && typed != first:
			return "", errors.New("the two passwords differ; nothing was changed")
		}
		first = typed
	}
	return first, nil
}
