package repotest

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func tokenChecks() []check {
	return []check{
		{"Create stores tokens and sets when their grant was last used", tokenCreate},
		{"Create of no token is invalid", tokenNone},
		{"Create stores all or none", tokenBatch},
		{"a digest is taken once, and the first token stays", tokenTaken},
		{"a token without its grant is not found and not stored", tokenOrphan},
		{"tokens that differ from their grant or each other are invalid and not stored", tokenMismatch},
		{"a token expires at the exact instant", tokenExpiry},
		{"a token without an end does not expire", tokenForever},
		{"revoked comes before consumed, consumed before expired", tokenPrecedence},
		{"Revoke ends one token whatever its state, and not its grant or the others", tokenRevoke},
		{"List selects by grant, client, subject, kind and state, and by all of them at once", tokenFilters},
		{"an unknown token is not found and zero", tokenUnknown},
	}
}

func tokenCreate(t *testing.T, f *fixture) {
	c, g := f.family(t)
	other := aGrant("-other", c)
	f.put(t, other)
	f.clock.Advance(time.Minute)
	access, refresh := anAccess("a", g), aRefresh("r", g)
	must(t, f.Tokens().Create(f.ctx, access, refresh))
	access.CreatedAt, refresh.CreatedAt = f.clock.Now(), f.clock.Now()
	g = stored(g)
	g.LastUsedAt = f.clock.Now()
	f.want(t, access, refresh, g, stored(other))
}

func tokenNone(t *testing.T, f *fixture) {
	wantError(t, f.Tokens().Create(f.ctx), repository.ErrInvalid)
}

func tokenBatch(t *testing.T, f *fixture) {
	_, g := f.family(t)
	taken := anAccess("taken", g)
	f.put(t, taken)
	f.clock.Advance(time.Minute)
	fresh, twin, last := anAccess("fresh", g), anAccess("twin", g), aRefresh("last", g)
	wantError(t, f.Tokens().Create(f.ctx, fresh, taken, last), repository.ErrAlreadyExists)
	wantError(t, f.Tokens().Create(f.ctx, twin, twin), repository.ErrAlreadyExists)
	bad := last
	bad.Kind = canary
	wantInvalid(t, f.Tokens().Create(f.ctx, fresh, bad), "Kind")
	f.wantGone(t, fresh, twin, last)
	g = stored(g)
	g.LastUsedAt = start
	f.want(t, g)
}

func tokenTaken(t *testing.T, f *fixture) {
	c, g := f.family(t)
	first := anAccess("taken", g)
	other := aGrant("-other", c)
	f.put(t, first, other)
	wantError(t, f.Tokens().Create(f.ctx, first), repository.ErrAlreadyExists)
	wantError(t, f.Tokens().Create(f.ctx, aRefresh("taken", other)), repository.ErrAlreadyExists)
	f.want(t, stored(first), stored(other))
}

func tokenOrphan(t *testing.T, f *fixture) {
	c, _ := f.family(t)
	token := anAccess("orphan", aGrant("-nothing", c))
	wantError(t, f.Tokens().Create(f.ctx, token), repository.ErrNotFound)
	f.wantGone(t, token)
}

func tokenMismatch(t *testing.T, f *fixture) {
	c, g := f.family(t)
	other, second := aClient("-other"), aGrant("-second", c)
	f.put(t, other, second)
	fits, byClient, bySubject := anAccess("fits", g), anAccess("client", g), anAccess("subject", g)
	byClient.ClientID = other.ID
	bySubject.Subject = ""
	wantInvalid(t, f.Tokens().Create(f.ctx, byClient), "ClientID")
	wantInvalid(t, f.Tokens().Create(f.ctx, bySubject), "Subject")
	wantInvalid(t, f.Tokens().Create(f.ctx, fits, byClient), "ClientID")
	wantInvalid(t, f.Tokens().Create(f.ctx, fits, bySubject), "Subject")
	wantInvalid(t, f.Tokens().Create(f.ctx, fits, anAccess("grant", second)), "GrantID")
	f.wantGone(t, fits, byClient, bySubject, anAccess("grant", second))
	f.want(t, stored(g), stored(second))
}

func tokenExpiry(t *testing.T, f *fixture) {
	_, g := f.family(t)
	access, refresh := anAccess("a", g), aRefresh("r", g)
	f.put(t, access, refresh)
	f.clock.Set(access.ExpiresAt.Add(-instant))
	f.want(t, stored(access), stored(refresh))
	f.clock.Set(access.ExpiresAt)
	f.wantDead(t, stored(access), repository.ErrExpired)
	f.want(t, stored(refresh))
	f.clock.Set(refresh.ExpiresAt)
	f.wantDead(t, stored(refresh), repository.ErrExpired)
}

func tokenForever(t *testing.T, f *fixture) {
	_, g := f.family(t)
	token := aRefresh("forever", g)
	token.ExpiresAt = time.Time{}
	f.put(t, token)
	f.clock.Advance(200 * 365 * 24 * time.Hour)
	f.want(t, stored(token))
	n, err := f.Tokens().DeleteExpired(f.ctx, 10)
	wantCount(t, n, err, 0)
	f.want(t, stored(token))
}

