package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
)

// asking returns a consent that goes to that redirect URI.
func asking(t *testing.T, client domain.Client, redirect string) authserver.Consent {
	t.Helper()
	u, err := url.Parse(redirect)
	if err != nil {
		t.Fatal(err)
	}
	return authserver.Consent{
		Client: client, Redirect: u, Subject: "alice", Scopes: []string{"profile", "notes", "files:read"},
		Resources: []string{"https://mcp.example/mcp"},
		Form:      url.Values{"client_id": {client.ID}, "state": {`"><script>`}, "resource": {"a", "b"}},
	}
}

func named(id, name string, kind domain.ClientKind) domain.Client {
	return domain.Client{ID: id, Kind: kind, Metadata: domain.ClientMetadata{ClientName: name}}
}

func TestConsentNamesWhoAsksForWhat(t *testing.T) {
	s := newSite(t, nil)
	for name, tt := range map[string]struct {
		client domain.Client
		want   string
		isnt   string
	}{
		"by its name":         {named("app", "Sample", domain.Preregistered), "<bdi>Sample</bdi>", "verified"},
		"by its ID":           {named("app-7", "", domain.Preregistered), "<bdi>app-7</bdi>", "verified"},
		"as it says itself":   {named("app", "Sample", domain.Dynamic), "Nobody has verified it", "described by"},
		"by its own document": {named("https://app.example:8443/c", "Sample", domain.MetadataDocument), "<strong>app.example:8443</strong>", "verified"},
	} {
		t.Run(name, func(t *testing.T) {
			s.consent = asking(t, tt.client, "https://app.example/callback")
			a := s.visitor().get("/authorize?client_id=app")
			for _, want := range []string{
				tt.want, "See who you are", "Read and write your notes", "files:read", "https://mcp.example/mcp", "<strong>app.example</strong>",
				"<bdi>alice</bdi>", `method="post" action="/authorize"`, `name="resource" value="a"`, `name="resource" value="b"`,
				`name="state" value="&#34;&gt;&lt;script&gt;"`, `name="decision" value="allow"`, `name="decision" value="deny"`,
			} {
				if !strings.Contains(a.body, want) {
					t.Errorf("the page has no %s", want)
				}
			}
			if a.status != http.StatusOK || strings.Contains(a.body, tt.isnt) {
				t.Errorf("%d, it has %s", a.status, tt.isnt)
			}
		})
	}
}

func TestConsentSaysWhereTheAnswerGoes(t *testing.T) {
	s := newSite(t, nil)
	for redirect, want := range map[string]struct{ shown, source string }{
		"https://app.example/callback?x=1":    {"<strong>app.example</strong>", " https://app.example"},
		"https://app.example:8443/callback":   {"<strong>app.example:8443</strong>", " https://app.example:8443"},
		"http://127.0.0.1:7777/callback":      {"<strong>127.0.0.1:7777</strong>, a program on this device", " http://127.0.0.1:7777"},
		"http://[::1]:7777/callback":          {"<strong>[::1]:7777</strong>, a program on this device", " http:"},
		"http://localhost/callback":           {"<strong>localhost</strong>, a program on this device", " http://localhost"},
		"com.example.app:/callback":           {"<strong>com.example.app:</strong>", " com.example.app:"},
		"cursor://anysphere.cursor/callback":  {"<strong>cursor:</strong>", " cursor:"},
		"https://user:pw@app.example/":        {"<strong>app.example</strong>", " https://app.example"},
		"https://a;script-src*.example/":      {"<strong>a;script-src*.example</strong>", ""},
		"https://a,b.example/":                {"<strong>a,b.example</strong>", ""},
		"https://a'b.example/":                {"<strong>a&#39;b.example</strong>", ""},
		"https://*.example/":                  {"<strong>*.example</strong>", ""},
		"https://%C3%BC.example/":             {"<strong>ü.example</strong>", ""},
		"https://app.example/;default-src%20": {"<strong>app.example</strong>", " https://app.example"},
	} {
		t.Run(redirect, func(t *testing.T) {
			s.consent = asking(t, named("app", "Sample", domain.Dynamic), redirect)
			a := s.visitor().get("/authorize")
			if !strings.Contains(a.body, want.shown) {
				t.Errorf("the page has no %s", want.shown)
			}
			if got := a.header.Get("Content-Security-Policy"); got != ownPolicy+want.source {
				t.Errorf("the policy is %s", got)
			}
		})
	}
}

func TestConsentWithoutResourcesHasNoPlaceForThem(t *testing.T) {
	s := newSite(t, nil)
	s.consent = asking(t, named("app", "Sample", domain.Dynamic), "https://app.example/")
	s.consent.Resources = nil
	if body := s.visitor().get("/authorize").body; strings.Contains(body, "<dt>At</dt>") {
		t.Error(body)
	}
}
