package gormrepo

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"
)

// session is a connection that transactions are begun and ended on by statements. Plugins that choose among pools know a
// transaction by the methods of gorm.TxCommitter, and leave it where it is.
type session struct{ *sql.Conn }

var _ gorm.TxCommitter = session{}

var errByStatement = errors.New("gormrepo: this transaction ends by a statement")

func (session) Commit() error   { return errByStatement }
func (session) Rollback() error { return errByStatement }

// primary is the pool of a handle, which plugins that choose among pools take for a transaction too: a replica may not know
// yet what has been revoked.
type primary struct{ gorm.ConnPool }

var _ gorm.TxCommitter = primary{}

func (primary) Commit() error   { return errByStatement }
func (primary) Rollback() error { return errByStatement }

// onPrimary returns the handle for what runs on the pool of db.
func onPrimary(db *gorm.DB) *gorm.DB {
	db.Statement.ConnPool = primary{db.Statement.ConnPool}
	return db
}

// inSession returns the handle for what runs on the connection of db.
func inSession(ctx context.Context, db *gorm.DB) *gorm.DB {
	db = db.Session(&gorm.Session{NewDB: true, Context: ctx})
	if c, ok := db.Statement.ConnPool.(*sql.Conn); ok {
		db.Statement.ConnPool = session{c}
	}
	return db
}
