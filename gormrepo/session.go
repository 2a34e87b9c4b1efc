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

// inSession returns the handle for what runs on the connection of db.
func inSession(ctx context.Context, db *gorm.DB) *gorm.DB {
	db = db.Session(&gorm.Session{NewDB: true, Context: ctx})
	if c, ok := db.Statement.ConnPool.(*sql.Conn); ok {
		db.Statement.ConnPool = session{c}
	}
	return db
}
