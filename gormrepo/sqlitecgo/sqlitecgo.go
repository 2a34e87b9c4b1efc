// Package sqlitecgo opens a Store on SQLite with the cgo driver gorm.io/driver/sqlite, for programs
// that have a C compiler and want the original's speed. Everything else is as in package sqlite.
package sqlitecgo

import (
	"context"
	"log/slog"
	"time"

	"github.com/mattn/go-sqlite3"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/internal/sqlitedb"
)

// Memory is the path ":memory:", that of a database in memory. Each Store has one of its own, which
// is gone when the Store is closed.
const Memory = sqlitedb.Memory

// The values of Options.Synchronous.
const (
	// Full is "FULL", the default: a write that was acknowledged survives the loss of power.
	Full = sqlitedb.Full

	// Normal is "NORMAL", which is faster: a write that was acknowledged survives a crash of the
	// process, but the loss of power may undo it.
	Normal = sqlitedb.Normal
)

// Options configure Open. nil means the defaults, and the zero value of a field means its default.
// A value that a field does not allow is repository.ErrInvalid.
type Options struct {
	// Now is the clock of the Store. nil: time.Now.
	Now func() time.Time

	// Logger gets each statement at debug level, never with values. nil: slog.Default().
	Logger *slog.Logger

	// Synchronous is Full or Normal, in capitals or not. It says which accidents a write survives.
	// Empty: Full.
	Synchronous string

	// TablePrefix is what the names of the tables begin with: 1 to 32 ASCII letters, digits and
	// underscores, no digit first. Empty: gormrepo.DefaultTablePrefix.
	TablePrefix string

	// SkipMigrate leaves the schema to the application, which calls Store.Migrate. Open then
	// neither creates nor changes tables, and still refuses a schema that is newer than the
	// program. false: Open migrates.
	SkipMigrate bool

	// Readers is the number of connections that read at once, beside the one that writes. 0: 4. A
	// database in memory has one connection for everything, and Readers changes nothing.
	Readers int

	// AllowNetwork lets Open take a file on a network file system, or on one by FUSE that machines
	// share. Set it only if a single machine ever has the database open: WAL needs memory that all
	// its processes share, and several machines would corrupt the file. false: Open refuses it (on
	// Linux). To share between machines, use package postgres or mysql.
	AllowNetwork bool
}

// Open is sqlite.Open with the cgo driver. Processes with either driver may share a file. Options
// has the fields of sqlite.Options, so that a pointer to one converts to a pointer to the other.
func Open(ctx context.Context, path string, opts *Options) (*gormrepo.Store, error) {
	return sqlitedb.Open(ctx, sqlitedb.Driver{
		Name:      "sqlitecgo",
		Driver:    &sqlite3.SQLiteDriver{},
		Dialector: func(pool gorm.ConnPool) gorm.Dialector { return &gormsqlite.Dialector{Conn: pool} },
	}, path, (*sqlitedb.Options)(opts))
}
