package mailbox

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

// crashDir is the variable that makes the test program the one that is killed: it delivers and deletes until then.
const crashDir = "CHMAIL_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		deliverUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// deliverUntilKilled says on standard output what it has been told is safe.
func deliverUntilKilled(dir string) {
	o := &office{t: new(testing.T), dir: dir}
	o.open()
	for i := range 4 {
		go func() {
			for n := 0; ; n++ {
				name, size := fmt.Sprintf("mail-%d-%d-%d", os.Getpid(), i, n), 300
				if n%5 == 0 {
					size = inRow + 1
				}
				m := o.put(letter(name, size))
				if o.db.Update(context.Background(), func(tx *sqldb.Tx) error { _, err := o.Deliver(tx, m, to(alice), 0, time.Now()); return err }) == nil {
					fmt.Println("delivered", name)
				}
			}
		}()
	}
	for {
		s := o.look(alice)
		n, _ := s.Stat()
		if n < 20 {
			s.quit()
			continue
		}
		name, _, _ := strings.Cut(string(s.read(1)), "\r\n")
		fmt.Println("deleting", name)
		s.quit(1)
		fmt.Println("deleted", name)
	}
}

// The process is killed in the midst of deliveries and deletions: what had been acknowledged is there exactly once, what had been deleted is
// not, and nothing else is left lying about.
func TestKilledInTheMidst(t *testing.T) {
	t.Parallel()
	o := &office{t: t, dir: t.TempDir()}
	said := make(map[string]bool)
	for range 2 {
		runAndKill(t, o.dir, 150, said)
	}
	o.open()
	t.Cleanup(o.close)
	o.clean(time.Now())
	if _, err := o.janitor.sweepBlobs(); err != nil {
		t.Error(err)
	}
	o.audit()
	found := make(map[string]int)
	s := o.look(alice)
	for _, e := range s.list(1) {
		name, _, _ := strings.Cut(string(s.read(e.Number)), "\r\n")
		found[name]++
	}
	for line := range said {
		verb, name, _ := strings.Cut(line, " ")
		switch n := found[name]; {
		case verb == "deleted" && n != 0:
			t.Errorf("%s was deleted, and is there", name)
		case verb == "delivered" && !said["deleting "+name] && n != 1:
			t.Errorf("%s was acknowledged, and is there %d times", name, n)
		}
	}
	s.quit()
}

// runAndKill runs the other program until it has said so many lines, and notes them.
func runAndKill(t *testing.T, dir string, lines int, said map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(slices.Clone(os.Environ()), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	defer kill()
	sc := bufio.NewScanner(out)
	n := 0
	for sc.Scan() { // to its end: what is in the pipe was said before the kill
		said[sc.Text()] = true
		if n++; n == lines {
			kill()
		}
	}
	if n < lines {
		t.Errorf("the program said %d lines and ended", n)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the program ended by itself")
	}
}
