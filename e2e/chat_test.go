package e2e

import (
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestTheTerminalClientOutlivesTheServer talks with the built program over TLS, kills the server in the middle, and talks on.
func TestTheTerminalClientOutlivesTheServer(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, _ := s.mailWithPort(t, "Scaffolding")
	chat := exec.Command(binary(t), "chat", "--guest", "--name", "Bob", "--ca", filepath.Join(s.dir, "cert.pem"), link)
	out := newLogBuffer()
	chat.Stdout, chat.Stderr = out, out
	in, err := chat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := chat.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if chat.ProcessState == nil {
			_ = chat.Process.Kill() // fails only when it has already ended
		}
	})
	prints := func(line string) {
		t.Helper()
		select {
		case <-out.wait(line):
		case <-time.After(startTime):
			t.Fatalf("%q was not printed:\n%s", line, out)
		}
	}
	says := func(line string) {
		t.Helper()
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	says("before")
	prints("+ 2")
	s.kill()
	prints("! disconnected")
	says("while nobody listens")
	s.start(t)
	prints("+ 4") // after his coming back
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	prints("! goodbye")
	if err := chat.Wait(); err != nil {
		t.Errorf("chmail chat: %v\n%s", err, out)
	}
	if _, errs, code := runChmail(t, "", "chat", "--guest", link); code != 1 {
		t.Errorf("without --ca a certificate that nobody knows is taken: exit %d: %s", code, errs)
	}
}
