package main

import (
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patient is an output that tells when a text has been printed.
type patient struct {
	text strings.Builder
	says string
	once sync.Once
	seen chan struct{}
}

func (p *patient) Write(b []byte) (int, error) {
	p.text.Write(b)
	if strings.Contains(p.text.String(), p.says) {
		p.once.Do(func() { close(p.seen) })
	}
	return len(b), nil
}

// untilPrinted is chmail with an input that goes on with then once a text has been printed, as a person does who waits for it.
func untilPrinted(t *testing.T, says, first, then string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	in, typed := io.Pipe()
	out := &patient{says: says, seen: make(chan struct{})}
	go func() {
		_, _ = io.WriteString(typed, first) // fails once the verb has ended, which the status tells
		select {
		case <-out.seen:
		case <-time.After(time.Minute): // what is missing is shown by the test
		}
		_, _ = io.WriteString(typed, then)
		_ = typed.Close()
	}()
	var errs strings.Builder
	status = run(t.Context(), outside{in: in, out: out, err: &errs, lastly: new(lastly)}, args)
	_ = in.Close()
	return out.text.String(), errs.String(), status
}

// TestAReaderTalksFromTheTerminal follows the link of play's first mail with the verb itself, as a script would.
func TestAReaderTalksFromTheTerminal(t *testing.T) {
	t.Parallel()
	p := startPlaying(t)
	link := p.out.find(t, `(http://localhost:\d+/c/\S+)`)
	who := filepath.Join(t.TempDir(), "kept", "visitors.json")
	out, errs, status := untilPrinted(t, "! opened: ", "Does it include the scaffolding?\n//slash\n", "/leave\nnever said\n", "chat", "--visitors", who, "--name", "Bob \x1b[31mBrown", link)
	if status != statusDone || errs != "" {
		t.Errorf("status %d: %s", status, errs)
	}
	for _, says := range []string{"# Talk with Alice", "! connected\n", "! opened: ", "Brown is here.\n", "+ 2\n", "+ 3\n", "! goodbye\n"} {
		if !strings.Contains(out, says) {
			t.Errorf("%q is missing:\n%s", says, out)
		}
	}
	if strings.ContainsAny(out, "\x1b\x07") {
		t.Errorf("something steers the terminal: %q", out)
	}
	again, _, status := chmail(t, "", "chat", "--visitors", who, link)
	if status != statusDone || !strings.Contains(again, "Bob [31mBrown: Does it include the scaffolding?\n") || !strings.Contains(again, " Bob [31mBrown: /slash\n") || strings.Contains(again, "never said") {
		t.Errorf("whoever comes back: status %d\n%s", status, again)
	}
	if stranger, _, _ := chmail(t, "", "chat", "--guest", link); !strings.Contains(stranger, "! connected") || strings.Contains(stranger, "scaffolding") {
		t.Errorf("somebody new is shown\n%s", stranger)
	}
	for args, says := range map[string]string{link[:len(link)-4] + "AAAA": "does not work", strings.Replace(link, "localhost", "127.0.0.1", 1): "leads on to http://localhost"} {
		if _, errs, status := chmail(t, "", "chat", "--guest", args); status != statusRefused || !strings.Contains(errs, says) {
			t.Errorf("chat %s: status %d, %s", args, status, errs)
		}
	}
	for args, says := range map[string]string{"http://chat.example.com/c/AAAA": "not encrypted", "https://chat.example.com/desk": "/c/", "--ca /no/such/file " + link: "--ca", "--config x.yaml " + link: "--config"} {
		if _, errs, status := chmail(t, "", strings.Fields("chat --guest "+args)...); status != statusUsage || !strings.Contains(errs, says) {
			t.Errorf("chat %s: status %d, %s", args, status, errs)
		}
	}
}
