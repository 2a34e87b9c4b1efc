package flow_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

const verifier = "a-verifier-of-forty-three-characters-or-more-"

var errNotYours = errors.New("invalid_client")

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a store with the client "app", a clock, and a flow over both.
type world struct {
	*testing.T
	ctx   context.Context
	clock *clock
	store repository.Store
	flow  *flow.Flow
}

func newWorld(t *testing.T, opts *flow.Options) *world {
	t.Helper()
	c := &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	w := &world{T: t, ctx: t.Context(), clock: c, store: memoryrepo.New(&memoryrepo.Options{Now: c.Now})}
	t.Cleanup(func() { _ = w.store.Close() })
	w.flow = flow.New(w.store, opts)
	w.ok(w.store.Clients().Create(w.ctx, domain.Client{ID: "app", Kind: domain.Preregistered}))
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("unexpected error: %v", err)
	}
}

func (w *world) is(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("got error %v, want %v", err, want)
	}
}

// authorize stores a grant with a code and returns the raw code.
func (w *world) authorize(change ...func(*domain.Grant)) (grantID, raw string) {
	w.Helper()
	raw = domain.NewSecret()
	grant := domain.Grant{ID: domain.NewID(), ClientID: "app", Subject: "ann", Scopes: []string{"read", "write"}, Resources: []string{"https://mcp.example"}}
	for _, f := range change {
		f(&grant)
	}
	w.ok(w.flow.Authorize(w.ctx, grant, domain.AuthorizationCode{
		Digest: domain.DigestOf(raw), Scopes: grant.Scopes, RedirectURI: "https://app.example/cb",
		CodeChallenge: verifier, CodeChallengeMethod: domain.MethodPlain,
		ExpiresAt: w.clock.Now().Add(10 * time.Minute),
	}))
	return grant.ID, raw
}

func endsIn(w *world, d time.Duration) func(*domain.Grant) {
	return func(g *domain.Grant) { g.ExpiresAt = w.clock.Now().Add(d) }
}

// mint makes an access token of an hour and a refresh token of thirty days.
func (w *world) mint(scopes []string) flow.Issued {
	access, refresh := domain.NewSecret(), domain.NewSecret()
	now := w.clock.Now()
	return flow.Issued{
		Tokens: []domain.Token{
			{Digest: domain.DigestOf(access), Kind: domain.AccessToken, Scopes: scopes, ExpiresAt: now.Add(time.Hour)},
			{Digest: domain.DigestOf(refresh), Kind: domain.RefreshToken, Scopes: scopes, ExpiresAt: now.Add(30 * 24 * time.Hour)},
		},
		Response: flow.Response{AccessToken: access, RefreshToken: refresh, Scope: domain.FormatScope(scopes)},
	}
}

func (w *world) exchange(raw string) (flow.Response, error) { return w.exchangeWith(raw, verifier) }

func (w *world) exchangeWith(raw, verifier string) (flow.Response, error) {
	return w.flow.ExchangeCode(w.ctx, flow.CodeExchange{
		Code:  raw,
		Check: func(c domain.AuthorizationCode) error { return c.VerifyPKCE(verifier) },
		Issue: func(c domain.AuthorizationCode, _ domain.Grant) (flow.Issued, error) { return w.mint(c.Scopes), nil },
	})
}

// signedIn returns a grant with its first tokens.
func (w *world) signedIn(change ...func(*domain.Grant)) (grantID string, first flow.Response) {
	w.Helper()
	grantID, raw := w.authorize(change...)
	first, err := w.exchange(raw)
	w.ok(err)
	return grantID, first
}

func (w *world) refresh(raw string) (flow.Response, bool, error) { return w.refreshAs("app", raw, nil) }

// refreshAs asks as a client for scopes, nil for those of the old token.
func (w *world) refreshAs(clientID, raw string, scopes []string) (flow.Response, bool, error) {
	return w.flow.Refresh(w.ctx, flow.RefreshRequest{
		Token: raw,
		Check: func(old domain.Token) error {
			if old.ClientID != clientID {
				return errNotYours
			}
			return nil
		},
		Issue: func(old domain.Token, _ domain.Grant) (flow.Issued, error) {
			if scopes == nil {
				return w.mint(old.Scopes), nil
			}
			issued := w.mint(old.Scopes)
			issued.Tokens[0].Scopes, issued.Response.Scope = scopes, domain.FormatScope(scopes)
			return issued, nil
		},
	})
}

func (w *world) active(raw string, want bool) {
	w.Helper()
	_, active, err := w.flow.Introspect(w.ctx, raw)
	w.ok(err)
	if active != want {
		w.Fatalf("active is %v, want %v", active, want)
	}
}

// revoked holds that the grant was revoked for a reason; the empty one stands for a live grant.
func (w *world) revoked(grantID string, why domain.Reason) {
	w.Helper()
	grant, _ := w.store.Grants().Get(w.ctx, grantID)
	if grant.ID != grantID || grant.RevokedReason != why {
		w.Fatalf("grant was revoked for %q, want %q", grant.RevokedReason, why)
	}
}
