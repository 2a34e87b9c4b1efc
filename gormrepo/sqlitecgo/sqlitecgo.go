// Package sqlitecgo opens a Store on SQLite with the cgo driver gorm.io/driver/sqlite, for programs that
// have a C compiler and want the original's speed. Everything else is as in package sqlite.
package sqlitecgo

import (
	"context"

	"github.com/mattn/go-sqlite3"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/internal/sqlitedb"
)

// Memory is the path of a database in memory: one per Store, gone when it is closed.
const Memory = sqlitedb.Memory

// The values of Options.Synchronous.
const (
	Full   = sqlitedb.Full
	Normal = sqlitedb.Normal
)

// Options configure Open: Now, the clock; Logger, which gets statements at debug level; Synchronous, Full or Normal;
// TablePrefix; SkipMigrate; Readers, the connections for reading, 4 by default. nil means the defaults.
type Options = sqlitedb.Options

// Open is sqlite.Open with the cgo driver. Processes with either driver may share a file.
func Open(ctx context.Context, path string, opts *Options) (*gormrepo.Store, error) {
	return sqlitedb.Open(ctx, sqlitedb.Driver{
		Name:      "sqlitecgo",
		Driver:    &sqlite3.SQLiteDriver{},
		Dialector: func(pool gorm.ConnPool) gorm.Dialector { return &gormsqlite.Dialector{Conn: pool} },
	}, path, opts)
}
