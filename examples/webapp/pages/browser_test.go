package pages_test

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
	"github.com/oauthstore/oauthstore/examples/webapp/pages/browsertest"
)

func TestPagesInABrowser(t *testing.T) {
	browser := browsertest.Start(t)
	for _, window := range []browsertest.Window{
		{Width: 390, Height: 844, Scheme: "light"}, {Width: 390, Height: 844, Scheme: "dark"},
		{Width: 1280, Height: 800, Scheme: "light"}, {Width: 1280, Height: 800, Scheme: "dark"},
		{Width: 360, Height: 640, Scheme: "light"},
	} {
		t.Run(window.String(), func(t *testing.T) {
			s := newSite(t, nil)
			s.fill()
			signsInAndDisconnects(t, s, browser.NewPage(t, window))
			consents(t, s, browser.NewPage(t, window))
			operates(t, s, browser.NewPage(t, window))
		})
	}
}

func TestTheKeyboardIsEnough(t *testing.T) {
	browser := browsertest.Start(t)
	s := newSite(t, nil)
	s.fill()
	p := browser.NewPage(t, browsertest.Window{Width: 1280, Height: 800, Scheme: "light"})
	p.Go(chromedp.Navigate(s.url + "/apps"))
	p.AwaitFocus("#username")
	p.Keys("alice" + kb.Tab + "ecila")
	p.Go(chromedp.KeyEvent(kb.Enter))
	for _, want := range []string{"Skip to the content", "oauthstore", "Connected apps", "Sign out"} {
		p.Keys(kb.Tab)
		if got := p.Focused(); got != want {
			t.Errorf("the focus is on %q, want %q", got, want)
		}
	}
	p.Look("keyboard-focus")
	p.Keys(kb.Tab)
	if got := p.Focused(); !strings.HasPrefix(got, "Disconnect") {
		t.Errorf("the focus is on %q, want the button to disconnect", got)
	}
	p.Go(chromedp.KeyEvent(kb.Enter))
	if got := p.Text("[role=status]"); !strings.Contains(got, "Disconnected") {
		t.Errorf("the page says %q", got)
	}
	p.Keys(kb.Tab + kb.Enter)
	if got := p.Focused(); got != "main" {
		t.Errorf("the skip link leads to %q", got)
	}
}

// fill stores what there is to see, with long and foreign names.
func (s *site) fill() {
	s.t.Helper()
	const document = "https://notes.example/clients/a-very-long-path-that-has-to-wrap-somewhere/metadata-document.json"
	s.addClient("desktop", "Desktop Assistant", domain.Dynamic)
	s.addClient(document, "Notes", domain.MetadataDocument)
	s.addClient("editor", "Ein Texteditor mit einem sehr langen Namen, der umbrochen werden muss", domain.Preregistered)
	s.addClient(domain.NewID(), "", domain.Dynamic)
	for i := range 40 {
		s.addClient(fmt.Sprintf("client-%02d", i), fmt.Sprintf("Sample app %d", i), domain.Dynamic)
	}
	resources := []string{"https://mcp.example/mcp"}
	for i, id := range []string{"desktop", document, "editor"} {
		s.addGrant(domain.Grant{
			ID: fmt.Sprint("live-", i), ClientID: id, Subject: "alice", Scopes: []string{"profile", "notes"}, Resources: resources,
		})
	}
	for _, why := range []domain.Reason{domain.ByUser, domain.ByClient, domain.CodeReplayed, domain.RefreshTokenReused} {
		s.addGrant(domain.Grant{ID: "ended-" + string(why), ClientID: "desktop", Subject: "alice", Scopes: []string{"notes"}})
		s.revoke("ended-"+string(why), why)
	}
	s.clock.move(-time.Hour)
	for minute := range 60 {
		s.clock.move(time.Minute)
		s.observe(authserver.CodeIssued, minute%7)
		s.observe(authserver.TokensIssued, minute%11+minute/6)
		s.observe(authserver.Refused, max(0, minute%13-9))
	}
}

func (s *site) observe(event authserver.Event, times int) {
	for range times {
		s.activity.Observe(event)
	}
}

