package app_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserTimeout ends a test that hangs; one takes a second or two.
const browserTimeout = 90 * time.Second

// browser is a running Chromium.
type browser struct{ ctx context.Context }

// startBrowser starts a Chromium of its own, headless, or ends the test where
// there is none: as skipped, or as failed where make test asked for every test.
func startBrowser(t *testing.T) browser {
	t.Helper()
	path, err := findBrowser()
	if err != nil {
		if os.Getenv("SIXDIGIT_TEST_ALL") != "" {
			t.Fatalf("no Chromium: %v", err)
		}
		t.Skipf("no Chromium (%v): `make test` installs it", err)
	}
	dir := t.TempDir()
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(dir, "profile")),
		// A browser that a person uses on this machine has nothing to do with this one.
		chromedp.Env("HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-extensions", true),
		// Every name but this machine's is unknown: a test reaches nobody.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closeBrowser()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return browser{ctx}
}

// findBrowser returns a Chromium that starts: some systems have a command of
// the name that only offers to install it. scripts/lib.sh looks alike.
func findBrowser() (path string, err error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err = exec.LookPath(name); err == nil {
			if err = exec.Command(path, "--version").Run(); err == nil {
				return path, nil
			}
		}
	}
	return "", err
}

// tab is a tab without any history or cookies, on a demo.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string

	mu     sync.Mutex
	faults []string // what the console, or a policy, complained of
}

// newTab opens the page of a demo in a window of a width.
func newTab(t *testing.T, in browser, url string, width int, dark bool) *tab {
	t.Helper()
	b := &tab{t: t, url: url}
	ctx, closeTab := chromedp.NewContext(in.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.note))
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as this context
		t.Fatalf("open a tab: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, browserTimeout)
	t.Cleanup(cancel)
	b.ctx = ctx
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	_, e1 := chromedp.Call(ctx, runtime.Enable, cdp.Empty{})
	_, e2 := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	_, e3 := chromedp.Call(ctx, emulation.SetEmulatedMedia, media)
	if err := errors.Join(e1, e2, e3); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(int64(width), 800), chromedp.Navigate(url))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, f := range b.faults {
			t.Errorf("the browser complained: %s", f)
		}
	})
	return b
}

func (b *tab) note(event any) {
	var fault string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		fault = fmt.Sprintf("console.%s %v", e.Type, e.Args)
	case *log.EventEntryAdded:
		fault = fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fault)
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// click clicks the first element of a CSS selector; typeInto types into it.
func (b *tab) click(selector string) { b.t.Helper(); b.do(chromedp.Click(chromedp.CSS(selector))) }

func (b *tab) typeInto(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// press presses keys, one after the other.
func (b *tab) press(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }

// js evaluates an expression.
func js[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// waitMillis is how long the page may take to come to show something.
const waitMillis = 20_000

// wait waits, in the page, until an expression is true.
func (b *tab) wait(expression string) {
	b.t.Helper()
	const poll = `new Promise((done) => {
		const until = performance.now() + %d;
		const look = () => { const ok = %s; if (ok || performance.now() > until) done(!!ok); else setTimeout(look, 20); };
		look();
	})`
	ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](fmt.Sprintf(poll, waitMillis, expression), chromedp.EvalAwaitPromise))
	if err != nil || !ok {
		b.t.Fatalf("waiting for %s: %v\nthe page:\n%s", expression, err, js[string](b, `document.body.innerText`))
	}
}

// sees waits until the page shows a text, folding white space.
func (b *tab) sees(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`document.body.innerText.replace(/\s+/g, " ").includes(%q)`, text))
}

// focused is the id of the element that has the focus.
func (b *tab) focused() string { return js[string](b, `document.activeElement.id`) }

// start types a number and sends the form.
func (b *tab) start(number string) {
	b.t.Helper()
	b.typeInto("#to", number)
	b.click("form[action='/start'] .main")
	b.wait(`document.activeElement.id === "code"`)
}

// code reads the newest code off the phone.
func (b *tab) code() string {
	b.t.Helper()
	b.wait(`document.querySelectorAll("#texts > li").length > 0`)
	return js[string](b, `[...document.querySelectorAll("#texts .bubble")].at(-1).textContent.match(/\d{6}/)[0]`)
}

// try types a code and sends the form.
func (b *tab) try(code string) {
	b.t.Helper()
	rev := js[string](b, `document.getElementById("panel").dataset.rev`)
	b.typeInto("#code", code)
	b.click("#check .main")
	b.wait(fmt.Sprintf(`document.getElementById("panel").dataset.rev !== %q`, rev))
}

// screenshot keeps the whole page as a picture where SIXDIGIT_SCREENSHOTS names
// a folder: how a page looks, a person has to judge.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("SIXDIGIT_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
