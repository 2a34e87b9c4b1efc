package flow_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

func TestAuthorizeStoresGrantAndCodeOrNeither(t *testing.T) {
	w := newWorld(t, nil)
	grantID, raw := w.authorize()
	code, err := w.store.AuthorizationCodes().Get(w.ctx, domain.DigestOf(raw))
	w.ok(err)
	if code.GrantID != grantID || code.ClientID != "app" || code.Subject != "ann" {
		t.Fatal("the code does not carry what the grant says")
	}

	other := domain.Grant{ID: "g2", ClientID: "app"}
	err = w.flow.Authorize(w.ctx, other, domain.AuthorizationCode{Digest: code.Digest, ExpiresAt: code.ExpiresAt})
	w.is(err, repository.ErrAlreadyExists)
	_, err = w.store.Grants().Get(w.ctx, "g2")
	w.is(err, repository.ErrNotFound)
}

func TestAuthorizeRefusesACodeBeyondItsGrant(t *testing.T) {
	w := newWorld(t, nil)
	for _, code := range []domain.AuthorizationCode{{Scopes: []string{"admin"}}, {Resources: []string{"https://other.example"}}} {
		code.Digest, code.ExpiresAt = domain.DigestOf(domain.NewSecret()), w.clock.Now().Add(time.Minute)
		err := w.flow.Authorize(w.ctx, domain.Grant{ID: "g", ClientID: "app", Scopes: []string{"read"}}, code)
		w.is(err, repository.ErrInvalid)
	}
}

func TestAResourceOfTheGrantMayBeWrittenInAnotherWay(t *testing.T) {
	w := newWorld(t, nil)
	grant := domain.Grant{ID: "g", ClientID: "app", Resources: []string{"https://mcp.example"}}
	w.ok(w.flow.Authorize(w.ctx, grant, domain.AuthorizationCode{
		Digest: domain.DigestOf(domain.NewSecret()), ExpiresAt: w.clock.Now().Add(time.Minute), Resources: []string{"https://MCP.example:443/"},
	}))
}

func TestExchangeStoresTheTokensUnderTheGrant(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	if first.TokenType != "Bearer" || first.ExpiresIn != 3600 {
		t.Fatalf("type %q, expires in %d", first.TokenType, first.ExpiresIn)
	}
	for _, raw := range []string{first.AccessToken, first.RefreshToken} {
		token, active, err := w.flow.Introspect(w.ctx, raw)
		w.ok(err)
		if !active || token.GrantID != grantID || token.ClientID != "app" || token.Subject != "ann" {
			t.Fatal("the token is not live under the grant")
		}
	}
}

func TestARefusedExchangeDoesNotBurnTheCode(t *testing.T) {
	w := newWorld(t, nil)
	grantID, raw := w.authorize()
	_, err := w.exchangeWith(raw, strings.Repeat("x", 43))
	if err != domain.ErrPKCE {
		t.Fatalf("got %v, want the error of Check unchanged", err)
	}
	refusal := errors.New("not today")
	_, err = w.flow.ExchangeCode(w.ctx, flow.CodeExchange{
		Code:  raw,
		Check: func(domain.AuthorizationCode) error { return nil },
		Issue: func(domain.AuthorizationCode, domain.Grant) (flow.Issued, error) { return flow.Issued{}, refusal },
	})
	if err != refusal {
		t.Fatalf("got %v, want the error of Issue unchanged", err)
	}
	w.revoked(grantID, "")
	_, err = w.exchange(raw)
	w.ok(err)
}

func TestAReplayedCodeRevokesItsGrantForGood(t *testing.T) {
	w := newWorld(t, nil)
	grantID, raw := w.authorize()
	first, err := w.exchange(raw)
	w.ok(err)
	second, _, err := w.refresh(first.RefreshToken)
	w.ok(err)

	again, err := w.exchange(raw)
	w.is(err, repository.ErrConsumed)
	if again.AccessToken != "" {
		t.Fatal("a replay got tokens")
	}
	w.revoked(grantID, domain.CodeReplayed)
	for _, token := range []string{first.AccessToken, second.AccessToken, second.RefreshToken} {
		w.active(token, false)
	}
	_, err = w.exchange(raw)
	w.is(err, repository.ErrRevoked)
}

