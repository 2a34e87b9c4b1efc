package browsertest

import (
	"context"
	_ "embed" // for the script
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Action is something that a person does with a page. See the actions of package chromedp.
type Action = chromedp.Action[chromedp.Void]

// Page is one page of a browser. Whatever goes wrong with it fails the test.
type Page struct {
	t           testing.TB
	ctx         context.Context
	window      Window
	screenshots string

	mu       sync.Mutex
	problems []string
}

// note keeps what the browser complains about, violations of a policy included.
func (p *Page) note(event any) {
	var problem string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		problem = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
	case *runtime.EventExceptionThrown:
		problem = e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		problem = fmt.Sprintf("console: %s", e.Type)
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, problem)
}

// Problems returns what the browser complained about since the last call.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	problems := p.problems
	p.problems = nil
	return problems
}

// Do runs actions that stay on the page.
func (p *Page) Do(actions ...Action) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatalf("%s: %v", p.window, err)
	}
}

// Go runs actions that lead to another page, waits for it, and returns the status of the answer.
func (p *Page) Go(actions ...Action) int64 {
	p.t.Helper()
	response, err := chromedp.RunResponse(p.ctx, actions...)
	if err != nil {
		p.t.Fatalf("%s: %v", p.window, err)
	}
	return response.Status
}

// Click clicks on the element, which leads to another page.
func (p *Page) Click(selector string) int64 {
	p.t.Helper()
	return p.Go(chromedp.Click(chromedp.CSS(selector)))
}

// AwaitFocus waits until the element has the focus: a page that gives it to one does so after it has loaded.
func (p *Page) AwaitFocus(selector string) {
	p.t.Helper()
	p.Do(chromedp.WaitVisible(chromedp.CSS(selector + ":focus")))
}

// Keys types text, or keys of package kb, wherever the focus is.
func (p *Page) Keys(text string) {
	p.t.Helper()
	p.Do(chromedp.KeyEvent(text))
}

// Text returns the visible text of the element.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return answer(p, chromedp.Text(chromedp.CSS(selector)))
}

// Address returns the URL of the page.
func (p *Page) Address() string {
	p.t.Helper()
	return answer(p, chromedp.Location())
}

// Focused returns the name, id or text of the element that has the focus.
func (p *Page) Focused() string {
	p.t.Helper()
	const script = `(e => e.name || e.id || e.textContent.trim())(document.activeElement)`
	return answer(p, chromedp.Evaluate[string](script))
}

func answer[T any](p *Page, question chromedp.Action[T]) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, question)
	if err != nil {
		p.t.Fatalf("%s: %v", p.window, err)
	}
	return value
}

//go:embed look.js
var look string

// Look checks that the page fits the width of its window, that its text can be read (WCAG 2.2, 1.4.3), that what can
// be clicked on is not too small (2.5.8), and that the browser has no complaint. It keeps a screenshot under name.
func (p *Page) Look(name string) {
	p.t.Helper()
	problems := answer(p, chromedp.Evaluate[[]string](look))
	picture := answer(p, chromedp.FullScreenshot(100))
	if problems = append(problems, p.Problems()...); len(problems) > 0 {
		p.t.Errorf("%s, %s:\n%s", name, p.window, strings.Join(problems, "\n"))
	}
	file := filepath.Join(p.screenshots, fmt.Sprintf("%s-%s.png", name, p.window))
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		p.t.Error(err)
	}
}
