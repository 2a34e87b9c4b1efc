package repotest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func cleanupChecks() []check {
	return []check{
		{"expired codes are deleted in batches, live and consumed ones stay", cleanCodes},
		{"expired tokens are deleted in batches, live, consumed and revoked ones stay", cleanTokens},
		{"replays are erased in batches when their time has passed, and nothing else of their token", cleanReplays},
		{"a grant has ended when it was revoked, expired or last used before the given time", cleanGrants},
		{"a grant with a live code or token under it is not deleted", cleanLiveGrants},
		{"ended grants are deleted in batches, with what is dead under them", cleanGrantBatches},
		{"a limit below 1 is invalid and deletes none", cleanBadLimit},
	}
}

// wantBatches calls clean until it is done and checks what each call returned.
func (f *fixture) wantBatches(t *testing.T, clean func(ctx context.Context, limit int) (int, error), limit int, wanted ...int) {
	t.Helper()
	for _, w := range wanted {
		n, err := clean(f.ctx, limit)
		wantCount(t, n, err, w)
	}
}

func cleanCodes(t *testing.T, f *fixture) {
	_, g := f.family(t)
	live, consumed, revoked := aCode("live", g), aCode("consumed", g), aCode("revoked", g)
	consumed.ConsumedAt, revoked.RevokedAt = start, start
	live.ExpiresAt, consumed.ExpiresAt, revoked.ExpiresAt = start.Add(11*time.Minute), start.Add(11*time.Minute), start.Add(11*time.Minute)
	f.put(t, live, consumed, revoked)
	var expired []any
	for i := range 5 {
		code := aCode(fmt.Sprint(i), g)
		if i == 4 {
			code.ConsumedAt = start
		}
		expired = append(expired, code)
	}
	f.put(t, expired...)
	f.clock.Set(start.Add(10*time.Minute - instant))
	f.wantBatches(t, f.AuthorizationCodes().DeleteExpired, 2, 0)
	f.wantIs(t, nil, expired[:4]...)
	f.clock.Advance(instant)
	f.wantBatches(t, f.AuthorizationCodes().DeleteExpired, 2, 2)
	f.wantStats(t, repository.Stats{
		Clients: 1, Grants: repository.Count{Total: 1, Live: 1}, AuthorizationCodes: repository.Count{Total: 6, Live: 1},
	})
	f.wantBatches(t, f.AuthorizationCodes().DeleteExpired, 2, 2, 1, 0)
	f.wantGone(t, expired...)
	f.want(t, stored(live))
	f.wantDead(t, stored(consumed), repository.ErrConsumed)
	f.wantDead(t, stored(revoked), repository.ErrRevoked)
}

func cleanTokens(t *testing.T, f *fixture) {
	_, g := f.family(t)
	live, consumed, revoked := aRefresh("live", g), aRefresh("consumed", g), aRefresh("revoked", g)
	consumed.ConsumedAt, revoked.RevokedAt = start, start
	f.put(t, live, consumed, revoked)
	var expired []any
	for i := range 5 {
		expired = append(expired, anAccess(fmt.Sprint(i), g))
	}
	f.put(t, expired...)
	f.clock.Set(start.Add(time.Hour - instant))
	f.wantBatches(t, f.Tokens().DeleteExpired, 2, 0)
	f.wantIs(t, nil, expired...)
	f.clock.Advance(instant)
	f.wantBatches(t, f.Tokens().DeleteExpired, 2, 2)
	stats, err := f.Stats(f.ctx)
	must(t, err)
	want(t, stats.AccessTokens, repository.Count{Total: 3})
	f.wantBatches(t, f.Tokens().DeleteExpired, 2, 2, 1, 0)
	f.wantGone(t, expired...)
	f.want(t, stored(live))
	f.wantDead(t, stored(consumed), repository.ErrConsumed)
	f.wantDead(t, stored(revoked), repository.ErrRevoked)
	f.clock.Set(live.ExpiresAt)
	f.wantBatches(t, f.Tokens().DeleteExpired, 100, 3, 0)
	f.wantGone(t, live, consumed, revoked)
}

func cleanReplays(t *testing.T, f *fixture) {
	_, g := f.family(t)
	late := aReplay()
	late.ExpiresAt = late.ExpiresAt.Add(instant)
	for i := range 4 {
		old := fullToken(g)
		old.Digest = domain.DigestOf(fmt.Sprint(i))
		f.put(t, old)
		replay := aReplay()
		if i == 3 {
			replay = late
		}
		_, err := f.Tokens().Rotate(f.ctx, old.Digest, replay)
		must(t, err)
	}
	f.clock.Set(aReplay().ExpiresAt.Add(-instant))
	f.wantBatches(t, f.Tokens().DeleteExpired, 2, 0)
	f.wantReplays(t, g, 4)
	f.clock.Advance(instant)
	f.wantBatches(t, f.Tokens().DeleteExpired, 2, 2)
	f.wantReplays(t, g, 2)
	f.wantBatches(t, f.Tokens().DeleteExpired, 2, 1, 0)
	f.wantReplays(t, g, 1)
	for i := range 4 {
		wanted := fullToken(g)
		wanted.Digest, wanted.ConsumedAt = domain.DigestOf(fmt.Sprint(i)), start
		if i == 3 {
			wanted.Replay = late
		}
		f.wantDead(t, stored(wanted), repository.ErrConsumed)
	}
	f.clock.Advance(instant)
	f.wantBatches(t, f.Tokens().DeleteExpired, 2, 1, 0)
}

