package memoryrepo

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// grants is repository.Grants.
type grants struct{ *repo }

func (r grants) Create(ctx context.Context, g domain.Grant) (err error) {
	defer wrap("create grant", &err)
	if err := r.check(ctx); err != nil {
		return err
	}
	if err := repository.Validate(g); err != nil {
		return err
	}
	g = g.Clone()
	if err := r.beginWrite(ctx); err != nil {
		return err
	}
	defer r.endWrite()
	if r.grants[g.ID] != nil {
		return repository.ErrAlreadyExists
	}
	if r.clients[g.ClientID] == nil {
		return fmt.Errorf("client: %w", repository.ErrNotFound)
	}
	setIfZero(&g.CreatedAt, r.Now())
	r.change()
	r.setGrant(g.ID, &g)
	return nil
}

func (r grants) Get(ctx context.Context, id string) (_ domain.Grant, err error) {
	defer wrap("get grant", &err)
	if err := r.beginRead(ctx); err != nil {
		return domain.Grant{}, err
	}
	row := r.grants[id]
	r.endRead()
	if row == nil {
		return domain.Grant{}, repository.ErrNotFound
	}
	return row.Clone(), repository.WhyNotLive(row.Live(r.Now()), row.RevokedAt, time.Time{})
}

func (r grants) List(ctx context.Context, f repository.GrantFilter, page repository.Page) (_ []domain.Grant, err error) {
	defer wrap("list grants", &err)
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	size, err := page.Size()
	if err != nil {
		return nil, err
	}
	after, err := page.AfterID()
	if err != nil {
		return nil, err
	}
	rows, err := r.find(ctx, f, after, size)
	if err != nil {
		return nil, err
	}
	return clones(rows, func(g *domain.Grant) int { return len(g.Data) }), nil
}

func (r grants) find(ctx context.Context, f repository.GrantFilter, after string, size int) ([]*domain.Grant, error) {
	if err := r.beginRead(ctx); err != nil {
		return nil, err
	}
	defer r.endRead()
	now := r.Now()
	selected := func(yield func(*domain.Grant) bool) {
		for row := range r.grantsFor(f) {
			if row.ID > after && f.Matches(*row, now) && !yield(row) {
				return
			}
		}
	}
	return firstOf(size, selected, func(a, b *domain.Grant) int { return strings.Compare(a.ID, b.ID) }), nil
}

func (r grants) Revoke(ctx context.Context, f repository.GrantFilter, why domain.Reason) (_ int, err error) {
	defer wrap("revoke grants", &err)
	if err := r.check(ctx); err != nil {
		return 0, err
	}
	if err := f.ValidateRevoke(why); err != nil {
		return 0, err
	}
	if err := r.beginWrite(ctx); err != nil {
		return 0, err
	}
	defer r.endWrite()
	now, revoked := r.Now(), 0
	for row := range r.grantsFor(f) {
		if row.RevokedAt.IsZero() && f.Matches(*row, now) {
			r.change()
			r.revoke(*row, now, why)
			revoked++
		}
	}
	return revoked, nil
}

// revoke ends g with its codes and tokens.
func (r grants) revoke(g domain.Grant, now time.Time, why domain.Reason) {
	g.RevokedAt, g.RevokedReason = now, why
	r.setGrant(g.ID, &g)
	for row := range pick(r.codes, r.codesOfGrant[g.ID]) {
		if row.RevokedAt.IsZero() {
			revoked := *row
			revoked.RevokedAt = now
			r.setCode(row.Digest, &revoked)
		}
	}
	for row := range pick(r.tokens, r.tokensOfGrant[g.ID]) {
		if row.RevokedAt.IsZero() {
			revoked := *row
			revoked.RevokedAt = now
			r.setToken(row.Digest, &revoked)
		}
	}
}

// DeleteEnded looks at each grant until it has found limit.
func (r grants) DeleteEnded(ctx context.Context, before time.Time, limit int) (_ int, err error) {
	defer wrap("delete ended grants", &err)
	if err := r.check(ctx); err != nil {
		return 0, err
	}
	if err := repository.CheckLimit(limit); err != nil {
		return 0, err
	}
	if err := r.beginWrite(ctx); err != nil {
		return 0, err
	}
	defer r.endWrite()
	before = domain.Microsecond(before)
	now := r.Now()
	var ended []string
	for id, row := range r.grants {
		if endedBefore(row, before) && !r.anyLive(id, now) {
			if ended = append(ended, id); len(ended) == limit {
				break
			}
		}
	}
	for _, id := range ended {
		r.change()
		r.dropGrant(id)
	}
	return len(ended), nil
}

// endedBefore reports whether g was created before that time and revoked before it or, never revoked,
// expired or was last used before it.
func endedBefore(g *domain.Grant, before time.Time) bool {
	if !g.CreatedAt.Before(before) {
		return false
	}
	if !g.RevokedAt.IsZero() {
		return g.RevokedAt.Before(before)
	}
	expired := !g.ExpiresAt.IsZero() && g.ExpiresAt.Before(before)
	return expired || g.LastUsedAt.Before(before)
}

// anyLive reports whether a code or token of the grant is live.
func (d *data) anyLive(grantID string, now time.Time) bool {
	for row := range pick(d.codes, d.codesOfGrant[grantID]) {
		if row.Live(now) {
			return true
		}
	}
	for row := range pick(d.tokens, d.tokensOfGrant[grantID]) {
		if row.Live(now) {
			return true
		}
	}
	return false
}

// grantsFor yields a superset of the grants that f selects: as small a one as the indexes know.
func (d *data) grantsFor(f repository.GrantFilter) iter.Seq[*domain.Grant] {
	switch {
	case f.ID != "":
		if row := d.grants[f.ID]; row != nil {
			return slices.Values([]*domain.Grant{row})
		}
		return func(func(*domain.Grant) bool) {}
	case f.Subject != "" && (f.ClientID == "" || len(d.grantsOfSubject[f.Subject]) < len(d.grantsOfClient[f.ClientID])):
		return pick(d.grants, d.grantsOfSubject[f.Subject])
	case f.ClientID != "":
		return pick(d.grants, d.grantsOfClient[f.ClientID])
	}
	return maps.Values(d.grants)
}

// liveGrant returns the grant that something of the given owner is about to be added to, or why it
// cannot be.
func (d *data) liveGrant(id, clientID, subject string, now time.Time) (*domain.Grant, error) {
	g := d.grants[id]
	if g == nil {
		return nil, fmt.Errorf("grant: %w", repository.ErrNotFound)
	}
	if err := repository.WhyNotLive(g.Live(now), g.RevokedAt, time.Time{}); err != nil {
		return nil, fmt.Errorf("grant: %w", err)
	}
	if err := repository.CheckOwner(*g, clientID, subject); err != nil {
		return nil, err
	}
	return g, nil
}

func setIfZero(t *time.Time, value time.Time) {
	if t.IsZero() {
		*t = value
	}
}
