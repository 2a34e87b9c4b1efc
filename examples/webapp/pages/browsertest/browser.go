package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The variables that a test obeys.
const (
	BrowserVariable     = "OAUTHSTORE_TEST_BROWSER" // the path of the browser; default: the first one found in PATH
	ScreenshotsVariable = "OAUTHSTORE_SCREENSHOTS"  // the folder for screenshots; default: one that goes with the test
)

// patience is how long one page may take for everything that a test does with it.
const patience = time.Minute

// Browser is a running browser without a window.
type Browser struct {
	ctx         context.Context
	screenshots string
}

// Start starts a browser that ends with the test. The test is skipped if there is no browser, and fails if
// BrowserVariable names one that is not there.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := find()
	if err != nil {
		t.Fatal(err)
	}
	if path == "" {
		t.Skipf("no browser: install chromium, or name one in %s", BrowserVariable)
	}
	ctx, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(
		chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.DisableGPU,
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), // the sandbox refuses to run as root
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
	)...)
	t.Cleanup(stop)
	ctx, closeBrowser := chromedp.NewContext(ctx)
	t.Cleanup(closeBrowser)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("%s does not start: %v", path, err)
	}
	return &Browser{ctx: ctx, screenshots: screenshotsFolder(t)}
}

// find returns the path of a browser, "" for none.
func find() (string, error) {
	if path := os.Getenv(BrowserVariable); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("%s: %w", BrowserVariable, err)
		}
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", nil
}

func screenshotsFolder(t testing.TB) string {
	t.Helper()
	folder := os.Getenv(ScreenshotsVariable)
	if folder == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o750); err != nil { //nolint:gosec // the developer names it
		t.Fatal(err)
	}
	return folder
}

// Window is how a page is looked at.
type Window struct {
	Width, Height int64
	Scheme        string // light or dark
}

// String is part of the names of screenshots.
func (w Window) String() string { return fmt.Sprintf("%dx%d-%s", w.Width, w.Height, w.Scheme) }

// NewPage opens an empty page that ends with the test. Its cookies are its own.
func (b *Browser) NewPage(t testing.TB, window Window) *Page {
	t.Helper()
	ctx, closePage := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(closePage)
	ctx, cancel := context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	p := &Page{t: t, ctx: ctx, window: window, screenshots: b.screenshots}
	if err := chromedp.Listen(ctx, p.note); err != nil {
		t.Fatal(err)
	}
	p.Do(chromedp.EmulateViewport(window.Width, window.Height))
	scheme := emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: window.Scheme}},
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, scheme); err != nil {
		t.Fatal(err)
	}
	return p
}
