package gormrepo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// common is what all sessions of a Store have.
type common struct {
	traits

	clock  func() time.Time
	tables tables
	sql    *statements
}

// session is a database handle with one reading of the clock: what a verb works on, or a whole
// transaction.
type session struct {
	*common

	db      *gorm.DB
	now     time.Time
	changed int64 // rows that statements have changed; what GORM runs by itself does not count
}

// session returns a session on db. It reads the clock.
func (c *common) session(db *gorm.DB) *session {
	return &session{common: c, db: db, now: domain.Microsecond(c.clock())}
}

// exec runs a statement with the values of its parameters and returns how many rows it has changed.
func (q *session) exec(s statement, values ...any) (int64, error) {
	begun := time.Now()
	result, err := q.db.Statement.ConnPool.ExecContext(q.db.Statement.Context, s.text, s.arrange(values)...)
	var changed int64
	if err == nil {
		changed, err = result.RowsAffected()
	}
	q.changed += changed
	q.trace(begun, s.text, changed, err)
	return changed, err
}

// run runs a text that changes no rows: BEGIN, for example.
func (q *session) run(text string, values ...any) error {
	_, err := q.exec(statement{text: text}, values...)
	return err
}

// queryRow reads the row that a statement selects into places. ErrNotFound if there is none.
func (q *session) queryRow(into []any, s statement, values ...any) error {
	begun := time.Now()
	rows, err := q.db.Statement.ConnPool.QueryContext(q.db.Statement.Context, s.text, s.arrange(values)...)
	if err == nil {
		err = scanRow(rows, into)
	}
	q.trace(begun, s.text, -1, err)
	return err
}

// queryText is queryRow for a text of this package.
func (q *session) queryText(into []any, text string, values ...any) error {
	return q.queryRow(into, statement{text: text}, values...)
}

func scanRow(rows *sql.Rows, into []any) error {
	defer rows.Close() //nolint:errcheck // read whole, or failed already
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return repository.ErrNotFound
	}
	if err := rows.Scan(into...); err != nil {
		return err
	}
	return rows.Close()
}

// insert stores rows. ErrAlreadyExists if a key is taken, ErrNotFound if what a foreign key names
// is not there.
func (q *session) insert(s statement, values ...any) error {
	_, err := q.exec(s, values...)
	switch m := q.meaning(err); {
	case m.duplicate:
		return repository.ErrAlreadyExists
	case m.orphan:
		return repository.ErrNotFound
	}
	return err
}

// trace logs a statement as GORM does.
func (q *session) trace(begun time.Time, text string, rows int64, err error) {
	q.db.Logger.Trace(q.db.Statement.Context, begun, func() (string, int64) { return text, rows }, err)
}

// pinned marks a pool or a connection as a transaction for plugins that choose among pools
// (dbresolver): such a plugin knows a transaction by the methods of gorm.TxCommitter and does not
// redirect it. So no read goes to a replica, which may not yet know what has been revoked.
type pinned struct{ gorm.ConnPool }

var _ gorm.TxCommitter = pinned{}

func (pinned) Commit() error   { return errors.ErrUnsupported }
func (pinned) Rollback() error { return errors.ErrUnsupported }

// inPool returns the handle for what runs on the pool of db.
func inPool(ctx context.Context, db *gorm.DB) *gorm.DB {
	db = db.WithContext(ctx)
	db.Statement.ConnPool = pinned{db.Statement.ConnPool}
	return db
}

// onConnection returns the handle for what runs on the connection of db.
func onConnection(ctx context.Context, db *gorm.DB) *gorm.DB {
	db = db.Session(&gorm.Session{NewDB: true, Context: ctx})
	if c, ok := db.Statement.ConnPool.(*sql.Conn); ok {
		db.Statement.ConnPool = pinned{c}
	}
	return db
}

// discard closes the connection of db instead of giving it back. That also ends a transaction that
// it may be in.
func discard(db *gorm.DB) {
	if c, ok := db.Statement.ConnPool.(*sql.Conn); ok {
		_ = c.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// broken reports whether the connection of db does not answer.
func broken(db *gorm.DB) bool {
	pinger, ok := db.Statement.ConnPool.(interface {
		PingContext(ctx context.Context) error
	})
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return pinger.PingContext(ctx) != nil
}
