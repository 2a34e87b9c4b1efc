package gormrepo

import (
	"cmp"
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type codes struct{ access }

func (r codes) Create(ctx context.Context, code domain.AuthorizationCode) (err error) {
	defer r.wrap("create authorization code", &err)
	if err := repository.Validate(code); err != nil {
		return err
	}
	row := codeToRow(code.Clone())
	return r.write(ctx, oneChange, func(q *session) error {
		// A code is no use of its grant: this changes nothing that can be seen.
		if err := q.fence(q.sql.fence, code.GrantID, code.ClientID, code.Subject); err != nil {
			return err
		}
		row.CreatedAt = orNow(code.CreatedAt, q.now)
		return q.insert(q.sql.insertCode, values(&row)...)
	})
}

func (r codes) Get(ctx context.Context, d domain.Digest) (code domain.AuthorizationCode, err error) {
	defer r.wrap("get authorization code", &err)
	err = r.read(ctx, func(q *session) (err error) {
		code, err = q.code(d)
		return err
	})
	return code, err
}

func (r codes) Consume(ctx context.Context, d domain.Digest) (code domain.AuthorizationCode, err error) {
	defer r.wrap("consume authorization code", &err)
	err = r.write(ctx, oneStatement, func(q *session) error {
		if err := q.lockGrant(q.sql.lockGrantOfCode, d); err != nil {
			return err
		}
		for {
			won, err := q.consumeCode(d, &code)
			if won || err != nil {
				return err
			}
			if code, err = q.code(d); err != nil {
				return err
			}
			// It is live: another transaction created it between the two statements.
		}
	})
	return code, err
}

func (r codes) Redeem(ctx context.Context, d domain.Digest, list ...domain.Token) (_ domain.AuthorizationCode, err error) {
	defer r.wrap("redeem authorization code", &err)
	if err := repository.CheckTokens(list); err != nil {
		return domain.AuthorizationCode{}, err
	}
	rows := tokensToRows(list)
	var code domain.AuthorizationCode
	err = r.write(ctx, rarelyFails, func(q *session) (err error) {
		code, err = q.redeem(d, list, rows)
		return err
	})
	return code, err
}

// redeem locks the grant that the tokens name, without a look at the code first: to a server, that
// would be a round trip. Where there is one writer, it looks: a look costs little there, and a call
// that fails after a change undoes those that share its commit.
func (q *session) redeem(d domain.Digest, list []domain.Token, rows []tokenRow) (domain.AuthorizationCode, error) {
	var owner domain.Token
	if q.oneWriter || len(list) == 0 {
		code, err := q.redeemable(d, list)
		if err != nil {
			return code, err
		}
		owner.GrantID, owner.ClientID, owner.Subject = code.GrantID, code.ClientID, code.Subject
	} else {
		owner = list[0]
	}
	if err := q.fence(q.sql.fenceAndTouch, owner.GrantID, owner.ClientID, owner.Subject); err != nil {
		if !isSentinel(err) {
			return domain.AuthorizationCode{}, err
		}
		code, why := q.redeemable(d, list)
		return code, cmp.Or(why, err)
	}
	var code domain.AuthorizationCode
	won, err := q.consumeCode(d, &code)
	switch {
	case err != nil:
		return domain.AuthorizationCode{}, err
	case !won:
		code, why := q.redeemable(d, list)
		return code, cmp.Or(why, repository.ErrConflict) // live, which cannot be while the grant is locked
	}
	if err := repository.CheckRedemption(code, list); err != nil {
		return domain.AuthorizationCode{}, err
	}
	if err := q.insertTokens(list, rows); err != nil {
		return domain.AuthorizationCode{}, err
	}
	return code, nil
}

// redeemable reads the code. The error says why it cannot be redeemed for the tokens.
func (q *session) redeemable(d domain.Digest, list []domain.Token) (domain.AuthorizationCode, error) {
	code, dead := q.code(d)
	if dead != nil {
		return code, dead
	}
	return code, repository.CheckRedemption(code, list)
}

// consumeCode consumes a live code and reads it as it then is. It returns false if there is no live
// one: the row that comes back decides, or the number of changed rows where the database returns
// none.
func (q *session) consumeCode(d domain.Digest, code *domain.AuthorizationCode) (bool, error) {
	row, now := codeRow{Digest: d[:]}, q.now.UnixMicro()
	var err error
	if q.sql.consumeCode.returns {
		err = q.queryRow(rest(&row), q.sql.consumeCode, d[:], now)
		if errors.Is(err, repository.ErrNotFound) {
			return false, nil
		}
		q.changed++ // if reading the row failed, the row may be changed nevertheless
	} else {
		consumed, errConsume := q.exec(q.sql.consumeCode, d[:], now)
		if errConsume != nil || consumed == 0 {
			return false, errConsume
		}
		err = q.queryRow(rest(&row), q.sql.code, d[:])
	}
	if err != nil {
		return false, err
	}
	*code, err = codeOf(row)
	return err == nil, err
}

func (r codes) DeleteExpired(ctx context.Context, limit int) (_ int, err error) {
	defer r.wrap("delete expired authorization codes", &err)
	return r.whole(ctx, func(r access) (int, error) {
		deleted, err := sweep(ctx, r, limit, (*session).codes, "expires_at", deleteRows)
		if err == nil && deleted < limit {
			r.forget(ctx)
		}
		return deleted, err
	})
}

func deleteRows(rows *gorm.DB) *gorm.DB { return rows.Delete(nil) }

func (q *session) code(d domain.Digest) (domain.AuthorizationCode, error) {
	row := codeRow{Digest: d[:]}
	if err := q.queryRow(rest(&row), q.sql.code, d[:]); err != nil {
		return domain.AuthorizationCode{}, err
	}
	code, err := codeOf(row)
	if err != nil {
		return domain.AuthorizationCode{}, err
	}
	return code, repository.WhyNotLive(code.Live(q.now), code.RevokedAt, code.ConsumedAt)
}
