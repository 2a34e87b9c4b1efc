package memoryrepo

import (
	"context"
	"iter"
	"strings"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// clients is repository.Clients.
type clients struct{ *repo }

func (r clients) Create(ctx context.Context, c domain.Client) (err error) {
	defer wrap("create client", &err)
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
	if r.clients[c.ID] != nil {
		return repository.ErrAlreadyExists
	}
	now := r.Now()
	c.Version = 1
	setIfZero(&c.CreatedAt, now)
	setIfZero(&c.UpdatedAt, now)
	r.change()
	r.setClient(c.ID, &c)
	return nil
}

func (r clients) Get(ctx context.Context, id string) (_ domain.Client, err error) {
	defer wrap("get client", &err)
	if err := r.beginRead(ctx); err != nil {
		return domain.Client{}, err
	}
	row := r.clients[id]
	r.endRead()
	if row == nil {
		return domain.Client{}, repository.ErrNotFound
	}
	return row.Clone(), nil
}

func (r clients) Update(ctx context.Context, c domain.Client) (_ domain.Client, err error) {
	defer wrap("update client", &err)
	if err := r.check(ctx); err != nil {
		return domain.Client{}, err
	}
	if err := repository.Validate(c); err != nil {
		return domain.Client{}, err
	}
	row := c.Clone()
	if err := r.replace(ctx, &row); err != nil {
		return domain.Client{}, err
	}
	return row.Clone(), nil
}

// replace completes row from the stored client and takes its place.
func (r clients) replace(ctx context.Context, row *domain.Client) error {
	if err := r.beginWrite(ctx); err != nil {
		return err
	}
	defer r.endWrite()
	old := r.clients[row.ID]
	if old == nil {
		return repository.ErrNotFound
	}
	if old.Version != row.Version {
		return repository.ErrConflict
	}
	row.Version++
	row.CreatedAt = old.CreatedAt
	row.UpdatedAt = r.Now()
	r.change()
	r.setClient(row.ID, row)
	return nil
}

func (r clients) Delete(ctx context.Context, id string) (err error) {
	defer wrap("delete client", &err)
	if err := r.beginWrite(ctx); err != nil {
		return err
	}
	defer r.endWrite()
	if r.clients[id] == nil {
		return repository.ErrNotFound
	}
	r.change()
	r.dropClient(id)
	return nil
}

func (r clients) List(ctx context.Context, page repository.Page) (_ []domain.Client, err error) {
	defer wrap("list clients", &err)
	if err := r.check(ctx); err != nil {
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
	if err := r.beginRead(ctx); err != nil {
		return nil, err
	}
	rows := firstOf(size, r.clientsAfter(after), func(a, b *domain.Client) int {
		return strings.Compare(a.ID, b.ID)
	})
	r.endRead()
	return clones(rows, func(c *domain.Client) (size int) {
		for _, member := range c.Metadata.Extra {
			size += len(member)
		}
		return size
	}), nil
}

func (r clients) clientsAfter(id string) iter.Seq[*domain.Client] {
	return func(yield func(*domain.Client) bool) {
		for _, row := range r.clients {
			if row.ID > id && !yield(row) {
				return
			}
		}
	}
}
