package memoryrepo

import (
	"context"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// codes is repository.AuthorizationCodes.
type codes struct{ *repo }

func (r codes) Create(ctx context.Context, c domain.AuthorizationCode) (err error) {
	defer wrap("create authorization code", &err)
	if err := r.check(ctx); err != nil {
		return err
	}
	if err := repository.Validate(c); err != nil {
		return err
	}
	c = c.Clone()
	if err := r.beginWrite(ctx); err != nil {
		return err
	}
	defer r.endWrite()
	now := r.Now()
	if _, err := r.liveGrant(c.GrantID, c.ClientID, c.Subject, now); err != nil {
		return err
	}
	if r.codes[c.Digest] != nil {
		return repository.ErrAlreadyExists
	}
	setIfZero(&c.CreatedAt, now)
	r.change()
	r.setCode(c.Digest, &c)
	return nil
}

func (r codes) Get(ctx context.Context, d domain.Digest) (_ domain.AuthorizationCode, err error) {
	defer wrap("get authorization code", &err)
	if err := r.beginRead(ctx); err != nil {
		return domain.AuthorizationCode{}, err
	}
	row := r.codes[d]
	r.endRead()
	if row == nil {
		return domain.AuthorizationCode{}, repository.ErrNotFound
	}
	return row.Clone(), repository.WhyNotLive(row.Live(r.Now()), row.RevokedAt, row.ConsumedAt)
}

func (r codes) Consume(ctx context.Context, d domain.Digest) (_ domain.AuthorizationCode, err error) {
	defer wrap("consume authorization code", &err)
	row, err := r.consume(ctx, d)
	if row == nil {
		return domain.AuthorizationCode{}, err
	}
	return row.Clone(), err
}

// consume returns the row as it now is, nil if there is none.
func (r codes) consume(ctx context.Context, d domain.Digest) (*domain.AuthorizationCode, error) {
	if err := r.beginWrite(ctx); err != nil {
		return nil, err
	}
	defer r.endWrite()
	row := r.codes[d]
	if row == nil {
		return nil, repository.ErrNotFound
	}
	now := r.Now()
	if err := repository.WhyNotLive(row.Live(now), row.RevokedAt, row.ConsumedAt); err != nil {
		return row, err
	}
	consumed := *row
	consumed.ConsumedAt = now
	r.change()
	r.setCode(d, &consumed)
	return &consumed, nil
}

func (r codes) Redeem(ctx context.Context, d domain.Digest, list ...domain.Token) (_ domain.AuthorizationCode, err error) {
	defer wrap("redeem authorization code", &err)
	if err := r.check(ctx); err != nil {
		return domain.AuthorizationCode{}, err
	}
	if err := repository.CheckTokens(list); err != nil {
		return domain.AuthorizationCode{}, err
	}
	row, err := r.redeem(ctx, d, copies(list))
	if row == nil {
		return domain.AuthorizationCode{}, err
	}
	return row.Clone(), err
}

// redeem returns the row as it now is, nil if there is none.
func (r codes) redeem(ctx context.Context, d domain.Digest, list []domain.Token) (*domain.AuthorizationCode, error) {
	if err := r.beginWrite(ctx); err != nil {
		return nil, err
	}
	defer r.endWrite()
	row := r.codes[d]
	if row == nil {
		return nil, repository.ErrNotFound
	}
	now, added := r.Now(), tokens(r)
	grant, err := added.redeemable(row, list, now)
	if err != nil {
		return row, err
	}
	consumed := *row
	consumed.ConsumedAt = now
	r.change()
	r.setCode(d, &consumed)
	added.add(*grant, list, now)
	return &consumed, nil
}

func (r codes) DeleteExpired(ctx context.Context, limit int) (_ int, err error) {
	defer wrap("delete expired authorization codes", &err)
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
	return r.codeEnds.sweep(now, limit, func(digest domain.Digest) bool {
		row := r.codes[digest]
		if row == nil || now.Before(row.ExpiresAt) {
			return false
		}
		r.change()
		r.setCode(digest, nil)
		return true
	}), nil
}