func TestAReplayThatCheckRefusesRevokesNothing(t *testing.T) {
	w := newWorld(t, nil)
	grantID, raw := w.authorize()
	first, err := w.exchange(raw)
	w.ok(err)
	_, err = w.exchangeWith(raw, strings.Repeat("x", 43))
	w.is(err, domain.ErrPKCE)
	w.revoked(grantID, "")
	w.active(first.AccessToken, true)
}

func TestAReplayTouchesNoOtherGrant(t *testing.T) {
	w := newWorld(t, nil)
	_, other := w.signedIn()
	_, raw := w.authorize()
	_, err := w.exchange(raw)
	w.ok(err)
	_, err = w.exchange(raw)
	w.is(err, repository.ErrConsumed)
	w.active(other.AccessToken, true)
}

func TestExchangeRefusesWhatIsExpiredUnknownOrIncomplete(t *testing.T) {
	w := newWorld(t, nil)
	_, raw := w.authorize()
	w.clock.advance(10 * time.Minute)
	_, err := w.exchange(raw)
	w.is(err, repository.ErrExpired)
	_, err = w.exchange("unknown")
	w.is(err, repository.ErrNotFound)
	if strings.Contains(err.Error(), "unknown") {
		t.Fatal("the error holds the raw value")
	}
	_, err = w.flow.ExchangeCode(w.ctx, flow.CodeExchange{Code: raw})
	w.is(err, repository.ErrInvalid)
}

func TestTokensOfAnExchangeEndWithTheGrant(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.signedIn(endsIn(w, 20*time.Minute))
	if first.ExpiresIn != 20*60 {
		t.Fatalf("expires in %d s, want 1200", first.ExpiresIn)
	}
	token, _, err := w.flow.Introspect(w.ctx, first.RefreshToken)
	w.ok(err)
	if want := w.clock.Now().Add(20 * time.Minute); !token.ExpiresAt.Equal(want) {
		t.Fatalf("refresh token ends at %v, want %v", token.ExpiresAt, want)
	}
}

func TestIssuedTokensMustFitTheGrantAndTheResponse(t *testing.T) {
	for name, spoil := range map[string]func(*flow.Issued){
		"a scope beyond the grant":         func(i *flow.Issued) { i.Tokens[0].Scopes = []string{"admin"} },
		"a resource beyond the grant":      func(i *flow.Issued) { i.Tokens[0].Resources = []string{"https://other.example"} },
		"a response scope beyond it":       func(i *flow.Issued) { i.Response.Scope = "admin" },
		"another grant":                    func(i *flow.Issued) { i.Tokens[0].GrantID = "other" },
		"another client":                   func(i *flow.Issued) { i.Tokens[0].ClientID = "other" },
		"no access token":                  func(i *flow.Issued) { i.Response.AccessToken = "" },
		"a refresh token that is not kept": func(i *flow.Issued) { i.Response.RefreshToken = "else" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			_, raw := w.authorize()
			_, err := w.flow.ExchangeCode(w.ctx, flow.CodeExchange{
				Code:  raw,
				Check: func(domain.AuthorizationCode) error { return nil },
				Issue: func(c domain.AuthorizationCode, _ domain.Grant) (flow.Issued, error) {
					issued := w.mint(c.Scopes)
					spoil(&issued)
					return issued, nil
				},
			})
			w.is(err, repository.ErrInvalid)
			_, err = w.exchange(raw)
			w.ok(err)
		})
	}
}

func TestAnAccessTokenThatIsNotStoredEndsWithTheGrantToo(t *testing.T) {
	w := newWorld(t, nil)
	_, raw := w.authorize(endsIn(w, 20*time.Minute))
	r, err := w.flow.ExchangeCode(w.ctx, flow.CodeExchange{
		Code:  raw,
		Check: func(domain.AuthorizationCode) error { return nil },
		Issue: func(domain.AuthorizationCode, domain.Grant) (flow.Issued, error) {
			return flow.Issued{Response: flow.Response{AccessToken: "a.jwt.x", ExpiresIn: 3600}}, nil
		},
	})
	w.ok(err)
	if r.ExpiresIn != 20*60 {
		t.Fatalf("expires in %d s, want 1200", r.ExpiresIn)
	}
}

func TestACancelledExchangeSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	_, raw := w.authorize()
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	w.ctx = ctx
	_, err := w.exchange(raw)
	w.is(err, context.Canceled)
}
