package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/pages"
	"github.com/oauthstore/oauthstore/repository"
)

func TestASessionIsAGrantOfTheSiteItself(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn("alice", "ecila")
	token, err := s.store.Tokens().Get(t.Context(), domain.DigestOf(v.cookie()))
	if err != nil {
		t.Fatal(err)
	}
	if token.ClientID != "website" || token.Subject != "alice" || token.Kind != domain.AccessToken {
		t.Errorf("the token is %+v", token)
	}
	if grant, err := s.store.Grants().Get(t.Context(), token.GrantID); err != nil || !grant.ExpiresAt.Equal(s.clock.Now().Add(12*time.Hour)) {
		t.Errorf("the grant ends at %v: %v", grant.ExpiresAt, err)
	}
}

func TestEachSignInHasItsOwnSession(t *testing.T) {
	s := newSite(t, nil)
	first, second := s.signedIn("alice", "ecila"), s.signedIn("alice", "ecila")
	if first.cookie() == second.cookie() {
		t.Error("two sign-ins have the same cookie")
	}
	first.post("/sign-out", nil)
	if a := second.get("/apps"); a.status != http.StatusOK {
		t.Error("the sign-out of one ended the other:", a.status)
	}
}

func TestTheCookieIsForThisSiteAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		secure bool
		want   string
	}{
		"over http":  {false, "session="},
		"over https": {true, "__Host-session="},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(o *pages.Options) { o.Secure = tt.secure })
			got := s.visitor().signIn("alice", "ecila", "").header.Get("Set-Cookie")
			for _, want := range []string{"Path=/;", "HttpOnly", "SameSite=Lax", "Max-Age=43200"} {
				if !strings.HasPrefix(got, tt.want) || !strings.Contains(got, want) {
					t.Errorf("%s, want it to begin with %s and to have %s", got, tt.want, want)
				}
			}
			if strings.Contains(got, "; Secure") != tt.secure || strings.Contains(got, "Domain") {
				t.Error(got)
			}
		})
	}
}

func TestSignInRefusesWithoutSayingWhatWasWrong(t *testing.T) {
	s := newSite(t, nil)
	var bodies []string
	for _, name := range []string{"alice", "mallory"} {
		v := s.visitor()
		a := v.signIn(name, "wrong", "/operator?q=a&after=b")
		if a.status != http.StatusUnauthorized || !strings.Contains(a.body, `role="alert"`) || v.cookie() != "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		for _, want := range []string{`value="` + name + `"`, `value="/operator?q=a&amp;after=b"`} {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s: %s is not kept", name, want)
			}
		}
		if strings.Contains(a.body, "wrong") {
			t.Errorf("%s: the password is on the page", name)
		}
		bodies = append(bodies, strings.ReplaceAll(a.body, name, ""))
	}
	if bodies[0] != bodies[1] {
		t.Error("the page tells whether the user is known")
	}
}

func TestSignOutEndsTheSessionInTheStore(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn("alice", "ecila")
	value := v.cookie()
	if a := v.post("/sign-out", nil); a.status != http.StatusSeeOther || v.cookie() != "" {
		t.Errorf("sign-out: %d, the cookie is %q", a.status, v.cookie())
	}
	v.setCookie(value)
	if a := v.get("/apps"); a.status != http.StatusSeeOther {
		t.Error("the old cookie still works:", a.status)
	}
	ended, err := s.store.Grants().List(t.Context(), repository.GrantFilter{Subject: "alice"}, repository.Page{})
	if err != nil || len(ended) != 1 || ended[0].RevokedReason != domain.ByUser {
		t.Errorf("%+v %v", ended, err)
	}
}

func TestNobodyIsSignedIn(t *testing.T) {
	s := newSite(t, nil)
	s.addClient("app", "App", domain.Dynamic)
	s.addGrant(domain.Grant{ID: "g", ClientID: "app", Subject: "alice"})
	s.addGrant(domain.Grant{ID: "gone", ClientID: "website", Subject: "carol"})
	s.addGrant(domain.Grant{ID: "own", ClientID: "website", Subject: "alice"})
	refresh := domain.Token{
		Digest: domain.DigestOf("refresh"), Kind: domain.RefreshToken, GrantID: "own", ClientID: "website", Subject: "alice",
	}
	if err := s.store.Tokens().Create(t.Context(), refresh); err != nil {
		t.Fatal(err)
	}
	for name, cookie := range map[string]string{
		"without a cookie": "", "with a wrong one": "x", "with another client's access token": "g-token",
		"with a refresh token": "refresh", "as a user who was removed": "gone-token",
	} {
		t.Run(name, func(t *testing.T) {
			v := s.visitor()
			v.setCookie(cookie)
			if a := v.get("/apps?done=1"); a.status != http.StatusSeeOther || a.location() != "/sign-in?next=%2Fapps%3Fdone%3D1" {
				t.Error(a.status, a.location())
			}
			if a := v.post("/apps/disconnect", url.Values{"grant": {"g"}}); a.location() != "/sign-in" {
				t.Error(a.status, a.location())
			}
			s.revokedIs("g", "")
		})
	}
}

func TestASessionEndsAfterTwelveHours(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn("alice", "ecila")
	s.clock.move(12*time.Hour - time.Second)
	if a := v.get("/apps"); a.status != http.StatusOK {
		t.Error("just before:", a.status)
	}
	s.clock.move(time.Second)
	if a := v.get("/apps"); a.status != http.StatusSeeOther {
		t.Error("at its end:", a.status)
	}
}

func TestAStoreThatCannotAnswerIsNotASignOut(t *testing.T) {
	s := newSite(t, func(o *pages.Options) { o.Store = brokenStore{o.Store} })
	v := s.visitor()
	v.setCookie("x")
	for _, path := range []string{"/apps", "/operator", "/operator/counts", "/sign-in"} {
		if a := v.get(path); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, a.status, a.header)
		}
	}
	if a := v.post("/sign-out", nil); a.status != http.StatusServiceUnavailable {
		t.Error("sign-out:", a.status)
	}
}

func TestPrepareMayRunAgain(t *testing.T) {
	s := newSite(t, nil)
	if err := s.pages.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
	if c, err := s.store.Clients().Get(t.Context(), "website"); err != nil || c.Kind != domain.Preregistered {
		t.Error(c, err)
	}
}
