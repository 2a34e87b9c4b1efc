package gormrepo

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/oauthstore/oauthstore/repository"
)

func (c conn) clients() *gorm.DB { return c.db.Table(c.tables.clients) }
func (c conn) grants() *gorm.DB  { return c.db.Table(c.tables.grants) }
func (c conn) codes() *gorm.DB   { return c.db.Table(c.tables.codes) }
func (c conn) tokens() *gorm.DB  { return c.db.Table(c.tables.tokens) }

// What live means, with the now of the store for its placeholder.
const (
	liveGrant = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
	liveCode  = "consumed_at IS NULL AND revoked_at IS NULL AND expires_at > ?"
	liveToken = "consumed_at IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)" //nolint:gosec // SQL, not a credential
)

// inState adds the condition of state to q.
func inState(q *gorm.DB, state repository.State, live string, now time.Time) *gorm.DB {
	switch state {
	case repository.Live:
		return q.Where(live, now.UnixMicro())
	case repository.Ended:
		return q.Where("NOT ("+live+")", now.UnixMicro())
	}
	return q
}

// equal adds column = value to q if value is set.
func equal(q *gorm.DB, column, value string) *gorm.DB {
	if value == "" {
		return q
	}
	return q.Where(column+" = ?", value)
}

// isText reports whether an ID can be stored. PostgreSQL refuses to compare with one that can't, and would spoil the
// transaction.
func isText(id string) bool { return utf8.ValidString(id) && !strings.ContainsRune(id, 0) }

// unlocked leaves out the rows that somebody else works on, where the database has row locks: instances that clean up
// at once take different ones, and do not wait for the traffic.
func unlocked(q *gorm.DB) *gorm.DB {
	if q.Name() == "sqlite" {
		return q
	}
	return q.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate, Options: clause.LockingOptionsSkipLocked})
}

// reason returns nil for what is live, else the first that holds.
func reason(revokedAt, consumedAt, expiresAt, now time.Time) error {
	switch {
	case !revokedAt.IsZero():
		return repository.ErrRevoked
	case !consumedAt.IsZero():
		return repository.ErrConsumed
	case !expiresAt.IsZero() && !now.Before(expiresAt):
		return repository.ErrExpired
	}
	return nil
}

func each[Row, Entity any](rows []Row, of func(Row) (Entity, error)) ([]Entity, error) {
	list := make([]Entity, 0, len(rows))
	for _, row := range rows {
		entity, err := of(row)
		if err != nil {
			return nil, err
		}
		list = append(list, entity)
	}
	return list, nil
}

func setIfZero(t *time.Time, now time.Time) {
	if t.IsZero() {
		*t = now
	}
}

func onOff(n int) string {
	if n == 0 {
		return "OFF"
	}
	return "ON"
}

func decimal(n int) string { return strconv.Itoa(n) }
