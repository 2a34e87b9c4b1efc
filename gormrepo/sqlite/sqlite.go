// Package sqlite opens a Store on SQLite with the pure-Go driver github.com/glebarez/sqlite: no C
// compiler needed. It is the default.
//
// The driver calls itself "sqlite" in database/sql, and so does modernc.org/sqlite: a program that
// links both panics at its start. Such a program can use package sqlitecgo, or gormrepo.New.
package sqlite

import (
	"context"
	"log/slog"
	"time"

	"github.com/glebarez/go-sqlite"
	gormsqlite "github.com/glebarez/sqlite"
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

// Open returns a Store on the database file at path. It creates the file (0600) and its directory
// (0700) where they are missing, and switches the file to WAL. It creates the schema on first use
// and brings an older one up to date, unless Options.SkipMigrate is set. Several processes may open
// a fresh path at once.
//
// Beside the file lie SQLite's -wal and -shm, and a .lock that the writing process holds; all are
// 0600, and belong to the owner of the file, also if root opens it.
//
// An error names path and leaves the file as it was: a schema that is newer than the program, a
// file that is no database, a directory, a read-only file; on Linux also a file on a network file
// system (see Options.AllowNetwork), and one with a second name, which is a hard link or a mount of
// the file itself: SQLite would keep a -wal for each name. A symbolic link is followed. ctx ends
// the waits of Open, not the Store.
func Open(ctx context.Context, path string, opts *Options) (*gormrepo.Store, error) {
	return sqlitedb.Open(ctx, sqlitedb.Driver{
		Name:      "sqlite",
		Driver:    &sqlite.Driver{},
		Dialector: func(pool gorm.ConnPool) gorm.Dialector { return &gormsqlite.Dialector{Conn: pool} },
	}, path, (*sqlitedb.Options)(opts))
}
