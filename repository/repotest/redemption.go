package repotest

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func redemptionChecks() []check {
	return []check{
		{"Redeem consumes the code and stores the tokens", redeem},
		{"Redeem may have no tokens, and is a use of the grant", redeemBare},
		{"a second Redeem is told consumed, gets the code and stores nothing", redeemTwice},
		{"a code that Consume has redeemed is not redeemed again, nor the other way round", redeemConsumed},
		{"a code that has expired, or whose grant has, is not redeemed", redeemExpired},
		{"a revoked or unknown code is not redeemed", redeemDead},
		{"Redeem for a token that exists does nothing", redeemTaken},
		{"Redeem for tokens of another grant, client or subject is invalid and does nothing", redeemMismatch},
		{"Redeem for a token that breaks a limit is invalid and does nothing", redeemInvalid},
		{"a Redeem that fails in a transaction leaves the rest of it", redeemInTx},
	}
}

func redeem(t *testing.T, f *fixture) {
	_, g := f.family(t)
	code := fullCode(g)
	f.put(t, code, aCode("other", g))
	f.clock.Advance(time.Minute)
	access, refresh := anAccess("access", g), fullToken(g)
	got, err := f.AuthorizationCodes().Redeem(f.ctx, code.Digest, access, refresh)
	must(t, err)
	code.ConsumedAt, access.CreatedAt = f.clock.Now(), f.clock.Now()
	g = stored(g)
	g.LastUsedAt = f.clock.Now()
	want(t, got, code.Clone())
	f.wantDead(t, code.Clone(), repository.ErrConsumed)
	f.want(t, access, refresh.Clone(), g, stored(aCode("other", g)))
}

func redeemBare(t *testing.T, f *fixture) {
	_, g := f.family(t)
	code := aCode("code", g)
	f.put(t, code)
	f.clock.Advance(time.Minute)
	got, err := f.AuthorizationCodes().Redeem(f.ctx, code.Digest)
	must(t, err)
	code = stored(code)
	code.ConsumedAt = f.clock.Now()
	want(t, got, code)
	f.wantDead(t, code, repository.ErrConsumed)
	g = stored(g)
	g.LastUsedAt = f.clock.Now()
	f.want(t, g)
}

// notRedeemed checks that the code is not redeemed, comes back as it is, and that nothing is stored.
func (f *fixture) notRedeemed(t *testing.T, code domain.AuthorizationCode, g domain.Grant, why error) {
	t.Helper()
	late := anAccess("late", g)
	late.ExpiresAt = time.Time{}
	for _, tokens := range [][]domain.Token{{late}, nil} {
		got, err := f.AuthorizationCodes().Redeem(f.ctx, code.Digest, tokens...)
		wantError(t, err, why)
		want(t, got, code)
	}
	f.wantGone(t, late)
}

func redeemTwice(t *testing.T, f *fixture) {
	_, g := f.family(t)
	code := aCode("code", g)
	f.put(t, code)
	_, err := f.AuthorizationCodes().Redeem(f.ctx, code.Digest, aRefresh("first", g))
	must(t, err)
	f.clock.Advance(time.Second)
	code = stored(code)
	code.ConsumedAt = start
	f.notRedeemed(t, code, g, repository.ErrConsumed)
	g = stored(g)
	g.LastUsedAt = start
	f.want(t, g, stored(aRefresh("first", g)))
}

func redeemConsumed(t *testing.T, f *fixture) {
	_, g := f.family(t)
	one, two := stored(aCode("one", g)), stored(aCode("two", g))
	f.put(t, one, two)
	_, err := f.AuthorizationCodes().Consume(f.ctx, one.Digest)
	must(t, err)
	one.ConsumedAt, two.ConsumedAt = start, start
	f.notRedeemed(t, one, g, repository.ErrConsumed)
	_, err = f.AuthorizationCodes().Redeem(f.ctx, two.Digest)
	must(t, err)
	got, err := f.AuthorizationCodes().Consume(f.ctx, two.Digest)
	wantError(t, err, repository.ErrConsumed)
	want(t, got, two)
}

func redeemExpired(t *testing.T, f *fixture) {
	c := aClient("-client")
	g, h := aGrant("-grant", c), aGrant("-ends", c)
	h.ExpiresAt = start.Add(time.Minute)
	f.put(t, c, g, h)
	early, late, in, fenced := aCode("early", g), aCode("late", g), aCode("in time", h), aCode("fenced", h)
	f.put(t, early, late, in, fenced)
	f.clock.Set(h.ExpiresAt.Add(-instant))
	_, err := f.AuthorizationCodes().Redeem(f.ctx, in.Digest, anAccess("in time", h))
	must(t, err)
	f.clock.Set(h.ExpiresAt)
	f.notRedeemed(t, stored(fenced), h, repository.ErrExpired)
	f.want(t, stored(fenced))
	f.clock.Set(late.ExpiresAt.Add(-instant))
	_, err = f.AuthorizationCodes().Redeem(f.ctx, early.Digest)
	must(t, err)
	f.clock.Set(late.ExpiresAt)
	f.notRedeemed(t, stored(late), g, repository.ErrExpired)
	f.wantDead(t, stored(late), repository.ErrExpired)
}

