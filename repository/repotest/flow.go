package repotest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

func flowChecks() []check {
	return []check{
		{"Authorize stores the grant and its code, or neither", flowAuthorize},
		{"ExchangeCode redeems a code and stores its tokens", flowExchange},
		{"a refused exchange burns no code and stores no token", flowExchangeRefused},
		{"a replayed code revokes all that it led to", flowReplay},
		{"of 100 exchanges of a code one wins, and the replay revokes its tokens", flowExchangeRace},
		{"Refresh rotates, and repeats its answer within the grace period from any process", flowRefresh},
		{"a refresh token that comes back after the grace period revokes its grant", flowReuse},
		{"of 100 that refresh at once all get the same answer", flowRefreshRace},
		{"no family outlives its grant", flowFamily},
		{"Refresh never broadens the scope", flowScope},
		{"Revoke ends an access token alone, a refresh token with its grant, another client's not at all", flowRevoke},
	}
}

func (f *fixture) flow() *flow.Flow {
	return flow.New(f.Store, nil)
}

// issue makes an access and a refresh token under names, which are raw tokens too.
func issue(g domain.Grant, name string) flow.Issued {
	access, refresh := anAccess(name+"-access", g), aRefresh(name+"-refresh", g)
	access.Scopes, refresh.Scopes = g.Scopes, g.Scopes
	return flow.Issued{
		Tokens:   []domain.Token{access, refresh},
		Response: flow.Response{AccessToken: name + "-access", RefreshToken: name + "-refresh"},
	}
}

func exchangeCode(name string) flow.CodeExchange {
	return flow.CodeExchange{
		Code:  "code",
		Check: func(domain.AuthorizationCode) error { return nil },
		Issue: func(_ domain.AuthorizationCode, g domain.Grant) (flow.Issued, error) { return issue(g, name), nil },
	}
}

func refreshWith(raw, name string) flow.RefreshRequest {
	return flow.RefreshRequest{
		Token: raw,
		Check: func(domain.Token) error { return nil },
		Issue: func(_ domain.Token, g domain.Grant) (flow.Issued, error) { return issue(g, name), nil },
	}
}

// authorize stores a client, and a grant with the raw code "code".
func (f *fixture) authorize(t *testing.T) domain.Grant {
	t.Helper()
	c := aClient("-client")
	g := aGrant("-grant", c)
	f.put(t, c)
	must(t, f.flow().Authorize(f.ctx, g, aCode("code", g)))
	return g
}

// signIn is authorize, and the tokens "1-access" and "1-refresh" for the code.
func (f *fixture) signIn(t *testing.T) domain.Grant {
	t.Helper()
	g := f.authorize(t)
	_, err := f.flow().ExchangeCode(f.ctx, exchangeCode("1"))
	must(t, err)
	return g
}

func flowAuthorize(t *testing.T, f *fixture) {
	g := f.authorize(t)
	f.want(t, stored(g), stored(aCode("code", g)))
	second := aGrant("-second", aClient("-client"))
	wantError(t, f.flow().Authorize(f.ctx, second, aCode("code", second)), repository.ErrAlreadyExists)
	f.wantGone(t, second)
}

func flowExchange(t *testing.T, f *fixture) {
	g := f.authorize(t)
	got, err := f.flow().ExchangeCode(f.ctx, exchangeCode("1"))
	must(t, err)
	want(t, [2]string{got.AccessToken, got.RefreshToken}, [2]string{"1-access", "1-refresh"})
	want(t, got.ExpiresIn, int64(3600))
	f.wantIs(t, nil, anAccess("1-access", g), aRefresh("1-refresh", g))
	f.wantIs(t, repository.ErrConsumed, aCode("code", g))
}

func flowExchangeRefused(t *testing.T, f *fixture) {
	g := f.authorize(t)
	f.put(t, anAccess("taken", g))
	badCheck, badIssue := exchangeCode("1"), exchangeCode("1")
	badCheck.Check = func(domain.AuthorizationCode) error { return errRefused }
	badIssue.Issue = func(domain.AuthorizationCode, domain.Grant) (flow.Issued, error) { return flow.Issued{}, errRefused }
	for _, x := range []flow.CodeExchange{badCheck, badIssue} {
		_, err := f.flow().ExchangeCode(f.ctx, x)
		if err != errRefused {
			t.Errorf("error is %v, want the function's", err)
		}
	}
	taken := exchangeCode("1")
	taken.Issue = func(_ domain.AuthorizationCode, g domain.Grant) (flow.Issued, error) {
		issued := issue(g, "1")
		issued.Tokens = append(issued.Tokens, anAccess("taken", g))
		return issued, nil
	}
	_, err := f.flow().ExchangeCode(f.ctx, taken)
	wantError(t, err, repository.ErrAlreadyExists)
	f.want(t, stored(aCode("code", g)))
	f.wantGone(t, anAccess("1-access", g), aRefresh("1-refresh", g))
}

// wantRevoked checks that g was revoked for why.
func (f *fixture) wantRevoked(t *testing.T, g domain.Grant, why domain.Reason) {
	t.Helper()
	got, err := f.Grants().Get(f.ctx, g.ID)
	wantError(t, err, repository.ErrRevoked)
	want(t, got.RevokedReason, why)
	f.wantNothingLive(t, g, "code")
}

func flowReplay(t *testing.T, f *fixture) {
	g := f.signIn(t)
	_, err := f.flow().ExchangeCode(f.ctx, exchangeCode("2"))
	wantError(t, err, repository.ErrConsumed)
	f.wantRevoked(t, g, domain.CodeReplayed)
	f.wantIs(t, repository.ErrRevoked, anAccess("1-access", g), aRefresh("1-refresh", g))
	f.wantGone(t, anAccess("2-access", g))
}

