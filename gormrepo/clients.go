package gormrepo

import (
	"context"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type clients struct{ access }

func (r clients) Create(ctx context.Context, c domain.Client) (err error) {
	defer r.wrap("create client", &err)
	if err := repository.Validate(c); err != nil {
		return err
	}
	row, err := clientToRow(c.Clone())
	if err != nil {
		return err
	}
	return r.write(ctx, oneStatement, func(q *session) error {
		row.Version, row.CreatedAt, row.UpdatedAt = 1, orNow(c.CreatedAt, q.now), orNow(c.UpdatedAt, q.now)
		return q.insert(q.sql.insertClient, values(&row)...)
	})
}

func (r clients) Get(ctx context.Context, id string) (c domain.Client, err error) {
	defer r.wrap("get client", &err)
	err = r.read(ctx, func(q *session) (err error) {
		c, err = q.client(id)
		return err
	})
	return c, err
}

func (r clients) Update(ctx context.Context, c domain.Client) (updated domain.Client, err error) {
	defer r.wrap("update client", &err)
	if err := repository.Validate(c); err != nil {
		return domain.Client{}, err
	}
	row, err := clientToRow(c.Clone())
	if err != nil {
		return domain.Client{}, err
	}
	err = r.write(ctx, severalChanges, func(q *session) error {
		changed := q.clients().Where("id = ? AND version = ?", c.ID, c.Version).Updates(map[string]any{
			"kind": row.Kind, "secrets": row.Secrets, "metadata": row.Metadata,
			"version": c.Version + 1, "updated_at": q.now.UnixMicro(),
		})
		if changed.Error != nil {
			return changed.Error
		}
		stored, err := q.client(c.ID)
		if err == nil && changed.RowsAffected == 0 {
			return repository.ErrConflict
		}
		updated = stored
		return err
	})
	return updated, err
}

// Delete removes the grants first, in batches. What is added meanwhile goes with the client.
func (r clients) Delete(ctx context.Context, id string) (err error) {
	defer r.wrap("delete client", &err)
	if !domain.ValidText(id) {
		return repository.ErrNotFound
	}
	_, err = r.whole(ctx, func(r access) (int, error) { return 0, deleteClient(ctx, r, id) })
	return err
}

func deleteClient(ctx context.Context, r access, id string) error {
	for {
		var ids []string
		if err := r.read(ctx, func(q *session) error {
			return q.grants().Where("client_id = ?", id).Limit(200).Pluck("id", &ids).Error
		}); err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		if _, err := removeGrants(ctx, r, ids, (*session).lockGrants); err != nil {
			return err
		}
	}
	return r.write(ctx, oneStatement, func(q *session) error {
		deleted := q.clients().Where("id = ?", id).Delete(nil)
		if deleted.Error == nil && deleted.RowsAffected == 0 {
			return repository.ErrNotFound
		}
		return deleted.Error
	})
}

func (r clients) List(ctx context.Context, page repository.Page) (_ []domain.Client, err error) {
	defer r.wrap("list clients", &err)
	after, err := page.AfterID()
	if err != nil {
		return nil, err
	}
	return list(ctx, r, (*session).clients, "id", after, page, clientOf)
}

// client returns ErrNotFound for an ID that no database can hold: some refuse to compare with one,
// and end the transaction.
func (q *session) client(id string) (domain.Client, error) {
	if !domain.ValidText(id) {
		return domain.Client{}, repository.ErrNotFound
	}
	row := clientRow{ID: id}
	if err := q.queryRow(rest(&row), q.sql.client, id); err != nil {
		return domain.Client{}, err
	}
	return clientOf(row)
}
