package gormrepo

import (
	"context"
	"errors"
	"slices"

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
	return r.wrap(op, r.hotTx(ctx, func(c conn) error {
		if err := c.fence(code.GrantID, code.ClientID, code.Subject, nil); err != nil {
			return err
		}
		code := code.Clone()
		setIfZero(&code.CreatedAt, c.now)
		row := codeToRow(code)
		_, err := c.exec(c.tables.texts.insertCode, row.values()...)
		return err
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
	err := r.writing(ctx, func(c conn) error {
		if err := c.lockGrant(c.tables.texts.ofCode, d); err != nil {
			return err
		}
		for {
			consumed, err := c.consume(d)
			if err != nil {
				return err
			}
			if consumed != nil {
				code = *consumed
				return nil
			}
			if code, err = c.code(d); err != nil {
				return err
			}
			// It is live: on a server, it was created between the two statements.
		}
	})
	return code, r.wrap("consume authorization code", err)
}

// lockGrant locks the grant of a code or token where the database has row locks: everything locks the grant first.
func (c conn) lockGrant(of lock, d domain.Digest) error {
	if of.held == "" {
		return nil
	}
	var one int
	var key any = d[:]
	if of.find != "" {
		var grant string
		if err := c.one([]any{&grant}, of.find, key); err != nil {
			return unlessMissing(err)
		}
		key = grant
	}
	return unlessMissing(c.one([]any{&one}, of.held, key))
}

// unlessMissing returns err, or nil where there is no such row.
func unlessMissing(err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil
	}
	return err
}

// consume redeems the code and returns it, or nil if it is not live.
func (c conn) consume(d domain.Digest) (*domain.AuthorizationCode, error) {
	now := c.now.UnixMicro()
	if c.tables.texts.returning {
		var row codeRow
		err := c.one(row.fields(), c.tables.texts.consumeCode, now, d[:], now)
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		code, err := codeOf(row)
		return &code, err
	}
	consumed, err := c.exec(c.tables.texts.consumeCode, now, d[:], now)
	if err != nil || consumed == 0 {
		return nil, err
	}
	code, err := c.code(d)
	return &code, unless(err, repository.ErrConsumed)
}

func (r codes) DeleteExpired(ctx context.Context, limit int) (int, error) {
	const op = "delete expired authorization codes"
	if err := repository.CheckLimit(limit); err != nil {
		return 0, r.wrap(op, err)
	}
	var deleted int
	err := r.inTx(ctx, func(c conn) (err error) {
		deleted, err = c.deleteExpired(c.tables.codes, limit)
		return err
	})
	return deleted, r.wrap(op, err)
}

// deleteExpired removes up to limit rows of a table of codes or tokens whose expires_at is not after now.
func (c conn) deleteExpired(table string, limit int) (int, error) {
	var found [][]byte
	err := unlocked(c.db.Table(table).Where("expires_at <= ?", c.now.UnixMicro())).Order("expires_at").
		Limit(limit).Pluck("digest", &found).Error
	if err != nil {
		return 0, err
	}
	deleted := 0
	for batch := range slices.Chunk(found, batchSize) {
		n, err := deleteByKey(c, table, "digest", batch)
		if err != nil {
			return 0, err
		}
		deleted += n
	}
	return deleted, nil
}

// deleteByKey removes the rows with those keys. MySQL would read the whole of a small table instead, and wait for each row
// on the way that somebody else works on, unless the rows have to come in order.
func deleteByKey[Key any](c conn, table, column string, keys []Key) (int, error) {
	text := "DELETE FROM " + table + " WHERE " + column + " IN ?"
	if c.db.Name() == "mysql" {
		text += " ORDER BY " + column + " LIMIT " + decimal(len(keys))
	}
	gone := c.db.Exec(text, keys)
	return int(gone.RowsAffected), gone.Error
}

func (c conn) code(d domain.Digest) (domain.AuthorizationCode, error) {
	var row codeRow
	if err := c.one(row.fields(), c.tables.texts.code, d[:]); err != nil {
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
