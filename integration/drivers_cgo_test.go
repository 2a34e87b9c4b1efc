//go:build cgo

package integration_test

import (
	"context"

	cgogorm "gorm.io/driver/sqlite"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/gormrepo/sqlitecgo"
)

var sqliteDrivers = []sqliteDriver{pureGo, {"cgo", openCgo, cgogorm.Open}}

func openCgo(ctx context.Context, path string, opts *sqlite.Options) (*gormrepo.Store, error) {
	return sqlitecgo.Open(ctx, path, (*sqlitecgo.Options)(opts))
}
