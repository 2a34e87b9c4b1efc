package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// later is a store some time from now.
type later struct {
	repository.Store
	by time.Duration
}

func (s later) Now() time.Time { return s.Store.Now().Add(s.by) }

// mint returns a new raw value, which the search at the end must not find.
func (t *tour) mint() string {
	raw := domain.NewSecret()
	t.handed = append(t.handed, raw)
	return raw
}

func (t *tour) register(ctx context.Context) error {
	t.secret = t.mint()
	c := domain.Client{
		ID: domain.NewID(), Kind: domain.Dynamic,
		Secrets:  []domain.Secret{{Digest: domain.DigestOf(t.secret)}},
		Metadata: domain.ClientMetadata{ClientName: "Quickstart", RedirectURIs: []string{"https://app.example/callback"}},
	}
	t.clients = append(t.clients, c.ID)
	if err := t.store.Clients().Create(ctx, c); err != nil {
		return err
	}
	stored, err := t.store.Clients().Get(ctx, c.ID)
	if err != nil {
		return err
	}
	if !stored.Authenticate(t.secret, time.Now()) || stored.Authenticate(t.secret+".", time.Now()) {
		return errors.New("the client's secret does not tell it from another")
	}
	t.client = stored
	t.say("client", "%s registered; its secret is stored as the digest %v...", c.ID, stored.Secrets[0].Digest)
	return nil
}

// approve stores a grant and its code, and returns both; the code raw.
func (t *tour) approve(ctx context.Context, subject string) (domain.Grant, string, error) {
	code := t.mint()
	g := domain.Grant{
		ID: domain.NewID(), ClientID: t.client.ID, Subject: subject,
		Scopes: []string{"read", "write"}, Resources: []string{"https://mcp.example/"},
	}
	err := t.oauth.Authorize(ctx, g, domain.AuthorizationCode{
		Digest: domain.DigestOf(code), RedirectURI: t.client.Metadata.RedirectURIs[0], Scopes: g.Scopes,
		ExpiresAt: time.Now().Add(t.cfg.AuthorizationCodeTTL),
	})
	return g, code, err
}

// exchange is what a token endpoint does with a code.
func (t *tour) exchange(ctx context.Context, code string) (flow.Response, error) {
	return t.oauth.ExchangeCode(ctx, flow.CodeExchange{
		Code:  code,
		Check: func(c domain.AuthorizationCode) error { return t.own(c.ClientID) },
		Issue: func(c domain.AuthorizationCode, _ domain.Grant) (flow.Issued, error) { return t.issue(c.Scopes), nil },
	})
}

// again is what a token endpoint does with a refresh token.
func (t *tour) again(ctx context.Context, oauth *flow.Flow, token string) (flow.Response, bool, error) {
	return oauth.Refresh(ctx, flow.RefreshRequest{
		Token: token,
		Check: func(old domain.Token) error { return t.own(old.ClientID) },
		Issue: func(old domain.Token, _ domain.Grant) (flow.Issued, error) { return t.issue(old.Scopes), nil },
	})
}

func (t *tour) own(clientID string) error {
	if clientID != t.client.ID {
		return errors.New("the client is another one")
	}
	return nil
}

func (t *tour) issue(scopes []string) flow.Issued {
	access, refresh := t.mint(), t.mint()
	return flow.Issued{
		Tokens: []domain.Token{
			{
				Digest: domain.DigestOf(access), Kind: domain.AccessToken, Scopes: scopes,
				ExpiresAt: time.Now().Add(t.cfg.AccessTokenTTL),
			},
			{
				Digest: domain.DigestOf(refresh), Kind: domain.RefreshToken, Scopes: scopes,
				ExpiresAt: time.Now().Add(t.cfg.RefreshTokenTTL),
			},
		},
		Response: flow.Response{AccessToken: access, RefreshToken: refresh},
	}
}

