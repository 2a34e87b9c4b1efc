package gormrepo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type grants struct{ runner }

func (r grants) Create(ctx context.Context, g domain.Grant) error {
	const op = "create grant"
	if err := repository.Validate(g); err != nil {
		return r.wrap(op, err)
	}
	return r.wrap(op, r.writing(ctx, func(c conn) error {
		g := g.Clone()
		setIfZero(&g.CreatedAt, c.now)
		row := grantToRow(g)
		_, err := c.exec(c.tables.texts.insertGrant, row.values()...)
		return err
	}))
}

func (r grants) Get(ctx context.Context, id string) (domain.Grant, error) {
	var g domain.Grant
	err := r.reading(ctx, func(c conn) (err error) {
		g, err = c.grant(id)
		return err
	})
	return g, r.wrap("get grant", err)
}

func (r grants) List(ctx context.Context, f repository.GrantFilter, page repository.Page) ([]domain.Grant, error) {
	const op = "list grants"
	if err := f.Validate(); err != nil {
		return nil, r.wrap(op, err)
	}
	size, err := page.Size()
	if err != nil {
		return nil, r.wrap(op, err)
	}
	after, err := page.AfterID()
	if err != nil {
		return nil, r.wrap(op, err)
	}
	var rows []grantRow
	if err := r.reading(ctx, func(c conn) error {
		return c.grantsBy(f).Select(grantColumns).Where("id > ?", after).Order("id").Limit(size).Find(&rows).Error
	}); err != nil {
		return nil, r.wrap(op, err)
	}
	list, err := each(rows, grantOf)
	return list, r.wrap(op, err)
}

// Revoke updates the grants first and what they led to after: the order in which everything locks.
func (r grants) Revoke(ctx context.Context, f repository.GrantFilter, why domain.Reason) (int, error) {
	const op = "revoke grants"
	if err := f.ValidateRevoke(why); err != nil {
		return 0, r.wrap(op, err)
	}
	var revoked int
	err := r.inTx(ctx, func(c conn) error {
		var ids []string
		if err := c.grantsBy(f).Where("revoked_at IS NULL").Order("id").Pluck("id", &ids).Error; err != nil {
			return err
		}
		revoked = 0
		for batch := range slices.Chunk(ids, batchSize) {
			n, err := c.revoke(batch, why)
			if err != nil {
				return err
			}
			revoked += n
		}
		return nil
	})
	if err != nil {
		return 0, r.wrap(op, err)
	}
	return revoked, nil
}

func (c conn) revoke(ids []string, why domain.Reason) (int, error) {
	now := c.now.UnixMicro()
	fenced := c.grants().Where("id IN ? AND revoked_at IS NULL", ids).
		Updates(map[string]any{"revoked_at": now, "revoked_reason": string(why)})
	if fenced.Error != nil {
		return 0, fenced.Error
	}
	for _, table := range []*gorm.DB{c.codes(), c.tokens()} {
		err := table.Where("grant_id IN ? AND revoked_at IS NULL", ids).Updates(map[string]any{"revoked_at": now}).Error
		if err != nil {
			return 0, err
		}
	}
	return int(fenced.RowsAffected), nil
}

// DeleteEnded looks for the grants before it takes the lock of a writer: of a million old ones that are still
// in use, none may have ended. Once it holds them, it looks again: what was under way may have added a code or a token.
func (r grants) DeleteEnded(ctx context.Context, before time.Time, limit int) (int, error) {
	const op = "delete ended grants"
	if err := repository.CheckLimit(limit); err != nil {
		return 0, r.wrap(op, err)
	}
	var ids []string
	if err := r.reading(ctx, func(c conn) error {
		return c.grantsEnded(before.UnixMicro()).Limit(limit).Pluck("id", &ids).Error
	}); err != nil || len(ids) == 0 {
		return 0, r.wrap(op, err)
	}
	var deleted int
	err := r.inTx(ctx, func(c conn) error {
		deleted = 0
		for batch := range slices.Chunk(ids, batchSize) {
			n, err := c.deleteEnded(batch, before.UnixMicro())
			if err != nil {
				return err
			}
			deleted += n
		}
		return nil
	})
	if err != nil {
		return 0, r.wrap(op, err)
	}
	return deleted, nil
}