func (f *fixture) wantReplays(t *testing.T, g domain.Grant, wanted int) {
	t.Helper()
	tokens, err := f.Tokens().List(f.ctx, repository.TokenFilter{GrantID: g.ID}, repository.Page{})
	must(t, err)
	n := 0
	for _, token := range tokens {
		n += min(1, len(token.Replay.Sealed))
	}
	want(t, n, wanted)
}

func cleanGrants(t *testing.T, f *fixture) {
	c := aClient("-client")
	f.put(t, c)
	cut := start.Add(time.Hour)
	before := cut.Add(-instant)
	for i, spoil := range []func(g *domain.Grant, at time.Time){
		func(g *domain.Grant, at time.Time) { g.RevokedAt, g.RevokedReason = at, domain.ByUser },
		func(g *domain.Grant, at time.Time) { g.ExpiresAt = at },
		func(g *domain.Grant, at time.Time) { g.CreatedAt, g.LastUsedAt = start.Add(-time.Hour), at },
		func(g *domain.Grant, at time.Time) { g.CreatedAt, g.LastUsedAt = at, time.Time{} },
	} {
		ended, stays := aGrant(fmt.Sprint("-ended", i), c), aGrant(fmt.Sprint("-stays", i), c)
		ended.CreatedAt, stays.CreatedAt = start, start
		ended.LastUsedAt, stays.LastUsedAt = cut, cut
		spoil(&ended, before)
		spoil(&stays, cut)
		f.put(t, ended, stays)
		f.clock.Set(cut.Add(time.Hour))
		n, err := f.Grants().DeleteEnded(f.ctx, cut, 10)
		wantCount(t, n, err, 1)
		f.wantGone(t, ended)
		if _, err := f.Grants().Get(f.ctx, stays.ID); err != nil && i > 1 {
			t.Errorf("case %d: a live grant was deleted: %v", i, err)
		}
		got, err := f.Grants().List(f.ctx, repository.GrantFilter{ID: stays.ID}, repository.Page{})
		wantCount(t, len(got), err, 1)
	}
}

func cleanLiveGrants(t *testing.T, f *fixture) {
	c := aClient("-client")
	f.put(t, c)
	var all, under []any
	for i := range 4 {
		g := aGrant(fmt.Sprint("-", i), c)
		g.ExpiresAt = start.Add(time.Minute)
		code, access, refresh := aCode(fmt.Sprint(i), g), anAccess(fmt.Sprint("a", i), g), aRefresh(fmt.Sprint("r", i), g)
		code.ExpiresAt = start.Add(time.Hour)
		f.put(t, g)
		f.put(t, []any{code, access, refresh}[i%3])
		all, under = append(all, g), append(under, []any{code, access, refresh}[i%3])
	}
	must(t, f.Tokens().Revoke(f.ctx, domain.DigestOf("a1")))
	f.clock.Set(start.Add(time.Hour - instant))
	n, err := f.Grants().DeleteEnded(f.ctx, f.clock.Now(), 10)
	wantCount(t, n, err, 1)
	f.wantGone(t, all[1], under[1])
	f.wantIs(t, nil, under[0], under[2], under[3])
	f.clock.Advance(instant)
	n, err = f.Grants().DeleteEnded(f.ctx, f.clock.Now(), 10)
	wantCount(t, n, err, 2)
	f.wantGone(t, all[0], all[3], under[0], under[3])
	f.wantIs(t, nil, under[2])
	f.wantIs(t, repository.ErrExpired, all[2])
}

func cleanGrantBatches(t *testing.T, f *fixture) {
	c := aClient("-client")
	kept := aGrant("-kept", c)
	f.put(t, c, kept)
	var dead []any
	for i := range 5 {
		g := aGrant(fmt.Sprint("-", i), c)
		code, token := aCode(fmt.Sprint(i), g), aRefresh(fmt.Sprint(i), g)
		f.put(t, g, code, token)
		dead = append(dead, g, code, token)
		_, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, domain.ByUser)
		must(t, err)
	}
	f.wantBatches(t, func(ctx context.Context, limit int) (int, error) {
		return f.Grants().DeleteEnded(ctx, start, limit)
	}, 2, 0)
	f.wantIs(t, repository.ErrRevoked, dead...)
	f.clock.Advance(time.Second)
	f.put(t, anAccess("used", kept))
	clean := func(ctx context.Context, limit int) (int, error) {
		return f.Grants().DeleteEnded(ctx, start.Add(instant), limit)
	}
	f.wantBatches(t, clean, 2, 2)
	stats, err := f.Stats(f.ctx)
	must(t, err)
	want(t, stats.Grants, repository.Count{Total: 4, Live: 1})
	f.wantBatches(t, clean, 2, 2, 1, 0)
	f.wantGone(t, dead...)
	f.wantIs(t, nil, c, kept, anAccess("used", kept))
}

func cleanBadLimit(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	for _, limit := range []int{0, -1} {
		_, err := f.AuthorizationCodes().DeleteExpired(f.ctx, limit)
		wantError(t, err, repository.ErrInvalid)
		_, err = f.Tokens().DeleteExpired(f.ctx, limit)
		wantError(t, err, repository.ErrInvalid)
		_, err = f.Grants().DeleteEnded(f.ctx, f.clock.Now(), limit)
		wantError(t, err, repository.ErrInvalid)
	}
	f.wantWorld(t, w)
}
