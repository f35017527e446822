package mailbox

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// leave makes blobs that nothing names.
func (o *office) leave(n int) (names []string) {
	o.t.Helper()
	for range n {
		name := fmt.Sprintf("%s.%d", o.blobs.run, o.blobs.count.Add(1))
		if err := os.WriteFile(o.blobs.path(name), nil, 0o600); err != nil {
			o.t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// dispose has blobs go, one after the other.
func (o *office) dispose(names []string) {
	o.t.Helper()
	for _, name := range names {
		if err := o.janitor.dispose(name); err != nil {
			o.t.Error(err)
		}
	}
}

// left checks how many blobs there are.
func (o *office) left(when string, want int) {
	o.t.Helper()
	if n := len(o.files()); n != want {
		o.t.Errorf("%s there are %d blobs, want %d", when, n, want)
	}
}

// later is some time after everybody has done what he can.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A pad has what was said, for who reads while others say more.
type pad struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *pad) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *pad) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// Nobody else need do anything: what a backup has held back goes by itself when it is over, and at once when another mail goes.
func TestWhatABackupHasHeldBackGoesWhenItIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.backup.Store(true)
		o.dispose(o.leave(2*sweepStep + 10))
		later(3 * round)
		o.left("during the backup", 2*sweepStep+10)
		o.backup.Store(false)
		later(round)
		o.left("ten minutes after it", 0)

		o.backup.Store(true)
		o.dispose(o.leave(10))
		o.backup.Store(false)
		o.dispose(o.leave(1))
		synctest.Wait()
		o.left("after the next mail", 0)
	})
}

// The blobs of an earlier run are tried again as well, but the whole folder is not looked through for every mail that goes meanwhile.
func TestAStartDuringABackupRemovesWhatTheEarlierRunLeftAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.send(letter("kept", inRow+1), alice)
		o.leave(3 * sweepStep)
		o.backup.Store(true)
		o.restart()
		synctest.Wait()
		if n := o.asked.Swap(0); n != 1 {
			t.Errorf("blobs were to go %d times, though none may", n)
		}
		for range 5 {
			o.janitor.wake()
			synctest.Wait()
		}
		if n := o.asked.Load(); n != 0 {
			t.Errorf("the folder was looked through %d times for five mails", n)
		}
		later(round)
		o.left("during the backup", 3*sweepStep+1)
		o.backup.Store(false)
		o.janitor.wake()
		later(round)
		o.left("after it", 1)
		o.asked.Store(0)
		later(3 * round)
		if n := o.asked.Load(); n != 0 {
			t.Errorf("the folder is looked through %d times, though it is clean", n)
		}
	})
}

// The first QUIT after a long backup does not remove the mails of everybody.
func TestWhoeverDeletesAMailDoesNotWaitForThoseOfOthers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.backup.Store(true)
	o.dispose(o.leave(100))
	o.backup.Store(false)
	o.janitor.cancel() // nobody else does it
	<-o.janitor.ended
	o.dispose(o.leave(1))
	o.left("after the next mail", 100)
}

// What could not go goes at the end at the latest: the next start would have to find it.
func TestTheEndRemovesWhatABackupHasHeldBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.backup.Store(true)
	o.dispose(o.leave(sweepStep + 1))
	o.backup.Store(false)
	o.restart()
	o.left("after a restart", 0)
}

// The end comes before that of the backup, as at a restart or a crash, and no large message is left: the next start knows its own blobs all the same.
func TestTheNextStartRemovesWhatABackupHasHeldBackThoughNoLargeMessageIsLeft(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.send(letter("read once", inRow+1), alice)
	o.backup.Store(true)
	o.look(alice).quit(1)
	o.clean(time.Now())
	if n := o.number(`SELECT count(*) FROM mailbox_message`); n != 0 {
		t.Fatalf("%d messages are left", n)
	}
	foreign := strings.Repeat("a", len(o.blobs.run)) + ".1" // from a database that is lost
	if err := os.WriteFile(o.blobs.path(foreign), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.restart()
	o.left("during the backup", 2)
	o.backup.Store(false)
	if done, err := o.janitor.sweepBlobs(); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	if files := o.files(); !slices.Equal(files, []string{foreign}) {
		t.Errorf("after it there are %v", files)
	}
}

// A backup that hangs, or was stopped, is told of once: the disk fills meanwhile.
func TestABackupThatHangsIsToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		said := new(pad)
		o := &office{t: t, dir: t.TempDir(), said: slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelWarn})}
		o.open()
		t.Cleanup(o.close)
		told := func(when string, want int) {
			t.Helper()
			if n := strings.Count(said.String(), "look whether it hangs"); n != want {
				t.Errorf("%s it was told %d times, want %d: %s", when, n, want, said)
			}
		}
		for i := range 2 {
			o.backup.Store(true)
			o.dispose(o.leave(3))
			later(longHeld - time.Minute)
			told("within an hour", i)
			later(round)
			told("after it", i+1)
			o.dispose(o.leave(1))
			later(3 * longHeld)
			told("after hours", i+1)
			o.backup.Store(false)
			later(round)
		}
		if !strings.Contains(said.String(), "messages=3") {
			t.Errorf("nothing tells how many: %s", said)
		}
	})
}

// BenchmarkDisposeDuringABackup is the end of one mail after so many others that have to stay.
func BenchmarkDisposeDuringABackup(b *testing.B) {
	for _, held := range []int{0, 20_000, 100_000} {
		b.Run(fmt.Sprintf("held=%d", held), func(b *testing.B) {
			o := newOffice(b)
			o.backup.Store(true)
			if held > 0 {
				if err := o.janitor.dispose(make([]string, held)...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := o.janitor.dispose("one"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
