package gormrepo

import (
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

func (r codes) DeleteExpired(ctx context.Context, limit int) (deleted int, err error) {
	defer r.wrap("delete expired authorization codes", &err)
	deleted, err = sweep(ctx, r, limit, (*session).codes, "expires_at", deleteRows)
	if err == nil && deleted < limit {
		r.forget(ctx)
	}
	return deleted, err
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
