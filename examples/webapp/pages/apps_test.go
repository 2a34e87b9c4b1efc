package pages_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

func TestAppsShowsWhatAUserConnected(t *testing.T) {
	s := newSite(t, nil)
	s.addClient("app", "Sample", domain.Dynamic)
	s.addClient("nameless", "", domain.Dynamic)
	s.addGrant(domain.Grant{
		ID: "g1", ClientID: "app", Subject: "alice", Scopes: []string{"profile", "x:y"}, Resources: []string{"https://mcp.example/mcp"},
	})
	s.addGrant(domain.Grant{ID: "g2", ClientID: "nameless", Subject: "alice"})
	s.addClient("bobs", "Of Bob", domain.Dynamic)
	s.addGrant(domain.Grant{ID: "g3", ClientID: "bobs", Subject: "bob"})
	body := s.signedIn("alice", "ecila").get("/apps").body
	for _, want := range []string{
		"<bdi>Sample</bdi>", "<bdi>nameless</bdi>", "See who you are", "x:y", "https://mcp.example/mcp",
		`<time datetime="2026-03-14T09:26:53Z">14 Mar 2026, 09:26 UTC</time>`, `name="grant" value="g1"`, `name="grant" value="g2"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, other := range []string{"Of Bob", "g3", "website", "This website"} {
		if strings.Contains(body, other) {
			t.Errorf("the page has %s", other)
		}
	}
}

func TestAppsSaysWhyAGrantEnded(t *testing.T) {
	s := newSite(t, nil)
	s.addClient("app", "Sample", domain.Dynamic)
	for reason, want := range map[domain.Reason]string{
		domain.ByUser: "you disconnected it", domain.ByClient: "the app signed out", domain.ByOperator: "an operator ended it",
		domain.CodeReplayed:       "its authorization code was used twice: a sign of theft",
		domain.RefreshTokenReused: "an old refresh token was used again: a sign of theft",
		"":                        "it expired",
	} {
		t.Run(want, func(t *testing.T) {
			id := domain.NewID()
			s.addGrant(domain.Grant{ID: id, ClientID: "app", Subject: "alice", ExpiresAt: s.clock.Now().Add(time.Hour)})
			if reason == "" {
				s.clock.move(time.Hour)
			} else {
				s.revoke(id, reason)
			}
			body := s.signedIn("alice", "ecila").get("/apps").body
			if !strings.Contains(body, "Ended: "+want) || strings.Contains(body, id) {
				t.Error(body)
			}
		})
	}
}

func TestDisconnectEndsAGrantOfTheUserAlone(t *testing.T) {
	s := newSite(t, nil)
	s.addClient("app", "Sample", domain.Dynamic)
	s.addGrant(domain.Grant{ID: "alices", ClientID: "app", Subject: "alice"})
	s.addGrant(domain.Grant{ID: "stolen", ClientID: "app", Subject: "alice"})
	s.revoke("stolen", domain.CodeReplayed)
	s.addGrant(domain.Grant{ID: "bobs", ClientID: "app", Subject: "bob"})
	s.addGrant(domain.Grant{ID: "session", ClientID: "website", Subject: "alice"})
	s.addGrant(domain.Grant{ID: "of-the-client", ClientID: "app"})
	v := s.signedIn("alice", "ecila")
	for _, tt := range []struct {
		id     string
		status int
		reason domain.Reason // afterwards
	}{
		{"bobs", http.StatusNotFound, ""},
		{"session", http.StatusNotFound, ""},
		{"of-the-client", http.StatusNotFound, ""},
		{"alices", http.StatusSeeOther, domain.ByUser},
		{"alices", http.StatusSeeOther, domain.ByUser},
		{"stolen", http.StatusSeeOther, domain.CodeReplayed},
	} {
		a := v.post("/apps/disconnect", url.Values{"grant": {tt.id}})
		if a.status != tt.status {
			t.Errorf("%s: %d, want %d", tt.id, a.status, tt.status)
		}
		s.revokedIs(tt.id, tt.reason)
	}
	for _, id := range []string{"", "unknown", "a\x00", "\xff"} {
		if a := v.post("/apps/disconnect", url.Values{"grant": {id}}); a.status != http.StatusNotFound {
			t.Errorf("%q: %d", id, a.status)
		}
	}
	a := v.post("/apps/disconnect", url.Values{"grant": {"alices"}})
	if body := v.get(a.location()).body; !strings.Contains(body, `role="status">Disconnected.`) {
		t.Error(body)
	}
}

func TestAppsGoesThroughAllPages(t *testing.T) {
	s := newSite(t, nil)
	s.addClient("app", "Sample", domain.Dynamic)
	var want []string
	for i := range 45 {
		id := fmt.Sprintf("g%03d", i)
		s.addGrant(domain.Grant{ID: id, ClientID: "app", Subject: "alice"})
		want = append(want, id)
	}
	for i := range 150 { // sessions are no apps, and do not make pages empty
		s.addGrant(domain.Grant{ID: fmt.Sprintf("a%03d", i), ClientID: "website", Subject: "alice"})
	}
	for i := range 21 {
		id := fmt.Sprintf("z%03d", i)
		s.addGrant(domain.Grant{ID: id, ClientID: "app", Subject: "alice", Scopes: []string{id}})
		s.revoke(id, domain.ByUser)
	}
	v := s.signedIn("alice", "ecila")
	var got []string
	pages := 0
	for path := "/apps"; path != ""; pages++ {
		body := v.get(path).body
		got = append(got, found(body, `name="grant" value="([^"]*)"`)...)
		path = next(body, `href="([^"]*)">Next page <span class="hidden">of connected`)
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("%d pages with %v", pages, got)
	}
	body := v.get(next(v.get("/apps").body, `href="([^"]*)">Next page <span class="hidden">of ended`)).body
	if !slices.Equal(found(body, `<dd>(z\d+)</dd>`), []string{"z020"}) {
		t.Error(body)
	}
}

func TestAnyCursorIsSafe(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn("olga", "aglo")
	for _, cursor := range []string{"%00", "%ff", "'", "%F0%9F%98%80", strings.Repeat("x", 5000)} {
		for _, path := range []string{"/apps?live=", "/apps?ended=", "/operator?after=", "/operator?q=", "/operator?q=a&after="} {
			if a := v.get(path + cursor); a.status != http.StatusOK {
				t.Errorf("%s%.20s: %d", path, cursor, a.status)
			}
		}
	}
}

// found returns what the first group of the pattern matches in a page.
func found(body, pattern string) (out []string) {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(body, -1) {
		out = append(out, html.UnescapeString(match[1]))
	}
	return out
}

// next returns the first that is found, or "".
func next(body, pattern string) string {
	if all := found(body, pattern); len(all) > 0 {
		return all[0]
	}
	return ""
}
