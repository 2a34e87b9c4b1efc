//go:build cgo

package integration_test

import (
	cgogorm "gorm.io/driver/sqlite"

	"github.com/oauthstore/oauthstore/gormrepo/sqlitecgo"
)

var sqliteDrivers = []sqliteDriver{pureGo, {"cgo", sqlitecgo.Open, cgogorm.Open}}
