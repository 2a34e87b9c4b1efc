package repotest

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func revocationChecks() []check {
	return []check{
		{"Revoke ends a grant with all its codes and tokens, and no others", revokeFamily},
		{"what is revoked is revoked first of all, consumed and expired ones too", revokeDead},
		{"Revoke selects by ID, by client, by subject, and by state", revokeFilters},
		{"Revoke again is none, and the first time and reason are kept", revokeAgain},
		{"Revoke without ID, client and subject is invalid and revokes none", revokeEmpty},
		{"Revoke without a known reason is invalid and revokes none", revokeReason},
		{"nothing can be added to a revoked grant", revokeFence},
	}
}

func revokeFamily(t *testing.T, f *fixture) {
	c, g := f.family(t)
	other := aGrant("-other", c)
	f.put(t, other)
	ends := []any{aCode("1", g), anAccess("1a", g), aRefresh("1r", g)}
	lives := []any{other, aCode("2", other), anAccess("2a", other), aRefresh("2r", other), c}
	f.put(t, ends...)
	f.put(t, lives[1:4]...)
	f.clock.Advance(time.Second)
	n, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, domain.ByUser)
	wantCount(t, n, err, 1)

	g = stored(g)
	g.LastUsedAt, g.RevokedAt, g.RevokedReason = start, f.clock.Now(), domain.ByUser
	code, access := stored(aCode("1", g)), stored(anAccess("1a", g))
	code.RevokedAt, access.RevokedAt = g.RevokedAt, g.RevokedAt
	for _, e := range []any{g, code, access} {
		f.wantDead(t, e, repository.ErrRevoked)
	}
	f.wantIs(t, repository.ErrRevoked, ends...)
	f.wantIs(t, nil, lives...)
	_, err = f.AuthorizationCodes().Consume(f.ctx, code.Digest)
	wantError(t, err, repository.ErrRevoked)
}

func revokeDead(t *testing.T, f *fixture) {
	_, g := f.family(t)
	used, expired := aCode("used", g), aCode("expired", g)
	expired.ExpiresAt = start
	old, stale := aRefresh("old", g), anAccess("stale", g)
	stale.ExpiresAt = start
	f.put(t, used, expired, old, stale)
	_, err := f.AuthorizationCodes().Consume(f.ctx, used.Digest)
	must(t, err)
	_, err = f.Tokens().Rotate(f.ctx, old.Digest, aReplay())
	must(t, err)
	n, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, domain.ByUser)
	wantCount(t, n, err, 1)
	f.wantIs(t, repository.ErrRevoked, used, expired, old, stale)
	f.clock.Advance(365 * 24 * time.Hour)
	f.wantIs(t, repository.ErrRevoked, used, expired, old, stale)
}

func revokeFilters(t *testing.T, f *fixture) {
	a, b := aClient("-a"), aClient("-b")
	f.put(t, a, b)
	for i, c := range []struct {
		filter repository.GrantFilter
		want   []int // of severalGrants: 2 is revoked already
	}{
		{repository.GrantFilter{ID: canary + "-2"}, []int{1}},
		{repository.GrantFilter{ClientID: a.ID}, []int{0, 1}},
		{repository.GrantFilter{Subject: canary + "-user"}, []int{0}},
		{repository.GrantFilter{Subject: canary + "-other"}, []int{1, 4}},
		{repository.GrantFilter{ClientID: b.ID, Subject: canary + "-other"}, []int{4}},
		{repository.GrantFilter{ClientID: a.ID, State: repository.Live}, []int{0}},
		{repository.GrantFilter{ClientID: a.ID, State: repository.Ended}, []int{1}},
		{repository.GrantFilter{ID: canary + "-nothing"}, nil},
		{repository.GrantFilter{ClientID: canary + "-nobody"}, nil},
	} {
		must(t, f.Clients().Delete(f.ctx, a.ID))
		must(t, f.Clients().Delete(f.ctx, b.ID))
		f.put(t, a, b)
		before := severalGrants(a, b)
		for _, g := range before {
			f.put(t, g)
		}
		n, err := f.Grants().Revoke(f.ctx, c.filter, domain.ByOperator)
		wantCount(t, n, err, len(c.want))
		for _, i := range c.want {
			before[i].RevokedAt, before[i].RevokedReason = start, domain.ByOperator
		}
		got, err := f.Grants().List(f.ctx, repository.GrantFilter{}, repository.Page{})
		must(t, err)
		for i := range before {
			before[i] = stored(before[i])
		}
		if wantList(t, got, before); t.Failed() {
			t.Fatalf("in case %d", i)
		}
	}
}

func revokeAgain(t *testing.T, f *fixture) {
	_, g := f.family(t)
	f.put(t, anAccess("a", g))
	for i, why := range []domain.Reason{domain.CodeReplayed, domain.ByUser, domain.RefreshTokenReused} {
		n, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ClientID: g.ClientID}, why)
		wantCount(t, n, err, max(0, 1-i))
		f.clock.Advance(time.Minute)
	}
	g = stored(g)
	g.LastUsedAt, g.RevokedAt, g.RevokedReason = start, start, domain.CodeReplayed
	f.wantDead(t, g, repository.ErrRevoked)
}

func revokeEmpty(t *testing.T, f *fixture) {
	_, g := f.family(t)
	f.put(t, anAccess("a", g))
	for _, state := range []repository.State{repository.Any, repository.Live, repository.Ended} {
		n, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{State: state}, domain.ByOperator)
		wantError(t, err, repository.ErrInvalid)
		want(t, n, 0)
	}
	f.wantIs(t, nil, g, anAccess("a", g))
}

func revokeReason(t *testing.T, f *fixture) {
	_, g := f.family(t)
	for _, why := range []domain.Reason{"", canary, "User"} {
		_, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, why)
		wantError(t, err, repository.ErrInvalid)
	}
	_, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID, State: 9}, domain.ByUser)
	wantError(t, err, repository.ErrInvalid)
	f.want(t, stored(g))
}

func revokeFence(t *testing.T, f *fixture) {
	_, g := f.family(t)
	old := aRefresh("old", g)
	f.put(t, old)
	_, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, domain.ByUser)
	must(t, err)
	f.clock.Advance(time.Minute)
	late := []any{aCode("late", g), anAccess("late a", g), aRefresh("late r", g)}
	for _, e := range late {
		wantError(t, putOne(f.ctx, f, e), repository.ErrRevoked)
	}
	got, err := f.Tokens().Rotate(f.ctx, old.Digest, aReplay(), anAccess("late a", g))
	wantError(t, err, repository.ErrRevoked)
	old = stored(old)
	old.RevokedAt = start
	want(t, got, old)
	f.wantGone(t, late...)
	g = stored(g)
	g.LastUsedAt, g.RevokedAt, g.RevokedReason = start, start, domain.ByUser
	f.wantDead(t, g, repository.ErrRevoked)
}
