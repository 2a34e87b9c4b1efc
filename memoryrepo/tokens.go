package memoryrepo

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// tokens is repository.Tokens.
type tokens struct{ *repo }

func (r tokens) Create(ctx context.Context, created ...domain.Token) (err error) {
	defer wrap("create tokens", &err)
	if err := r.check(ctx); err != nil {
		return err
	}
	if len(created) == 0 {
		return fmt.Errorf("%w: no tokens", repository.ErrInvalid)
	}
	if err := repository.CheckTokens(created); err != nil {
		return err
	}
	rows := copies(created)
	if err := r.beginWrite(ctx); err != nil {
		return err
	}
	defer r.endWrite()
	now := r.Now()
	grant, err := r.fence(&rows[0], rows, now)
	if err != nil {
		return err
	}
	r.change()
	r.add(*grant, rows, now)
	return nil
}

// copies returns the tokens of list as they are stored.
func copies(list []domain.Token) []domain.Token {
	out := make([]domain.Token, len(list))
	for i, t := range list {
		out[i] = t.Clone()
	}
	return out
}

// fence returns the grant that rows, which have the owner of first, may be added to, or why
// they may not.
func (r tokens) fence(first *domain.Token, rows []domain.Token, now time.Time) (*domain.Grant, error) {
	grant, err := r.liveGrant(first.GrantID, first.ClientID, first.Subject, now)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if d := rows[i].Digest; r.tokens[d] != nil || holdsDigest(rows[:i], d) {
			return nil, repository.ErrAlreadyExists
		}
	}
	return grant, nil
}

func holdsDigest(rows []domain.Token, d domain.Digest) bool {
	for i := range rows {
		if rows[i].Digest == d {
			return true
		}
	}
	return false
}

// add stores rows, which passed the fence, and marks their grant as used.
func (r tokens) add(grant domain.Grant, rows []domain.Token, now time.Time) {
	grant.LastUsedAt = now
	r.setGrant(grant.ID, &grant)
	for _, row := range rows {
		setIfZero(&row.CreatedAt, now)
		r.setToken(row.Digest, &row)
	}
}

// Get does without the deferred wrap of the others, which would be a tenth of its time.
func (r tokens) Get(ctx context.Context, d domain.Digest) (domain.Token, error) {
	const operation = "get token"
	if err := r.beginRead(ctx); err != nil {
		return domain.Token{}, wrapped(operation, err)
	}
	row := r.tokens[d]
	r.endRead()
	if row == nil {
		return domain.Token{}, wrapped(operation, repository.ErrNotFound)
	}
	return row.Clone(), wrapped(operation, repository.WhyNotLive(row.Live(r.Now()), row.RevokedAt, row.ConsumedAt))
}

// Rotate returns the old token with each error but ErrNotFound and those of replay and next themselves.
func (r tokens) Rotate(ctx context.Context, old domain.Digest, replay domain.Replay, next ...domain.Token) (_ domain.Token, err error) {
	defer wrap("rotate refresh token", &err)
	if err := r.check(ctx); err != nil {
		return domain.Token{}, err
	}
	if err := repository.Validate(replay); err != nil {
		return domain.Token{}, fmt.Errorf("replay: %w", err)
	}
	if err := repository.CheckTokens(next); err != nil {
		return domain.Token{}, err
	}
	row, err := r.rotate(ctx, old, replay.Clone(), copies(next))
	if row == nil {
		return domain.Token{}, err
	}
	return row.Clone(), err
}

// rotate returns the old row as it now is, nil if there is none.
func (r tokens) rotate(ctx context.Context, old domain.Digest, replay domain.Replay, next []domain.Token) (*domain.Token, error) {
	if err := r.beginWrite(ctx); err != nil {
		return nil, err
	}
	defer r.endWrite()
	row := r.tokens[old]
	if row == nil {
		return nil, repository.ErrNotFound
	}
	now := r.Now()
	grant, err := r.rotatable(row, next, now)
	if err != nil {
		return row, err
	}
	consumed := *row
	consumed.ConsumedAt, consumed.Replay = now, replay
	r.change()
	r.setToken(old, &consumed)
	r.add(*grant, next, now)
	return &consumed, nil
}

