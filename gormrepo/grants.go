package gormrepo

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type grants struct{ access }

func (r grants) Create(ctx context.Context, g domain.Grant) (err error) {
	defer r.wrap("create grant", &err)
	if err := repository.Validate(g); err != nil {
		return err
	}
	row := grantToRow(g.Clone())
	return r.write(ctx, oneStatement, func(q *session) error {
		row.CreatedAt = orNow(g.CreatedAt, q.now)
		return q.insert(q.sql.insertGrant, values(&row)...)
	})
}

func (r grants) Get(ctx context.Context, id string) (g domain.Grant, err error) {
	defer r.wrap("get grant", &err)
	err = r.read(ctx, func(q *session) (err error) {
		g, err = q.grant(q.sql.grant, id)
		return err
	})
	return g, err
}

func (r grants) List(ctx context.Context, f repository.GrantFilter, page repository.Page) (_ []domain.Grant, err error) {
	defer r.wrap("list grants", &err)
	if err := f.Validate(); err != nil {
		return nil, err
	}
	after, err := page.AfterID()
	if err != nil {
		return nil, err
	}
	return list(ctx, r, func(q *session) *gorm.DB { return q.grantsBy(f) }, "id", after, page, grantOf)
}

// Revoke updates first the grants, then their codes and tokens: everything locks in this order.
func (r grants) Revoke(ctx context.Context, f repository.GrantFilter, why domain.Reason) (revoked int, err error) {
	defer r.wrap("revoke grants", &err)
	if err := f.ValidateRevoke(why); err != nil {
		return 0, err
	}
	err = r.write(ctx, severalChanges, func(q *session) error {
		var ids []string
		live := q.grantsBy(f).Where("revoked_at IS NULL")
		if !q.oneWriter { // rows are locked in one order
			live = live.Order("id")
		}
		err := live.Pluck("id", &ids).Error
		if err != nil {
			return err
		}
		many := len(ids) > 1
		revoked, err = inBatches(ids, func(batch []string) (int, error) { return q.revoke(batch, why, many) })
		return err
	})
	if err != nil {
		return 0, err
	}
	return revoked, nil
}

// revoke waits for each row if there are many grants. Otherwise all of it would begin anew at each row
// that somebody has locked at the moment.
func (q *session) revoke(ids []string, why domain.Reason, many bool) (int, error) {
	now := q.now.UnixMicro()
	var waits []clause.Expression
	if many {
		waits = q.updatesMany
		if _, err := q.lockGrants(ids); err != nil {
			return 0, err
		}
	}
	fenced := q.grants().Where("id IN ? AND revoked_at IS NULL", ids).
		Updates(map[string]any{"revoked_at": now, "revoked_reason": string(why)})
	if fenced.Error != nil {
		return 0, fenced.Error
	}
	for _, table := range []*gorm.DB{q.codes(), q.tokens()} {
		err := table.Clauses(waits...).Where("grant_id IN ? AND revoked_at IS NULL", ids).
			Updates(map[string]any{"revoked_at": now}).Error
		if err != nil {
			return 0, err
		}
	}
	return int(fenced.RowsAffected), nil
}

// DeleteEnded first searches without the lock of a writer, and once: it may read a million old grants
// that are still in use and find none that has ended. After it has locked the grants that it found,
// it checks them again, because a call may have added a code or a token since.
func (r grants) DeleteEnded(ctx context.Context, before time.Time, limit int) (deleted int, err error) {
	defer r.wrap("delete ended grants", &err)
	if err := repository.CheckLimit(limit); err != nil {
		return 0, err
	}
	return r.whole(ctx, func(r access) (int, error) { return deleteEnded(ctx, r, before, limit) })
}

func deleteEnded(ctx context.Context, r access, before time.Time, limit int) (deleted int, err error) {
	var found []string
	if err := r.read(ctx, func(q *session) error {
		return q.grantsEnded(before.UnixMicro()).Limit(limit).Pluck("id", &found).Error
	}); err != nil {
		return 0, err
	}
	for batch := range slices.Chunk(found, 500) { // a statement can have only so many parameters
		n, err := removeGrants(ctx, r, batch, func(q *session, ids []string) ([]string, error) {
			return q.lockEnded(ids, before.UnixMicro())
		})
		if deleted += n; err != nil {
			return deleted, err
		}
	}
	if deleted < limit {
		r.forget(ctx)
	}
	return deleted, nil
}

const (
	largestStep   = 1000   // codes or tokens that one transaction of thinOut deletes
	largestSearch = 50_000 // digests that one search of thinOut finds: each passes over what is deleted
)

