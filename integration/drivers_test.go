package integration_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	puregorm "github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
)

// sqliteDriver is one of the two ways to SQLite.
type sqliteDriver struct {
	name  string
	open  func(ctx context.Context, path string, opts *sqlite.Options) (*gormrepo.Store, error)
	plain func(dsn string) gorm.Dialector // what an application gives to gorm.Open
}

var pureGo = sqliteDriver{"pure Go", sqlite.Open, puregorm.Open}

// long reports whether the runs that take minutes are asked for.
func long() bool { return os.Getenv("OAUTHSTORE_LONG") != "" }

// dbPath returns a path in a directory of the test's own.
func dbPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "oauth.db")
}

// plainGORM opens dsn as an application would that knows nothing of this module.
func plainGORM(t *testing.T, d sqliteDriver, dsn string, config *gorm.Config) *gorm.DB {
	t.Helper()
	config.Logger = logger.Discard
	db, err := gorm.Open(d.plain(dsn), config)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	if dsn == sqlite.Memory {
		pool.SetMaxOpenConns(1)
	}
	return db
}
