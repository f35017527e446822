package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// playBase finds a port base that leaves every port of a play instance free.
func playBase(t *testing.T) int {
	t.Helper()
	for base := 2300; base < 9000; base += 111 {
		free := blockFree(base+22000, 100)
		for _, n := range []int{587, 465, 110, 995, 525, 6080, 7180} {
			free = free && blockFree(base+n, 1)
		}
		if free {
			return base
		}
	}
	t.Fatal("no free ports for a play instance")
	return 0
}

// playing is a running `chmail play` and what it printed.
type playing struct {
	cmd  *exec.Cmd
	done chan struct{}
	text string
}

func play(t *testing.T, args ...string) *playing {
	t.Helper()
	p := &playing{cmd: exec.Command(binary(t), append([]string{"play"}, args...)...), done: make(chan struct{})}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
	lines := make(chan string)
	go func() {
		defer close(p.done)
		defer close(lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			lines <- sc.Text()
		}
		_ = p.cmd.Wait() // how it ended is asked of ProcessState
	}()
	for !strings.Contains(p.text, "Mail from outside") {
		select {
		case l, ok := <-lines:
			if !ok {
				t.Fatalf("chmail play ended early:\n%s", p.text)
			}
			p.text += l + "\n"
		case <-time.After(startTime): // on a machine with nothing else to do it is ready within a second
			t.Fatalf("chmail play was not ready within %v:\n%s", startTime, p.text)
		}
	}
	t.Logf("ready after %v", time.Since(began))
	go func() {
		for range lines { // drained, so that the program never waits for us
		}
	}()
	return p
}

func (p *playing) find(t *testing.T, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.text)
	if m == nil {
		t.Fatalf("chmail play did not print %s:\n%s", pattern, p.text)
	}
	return m[1]
}

func TestPlayIsTheWholeSystem(t *testing.T) {
	t.Parallel()
	base := playBase(t)
	p := play(t, "--port-base", strconv.Itoa(base))
	link := p.find(t, `(http://localhost:\d+/c/[A-Za-z0-9_-]{22})`)
	password := p.find(t, `alice@localhost\.test\s+password (\S+)`)
	data := p.find(t, `Data: (\S+)`)
	site := link[:strings.Index(link, "/c/")]

	desk := chromium.Tab(t)
	desk.Run(chromedp.Navigate(strings.Replace(site, "localhost", "127.0.0.1", 1) + "/desk")) // led to localhost
	desk.Until(`document.getElementById('user') !== null && location.hostname === 'localhost'`)
	desk.Run(chromedp.SendKeys("#user", "alice@localhost.test"), chromedp.SendKeys("#password", password+"\r"))
	desk.Until(`document.getElementById('desk') && document.getElementById('desk').dataset.line === 'up'`)
	reader := follow(t, link)
	reader.Run(chromedp.SendKeys("#text", "Hello Alice\r"))
	desk.Until(`document.querySelector('.call.ring') !== null`)
	desk.Run(chromedp.Click(".call.ring .main"))
	reader.Until(call("answered"))
	said(desk, "Hello Alice")

	_, errs, code := runChmail(t, "", "play", "--port-base", strconv.Itoa(base))
	if code == 0 || !strings.Contains(errs, "--port-base") || !strings.Contains(errs, strconv.Itoa(base+587)) {
		t.Errorf("a second instance on the same ports: exit %d, %q", code, errs)
	}

	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(startTime):
		t.Errorf("chmail play still runs %v after Ctrl-C", startTime)
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		<-p.done
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the temporary folder %s is still there (%v)", data, err)
	}
	if ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(base+587)); err != nil {
		t.Errorf("a port is still taken: %v", err)
	} else {
		ln.Close()
	}
}

func TestPlayKeepsItsDataWhenAsked(t *testing.T) {
	t.Parallel()
	dir, free := t.TempDir(), playBase(t)+37
	base := strconv.Itoa(free)
	first := play(t, "--data", dir, "--port-base", base)
	password := first.find(t, `alice@localhost\.test\s+password (\S+)`)
	link := first.find(t, `(http://localhost:\d+/c/[A-Za-z0-9_-]{22})`)
	if err := first.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-first.done
	conf := filepath.Join(dir, "chmail.yaml")
	set := exec.Command(binary(t), "account", "passwd", "bob@localhost.test", "--config", conf)
	set.Stdin = strings.NewReader("a password of his own\n")
	if out, err := set.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	second := play(t, "--data", dir, "--port-base", strconv.Itoa(free+200))
	if again := second.find(t, `alice@localhost\.test\s+password (\S+)`); again != password {
		t.Error("the password changed")
	}
	moved := second.find(t, `(http://localhost:\d+/c/[A-Za-z0-9_-]{22})`)
	if moved[strings.Index(moved, "/c/"):] != link[strings.Index(link, "/c/"):] || !strings.Contains(moved, fmt.Sprintf(":%d/", free+200+6080)) {
		t.Errorf("the first mail's link was %s, is %s", link, moved)
	}
	if r, err := http.Get(moved); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("following it: %v, %v", r, err)
	} else {
		r.Body.Close()
	}
	second.find(t, `Password\s+\S+\s+(the one that you have set)`)
}