func (t *tour) replay(ctx context.Context) error {
	g, code, err := t.approve(ctx, "bob")
	if err != nil {
		return err
	}
	tokens, err := t.exchange(ctx, code)
	if err != nil {
		return err
	}
	if err := t.expect(ctx, tokens.AccessToken, true); err != nil {
		return err
	}
	if _, err := t.exchange(ctx, code); !errors.Is(err, repository.ErrConsumed) {
		return errors.Join(err, errors.New("a code that was presented again was not refused as consumed"))
	}
	if err := t.ends(ctx, g, tokens, domain.CodeReplayed); err != nil {
		return err
	}
	t.say("replay", "a code presented again: refused, and its grant is revoked (%s)", domain.CodeReplayed)
	return nil
}

func (t *tour) refresh(ctx context.Context) error {
	g, code, err := t.approve(ctx, "cleo")
	if err != nil {
		return err
	}
	first, err := t.exchange(ctx, code)
	if err != nil {
		return err
	}
	second, repeated, err := t.again(ctx, t.oauth, first.RefreshToken)
	if err != nil || repeated {
		return errors.Join(err, fmt.Errorf("a refresh is taken for a repeated one: %v", repeated))
	}
	if err := t.repeat(ctx, first.RefreshToken, second); err != nil {
		return err
	}
	if _, _, err := t.again(ctx, t.moved, first.RefreshToken); !errors.Is(err, repository.ErrConsumed) {
		return errors.Join(err, errors.New("a stale refresh token was not refused as consumed"))
	}
	if err := t.ends(ctx, g, second, domain.RefreshTokenReused); err != nil {
		return err
	}
	t.say("", "the same again after it (the clock is moved): refused, and the grant is revoked (%s)", domain.RefreshTokenReused)
	return nil
}

// repeat presents a refresh token that was rotated just now, here and in another process. Both must get the
// answer of the rotation.
func (t *tour) repeat(ctx context.Context, token string, want flow.Response) error {
	got, repeated, err := t.again(ctx, t.oauth, token)
	if err != nil || !repeated || fingerprint(got) != fingerprint(want) {
		return errors.Join(err, errors.New("the same refresh within the grace period did not get the same tokens"))
	}
	t.say("refresh", "a refresh, and the same again within %s: the same tokens, expires_in %d", t.grace, got.ExpiresIn)
	if t.inMemory() {
		return nil
	}
	there, err := ask(ctx, refreshJob, t.client.ID+" "+token)
	if err != nil || there != fingerprint(want) {
		return errors.Join(err, errors.New("the same refresh in another process did not get the same tokens"))
	}
	t.say("", "the same again in another process: the same tokens there")
	return nil
}

// fingerprint tells two answers apart and may be shown to anybody.
func fingerprint(r flow.Response) string {
	return domain.DigestOf(r.AccessToken + " " + r.RefreshToken).Hex()
}

// ends checks that a grant has ended for that reason, and its tokens with it.
func (t *tour) ends(ctx context.Context, g domain.Grant, tokens flow.Response, why domain.Reason) error {
	for _, raw := range []string{tokens.AccessToken, tokens.RefreshToken} {
		if err := t.expect(ctx, raw, false); err != nil {
			return err
		}
	}
	stored, err := t.store.Grants().Get(ctx, g.ID)
	if !errors.Is(err, repository.ErrRevoked) || stored.RevokedReason != why {
		return errors.Join(err, fmt.Errorf("a grant should be revoked (%s), and is (%s)", why, stored.RevokedReason))
	}
	t.ended = append(t.ended, stored)
	return nil
}

// expect checks what introspection says of a token.
func (t *tour) expect(ctx context.Context, raw string, want bool) error {
	_, active, err := t.oauth.Introspect(ctx, raw)
	if err == nil && active != want {
		err = fmt.Errorf("a token is active: %v, should be: %v", active, want)
	}
	return err
}