func tokenPrecedence(t *testing.T, f *fixture) {
	_, g := f.family(t)
	for _, c := range []struct {
		name                      string
		consumed, revoked, passed bool
		why                       error
	}{
		{"all", true, true, true, repository.ErrRevoked},
		{"revoked and consumed", true, true, false, repository.ErrRevoked},
		{"revoked and expired", false, true, true, repository.ErrRevoked},
		{"consumed and expired", true, false, true, repository.ErrConsumed},
		{"consumed", true, false, false, repository.ErrConsumed},
		{"expired", false, false, true, repository.ErrExpired},
	} {
		token := stored(aRefresh(c.name, g))
		token.ConsumedAt, token.RevokedAt = when(c.consumed), when(c.revoked)
		if c.passed {
			token.ExpiresAt = start
		}
		f.put(t, token)
		f.wantDead(t, token, c.why)
		got, err := f.Tokens().Rotate(f.ctx, token.Digest, aReplay(), anAccess("next", g))
		wantError(t, err, c.why)
		want(t, got, token)
		f.wantDead(t, token, c.why)
		f.wantGone(t, anAccess("next", g))
	}
}

func tokenRevoke(t *testing.T, f *fixture) {
	_, g := f.family(t)
	live, other, expired, consumed := anAccess("live", g), anAccess("other", g), anAccess("expired", g), aRefresh("old", g)
	expired.ExpiresAt = start
	consumed.ConsumedAt = start
	f.put(t, live, other, expired, consumed)
	f.clock.Advance(time.Second)
	for _, token := range []domain.Token{live, expired, consumed} {
		must(t, f.Tokens().Revoke(f.ctx, token.Digest))
		token = stored(token)
		token.RevokedAt = f.clock.Now()
		f.wantDead(t, token, repository.ErrRevoked)
	}
	revoked := stored(live)
	revoked.RevokedAt = f.clock.Now()
	f.clock.Advance(time.Second)
	must(t, f.Tokens().Revoke(f.ctx, live.Digest))
	f.wantDead(t, revoked, repository.ErrRevoked)
	g = stored(g)
	g.LastUsedAt = start
	f.want(t, stored(other), g)
	wantError(t, f.Tokens().Revoke(f.ctx, domain.DigestOf("nothing")), repository.ErrNotFound)
}

// severalTokens are of two grants: 0 live access, 1 live refresh, 2 expired, 3 consumed; 4 revoked, 5 live.
func severalTokens(a, b domain.Grant) []domain.Token {
	tokens := []domain.Token{
		anAccess("0", a), aRefresh("1", a), anAccess("2", a), aRefresh("3", a), anAccess("4", b), aRefresh("5", b),
	}
	for i := range tokens {
		tokens[i].Digest = domain.Digest{0: byte(i + 1)}
	}
	tokens[2].ExpiresAt = start
	tokens[3].ConsumedAt = start
	tokens[4].RevokedAt = start
	return tokens
}

func tokenFilters(t *testing.T, f *fixture) {
	_, g := f.family(t)
	other := aClient("-other")
	h := aGrant("-other", other)
	h.Subject = ""
	f.put(t, other, h)
	tokens := severalTokens(g, h)
	for _, token := range tokens {
		f.put(t, token)
	}
	for _, c := range []struct {
		filter repository.TokenFilter
		want   []int
	}{
		{repository.TokenFilter{}, []int{0, 1, 2, 3, 4, 5}},
		{repository.TokenFilter{GrantID: g.ID}, []int{0, 1, 2, 3}},
		{repository.TokenFilter{ClientID: other.ID}, []int{4, 5}},
		{repository.TokenFilter{Subject: g.Subject}, []int{0, 1, 2, 3}},
		{repository.TokenFilter{Kind: domain.AccessToken}, []int{0, 2, 4}},
		{repository.TokenFilter{Kind: domain.RefreshToken}, []int{1, 3, 5}},
		{repository.TokenFilter{State: repository.Live}, []int{0, 1, 5}},
		{repository.TokenFilter{State: repository.Ended}, []int{2, 3, 4}},
		{repository.TokenFilter{GrantID: g.ID, ClientID: other.ID}, nil},
		{repository.TokenFilter{GrantID: canary + "-nothing"}, nil},
		{repository.TokenFilter{GrantID: g.ID, ClientID: g.ClientID, Subject: g.Subject, Kind: domain.RefreshToken, State: repository.Ended}, []int{3}},
	} {
		wanted := []domain.Token{}
		for _, i := range c.want {
			wanted = append(wanted, stored(tokens[i]))
		}
		got, err := f.Tokens().List(f.ctx, c.filter, repository.Page{})
		must(t, err)
		wantList(t, got, wanted)
	}
}

func tokenUnknown(t *testing.T, f *fixture) {
	_, g := f.family(t)
	f.put(t, aCode("a code", g))
	for _, name := range []string{"nothing", "a code"} {
		f.wantGone(t, anAccess(name, g))
		wantError(t, f.Tokens().Revoke(f.ctx, domain.DigestOf(name)), repository.ErrNotFound)
		got, err := f.Tokens().Rotate(f.ctx, domain.DigestOf(name), aReplay())
		wantError(t, err, repository.ErrNotFound)
		want(t, got, domain.Token{})
	}
	f.want(t, stored(aCode("a code", g)))
}
