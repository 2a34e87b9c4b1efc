// Package sqlite opens a Store on SQLite with the pure-Go driver github.com/glebarez/sqlite: no C
// compiler needed. It is the default.
//
// The driver calls itself "sqlite" in database/sql, and so does modernc.org/sqlite: a program that links
// both panics at its start. Such a program can use package sqlitecgo, or gormrepo.New.
package sqlite

import (
	"context"

	"github.com/glebarez/go-sqlite"
	gormsqlite "github.com/glebarez/sqlite"
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

// Open returns a Store on the database file at path. It creates the file (0600), its directory (0700)
// and the schema on first use, brings an older schema up to date, and switches the file to WAL. Several
// processes may open a fresh path at once.
//
// Beside the file lie SQLite's -wal and -shm, and a .lock that the writing process holds; all are 0600.
//
// An error names path and leaves the file as it was: a schema that is newer than the program, a file
// that is no database, a directory, a read-only file, a network file system. ctx ends the waits of Open,
// not the Store.
func Open(ctx context.Context, path string, opts *Options) (*gormrepo.Store, error) {
	return sqlitedb.Open(ctx, sqlitedb.Driver{
		Name:      "sqlite",
		Driver:    &sqlite.Driver{},
		Dialector: func(pool gorm.ConnPool) gorm.Dialector { return &gormsqlite.Dialector{Conn: pool} },
	}, path, opts)
}
