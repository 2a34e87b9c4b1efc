package pages_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
)

const ownPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// hostile is a name and an ID that try to be more than text.
const hostile = `"><script>alert(1)</script><img src=x onerror='alert(2)'>`

// all returns every page, of a site where everything that others can name is hostile.
func all(t *testing.T) map[string]answer {
	t.Helper()
	s := newSite(t, nil)
	s.addClient(hostile, hostile, domain.Dynamic)
	for _, user := range []string{"olga", "alice"} {
		s.addGrant(domain.Grant{ID: hostile + user, ClientID: hostile, Subject: user, Scopes: []string{"a"}, Resources: []string{hostile}})
		s.addGrant(domain.Grant{ID: "ended" + user, ClientID: hostile, Subject: user})
		s.revoke("ended"+user, domain.CodeReplayed)
	}
	s.observe(authserver.TokensIssued, 3)
	s.consent = asking(t, named(hostile, hostile, domain.Dynamic), "https://app.example/callback")
	s.consent.Scopes, s.consent.Resources, s.consent.Subject = []string{hostile}, []string{hostile}, hostile
	s.consent.Form = url.Values{hostile: {hostile}}
	olga, nobody := s.signedIn("olga", "aglo"), s.visitor()
	return map[string]answer{
		"sign in":  nobody.get("/sign-in?next=" + url.QueryEscape("/"+hostile)),
		"refused":  nobody.signIn(hostile, hostile, "/"+hostile),
		"apps":     olga.get("/apps"),
		"gone":     olga.post("/apps/disconnect", url.Values{"grant": {hostile}}),
		"operator": olga.get("/operator"),
		"search":   olga.get("/operator?" + url.Values{"q": {hostile}}.Encode()),
		"nothing":  olga.get("/operator?" + url.Values{"q": {hostile + "x"}}.Encode()),
		"counts":   olga.get("/operator/counts"),
		"delete":   olga.post("/operator/delete", url.Values{"client": {hostile}}),
		"refusal":  s.signedIn("alice", "ecila").get("/operator"),
		"consent":  nobody.get("/authorize"),
	}
}

func TestWhatOthersNameIsOnlyText(t *testing.T) {
	inline := regexp.MustCompile(`<script>|<img src=x|<style|\sstyle=|\son[a-z]+\s*=\s*"|javascript:`)
	for name, a := range all(t) {
		if got := inline.FindString(a.body); got != "" {
			t.Errorf("%s has %s:\n%s", name, got, a.body)
		}
		if a.status >= http.StatusInternalServerError {
			t.Errorf("%s: %d", name, a.status)
		}
	}
}

func TestEachPageHasItsHeaders(t *testing.T) {
	for name, a := range all(t) {
		policy := ownPolicy
		switch name {
		case "operator", "search", "nothing":
			policy += "; script-src 'self'; connect-src 'self'"
		case "consent":
			policy += " https://app.example"
		}
		for header, want := range map[string]string{
			"Content-Security-Policy": policy, "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
		} {
			if got := a.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}
}

func TestEachPageCanBeUsedByEverybody(t *testing.T) {
	control := regexp.MustCompile(`<(?:input|select|textarea)[^>]*>`)
	for name, a := range all(t) {
		if name == "counts" { // a part of a page
			continue
		}
		for what, want := range map[string]int{
			"<h1": 1, "<main": 1, `<html lang="en">`: 1, "<title>": 1, `class="skip" href="#main"`: 1, `id="main"`: 1, `name="viewport"`: 1,
			"<table": strings.Count(a.body, "<caption"), "<th ": strings.Count(a.body, "scope="), "<th>": 0, "</form>": strings.Count(a.body, `method="`),
		} {
			if what == "<title>" {
				a.body = strings.ReplaceAll(a.body, `<title id=`, "")
			}
			if got := strings.Count(a.body, what); got != want {
				t.Errorf("%s has %s %d times, want %d", name, what, got, want)
			}
		}
		for _, input := range control.FindAllString(a.body, -1) {
			id := next(input, ` id="([^"]*)"`)
			if !strings.Contains(input, `type="hidden"`) && (id == "" || !strings.Contains(a.body, `<label for="`+id+`"`)) {
				t.Errorf("%s: %s has no label", name, input)
			}
		}
	}
	pages := all(t)
	for name, path := range map[string]string{"apps": "/apps", "operator": "/operator"} {
		if !strings.Contains(pages[name].body, `<a href="`+path+`" aria-current="page">`) {
			t.Errorf("%s: the link to it does not say that it is here", name)
		}
	}
}

func TestTheStyleSheetMayBeKept(t *testing.T) {
	v := newSite(t, nil).visitor()
	for path, want := range map[string]string{
		"/style.css": "text/css; charset=utf-8", "/live.js": "text/javascript; charset=utf-8", "/icon.svg": "image/svg+xml",
	} {
		a := v.get(path)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != want || a.header.Get("Cache-Control") == "no-store" ||
			a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
}

func TestTheStartIsTheApps(t *testing.T) {
	if a := newSite(t, nil).visitor().get("/"); a.status != http.StatusSeeOther || a.location() != "/apps" {
		t.Error(a.status, a.location())
	}
}

func TestProblemSaysWhatIsWrong(t *testing.T) {
	s := newSite(t, nil)
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/authorize", nil)
	s.pages.Problem(w, r, http.StatusBadRequest, "client_id is <missing>")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `<p role="alert">client_id is &lt;missing&gt;</p>`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