func flowExchangeRace(t *testing.T, f *fixture) {
	g := f.authorize(t)
	var winners atomic.Int64
	together(crowd, func(i int) {
		_, err := f.flow().ExchangeCode(f.ctx, exchangeCode(fmt.Sprint(i)))
		if err == nil {
			winners.Add(1)
		}
		wantOneOf(t, err, repository.ErrConsumed, repository.ErrRevoked)
	})
	want(t, winners.Load(), int64(1))
	f.wantRevoked(t, g, domain.CodeReplayed)
}

func flowRefresh(t *testing.T, f *fixture) {
	g := f.signIn(t)
	f.clock.Advance(time.Minute)
	first, repeated, err := f.flow().Refresh(f.ctx, refreshWith("1-refresh", "2"))
	must(t, err)
	want(t, repeated, false)
	want(t, first.ExpiresIn, int64(3540))
	f.wantIs(t, repository.ErrConsumed, aRefresh("1-refresh", g))
	f.clock.Advance(flow.DefaultGrace - instant)
	again, repeated, err := f.flow().Refresh(f.ctx, refreshWith("1-refresh", "3"))
	must(t, err)
	want(t, repeated, true)
	want(t, [2]string{again.AccessToken, again.RefreshToken}, [2]string{"2-access", "2-refresh"})
	if again.ExpiresIn < 3420 || again.ExpiresIn > 3421 {
		t.Errorf("a repeat after two minutes has expires_in %d, was %d", again.ExpiresIn, first.ExpiresIn)
	}
	f.wantGone(t, anAccess("3-access", g))
	f.wantIs(t, nil, g, anAccess("2-access", g), aRefresh("2-refresh", g))
}

func flowReuse(t *testing.T, f *fixture) {
	g := f.signIn(t)
	_, _, err := f.flow().Refresh(f.ctx, refreshWith("1-refresh", "2"))
	must(t, err)
	f.clock.Advance(flow.DefaultGrace)
	_, _, err = f.flow().Refresh(f.ctx, refreshWith("1-refresh", "3"))
	wantError(t, err, repository.ErrConsumed)
	f.wantRevoked(t, g, domain.RefreshTokenReused)
	f.wantIs(t, repository.ErrRevoked, anAccess("2-access", g), aRefresh("2-refresh", g))
}

func flowRefreshRace(t *testing.T, f *fixture) {
	g := f.signIn(t)
	var got [crowd]string
	var firsts atomic.Int64
	together(crowd, func(i int) {
		response, repeated, err := f.flow().Refresh(f.ctx, refreshWith("1-refresh", fmt.Sprint("new", i)))
		noError(t, err)
		got[i] = response.AccessToken + response.RefreshToken
		if !repeated {
			firsts.Add(1)
		}
	})
	want(t, firsts.Load(), int64(1))
	for i := range got {
		want(t, got[i], got[0])
	}
	f.wantIs(t, nil, g)
	live, err := f.Tokens().List(f.ctx, repository.TokenFilter{Kind: domain.RefreshToken, State: repository.Live}, repository.Page{})
	wantCount(t, len(live), err, 1)
}

func flowFamily(t *testing.T, f *fixture) {
	c := aClient("-client")
	g := aGrant("-grant", c)
	g.ExpiresAt = start.Add(30 * time.Minute)
	f.put(t, c)
	must(t, f.flow().Authorize(f.ctx, g, aCode("code", g)))
	_, err := f.flow().ExchangeCode(f.ctx, exchangeCode("1"))
	must(t, err)
	f.clock.Set(g.ExpiresAt.Add(-instant))
	_, _, err = f.flow().Refresh(f.ctx, refreshWith("1-refresh", "2"))
	must(t, err)
	f.clock.Set(g.ExpiresAt)
	f.wantNothingLive(t, g)
	_, _, err = f.flow().Refresh(f.ctx, refreshWith("2-refresh", "3"))
	wantError(t, err, repository.ErrExpired)
}

func flowScope(t *testing.T, f *fixture) {
	g := f.signIn(t)
	broad := refreshWith("1-refresh", "2")
	broad.Issue = func(_ domain.Token, g domain.Grant) (flow.Issued, error) {
		issued := issue(g, "2")
		issued.Tokens[0].Scopes = []string{canary + ":admin"}
		return issued, nil
	}
	_, _, err := f.flow().Refresh(f.ctx, broad)
	wantError(t, err, repository.ErrInvalid)
	f.wantIs(t, nil, aRefresh("1-refresh", g))
	f.wantGone(t, anAccess("2-access", g))
}

func flowRevoke(t *testing.T, f *fixture) {
	g := f.signIn(t)
	fl := f.flow()
	wantActive := func(raw string, wanted bool) {
		t.Helper()
		token, active, err := fl.Introspect(f.ctx, raw)
		must(t, err)
		want(t, active, wanted)
		want(t, token.GrantID != "", wanted)
	}
	must(t, fl.Revoke(f.ctx, canary+"-another", "1-refresh"))
	must(t, fl.Revoke(f.ctx, g.ClientID, "unknown"))
	wantActive("1-access", true)
	wantActive("1-refresh", true)
	wantActive("unknown", false)
	must(t, fl.Revoke(f.ctx, g.ClientID, "1-access"))
	wantActive("1-access", false)
	wantActive("1-refresh", true)
	must(t, fl.Revoke(f.ctx, g.ClientID, "1-refresh"))
	wantActive("1-refresh", false)
	_, err := f.Grants().Get(f.ctx, g.ID)
	if !errors.Is(err, repository.ErrRevoked) {
		t.Errorf("the grant of a revoked refresh token: %v", err)
	}
}