func signsInAndDisconnects(t *testing.T, s *site, p *browsertest.Page) {
	t.Helper()
	p.Go(chromedp.Navigate(s.url + "/"))
	p.Look("sign-in")
	p.AwaitFocus("#username")
	p.Keys("alice" + kb.Tab + "wrong")
	if status := p.Click("main button"); status != http.StatusUnauthorized {
		t.Error("a wrong password:", status)
	}
	p.Problems() // the browser's note of the status
	p.Look("sign-in-refused")
	p.Do(chromedp.SendKeys(chromedp.CSS("#password"), "ecila"))
	p.Click("main button")
	if got := p.Text("h1"); got != "Connected apps" {
		t.Fatalf("after the sign-in there is %q", got)
	}
	p.Look("apps")
	p.Click(".card button")
	p.Look("apps-disconnected")
	p.Click(".out button")
	if got := p.Address(); got != s.url+"/sign-in" {
		t.Errorf("after the sign-out the page is %s", got)
	}
}

func consents(t *testing.T, s *site, p *browsertest.Page) {
	t.Helper()
	s.consent = asking(t, named("desktop", "Desktop Assistant", domain.Dynamic), appAt(t, "127.0.0.1:0"))
	p.Go(chromedp.Navigate(s.url + "/authorize?client_id=desktop"))
	p.Look("consent")
	p.Click("button[value=allow]")
	if got := p.Text("p"); got != "decision: allow" {
		t.Errorf("the app is told %q", got)
	}
}

func TestTheAnswerReachesAProgramOnThisDevice(t *testing.T) {
	browser := browsertest.Start(t)
	for address, decision := range map[string]string{"127.0.0.1:0": "deny", "[::1]:0": "allow"} {
		t.Run(address, func(t *testing.T) {
			s := newSite(t, nil)
			p := browser.NewPage(t, browsertest.Window{Width: 1280, Height: 800, Scheme: "light"})
			s.consent = asking(t, named("desktop", "Desktop Assistant", domain.Dynamic), appAt(t, address))
			p.Go(chromedp.Navigate(s.url + "/authorize"))
			p.Click("button[value=" + decision + "]")
			if got := p.Text("p"); got != "decision: "+decision {
				t.Errorf("the app is told %q", got)
			}
			if problems := p.Problems(); len(problems) > 0 {
				t.Error(problems)
			}
		})
	}
}

// appAt serves an app that shows the decision it is told, and returns its redirect URI.
func appAt(t *testing.T, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip("this machine has no such address:", err)
	}
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<title>app</title><link rel="icon" href="data:,"><p>decision: %s`, html.EscapeString(r.URL.Query().Get("decision")))
	}))
	app.Listener.Close()
	app.Listener = listener
	app.Start()
	t.Cleanup(app.Close)
	return app.URL + "/callback"
}

func TestTheCountsAreLive(t *testing.T) {
	browser := browsertest.Start(t)
	s := newSite(t, nil)
	p := browser.NewPage(t, browsertest.Window{Width: 1280, Height: 800, Scheme: "light"})
	p.Go(chromedp.Navigate(s.url + "/operator"))
	p.AwaitFocus("#username")
	p.Keys("olga" + kb.Tab + "aglo")
	p.Click("main button")
	p.Do(chromedp.Click(chromedp.CSS("summary"))) // stays open
	p.Do(chromedp.Focus(chromedp.CSS("#q")))
	s.observe(authserver.CodeIssued, 7)
	p.Do(chromedp.WaitVisible(chromedp.CSS("details[open] tbody time")))
	if got := p.Text(".legend .codes"); got != "Codes 7" {
		t.Errorf("the page shows %q", got)
	}
	if got := p.Focused(); got != "q" {
		t.Errorf("the focus went to %q", got)
	}
	p.Look("operator-live")
}

func operates(t *testing.T, s *site, p *browsertest.Page) {
	t.Helper()
	p.Go(chromedp.Navigate(s.url + "/operator"))
	p.AwaitFocus("#username")
	p.Keys("olga" + kb.Tab + "aglo")
	p.Click("main button")
	p.Look("operator")
	p.Do(chromedp.Click(chromedp.CSS("summary")))
	p.Look("operator-table")
	p.Do(chromedp.SendKeys(chromedp.CSS("#q"), "APP 37"))
	p.Click(".search button")
	p.Look("operator-search")
	p.Click(".clients button")
	p.Look("operator-delete")
	p.Click("main button")
	if got := p.Text("[role=status]"); !strings.Contains(got, "deleted") {
		t.Errorf("the page says %q", got)
	}
	p.Go(chromedp.Navigate(s.url + "/operator?q=app+37"))
	if got := p.Text(".clients tbody"); !strings.Contains(got, "No client") {
		t.Errorf("the client is still there: %s", got)
	}
	p.Do(chromedp.Navigate(s.url + "/apps"))
	p.Look("apps-empty")
}
