package repotest

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func grantChecks() []check {
	return []check{
		{"Create stores a grant with the time of the store", grantCreate},
		{"an ID is taken once, and the first grant stays", grantTaken},
		{"a grant without its client is not found and not stored", grantOrphan},
		{"IDs and subjects compare byte for byte", grantBytes},
		{"an unknown grant is not found and zero", grantUnknown},
		{"a grant expires at the exact instant", grantExpiry},
		{"a grant without an end does not expire", grantForever},
		{"revoked comes before expired", grantPrecedence},
		{"List selects by ID, client, subject and state, and by all of them at once", grantFilters},
	}
}

func grantCreate(t *testing.T, f *fixture) {
	_, g := f.family(t)
	f.want(t, stored(g))
}

func grantTaken(t *testing.T, f *fixture) {
	c, g := f.family(t)
	second := g
	second.Subject = canary + "-another"
	wantError(t, f.Grants().Create(f.ctx, second), repository.ErrAlreadyExists)
	other := aClient("-other")
	f.put(t, other)
	wantError(t, f.Grants().Create(f.ctx, aGrant("-grant", other)), repository.ErrAlreadyExists)
	f.want(t, stored(c), stored(g))
}

func grantOrphan(t *testing.T, f *fixture) {
	g := aGrant("-orphan", aClient("-nobody"))
	wantError(t, f.Grants().Create(f.ctx, g), repository.ErrNotFound)
	f.wantGone(t, g)
}

func grantBytes(t *testing.T, f *fixture) {
	c := aClient("-client")
	f.put(t, c)
	for _, text := range likeIDs() {
		g := aGrant("", c)
		g.ID, g.Subject = text, text
		must(t, f.Grants().Create(f.ctx, g))
		f.want(t, stored(g))
	}
	for _, text := range likeIDs() {
		got, err := f.Grants().List(f.ctx, repository.GrantFilter{Subject: text}, repository.Page{})
		wantCount(t, len(got), err, 1)
	}
	n, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{Subject: canary + "app"}, domain.ByUser)
	wantCount(t, n, err, 1)
}

func grantUnknown(t *testing.T, f *fixture) {
	f.family(t)
	f.wantGone(t, aGrant("-nothing", aClient("-client")))
}

func grantExpiry(t *testing.T, f *fixture) {
	c := aClient("-client")
	g := aGrant("-grant", c)
	g.ExpiresAt = start.Add(time.Hour)
	f.put(t, c, g)
	f.clock.Set(g.ExpiresAt.Add(-instant))
	f.want(t, stored(g))
	f.put(t, aCode("in time", g), anAccess("in time a", g))
	f.clock.Set(g.ExpiresAt)
	f.wantIs(t, repository.ErrExpired, g)
	late := []any{aCode("late", g), anAccess("late a", g)}
	for _, e := range late {
		wantError(t, putOne(f.ctx, f, e), repository.ErrExpired)
	}
	f.wantGone(t, late...)
	used := stored(g)
	used.LastUsedAt = g.ExpiresAt.Add(-instant)
	f.wantDead(t, used, repository.ErrExpired)
}

func grantForever(t *testing.T, f *fixture) {
	_, g := f.family(t)
	f.clock.Advance(200 * 365 * 24 * time.Hour)
	f.want(t, stored(g))
}

func grantPrecedence(t *testing.T, f *fixture) {
	c := aClient("-client")
	g := aGrant("-grant", c)
	g.ExpiresAt = start.Add(time.Hour)
	f.put(t, c, g)
	f.clock.Set(g.ExpiresAt.Add(time.Hour))
	n, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, domain.ByOperator)
	wantCount(t, n, err, 1)
	g = stored(g)
	g.RevokedAt, g.RevokedReason = f.clock.Now(), domain.ByOperator
	f.wantDead(t, g, repository.ErrRevoked)
	wantError(t, f.AuthorizationCodes().Create(f.ctx, aCode("late", g)), repository.ErrRevoked)
	wantError(t, f.Tokens().Create(f.ctx, anAccess("late", g)), repository.ErrRevoked)
	f.wantGone(t, aCode("late", g), anAccess("late", g))
}

// severalGrants are of two clients and two subjects: 1 and 5 live, 2 expired, 3 revoked, 4 live without subject.
func severalGrants(a, b domain.Client) []domain.Grant {
	g := []domain.Grant{aGrant("-1", a), aGrant("-2", a), aGrant("-3", b), aGrant("-4", b), aGrant("-5", b)}
	g[1].ExpiresAt = start
	g[2].RevokedAt, g[2].RevokedReason = start.Add(-time.Hour), domain.ByClient
	g[3].Subject = ""
	g[1].Subject, g[4].Subject = canary+"-other", canary+"-other"
	return g
}

func grantFilters(t *testing.T, f *fixture) {
	a, b := aClient("-a"), aClient("-b")
	g := severalGrants(a, b)
	f.put(t, a, b)
	for _, one := range g {
		f.put(t, one)
	}
	for _, c := range []struct {
		filter repository.GrantFilter
		want   []int
	}{
		{repository.GrantFilter{}, []int{0, 1, 2, 3, 4}},
		{repository.GrantFilter{ID: g[2].ID}, []int{2}},
		{repository.GrantFilter{ID: canary + "-9"}, nil},
		{repository.GrantFilter{ClientID: a.ID}, []int{0, 1}},
		{repository.GrantFilter{Subject: canary + "-user"}, []int{0, 2}},
		{repository.GrantFilter{State: repository.Live}, []int{0, 3, 4}},
		{repository.GrantFilter{State: repository.Ended}, []int{1, 2}},
		{repository.GrantFilter{ClientID: b.ID, State: repository.Live}, []int{3, 4}},
		{repository.GrantFilter{ClientID: b.ID, Subject: canary + "-other"}, []int{4}},
		{repository.GrantFilter{ID: g[0].ID, ClientID: b.ID}, nil},
		{repository.GrantFilter{ID: g[1].ID, ClientID: a.ID, Subject: canary + "-other", State: repository.Ended}, []int{1}},
	} {
		wanted := []domain.Grant{}
		for _, i := range c.want {
			wanted = append(wanted, stored(g[i]))
		}
		got, err := f.Grants().List(f.ctx, c.filter, repository.Page{})
		must(t, err)
		wantList(t, got, wanted)
	}
}

// wantList is want for slices; none is none, nil or empty.
func wantList[E any](t *testing.T, got, wanted []E) {
	t.Helper()
	if len(got) != len(wanted) {
		t.Errorf("listed %d, want %d", len(got), len(wanted))
		return
	}
	for i := range got {
		want(t, got[i], wanted[i])
	}
}