// removeGrants deletes those of the grants that lock returns, with what hangs on them, and returns
// how many grants these were.
func removeGrants(ctx context.Context, r access, ids []string, lock grantLocker) (removed int, _ error) {
	for _, table := range []func(q *session) *gorm.DB{(*session).codes, (*session).tokens} {
		if few, err := thinOut(ctx, r, table, ids, lock); err != nil || !few {
			return 0, err
		}
	}
	err := r.write(ctx, severalChanges, func(q *session) error {
		removed = 0 // it may run again
		locked, err := lock(q, ids)
		if err != nil || len(locked) == 0 {
			return err
		}
		deleted := byKey(q.grants(), "id", locked).Delete(nil)
		removed = int(deleted.RowsAffected)
		return deleted.Error
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// grantLocker locks grants, and returns those of them that may be removed.
type grantLocker = func(q *session, ids []string) ([]string, error)

// thinOut deletes codes or tokens of the grants until few are left, which may go with the grants.
// One grant can have a million; other calls write between the transactions. It returns false if lock
// returns none of the grants that have more.
func thinOut(ctx context.Context, r access, table func(q *session) *gorm.DB, ids []string, lock grantLocker) (few bool, _ error) {
	for {
		var found [][]byte
		if err := r.read(ctx, func(q *session) error {
			return table(q).Where("grant_id IN ?", ids).Limit(largestSearch).Pluck("digest", &found).Error
		}); err != nil || len(found) <= largestStep {
			return err == nil, err
		}
		deleted := 0
		for step := range slices.Chunk(found, largestStep) {
			var n int
			if err := r.write(ctx, severalChanges, func(q *session) error {
				n = 0 // it may run again
				locked, err := lock(q, ids)
				if err != nil || len(locked) == 0 {
					return err
				}
				deleted := byKey(table(q).Where("grant_id IN ?", locked), "digest", step).Delete(nil)
				n = int(deleted.RowsAffected)
				return deleted.Error
			}); err != nil {
				return false, err
			}
			deleted += n
		}
		if deleted == 0 {
			return false, nil
		}
	}
}

// lockGrants locks the grants in one order, if the database has row locks, and returns those that are
// there.
func (q *session) lockGrants(ids []string) (locked []string, err error) {
	return locked, q.grants().Clauses(q.locksRows...).Where("id IN ?", ids).Order("id").Pluck("id", &locked).Error
}

// lockEnded returns those of the grants that no other transaction has locked and that have ended.
func (q *session) lockEnded(ids []string, before int64) (ended []string, err error) {
	var locked []string
	err = q.skipLocked(q.grants().Where("id IN ?", ids)).Order("id").Pluck("id", &locked).Error
	if err != nil || len(locked) == 0 {
		return nil, err
	}
	return ended, q.grantsEnded(before).Where("id IN ?", locked).Pluck("id", &ended).Error
}

// grantsEnded selects what DeleteEnded may remove. A grant that ended before a time was also
// created before it: that condition is there because created_at has an index.
func (q *session) grantsEnded(before int64) *gorm.DB {
	now := q.now.UnixMicro()
	under := func(table *gorm.DB) *gorm.DB {
		id := clause.Column{Table: q.tables.grants, Name: "id"}
		return table.Select("digest").Where("grant_id = ?", id).Where(sqlLive, now)
	}
	return q.grants().Where("created_at < ?", before).
		Where("(revoked_at < ? OR (revoked_at IS NULL AND "+
			"(expires_at < ? OR last_used_at < ? OR last_used_at IS NULL)))",
			before, before, before).
		Where("NOT EXISTS (?)", under(q.codes())).
		Where("NOT EXISTS (?)", under(q.tokens()))
}

func (q *session) grantsBy(f repository.GrantFilter) *gorm.DB {
	by := whereEqual(q.grants(), "id", f.ID, "client_id", f.ClientID, "subject", f.Subject)
	return whereState(by, f.State, sqlLiveGrant, q.now)
}

// grant reads a grant with the statement query. It returns ErrNotFound also for an ID that no
// database can hold.
func (q *session) grant(query statement, id string) (domain.Grant, error) {
	if !domain.ValidText(id) {
		return domain.Grant{}, repository.ErrNotFound
	}
	row := grantRow{ID: id}
	if err := q.queryRow(rest(&row), query, id); err != nil {
		return domain.Grant{}, err
	}
	g, err := grantOf(row)
	if err != nil {
		return domain.Grant{}, err
	}
	return g, repository.WhyNotLive(g.Live(q.now), g.RevokedAt, time.Time{})
}

// fence locks the grant, so that a code or token can be added to it. update is fence or
// fenceAndTouch. The error is ErrNotFound, ErrRevoked or ErrExpired if the grant is not live, and
// ErrInvalid if clientID or subject is not the grant's.
func (q *session) fence(update statement, id, clientID, subject string) error {
	for range 2 {
		fenced, err := q.exec(update, id, clientID, subject, q.now.UnixMicro())
		if err != nil || fenced > 0 {
			return err
		}
		g, err := q.grant(q.sql.lockedGrant, id)
		if err != nil {
			return err
		}
		if err := repository.CheckOwner(g, clientID, subject); err != nil {
			return err
		}
		// It is live, and locked now: it was created between the two statements.
	}
	return repository.ErrConflict // cannot happen while the grant is locked
}

// lockGrant locks the grant of a code or token, if the database has row locks: everything locks the
// grant before a code or token. It returns nil if there is no such code or token.
func (q *session) lockGrant(of grantLock, d domain.Digest) error {
	if of.lock.text == "" {
		return nil
	}
	var key any = d[:]
	if of.find.text != "" {
		var id string
		if err := q.queryRow([]any{&id}, of.find, key); err != nil {
			return ignore(err, repository.ErrNotFound)
		}
		key = id
	}
	var locked string
	return ignore(q.queryRow([]any{&locked}, of.lock, key), repository.ErrNotFound)
}
