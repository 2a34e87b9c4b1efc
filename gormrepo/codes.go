package gormrepo

import (
	"context"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type codes struct{ runner }

func (r codes) Create(ctx context.Context, code domain.AuthorizationCode) error {
	const op = "create authorization code"
	if err := repository.Validate(code); err != nil {
		return r.wrap(op, err)
	}
	return r.wrap(op, r.inTx(ctx, func(c conn) error {
		if err := c.fence(code.GrantID, code.ClientID, code.Subject, gorm.Expr("last_used_at")); err != nil {
			return err
		}
		code := code.Clone()
		setIfZero(&code.CreatedAt, c.now)
		row := codeToRow(code)
		return c.codes().Create(&row).Error
	}))
}

func (r codes) Get(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	var code domain.AuthorizationCode
	err := r.reading(ctx, func(c conn) (err error) {
		code, err = c.code(d)
		return err
	})
	return code, r.wrap("get authorization code", err)
}

func (r codes) Consume(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	var code domain.AuthorizationCode
	err := r.inTx(ctx, func(c conn) error {
		now := c.now.UnixMicro()
		consumed := c.codes().Where("digest = ? AND "+liveCode, d[:], now).Updates(map[string]any{"consumed_at": now})
		if consumed.Error != nil {
			return consumed.Error
		}
		var err error
		code, err = c.code(d)
		if consumed.RowsAffected > 0 {
			return unless(err, repository.ErrConsumed)
		}
		return err
	})
	return code, r.wrap("consume authorization code", err)
}

func (r codes) DeleteExpired(ctx context.Context, limit int) (int, error) {
	const op = "delete expired authorization codes"
	if err := repository.CheckLimit(limit); err != nil {
		return 0, r.wrap(op, err)
	}
	var deleted int
	err := r.inTx(ctx, func(c conn) (err error) {
		deleted, err = deleteExpired(c.codes, c.now.UnixMicro(), limit)
		return err
	})
	return deleted, r.wrap(op, err)
}

// deleteExpired removes up to limit rows of a table whose expires_at is not after now.
func deleteExpired(table func() *gorm.DB, now int64, limit int) (int, error) {
	var found [][]byte
	err := table().Where("expires_at <= ?", now).Order("expires_at").Limit(limit).Pluck("digest", &found).Error
	deleted := 0
	for len(found) > 0 && err == nil {
		n := min(len(found), batchSize)
		gone := table().Where("digest IN ?", found[:n]).Delete(nil)
		deleted, err, found = deleted+int(gone.RowsAffected), gone.Error, found[n:]
	}
	return deleted, err
}

func (c conn) code(d domain.Digest) (domain.AuthorizationCode, error) {
	var row codeRow
	if err := c.codes().Where("digest = ?", d[:]).Take(&row).Error; err != nil {
		return domain.AuthorizationCode{}, err
	}
	code, err := codeOf(row)
	if err != nil {
		return domain.AuthorizationCode{}, err
	}
	return code, reason(code.RevokedAt, code.ConsumedAt, code.ExpiresAt, c.now)
}

// unless returns err, or nil where it is the expected one.
func unless(err, expected error) error {
	if err == expected { //nolint:errorlint // reason returns the sentinels themselves
		return nil
	}
	return err
}
