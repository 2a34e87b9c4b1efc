package domain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

func TestAClientAuthenticatesWithEachOfItsLiveSecrets(t *testing.T) {
	c := domain.Client{Secrets: []domain.Secret{
		{Digest: domain.DigestOf("old"), ExpiresAt: now},
		{Digest: domain.DigestOf("leaving"), ExpiresAt: now.Add(time.Microsecond)},
		{Digest: domain.DigestOf("new")},
	}}
	for secret, want := range map[string]bool{"old": false, "leaving": true, "new": true, "": false, "other": false} {
		if c.Authenticate(secret, now) != want {
			t.Errorf("Authenticate(%q) is not %v", secret, want)
		}
	}
	if (domain.Client{}).Authenticate("", now) {
		t.Error("a public client authenticated")
	}
	if !(domain.Client{}).Public() || c.Public() {
		t.Error("Public is wrong")
	}
}

func TestARedirectMatchesExactlyButForTheLoopbackPort(t *testing.T) {
	for _, tt := range []struct {
		registered, presented string
		want                  bool
	}{
		{"https://app.example/cb", "https://app.example/cb", true},
		{"https://app.example/cb", "https://app.example/cb/", false},
		{"https://app.example/cb", "https://app.example/CB", false},
		{"https://app.example/cb", "https://APP.example/cb", false},
		{"https://app.example/cb", "https://app.example:443/cb", false},
		{"https://app.example/cb", "https://app.example/cb?x=1", false},
		{"https://app.example/cb", "https://app.example/a/../cb", false},
		{"https://app.example/cb", "http://app.example/cb", false},
		{"https://app.example/cb", "", false},
		{"", "", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51234/cb", true},
		{"http://127.0.0.1:8080/cb", "http://127.0.0.1:51234/cb", true},
		{"http://127.0.0.1:8080/cb", "http://127.0.0.1/cb", true},
		{"http://[::1]/cb", "http://[::1]:51234/cb", true},
		{"http://localhost/cb", "http://localhost:51234/cb", true},
		{"http://127.0.0.1", "http://127.0.0.1:1", true},
		{"http://127.0.0.1?a=b", "http://127.0.0.1:1?a=b", true},
		{"http://127.0.0.1/cb", "http://localhost:51234/cb", false},
		{"http://127.0.0.1/cb", "https://127.0.0.1:51234/cb", false},
		{"https://127.0.0.1/cb", "https://127.0.0.1:51234/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:123456/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:80x/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb#f", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb?x", false},
		{"http://127.0.0.1/cb", "HTTP://127.0.0.1:8080/cb", false},
		{"http://localhost/cb", "http://localhost.:8080/cb", false},
		{"http://localhost/cb", "http://localhost@evil.example/cb", false},
		{"http://127.0.0.2/cb", "http://127.0.0.2:8080/cb", false},
		{"app:/cb", "app:/cb", true},
	} {
		c := domain.Client{Metadata: domain.ClientMetadata{RedirectURIs: []string{"https://other.example/", tt.registered}}}
		if c.AllowsRedirect(tt.presented) != tt.want {
			t.Errorf("%q for %q is not %v", tt.presented, tt.registered, tt.want)
		}
	}
}

// FuzzAllowsRedirect: what is allowed is what was registered once a loopback port is put aside, and
// never leads to another host.
func FuzzAllowsRedirect(f *testing.F) {
	f.Add("http://127.0.0.1/cb", "http://127.0.0.1:8080/cb")
	f.Add("https://app.example/cb", "https://app.example/cb")
	f.Add("http://[::1]?x", "http://[::1]:1?x")
	f.Add("http://localhost:1/", "http://localhost:2@evil/")
	f.Fuzz(func(t *testing.T, registered, presented string) {
		c := domain.Client{Metadata: domain.ClientMetadata{RedirectURIs: []string{registered}}}
		allowed := c.AllowsRedirect(presented)
		if registered == presented {
			if allowed != (presented != "") {
				t.Fatalf("%q for itself: %v", presented, allowed)
			}
			return
		}
		if !allowed {
			return
		}
		back := domain.Client{Metadata: domain.ClientMetadata{RedirectURIs: []string{presented}}}
		if !back.AllowsRedirect(registered) {
			t.Fatalf("%q allows %q, and not the other way round", registered, presented)
		}
		host, loopback := loopbackHost(presented)
		if other, _ := loopbackHost(registered); !loopback || host != other {
			t.Fatalf("%q was allowed for %q", presented, registered)
		}
		if strings.ContainsAny(presented, "#@\\") && !strings.ContainsAny(registered, "#@\\") {
			t.Fatalf("%q was allowed for %q", presented, registered)
		}
	})
}

func loopbackHost(uri string) (string, bool) {
	authority, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", false
	}
	if end := strings.IndexAny(authority, "/?"); end >= 0 {
		authority = authority[:end]
	}
	host := authority
	if colon := strings.LastIndex(authority, ":"); colon > strings.LastIndex(authority, "]") {
		host = authority[:colon]
	}
	return host, host == "127.0.0.1" || host == "[::1]" || host == "localhost"
}

func TestValidateNamesTheFieldAndNotTheValue(t *testing.T) {
	valid := domain.Client{ID: "app", Kind: domain.Dynamic}
	if err := valid.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, breakIt := range map[string]func(c *domain.Client){
		"ID":                     func(c *domain.Client) { c.ID = "" },
		"Kind":                   func(c *domain.Client) { c.Kind = "SECRETVALUE" },
		"Secrets":                func(c *domain.Client) { c.Secrets = []domain.Secret{{}} },
		"Metadata.redirect_uris": func(c *domain.Client) { c.Metadata.RedirectURIs = []string{"javascript:SECRETVALUE"} },
		"Metadata.client_name":   func(c *domain.Client) { c.Metadata.ClientName = "SECRETVALUE\x00" },
		"Metadata.jwks":          func(c *domain.Client) { c.Metadata.JWKS = []byte("SECRETVALUE") },
		"Metadata.Extra": func(c *domain.Client) {
			c.Metadata.Extra = map[string]jsonText{"x": []byte("SECRETVALUE")}
		},
		"UpdatedAt": func(c *domain.Client) { c.UpdatedAt = time.Time{}.Add(999) },
		"CreatedAt": func(c *domain.Client) { c.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		c := valid
		breakIt(&c)
		err := c.Validate()
		var at *domain.FieldError
		if !errors.As(err, &at) || at.Field != field || strings.Contains(err.Error(), "SECRETVALUE") {
			t.Errorf("%s: %v", field, err)
		}
	}
	long := valid
	long.ID = strings.Repeat("x", domain.MaxClientID)
	if err := long.Validate(); err != nil {
		t.Error(err)
	}
	long.ID += "x"
	if err := long.Validate(); err == nil {
		t.Error("an ID above the limit is valid")
	}
}

func TestRedirectURIsThatCanNeverBeOnesAreRefused(t *testing.T) {
	for _, uri := range []string{
		"", "/relative", "app.example/cb", "https://", "https:///cb", "https://app.example/#f", "https://app.example/#",
		"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "http://a b/", "\x00https://a/",
	} {
		if err := (domain.ClientMetadata{RedirectURIs: []string{uri}}).Validate(); err == nil {
			t.Errorf("%q is valid", uri)
		}
	}
	for _, uri := range []string{"https://app.example/cb", "http://127.0.0.1/cb", "com.example.app:/cb", "cursor://anysphere.cursor-mcp/oauth/cb"} {
		if err := (domain.ClientMetadata{RedirectURIs: []string{uri}}).Validate(); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
}
