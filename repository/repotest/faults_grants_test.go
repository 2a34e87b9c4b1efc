package repotest_test

import (
	"context"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func grantFaults() []fault {
	on := func(name string, hook func(env env, g repository.Grants) repository.Grants) fault {
		return fault{name: name, grants: hook}
	}
	return []fault{
		on("an empty filter revokes every grant", func(_ env, g repository.Grants) repository.Grants { return revokesAll{g} }),
		on("a second Revoke overwrites the reason", func(e env, g repository.Grants) repository.Grants { return lastReason{g, e} }),
		on("Data ends at its first NUL", func(_ env, g repository.Grants) repository.Grants { return cString{g} }),
		on("DeleteEnded takes one too many", func(_ env, g repository.Grants) repository.Grants { return overGreedy{g} }),
		on("a grant's filter forgets the state", func(_ env, g repository.Grants) repository.Grants { return stateless{g} }),
	}
}

type revokesAll struct{ repository.Grants }

func (f revokesAll) Revoke(ctx context.Context, filter repository.GrantFilter, why domain.Reason) (int, error) {
	n, err := f.Grants.Revoke(ctx, filter, why)
	if err == nil || filter.ID+filter.ClientID+filter.Subject != "" {
		return n, err
	}
	all, err := f.Grants.List(ctx, filter, repository.Page{})
	for _, g := range all {
		_, _ = f.Grants.Revoke(ctx, repository.GrantFilter{ID: g.ID}, why)
	}
	return len(all), err
}

// lastReason shows the reason of the last Revoke, not of the first.
type lastReason struct {
	repository.Grants
	env env
}

func (f lastReason) Revoke(ctx context.Context, filter repository.GrantFilter, why domain.Reason) (int, error) {
	n, err := f.Grants.Revoke(ctx, filter, why)
	if err == nil {
		all, _ := f.List(ctx, filter, repository.Page{})
		for _, g := range all {
			f.env.memo.Store(g.ID, why)
		}
	}
	return n, err
}

func (f lastReason) Get(ctx context.Context, id string) (domain.Grant, error) {
	g, err := f.Grants.Get(ctx, id)
	if why, ok := f.env.memo.Load(id); ok && g.RevokedReason != "" {
		g.RevokedReason = why.(domain.Reason)
	}
	return g, err
}

type cString struct{ repository.Grants }

func (f cString) Get(ctx context.Context, id string) (domain.Grant, error) {
	g, err := f.Grants.Get(ctx, id)
	if i := strings.IndexByte(string(g.Data), 0); i >= 0 {
		g.Data = g.Data[:i]
	}
	return g, err
}

type overGreedy struct{ repository.Grants }

func (f overGreedy) DeleteEnded(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := f.Grants.DeleteEnded(ctx, before, limit)
	if err != nil {
		return n, err
	}
	more, err := f.Grants.DeleteEnded(ctx, before, 1)
	return n + more, err
}

type stateless struct{ repository.Grants }

func (f stateless) List(ctx context.Context, filter repository.GrantFilter, page repository.Page) ([]domain.Grant, error) {
	if filter.Validate() == nil {
		filter.State = repository.Any
	}
	return f.Grants.List(ctx, filter, page)
}
