package gormrepo

import (
	"context"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type clients struct{ runner }

func (r clients) Create(ctx context.Context, c domain.Client) error {
	const op = "create client"
	if err := repository.Validate(c); err != nil {
		return r.wrap(op, err)
	}
	return r.wrap(op, r.writing(ctx, func(conn conn) error {
		c := c.Clone()
		c.Version = 1
		setIfZero(&c.CreatedAt, conn.now)
		setIfZero(&c.UpdatedAt, conn.now)
		row, err := clientToRow(c)
		if err != nil {
			return err
		}
		_, err = conn.exec(conn.tables.texts.insertClient, row.values()...)
		return err
	}))
}

func (r clients) Get(ctx context.Context, id string) (domain.Client, error) {
	var c domain.Client
	err := r.reading(ctx, func(conn conn) (err error) {
		c, err = conn.client(id)
		return err
	})
	return c, r.wrap("get client", err)
}

func (r clients) Update(ctx context.Context, c domain.Client) (domain.Client, error) {
	const op = "update client"
	if err := repository.Validate(c); err != nil {
		return domain.Client{}, r.wrap(op, err)
	}
	var updated domain.Client
	err := r.inTx(ctx, func(conn conn) error {
		row, err := clientToRow(c.Clone())
		if err != nil {
			return err
		}
		changed := conn.clients().Where("id = ? AND version = ?", c.ID, c.Version).Updates(map[string]any{
			"kind": row.Kind, "secrets": row.Secrets, "metadata": row.Metadata,
			"version": c.Version + 1, "updated_at": conn.now.UnixMicro(),
		})
		if changed.Error != nil {
			return changed.Error
		}
		stored, err := conn.client(c.ID)
		if err == nil && changed.RowsAffected == 0 {
			return repository.ErrConflict
		}
		updated = stored
		return err
	})
	return updated, r.wrap(op, err)
}

func (r clients) Delete(ctx context.Context, id string) error {
	return r.wrap("delete client", r.writing(ctx, func(conn conn) error {
		if !isText(id) {
			return repository.ErrNotFound
		}
		deleted := conn.clients().Where("id = ?", id).Delete(nil)
		if deleted.Error == nil && deleted.RowsAffected == 0 {
			return repository.ErrNotFound
		}
		if deleted.Error != nil {
			return referredError{deleted.Error}
		}
		return nil
	}))
}

func (r clients) List(ctx context.Context, page repository.Page) ([]domain.Client, error) {
	const op = "list clients"
	size, err := page.Size()
	if err != nil {
		return nil, r.wrap(op, err)
	}
	after, err := page.AfterID()
	if err != nil {
		return nil, r.wrap(op, err)
	}
	var rows []clientRow
	if err := r.reading(ctx, func(conn conn) error {
		return conn.clients().Select(clientColumns).Where("id > ?", after).Order("id").Limit(size).Find(&rows).Error
	}); err != nil {
		return nil, r.wrap(op, err)
	}
	list, err := each(rows, clientOf)
	return list, r.wrap(op, err)
}

func (c conn) client(id string) (domain.Client, error) {
	if !isText(id) {
		return domain.Client{}, repository.ErrNotFound
	}
	var row clientRow
	if err := c.one(row.fields(), c.tables.texts.client, id); err != nil {
		return domain.Client{}, err
	}
	return clientOf(row)
}
