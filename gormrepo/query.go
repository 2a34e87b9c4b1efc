package gormrepo

import (
	"context"
	"math"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

func (q *session) clients() *gorm.DB { return q.db.Table(q.tables.clients) }
func (q *session) grants() *gorm.DB  { return q.db.Table(q.tables.grants) }
func (q *session) codes() *gorm.DB   { return q.db.Table(q.tables.codes) }
func (q *session) tokens() *gorm.DB  { return q.db.Table(q.tables.tokens) }

// list reads a page: the rows that find selects and whose key is greater than after, in the order
// of their keys. It names the columns, because a newer program may have added some.
func list[Row, Entity any](ctx context.Context, r access, find func(q *session) *gorm.DB, key string, after any,
	page repository.Page, of func(Row) (Entity, error),
) ([]Entity, error) {
	size, err := page.Size()
	if err != nil {
		return nil, err
	}
	var found []Row
	if err := r.read(ctx, func(q *session) error {
		rows, err := find(q).Session(&gorm.Session{QueryFields: true}).Model(new(Row)).Where(key+" > ?", after).
			Order(key).Limit(size).Rows()
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // read whole, or as far as it is wanted
		found = found[:0]  // it may run again
		for bytes := 0; bytes <= repository.MaxPageBytes && rows.Next(); {
			var row Row
			if err := rows.Scan(pointers(&row)...); err != nil {
				return err
			}
			found, bytes = append(found, row), bytes+bytesOf(&row)
		}
		return rows.Err()
	}); err != nil {
		return nil, err
	}
	entities := make([]Entity, 0, len(found))
	for _, row := range found {
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

// whereEqual adds column = value for each pair of a column and a value that is set.
func whereEqual(q *gorm.DB, pairs ...string) *gorm.DB {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			q = q.Where(pair[0]+" = ?", pair[1])
		}
	}
	return q
}

// skipLocked locks the selected rows, and leaves out rows that another transaction has locked. So
// several instances can clean up at once, and do not wait for requests.
func (q *session) skipLocked(rows *gorm.DB) *gorm.DB { return rows.Clauses(q.skipsLocked...) }

// byKey selects the rows with these keys, up to 1000, for a DELETE or UPDATE. If rows must come in an
// order, a database looks for them by the index; else it may read the whole of a small table, and
// wait for each locked row. GORM leaves ORDER BY and LIMIT out for databases that have no such
// statements.
func byKey[Key any](table *gorm.DB, key string, keys []Key) *gorm.DB {
	return table.Where(key+" IN ?", keys).Order(key).Limit(len(keys))
}

// inBatches calls fn with up to 500 keys at a time, because a statement can have only so many
// parameters. It returns the sum of the results, or 0 and the first error.
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

// sweepStep is how many rows a transaction of sweep removes. On SQLite others wait for it: with a
// million rows that lie about the file, their p99 was 8 times that alone with 500, and 5 with 200.
const sweepStep = 100

// sweep removes up to limit codes or tokens of table whose time in column is not after now, the
// earliest first, in batches that others write between. It returns how many, also with an error.
// Each batch begins where the one before has ended: else a search would pass over all that was
// deleted since the oldest snapshot, that of a dump for example.
func sweep(ctx context.Context, r access, limit int, table func(q *session) *gorm.DB, column string,
	remove func(rows *gorm.DB) *gorm.DB,
) (removed int, err error) {
	if err := repository.CheckLimit(limit); err != nil {
		return 0, err
	}
	for begin := int64(math.MinInt64); removed < limit; {
		size := min(limit-removed, sweepStep)
		var due []struct {
			Digest []byte `gorm:"column:digest"` // whatever the application's NamingStrategy says
			Due    int64  `gorm:"column:due"`
		}
		err := r.write(ctx, severalChanges, func(q *session) error {
			found := q.skipLocked(table(q).Select("digest, "+column+" AS due").Where(column+" BETWEEN ? AND ?", begin, q.now.UnixMicro())).
				Order(column).Limit(size).Find(&due)
			if found.Error != nil || len(due) == 0 {
				return found.Error
			}
			digests := make([][]byte, len(due))
			for i := range due {
				digests[i] = due[i].Digest
			}
			return remove(byKey(table(q), "digest", digests)).Error
		})
		if err != nil {
			return removed, err
		}
		removed += len(due)
		if len(due) < size {
			break
		}
		begin = due[len(due)-1].Due
	}
	return removed, nil
}

// orNow returns t, or now if t is zero, as it is stored.
func orNow(t, now time.Time) int64 {
	if t.IsZero() {
		t = now
	}
	return t.UnixMicro()
}