// deleteEnded removes those of the grants that nobody else works on and that have ended.
func (c conn) deleteEnded(ids []string, before int64) (int, error) {
	var held, ended []string
	err := unlocked(c.grants().Where("id IN ?", ids)).Order("id").Pluck("id", &held).Error
	if err != nil || len(held) == 0 {
		return 0, err
	}
	err = c.grantsEnded(before).Where("id IN ?", held).Pluck("id", &ended).Error
	if err != nil || len(ended) == 0 {
		return 0, err
	}
	return deleteByKey(c, c.tables.grants, "id", ended)
}

// grantsEnded selects what DeleteEnded may remove. What ended before a moment was created before it, which an
// index knows.
func (c conn) grantsEnded(before int64) *gorm.DB {
	now := c.now.UnixMicro()
	live := func(table, condition string) string {
		return fmt.Sprintf("NOT EXISTS (SELECT 1 FROM %s AS held WHERE held.grant_id = %s.id AND %s)",
			table, c.tables.grants, condition)
	}
	return c.grants().Where("created_at < ?", before).
		Where("(revoked_at < ? OR (revoked_at IS NULL AND "+
			"(expires_at < ? OR last_used_at < ? OR last_used_at IS NULL)))",
			before, before, before).
		Where(live(c.tables.codes, heldLiveCode), now).
		Where(live(c.tables.tokens, heldLiveToken), now)
}

// liveCode and liveToken of the table that grantsEnded calls held.
const (
	heldLiveCode  = "held.consumed_at IS NULL AND held.revoked_at IS NULL AND held.expires_at > ?"
	heldLiveToken = "held.consumed_at IS NULL AND held.revoked_at IS NULL AND (held.expires_at IS NULL OR held.expires_at > ?)"
)

func (c conn) grantsBy(f repository.GrantFilter) *gorm.DB {
	q := equal(equal(equal(c.grants(), "id", f.ID), "client_id", f.ClientID), "subject", f.Subject)
	return inState(q, f.State, liveGrant, c.now)
}

func (c conn) grant(id string) (domain.Grant, error) { return c.grantBy(c.tables.texts.grant, id) }

func (c conn) grantBy(text, id string) (domain.Grant, error) {
	if !isText(id) {
		return domain.Grant{}, repository.ErrNotFound
	}
	var row grantRow
	if err := c.one(row.fields(), text, id); err != nil {
		return domain.Grant{}, err
	}
	g, err := grantOf(row)
	if err != nil {
		return domain.Grant{}, err
	}
	return g, reason(g.RevokedAt, time.Time{}, g.ExpiresAt, c.now)
}

// fence updates the grant on the condition that it is live and that clientID and subject are its own:
// that both decides and locks. LastUsedAt stays as it is if lastUsed is nil.
func (c conn) fence(id, clientID, subject string, lastUsed *int64) error {
	for range 2 {
		held, err := c.exec(c.tables.texts.fence, lastUsed, id, clientID, subject, c.now.UnixMicro())
		if err != nil || held > 0 {
			return err
		}
		g, err := c.grantBy(c.tables.texts.heldGrant, id)
		switch {
		case err != nil:
			return err
		case g.ClientID != clientID:
			return fmt.Errorf("%w: ClientID is not the grant's", repository.ErrInvalid)
		case g.Subject != subject:
			return fmt.Errorf("%w: Subject is not the grant's", repository.ErrInvalid)
		}
		// It is live, and held now: it was created between the two statements.
	}
	return repository.ErrConflict // not with the grant held
}

// use fences the grant for tokens, which count as a use of it.
func (c conn) use(id, clientID, subject string) error {
	return c.fence(id, clientID, subject, micros(c.now))
}

// batchSize keeps lists of values far below every database's limit of parameters.
const batchSize = 500