// redeemable returns the grant of code, or why the code cannot be redeemed for list.
func (r tokens) redeemable(code *domain.AuthorizationCode, list []domain.Token, now time.Time) (*domain.Grant, error) {
	if err := repository.WhyNotLive(code.Live(now), code.RevokedAt, code.ConsumedAt); err != nil {
		return nil, err
	}
	if err := repository.CheckRedemption(*code, list); err != nil {
		return nil, err
	}
	return r.fence(&domain.Token{GrantID: code.GrantID, ClientID: code.ClientID, Subject: code.Subject}, list, now)
}

// rotatable returns the grant of old, or why old cannot be replaced by next.
func (r tokens) rotatable(old *domain.Token, next []domain.Token, now time.Time) (*domain.Grant, error) {
	if err := repository.CheckRotation(*old, next); err != nil {
		return nil, err
	}
	if err := repository.WhyNotLive(old.Live(now), old.RevokedAt, old.ConsumedAt); err != nil {
		return nil, err
	}
	return r.fence(old, next, now)
}

func (r tokens) Revoke(ctx context.Context, d domain.Digest) (err error) {
	defer wrap("revoke token", &err)
	if err := r.beginWrite(ctx); err != nil {
		return err
	}
	defer r.endWrite()
	row := r.tokens[d]
	if row == nil {
		return repository.ErrNotFound
	}
	if !row.RevokedAt.IsZero() {
		return nil
	}
	revoked := *row
	revoked.RevokedAt = r.Now()
	r.change()
	r.setToken(d, &revoked)
	return nil
}

func (r tokens) List(ctx context.Context, f repository.TokenFilter, page repository.Page) (_ []domain.Token, err error) {
	defer wrap("list tokens", &err)
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
	after, err := page.AfterDigest()
	if err != nil {
		return nil, err
	}
	rows, err := r.find(ctx, f, after, size)
	if err != nil {
		return nil, err
	}
	return clones(rows, func(t *domain.Token) int { return len(t.Data) + len(t.Replay.Sealed) }), nil
}

func (r tokens) find(ctx context.Context, f repository.TokenFilter, after domain.Digest, size int) ([]*domain.Token, error) {
	if err := r.beginRead(ctx); err != nil {
		return nil, err
	}
	defer r.endRead()
	now := r.Now()
	selected := func(yield func(*domain.Token) bool) {
		for row := range r.tokensFor(f) {
			if bytes.Compare(row.Digest[:], after[:]) > 0 && f.Matches(*row, now) && !yield(row) {
				return
			}
		}
	}
	return firstOf(size, selected, func(a, b *domain.Token) int { return bytes.Compare(a.Digest[:], b.Digest[:]) }), nil
}

// tokensFor yields a superset of the tokens that f selects: as small a one as the indexes know.
func (d *data) tokensFor(f repository.TokenFilter) iter.Seq[*domain.Token] {
	if f.GrantID == "" && f.ClientID == "" && f.Subject == "" {
		return maps.Values(d.tokens)
	}
	return func(yield func(*domain.Token) bool) {
		for grant := range d.grantsFor(repository.GrantFilter{ID: f.GrantID, ClientID: f.ClientID, Subject: f.Subject}) {
			for row := range pick(d.tokens, d.tokensOfGrant[grant.ID]) {
				if !yield(row) {
					return
				}
			}
		}
	}
}

func (r tokens) DeleteExpired(ctx context.Context, limit int) (_ int, err error) {
	defer wrap("delete expired tokens", &err)
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
	now := r.Now()
	return r.deleteTokens(now, limit) + r.eraseReplays(now, limit), nil
}

func (r tokens) deleteTokens(now time.Time, limit int) int {
	return r.tokenEnds.sweep(now, limit, func(digest domain.Digest) bool {
		row := r.tokens[digest]
		if row == nil || row.ExpiresAt.IsZero() || now.Before(row.ExpiresAt) {
			return false
		}
		r.change()
		r.setToken(digest, nil)
		return true
	})
}

func (r tokens) eraseReplays(now time.Time, limit int) int {
	return r.replayEnds.sweep(now, limit, func(digest domain.Digest) bool {
		row := r.tokens[digest]
		if row == nil || len(row.Replay.Sealed) == 0 || row.Replay.Live(now) {
			return false
		}
		bare := *row
		bare.Replay = domain.Replay{}
		r.change()
		r.setToken(digest, &bare)
		return true
	})
}
