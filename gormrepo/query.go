package gormrepo

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/oauthstore/oauthstore/repository"
)

func (q *session) clients() *gorm.DB { return q.db.Table(q.tables.clients) }
func (q *session) grants() *gorm.DB  { return q.db.Table(q.tables.grants) }
func (q *session) codes() *gorm.DB   { return q.db.Table(q.tables.codes) }
func (q *session) tokens() *gorm.DB  { return q.db.Table(q.tables.tokens) }

// list reads a page of the rows that find selects, in the order of their keys, from the one after
// the given on. The columns are named: a newer program may add some.
func list[Row, Entity any](ctx context.Context, r access, find func(q *session) *gorm.DB, key string, after any,
	page repository.Page, of func(Row) (Entity, error),
) ([]Entity, error) {
	size, err := page.Size()
	if err != nil {
		return nil, err
	}
	var rows []Row
	if err := r.read(ctx, func(q *session) error {
		return find(q).Session(&gorm.Session{QueryFields: true}).Where(key+" > ?", after).
			Order(key).Limit(size).Find(&rows).Error
	}); err != nil {
		return nil, err
	}
	entities := make([]Entity, 0, len(rows))
	for _, row := range rows {
		entity, err := of(row)
		if err != nil {
			return nil, err
		}
		entities = append(entities, entity)
	}
	return entities, nil
}

// whereState adds the condition of state to q.
func whereState(q *gorm.DB, state repository.State, live string, now time.Time) *gorm.DB {
	switch state {
	case repository.Live:
		return q.Where(live, now.UnixMicro())
	case repository.Ended:
		return q.Where("NOT ("+live+")", now.UnixMicro())
	}
	return q
}

// whereEqual adds column = value to q if value is set.
func whereEqual(q *gorm.DB, column, value string) *gorm.DB {
	if value == "" {
		return q
	}
	return q.Where(column+" = ?", value)
}

// skipLocked leaves out the rows that another transaction has locked, where the database has row
// locks: instances that clean up at once take different ones, and do not wait for the traffic.
func skipLocked(q *gorm.DB) *gorm.DB {
	return q.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate, Options: clause.LockingOptionsSkipLocked})
}

// deleteByKey removes the rows of a table with those keys. Some databases would read the whole of a
// small table instead, and wait for each locked row on the way, unless the rows have to come in
// order; GORM leaves the order out for the others.
func deleteByKey[Key any](table func() *gorm.DB, column string, keys []Key) (int, error) {
	return inBatches(keys, func(batch []Key) (int, error) {
		deleted := table().Where(column+" IN ?", batch).Order(column).Limit(len(batch)).Delete(nil)
		return int(deleted.RowsAffected), deleted.Error
	})
}

// inBatches calls fn with some keys after the other, far below every database's limit of
// parameters, and returns the sum of what it returns; 0 with the first error.
func inBatches[Key any](keys []Key, fn func(batch []Key) (int, error)) (sum int, err error) {
	for batch := range slices.Chunk(keys, 500) {
		n, err := fn(batch)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// orNow returns t, or now if t is zero, as it is stored.
func orNow(t, now time.Time) int64 {
	if t.IsZero() {
		t = now
	}
	return t.UnixMicro()
}
