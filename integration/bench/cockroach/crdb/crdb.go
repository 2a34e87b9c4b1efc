// Package crdb stands in for a package that dex's storage imports for CockroachDB alone, in a version from before
// Go modules: what dex needs of it no longer exists in the versions that can be had. SQLite never calls it.
package crdb

import (
	"database/sql"
	"errors"
)

// ExecuteTx returns an error.
func ExecuteTx(*sql.DB, func(*sql.Tx) error) error { return errors.New("crdb: not for SQLite") }
