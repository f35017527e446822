// Package browsertest lets tests look at pages as people do: one headless Chromium for a test package, and for every test a
// tab in a browser context, and so with cookies, of its own. It is used by tests only.
package browsertest

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const (
	patience = 15 * time.Second // what a page is waited for at most, on a loaded machine
	life     = 2 * time.Minute  // of a tab
)

// Browser is a Chromium that starts when the first tab is wanted. The zero value is ready; Close ends it.
type Browser struct {
	// AnyCertificate lets the browser accept certificates whose authority it does not know.
	AnyCertificate bool

	once  sync.Once
	ctx   context.Context
	stop  []context.CancelFunc
	fault error
}

func (b *Browser) start() {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		b.fault = errors.New("no Chromium here; ./script/test installs it")
		return
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(path), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("mute-audio", true),
		chromedp.Flag("ignore-certificate-errors", b.AnyCertificate))
	ctx, stop := chromedp.NewContext(alloc)
	b.stop = append(b.stop, stopAlloc, stop)
	b.ctx, b.fault = ctx, chromedp.Do(ctx)
}

// Close ends the browser; to be called once, after all tests.
func (b *Browser) Close() {
	for i := len(b.stop) - 1; i >= 0; i-- {
		b.stop[i]()
	}
}

// Tab is one page in a browser context of its own.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the page complained about
}

// Tab opens an empty tab. The test fails at its end when the page threw or broke its own security policy. Without Chromium the
// test is skipped; with CI=true it fails.
func (b *Browser) Tab(t testing.TB) *Tab {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	b.once.Do(b.start)
	if b.fault != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(b.fault)
		}
		t.Skip(b.fault)
	}
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	ctx, cancel := context.WithTimeout(ctx, life)
	tab := &Tab{t: t, ctx: ctx}
	console, err := chromedp.Run(ctx, func(ctx context.Context, _ *chromedp.Target) (iter.Seq2[chromedp.ConsoleMessage, error], error) {
		return chromedp.Console(ctx), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	go tab.listen(console)
	t.Cleanup(func() {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		if len(tab.faults) > 0 {
			t.Errorf("the page complained: %s", strings.Join(tab.faults, "; "))
		}
		cancel()
		closeTab()
	})
	// A headless tab in the background counts as hidden otherwise, and hidden pages show no intent.
	tab.Run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return chromedp.Void{}, err
	})
	return tab
}

// listen collects complaints. A connection or a page that the test itself refuses is none.
func (b *Tab) listen(console iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range console {
		if err != nil {
			return
		}
		if m.Type != "error" && !m.IsException() || m.Source == "network" || strings.Contains(m.Text, "WebSocket connection to") {
			continue
		}
		b.mu.Lock()
		b.faults = append(b.faults, m.String())
		b.mu.Unlock()
	}
}

// Context is the tab's, for what this package has no method for.
func (b *Tab) Context() context.Context { return b.ctx }

// Run carries out actions one after the other.
func (b *Tab) Run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// JS evaluates an expression in the page.
func JS[T any](b *Tab, expr string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expr))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// Until waits for an expression to become true. While a page is being left, asking it may fail.
func (b *Tab) Until(expr string) {
	b.t.Helper()
	b.UntilIn(patience, expr)
}

// UntilIn is Until with a limit of its own.
func (b *Tab) UntilIn(limit time.Duration, expr string) {
	b.t.Helper()
	var last error
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(limit); ; {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expr+")"))
		if ok && err == nil {
			return
		}
		last = err
		select {
		case <-tick.C:
		case <-over:
			text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
			b.t.Fatalf("not within %v: %s: %v; the page says (%v):\n%s", limit, expr, last, err, text)
		}
	}
}

// MoveMouse is the slightest thing that a person does.
func (b *Tab) MoveMouse() {
	b.t.Helper()
	b.Run(chromedp.MouseEvent("mouseMoved", 40, 60), chromedp.MouseEvent("mouseMoved", 44, 66))
}

// WithoutScripts switches JavaScript off.
func (b *Tab) WithoutScripts() {
	b.t.Helper()
	b.Run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
}

// Shot takes a picture of what is in view and writes it to a PNG file.
func (b *Tab) Shot(file string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
