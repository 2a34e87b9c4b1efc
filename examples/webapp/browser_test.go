package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/oauthstore/oauthstore/examples/webapp/pages/browsertest"
)

// TestAPersonConnectsAnAppAndDisconnectsIt goes the whole way, on the real server.
func TestAPersonConnectsAnAppAndDisconnectsIt(t *testing.T) {
	chromium := browsertest.Start(t)
	for _, window := range []browsertest.Window{{Width: 390, Height: 844, Scheme: "light"}, {Width: 1280, Height: 800, Scheme: "dark"}} {
		t.Run(window.String(), func(t *testing.T) {
			s := newSite(t)
			server := s.start()
			app, codes := newApp(t)
			c := registerAt(t, server.url, "Desktop Assistant", app)
			person := chromium.NewPage(t, window)

			person.Go(chromedp.Navigate(c.authorizeURL()))
			person.AwaitFocus("#username")
			person.Look("app-sign-in")
			person.Keys("alice" + kb.Tab + "in-wonderland")
			person.Click("main button")
			if asked := person.Text("main"); !strings.Contains(asked, "Desktop Assistant") || !strings.Contains(asked, s.url+mcpPath) ||
				!strings.Contains(asked, strings.TrimPrefix(strings.TrimSuffix(app, "/callback"), "http://")) {
				t.Errorf("the consent page names not all of the app, the host and the resource: %s", asked)
			}
			person.Look("app-consent")
			person.Click("button[value=allow]")
			if got := person.Text("p"); got != "You are connected." {
				t.Fatalf("the app shows %q", got)
			}
			status, tokens := c.exchange(server.url, <-codes)
			if status != http.StatusOK || s.whoami(server.url, text(tokens, "access_token")) != "alice" {
				t.Fatal(status, text(tokens, "error"))
			}

			person.Go(chromedp.Navigate(server.url + "/apps"))
			person.Look("app-connected")
			person.Click(".card button")
			person.Look("app-disconnected")
			if status, answer := c.refresh(server.url, text(tokens, "refresh_token")); text(answer, "error") != "invalid_grant" {
				t.Error("the disconnected app can refresh:", status)
			}
			person.Click(".out button")

			person.Go(chromedp.Navigate(server.url + "/operator"))
			person.AwaitFocus("#username")
			person.Keys("olga" + kb.Tab + "keeps-the-lights-on")
			person.Click("main button")
			person.Look("app-operator")
			person.Click(".clients button")
			person.Look("app-delete")
			person.Click("main button")
			status, answer := c.refresh(server.url, text(tokens, "refresh_token"))
			if status != http.StatusUnauthorized || text(answer, "error") != "invalid_client" {
				t.Error("the deleted client is told:", status, text(answer, "error"))
			}
		})
	}
}

// newApp serves an app, and returns its redirect URI and the codes that it is sent.
func newApp(t *testing.T) (callback string, codes <-chan string) {
	t.Helper()
	got := make(chan string, 1)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<title>app</title><link rel="icon" href="data:,"><p>You are connected.`)
		got <- r.URL.Query().Get("code")
	}))
	t.Cleanup(app.Close)
	return app.URL + "/callback", got
}
