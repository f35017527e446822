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
	if f, ok := o.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return o.askPassword(ctx, f, login)
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

func (o *outside) askPassword(ctx context.Context, terminal *os.File, login string) (string, error) {
	first, err := o.askOnce(ctx, terminal, "New password for "+login+": ")
	if err != nil {
		return "", err
	}
	if first == "" {
		return "", errors.New("an empty password is no password; nothing was changed")
	}
	second, err := o.askOnce(ctx, terminal, "The same once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

// askOnce asks without echo. When ctx ends meanwhile (Ctrl-C) the terminal gets its echo back, which it would lack for good otherwise.
func (o *outside) askOnce(ctx context.Context, terminal *os.File, question string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("asking for a password: %w", err)
	}
	fmt.Fprint(o.err, question)
	type answer struct {
		text []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		fmt.Fprintln(o.err)
		if a.err != nil {
			return "", fmt.Errorf("reading the password: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		fmt.Fprintln(o.err)
		return "", errors.Join(errors.New("broken off; nothing was changed"), term.Restore(fd, before))
	}
}