func redeemDead(t *testing.T, f *fixture) {
	c, g := f.family(t)
	other := aGrant("-other", c)
	revoked, unknown := aCode("revoked", g), aCode("unknown", g)
	f.put(t, other, revoked)
	_, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, domain.ByUser)
	must(t, err)
	revoked = stored(revoked)
	revoked.RevokedAt = start
	f.notRedeemed(t, revoked, g, repository.ErrRevoked)
	for _, of := range []domain.Grant{g, other} { // the tokens are of a grant that has ended, or is live
		got, err := f.AuthorizationCodes().Redeem(f.ctx, unknown.Digest, anAccess("late", of))
		wantError(t, err, repository.ErrNotFound)
		want(t, got, domain.AuthorizationCode{})
	}
	f.wantGone(t, anAccess("late", g))
	f.want(t, stored(other))
}

// unredeemed checks that the code and its grant are as they were at the start, and that nothing came.
func (f *fixture) unredeemed(t *testing.T, code domain.AuthorizationCode, g domain.Grant) {
	t.Helper()
	f.want(t, stored(code), stored(g))
	f.wantGone(t, anAccess("fits", g))
}

func redeemTaken(t *testing.T, f *fixture) {
	c, g := f.family(t)
	other := aGrant("-other", c)
	code, taken := aCode("code", g), anAccess("taken", other)
	f.put(t, other, code, taken)
	f.clock.Advance(time.Second)
	taken.GrantID = g.ID
	for _, tokens := range [][]domain.Token{
		{anAccess("fits", g), taken}, {taken}, {anAccess("fits", g), anAccess("fits", g)},
	} {
		_, err := f.AuthorizationCodes().Redeem(f.ctx, code.Digest, tokens...)
		wantError(t, err, repository.ErrAlreadyExists)
	}
	f.unredeemed(t, code, g)
}

func redeemMismatch(t *testing.T, f *fixture) {
	c, g := f.family(t)
	other, second, ended := aClient("-other"), aGrant("-second", c), aGrant("-ended", c)
	ended.ExpiresAt = start.Add(time.Millisecond)
	code := aCode("code", g)
	f.put(t, other, second, ended, code)
	f.clock.Advance(time.Second)
	for _, c := range []struct {
		field  string
		change func(token *domain.Token)
	}{
		{"ClientID", func(token *domain.Token) { token.ClientID = other.ID }},
		{"Subject", func(token *domain.Token) { token.Subject = canary + "-somebody" }},
		{"GrantID", func(token *domain.Token) { token.GrantID = second.ID }},
		{"GrantID", func(token *domain.Token) { token.GrantID = ended.ID }},
		{"GrantID", func(token *domain.Token) { token.GrantID = canary + "-nothing" }},
	} {
		token := anAccess("fits", g)
		c.change(&token)
		_, err := f.AuthorizationCodes().Redeem(f.ctx, code.Digest, token)
		wantInvalid(t, err, c.field)
		_, err = f.AuthorizationCodes().Redeem(f.ctx, code.Digest, anAccess("fits", g), token)
		wantInvalid(t, err, c.field)
	}
	f.unredeemed(t, code, g)
	f.want(t, stored(second))
}

func redeemInvalid(t *testing.T, f *fixture) {
	_, g := f.family(t)
	code := aCode("code", g)
	f.put(t, code)
	f.clock.Advance(time.Second)
	bad := anAccess("bad", g)
	bad.Scopes = []string{canary + " "}
	_, err := f.AuthorizationCodes().Redeem(f.ctx, code.Digest, anAccess("fits", g), bad)
	wantInvalid(t, err, "Scopes")
	f.unredeemed(t, code, g)
}

func redeemInTx(t *testing.T, f *fixture) {
	c, g := f.family(t)
	second, code := aGrant("-second", c), aCode("code", g)
	taken := anAccess("taken", second)
	f.put(t, second, code, taken)
	f.clock.Advance(time.Second)
	taken.GrantID = g.ID
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		if err := tx.Grants().Create(f.ctx, aGrant("-new", c)); err != nil {
			return err
		}
		for _, token := range []domain.Token{taken, anAccess("other", second)} {
			if _, err := tx.AuthorizationCodes().Redeem(f.ctx, code.Digest, anAccess("fits", g), token); err == nil {
				t.Error("it was redeemed")
			}
		}
		return nil
	}))
	f.unredeemed(t, code, g)
	f.wantIs(t, nil, aGrant("-new", c))
}
