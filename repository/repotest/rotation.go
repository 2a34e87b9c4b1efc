package repotest

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func rotationChecks() []check {
	return []check{
		{"Rotate consumes the old token, keeps the replay and stores the next ones", rotate},
		{"Rotate may have no next token and no replay", rotateBare},
		{"a second Rotate is told consumed and gets the first replay", rotateTwice},
		{"an expired token or grant is not rotated", rotateExpired},
		{"an access token is not rotated", rotateAccess},
		{"Rotate to a token that exists does nothing", rotateTaken},
		{"Rotate to a token of another grant, client or subject is invalid and does nothing", rotateMismatch},
		{"Rotate with a replay that breaks a limit is invalid and does nothing", rotateInvalid},
	}
}

func rotate(t *testing.T, f *fixture) {
	_, g := f.family(t)
	old := fullToken(g)
	f.put(t, old, aRefresh("other", g))
	f.clock.Advance(time.Minute)
	next, access := aRefresh("next", g), anAccess("access", g)
	replay := aReplay()
	replay.ExpiresAt = replay.ExpiresAt.Add(999)
	got, err := f.Tokens().Rotate(f.ctx, old.Digest, replay, next, access)
	must(t, err)
	old.ConsumedAt, old.Replay = f.clock.Now(), replay
	next.CreatedAt, access.CreatedAt = f.clock.Now(), f.clock.Now()
	g = stored(g)
	g.LastUsedAt = f.clock.Now()
	want(t, got, old.Clone())
	f.wantDead(t, old.Clone(), repository.ErrConsumed)
	f.want(t, next, access, g, stored(aRefresh("other", g)))
}

func rotateBare(t *testing.T, f *fixture) {
	_, g := f.family(t)
	old := aRefresh("old", g)
	f.put(t, old)
	got, err := f.Tokens().Rotate(f.ctx, old.Digest, domain.Replay{})
	must(t, err)
	want(t, got, rotated(old, start, domain.Replay{}))
	f.wantDead(t, rotated(old, start, domain.Replay{}), repository.ErrConsumed)
}

func rotateTwice(t *testing.T, f *fixture) {
	_, g := f.family(t)
	old := aRefresh("old", g)
	f.put(t, old)
	_, err := f.Tokens().Rotate(f.ctx, old.Digest, aReplay(), aRefresh("first", g))
	must(t, err)
	f.clock.Advance(time.Second)
	second := domain.Replay{Sealed: []byte(canary + " second"), ExpiresAt: start.Add(time.Hour)}
	got, err := f.Tokens().Rotate(f.ctx, old.Digest, second, aRefresh("second", g))
	wantError(t, err, repository.ErrConsumed)
	want(t, got, rotated(old, start, aReplay()))
	f.wantDead(t, rotated(old, start, aReplay()), repository.ErrConsumed)
	f.wantGone(t, aRefresh("second", g))
	g = stored(g)
	g.LastUsedAt = start
	f.want(t, g, stored(aRefresh("first", g)))
}

func rotateExpired(t *testing.T, f *fixture) {
	c := aClient("-client")
	g, h := aGrant("-grant", c), aGrant("-ends", c)
	h.ExpiresAt = start.Add(time.Hour)
	f.put(t, c, g, h)
	old, fenced := aRefresh("old", g), aRefresh("fenced", h)
	early, in := aRefresh("early", g), aRefresh("in time", h)
	f.put(t, old, early, fenced, in)
	f.clock.Set(h.ExpiresAt.Add(-instant))
	_, err := f.Tokens().Rotate(f.ctx, in.Digest, domain.Replay{})
	must(t, err)
	f.clock.Set(h.ExpiresAt)
	f.refused(t, fenced, h, repository.ErrExpired)
	f.want(t, stored(fenced))
	f.clock.Set(old.ExpiresAt.Add(-instant))
	_, err = f.Tokens().Rotate(f.ctx, early.Digest, domain.Replay{})
	must(t, err)
	f.clock.Set(old.ExpiresAt)
	f.refused(t, old, g, repository.ErrExpired)
	f.wantDead(t, stored(old), repository.ErrExpired)
}

// refused checks that old cannot be rotated, comes back as it is, and that the next one is not stored.
func (f *fixture) refused(t *testing.T, old domain.Token, g domain.Grant, why error) {
	t.Helper()
	next := aRefresh("refused", g)
	next.ExpiresAt = time.Time{}
	got, err := f.Tokens().Rotate(f.ctx, old.Digest, aReplay(), next)
	wantError(t, err, why)
	want(t, got, stored(old))
	f.wantGone(t, next)
}

func rotateAccess(t *testing.T, f *fixture) {
	_, g := f.family(t)
	access := anAccess("access", g)
	f.put(t, access)
	_, err := f.Tokens().Rotate(f.ctx, access.Digest, domain.Replay{}, aRefresh("next", g))
	wantError(t, err, repository.ErrInvalid)
	f.want(t, stored(access))
	f.wantGone(t, aRefresh("next", g))
}

func rotateTaken(t *testing.T, f *fixture) {
	_, g := f.family(t)
	old, taken := aRefresh("old", g), anAccess("taken", g)
	f.put(t, old, taken)
	f.clock.Advance(time.Second)
	for _, next := range [][]domain.Token{
		{aRefresh("next", g), taken},
		{aRefresh("next", g), aRefresh("next", g)},
		{old},
	} {
		_, err := f.Tokens().Rotate(f.ctx, old.Digest, aReplay(), next...)
		wantError(t, err, repository.ErrAlreadyExists)
	}
	f.untouched(t, old, g)
}

// untouched checks that old and its grant are as they were at the start, and that nothing came after.
func (f *fixture) untouched(t *testing.T, old domain.Token, g domain.Grant) {
	t.Helper()
	g = stored(g)
	g.LastUsedAt = start
	f.want(t, stored(old), g)
	f.wantGone(t, aRefresh("next", g))
}

func rotateMismatch(t *testing.T, f *fixture) {
	c, g := f.family(t)
	other, second := aClient("-other"), aGrant("-second", c)
	f.put(t, other, second)
	old := aRefresh("old", g)
	f.put(t, old)
	f.clock.Advance(time.Second)
	byClient, bySubject, byGrant := aRefresh("next", g), aRefresh("next", g), aRefresh("next", second)
	byClient.ClientID = other.ID
	bySubject.Subject = canary + "-somebody"
	for field, next := range map[string]domain.Token{"ClientID": byClient, "Subject": bySubject, "GrantID": byGrant} {
		_, err := f.Tokens().Rotate(f.ctx, old.Digest, aReplay(), anAccess("fits", g), next)
		wantInvalid(t, err, field)
		f.untouched(t, old, g)
		f.wantGone(t, anAccess("fits", g))
	}
}

func rotateInvalid(t *testing.T, f *fixture) {
	_, g := f.family(t)
	old := aRefresh("old", g)
	f.put(t, old)
	f.clock.Advance(time.Second)
	bad := aRefresh("next", g)
	bad.Scopes = []string{canary + " "}
	_, err := f.Tokens().Rotate(f.ctx, old.Digest, aReplay(), bad)
	wantInvalid(t, err, "Scopes")
	for field, replay := range map[string]domain.Replay{
		"ExpiresAt": {Sealed: []byte(canary)},
		"Sealed":    {Sealed: make([]byte, domain.MaxReplay+1), ExpiresAt: start.Add(time.Hour)},
	} {
		_, err := f.Tokens().Rotate(f.ctx, old.Digest, replay, aRefresh("next", g))
		wantInvalid(t, err, field)
	}
	f.untouched(t, old, g)
}
