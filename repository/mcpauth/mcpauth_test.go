package mcpauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/mcpauth"
)

const resource = "https://mcp.example/mcp"

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// issue stores a token, which change may make another one, and returns its store.
func issue(t *testing.T, raw string, change func(token *domain.Token)) repository.Store {
	t.Helper()
	ctx := t.Context()
	store := memoryrepo.New(&memoryrepo.Options{Now: func() time.Time { return start.Add(time.Minute) }})
	t.Cleanup(func() { _ = store.Close() })
	token := domain.Token{
		Digest: domain.DigestOf(raw), Kind: domain.AccessToken, GrantID: "grant", ClientID: "client", Subject: "alice",
		Scopes: []string{"notes"}, Resources: []string{"https://other.example", resource},
		CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}
	change(&token)
	for _, err := range []error{
		store.Clients().Create(ctx, domain.Client{ID: "client", Kind: domain.Dynamic, CreatedAt: start, UpdatedAt: start}),
		store.Grants().Create(ctx, domain.Grant{ID: "grant", ClientID: "client", Subject: "alice", CreatedAt: start}),
		store.Tokens().Create(ctx, token),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func same(*domain.Token) {}

func TestALiveAccessTokenForTheResourceIsAccepted(t *testing.T) {
	store := issue(t, "live", same)
	info, err := mcpauth.Verifier(store.Tokens(), resource)(t.Context(), "live", nil)
	if err != nil {
		t.Fatal(err)
	}
	if info.UserID != "alice" || len(info.Scopes) != 1 || info.Scopes[0] != "notes" || !info.Expiration.Equal(start.Add(time.Hour)) ||
		info.Extra[mcpauth.ClientID] != "client" || info.Extra[mcpauth.GrantID] != "grant" {
		t.Errorf("%+v", info)
	}
}

func TestAResourceMayBeWrittenInAnotherWay(t *testing.T) {
	store := issue(t, "live", func(token *domain.Token) {
		token.Resources = []string{strings.ToUpper(resource[:12]) + resource[12:] + "/"}
	})
	if _, err := mcpauth.Verifier(store.Tokens(), resource)(t.Context(), "live", nil); err != nil {
		t.Error(err)
	}
}

func TestAnyOtherTokenIsRefusedWithoutAHintWhy(t *testing.T) {
	for name, change := range map[string]func(token *domain.Token){
		"an unknown token":           func(token *domain.Token) { token.Digest = domain.DigestOf("another") },
		"a refresh token":            func(token *domain.Token) { token.Kind = domain.RefreshToken },
		"a token for others":         func(token *domain.Token) { token.Resources = []string{"https://mcp.example", resource + "/other"} },
		"a token without a resource": func(token *domain.Token) { token.Resources = nil },
		"an expired token":           func(token *domain.Token) { token.ExpiresAt = start.Add(time.Second) },
	} {
		t.Run(name, func(t *testing.T) { isRefused(t, issue(t, "raw", change)) })
	}
	t.Run("a revoked token", func(t *testing.T) {
		store := issue(t, "raw", same)
		if err := store.Tokens().Revoke(t.Context(), domain.DigestOf("raw")); err != nil {
			t.Fatal(err)
		}
		isRefused(t, store)
	})
	t.Run("a token of a revoked grant", func(t *testing.T) {
		store := issue(t, "raw", same)
		if _, err := store.Grants().Revoke(t.Context(), repository.GrantFilter{ID: "grant"}, domain.ByUser); err != nil {
			t.Fatal(err)
		}
		isRefused(t, store)
	})
}

func isRefused(t *testing.T, store repository.Store) {
	t.Helper()
	info, err := mcpauth.Verifier(store.Tokens(), resource)(t.Context(), "raw", nil)
	if info != nil || !errors.Is(err, auth.ErrInvalidToken) || err.Error() != "mcpauth: "+auth.ErrInvalidToken.Error() {
		t.Errorf("%+v, %v", info, err)
	}
}

// broken is a store that cannot answer, and says more than a client should read.
type broken struct{ repository.Tokens }

var errBroken = errors.New("dial tcp 10.0.0.7:5432: connection refused")

func (broken) Get(context.Context, domain.Digest) (domain.Token, error) {
	return domain.Token{}, errBroken
}

func TestAStoreThatCannotAnswerIsNoInvalidToken(t *testing.T) {
	verify := mcpauth.Verifier(broken{}, resource)
	if _, err := verify(t.Context(), "raw", nil); !errors.Is(err, errBroken) || errors.Is(err, auth.ErrInvalidToken) {
		t.Error(err)
	}
	guarded := auth.RequireBearerToken(verify, nil)(http.NotFoundHandler())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, resource, nil)
	r.Header.Set("Authorization", "Bearer raw")
	answer := httptest.NewRecorder()
	guarded.ServeHTTP(answer, r)
	if answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), "10.0.0.7") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
