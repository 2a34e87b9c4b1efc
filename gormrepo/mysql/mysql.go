// Package mysql opens a Store on MySQL or MariaDB, or on what speaks their protocol, with gorm.io/driver/mysql.
package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/internal/serverdb"
)

// Options configure Open: Now, the clock; Logger, which gets statements at debug level; TablePrefix; SkipMigrate; MaxConns,
// the connections at most, 16 by default. nil means the defaults.
type Options = serverdb.Options

// Open returns a Store on the database that address names: mysql://user:password@host:port/database?tls=..., or the
// form of github.com/go-sql-driver/mysql, user:password@tcp(host:port)/database?tls=.... The parameters are those
// of that driver; a charset is utf8mb4, and a collation one of its own. The tables are InnoDB's. It creates the schema on
// first use and brings an older one up to date; several instances may open at once.
//
// Each connection sets innodb_lock_wait_timeout=3, and on a Galera cluster wsrep_sync_wait=7, so that a read waits until
// its node has what another one has acknowledged. Parameters of the address go before that: wsrep_sync_wait=0 is
// faster where all clients write to one node, and may miss what was just written where they do not.
//
// ctx ends the waits of Open, not the Store. An error never has the password. One that is
// repository.ErrUnknownOutcome says that the connection was lost while the server committed.
func Open(ctx context.Context, address string, opts *Options) (*gormrepo.Store, error) {
	config, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("mysql: open: %w", err)
	}
	config.ClientFoundRows = true      // rows that an update matched, as everywhere else
	config.InterpolateParams = true    // one round trip, and on Galera no abort goes unnoticed
	config.Logger = &mysql.NopLogger{} // what it would log is returned
	if config.Timeout <= 0 {
		config.Timeout = serverdb.ConnectTimeout
	}
	where := fmt.Sprintf("%s@%s/%s", config.User, config.Addr, config.DBName)
	if err := setVariables(ctx, config); err != nil {
		return nil, fmt.Errorf("mysql: open %s: %w", where, err)
	}
	pool, err := poolOf(config)
	if err != nil {
		return nil, fmt.Errorf("mysql: open: %w", err)
	}
	return serverdb.Open(ctx, "mysql", where, pool, gormmysql.New(gormmysql.Config{Conn: pool, SkipInitializeWithVersion: true}), opts)
}

func poolOf(config *mysql.Config) (*sql.DB, error) {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, serverdb.ErrURL
	}
	return sql.OpenDB(prompt{connector, config.Timeout}), nil
}

// prompt gives a server its time to connect for everything that this takes. The driver's own time ends when the address
// accepts, after which it waits for a greeting without end.
type prompt struct {
	driver.Connector
	time time.Duration
}

// Connect returns a connection. An error that is os.ErrDeadlineExceeded says that the time was over before ctx ended.
func (p prompt) Connect(ctx context.Context) (driver.Conn, error) {
	within, cancel := context.WithTimeout(ctx, p.time)
	defer cancel()
	conn, err := p.Connector.Connect(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("no answer within %v: %w", p.time, os.ErrDeadlineExceeded)
	}
	return conn, err //nolint:wrapcheck // the driver's, which database/sql knows
}

// setVariables adds to config the variables that each connection sets, but for those that the address sets.
func setVariables(ctx context.Context, config *mysql.Config) error {
	node, err := ofCluster(ctx, config)
	if err != nil {
		return err
	}
	variables := map[string]string{
		// Row locks last as long as a commit. A statement goes on to wait for one when its caller has given up, and a node
		// that gives its data to another one stands still until nobody waits: both would be for 50 seconds.
		"innodb_lock_wait_timeout": "3",
	}
	if node {
		variables["wsrep_sync_wait"] = "7" // before reads, updates and deletions, insertions
	}
	maps.Copy(variables, config.Params)
	config.Params = variables
	return nil
}

// ofCluster reports whether the server is a node of a Galera cluster.
func ofCluster(ctx context.Context, config *mysql.Config) (bool, error) {
	pool, err := poolOf(config)
	if err != nil {
		return false, err
	}
	defer pool.Close() //nolint:errcheck // nothing is left to be done with it
	var node bool
	err = pool.QueryRowContext(ctx, "SELECT @@wsrep_on").Scan(&node)
	if answer, ok := errors.AsType[*mysql.MySQLError](err); ok {
		const unready, unknownVariable = 1047, 1193
		switch answer.Number {
		case unready:
			return true, nil
		case unknownVariable:
			return false, nil
		}
	}
	return node, err
}
