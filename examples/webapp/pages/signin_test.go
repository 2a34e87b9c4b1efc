package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/examples/webapp/pages"
)

func TestSignInLeadsToPathsOfThisSiteAlone(t *testing.T) {
	s := newSite(t, nil)
	signedIn := s.signedIn("alice", "ecila")
	for next, want := range map[string]string{
		"/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2F": "/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2F",
		"/operator":                      "/operator",
		"/a/b#c":                         "/a/b#c",
		"":                               "/apps",
		"apps":                           "/apps",
		"?q":                             "/apps",
		"//evil.example":                 "/apps",
		"///evil.example":                "/apps",
		`/\evil.example`:                 "/apps",
		`\\evil.example`:                 "/apps",
		`/a\..\..\\evil.example`:         "/apps",
		"https://evil.example":           "/apps",
		"https:evil.example":             "/apps",
		"HTTPS://evil.example/":          "/apps",
		"http:///evil.example":           "/apps",
		"javascript:alert(1)":            "/apps",
		"data:text/html,x":               "/apps",
		"/\t/evil.example":               "/apps",
		"\t//evil.example":               "/apps",
		"/\n/evil.example":               "/apps",
		"/\r\nLocation: https://evil.ex": "/apps",
		" //evil.example":                "/apps",
		"/a\x00":                         "/apps",
		"/a\u0085b":                      "/apps",
		"/%2Fevil.example":               "/apps",
		"/%2f%2fevil.example":            "/apps",
		"/%5Cevil.example":               "/%5Cevil.example",
		"/%09/evil.example":              "/%09/evil.example",
		"%2F%2Fevil.example":             "/apps",
		"/%zz":                           "/apps",
		"@evil.example":                  "/apps",
		"/@evil.example":                 "/@evil.example",
		"/.//evil.example":               "/evil.example",
		"/..//evil.example":              "/evil.example",
	} {
		t.Run(next, func(t *testing.T) {
			if a := s.visitor().signIn("alice", "ecila", next); a.status != http.StatusSeeOther || a.location() != want {
				t.Errorf("the form leads to %q, want %q", a.location(), want)
			}
			if a := signedIn.get("/sign-in?" + url.Values{"next": {next}}.Encode()); a.location() != want {
				t.Errorf("the page leads to %q, want %q", a.location(), want)
			}
		})
	}
}

func TestGuessingIsSlow(t *testing.T) {
	for name, tt := range map[string]struct {
		user  func(try int) string
		limit int
	}{
		"for one user":     {func(try int) string { return []string{"alice", "ALICE"}[try%2] }, 10},
		"from one address": {func(try int) string { return strings.Repeat("x", try+1) }, 30},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(o *pages.Options) { o.SignIns = 0 })
			v := s.visitor()
			var last answer
			for try := range tt.limit + 3 { // some more, should a minute begin in between
				if last = v.signIn(tt.user(try), "wrong", "/operator"); try < tt.limit && last.status != http.StatusUnauthorized {
					t.Fatalf("try %d: %d", try, last.status)
				}
			}
			if last.status != http.StatusTooManyRequests || last.header.Get("Retry-After") == "" {
				t.Errorf("%d %v", last.status, last.header)
			}
			for _, want := range []string{`role="alert"`, `value="/operator"`, `action="/sign-in"`} {
				if !strings.Contains(last.body, want) {
					t.Errorf("the page has no %s", want)
				}
			}
		})
	}
}

func TestTheRightPasswordIsRefusedTooAfterTooManyTries(t *testing.T) {
	s := newSite(t, func(o *pages.Options) { o.SignIns = 1 })
	v := s.visitor()
	for range 3 {
		v.signIn("alice", "wrong", "")
	}
	if a := v.signIn("alice", "ecila", ""); a.status != http.StatusTooManyRequests || v.cookie() != "" {
		t.Error("alice:", a.status)
	}
}

func TestFormsThatAreTooLongAreRefused(t *testing.T) {
	s := newSite(t, nil)
	if a := s.visitor().signIn("alice", strings.Repeat("x", 64<<10), ""); a.status != http.StatusBadRequest {
		t.Error("sign-in:", a.status)
	}
	long := url.Values{"grant": {strings.Repeat("x", 64<<10)}, "client": {"x"}}
	olga := s.signedIn("olga", "aglo")
	for _, path := range []string{"/apps/disconnect", "/operator/delete"} {
		if a := olga.post(path, long); a.status != http.StatusBadRequest {
			t.Error(path, a.status)
		}
	}
}

func TestAFormOfAnotherSiteIsRefused(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn("alice", "ecila")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/sign-out", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://evil.example")
	response, err := v.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Error(response.Status)
	}
}
