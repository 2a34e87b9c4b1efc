package gormrepo

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"
)

// own is a connection on which transactions are begun and ended by statements, or the pool that reads go to. Plugins that
// choose among pools know a transaction by the methods of gorm.TxCommitter, and leave it where it is: a replica may not
// know yet what has been revoked.
type own struct{ gorm.ConnPool }

var _ gorm.TxCommitter = own{}

var errByStatement = errors.New("gormrepo: this transaction ends by a statement")

func (own) Commit() error   { return errByStatement }
func (own) Rollback() error { return errByStatement }

// inPool returns the handle for what runs on the pool of db.
func inPool(ctx context.Context, db *gorm.DB) *gorm.DB {
	db = db.WithContext(ctx)
	db.Statement.ConnPool = own{db.Statement.ConnPool}
	return db
}

// inSession returns the handle for what runs on the connection of db.
func inSession(ctx context.Context, db *gorm.DB) *gorm.DB {
	db = db.Session(&gorm.Session{NewDB: true, Context: ctx})
	if c, ok := db.Statement.ConnPool.(*sql.Conn); ok {
		db.Statement.ConnPool = own{c}
	}
	return db
}
