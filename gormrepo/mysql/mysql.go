// Package mysql opens a Store on MySQL or MariaDB, or on what speaks their protocol, with
// gorm.io/driver/mysql.
package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/internal/serverdb"
)

// Options configure Open. nil means the defaults, and the zero value of a field means its default.
// A value that a field does not allow is repository.ErrInvalid.
type Options struct {
	// Now is the clock of the Store. nil: time.Now. The clocks of several instances should be
	// synchronized.
	Now func() time.Time

	// Logger gets each statement at debug level, never with values. nil: slog.Default().
	Logger *slog.Logger

	// TablePrefix is what the names of the tables begin with: 1 to 32 ASCII letters, digits and
	// underscores, no digit first. Empty: gormrepo.DefaultTablePrefix.
	TablePrefix string

	// SkipMigrate leaves the schema to the application, which calls Store.Migrate. Open then
	// neither creates nor changes tables, and still refuses a schema that is newer than the
	// program. false: Open migrates.
	SkipMigrate bool

	// MaxConns is the number of connections of the Store at most, those in use and the idle ones
	// together, and those that the server has not closed yet. 0: 16.
	MaxConns int

	// ConnMaxLifetime is how long a connection is used. After a switchover that leaves connections
	// open, by DNS or a balancer, the Store may read what was true before it for this long. 0: one
	// minute.
	ConnMaxLifetime time.Duration
}

// Open returns a Store on the database that address names. The form of address is
// mysql://user:password@host:port/database?tls=..., or that of github.com/go-sql-driver/mysql,
// user:password@tcp(host:port)/database?tls=.... The parameters are those of that driver. A charset
// is utf8mb4, and a collation one of its own. The first form has two more, with absolute paths: socket
// is that of the server, which is used instead of host and port; ssl-ca is a file with certificates in
// PEM, by one of which the server's must be signed, and turns TLS on.
//
// Open creates the schema on first use and brings an older one up to date, unless
// Options.SkipMigrate is set. The tables are InnoDB's. Several instances may open at once.
//
// Each connection sets innodb_lock_wait_timeout to 0 on MariaDB and to 1 on MySQL, so that the Store
// waits for a row and not the server, lock_wait_timeout to 3, and on a Galera cluster
// wsrep_sync_wait=7, so that a read waits until its node has what another one has acknowledged.
// Parameters of the address go before that: wsrep_sync_wait=0 is faster where all clients write to
// one node, and may miss what was just written where they do not.
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
	config.RejectReadOnly = false      // the Store does, and knows a COMMIT that was refused
	config.Logger = &mysql.NopLogger{} // what it would log is returned
	if config.Timeout <= 0 {
		config.Timeout = serverdb.ConnectTimeout
	}
	where := fmt.Sprintf("%s@%s/%s", config.User, config.Addr, config.DBName)
	if err := setVariables(ctx, config); err != nil {
		return nil, fmt.Errorf("mysql: open %s: %w", where, err)
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	make(sessions, max(1, cmp.Or(o.MaxConns, serverdb.DefaultMaxConns))).bound(config)
	pool, err := poolOf(config)
	if err != nil {
		return nil, fmt.Errorf("mysql: open: %w", err)
	}
	dialector := gormmysql.New(gormmysql.Config{Conn: pool, SkipInitializeWithVersion: true})
	return serverdb.Open(ctx, "mysql", where, pool, dialector, (*serverdb.Options)(opts))
}

func poolOf(config *mysql.Config) (*sql.DB, error) {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, serverdb.ErrURL
	}
	return sql.OpenDB(prompt{connector, config.Timeout}), nil
}

// prompt gives a server its time to connect for everything that this takes. The driver's own time
// ends when the address accepts, after which it waits for a greeting without end.
type prompt struct {
	driver.Connector
	time time.Duration
}

// Connect returns a connection to a server that takes writes: what a replica, or a primary of
// yesterday, tells of a token may be over. An error that is os.ErrDeadlineExceeded says that the time was over
// before ctx ended.
func (p prompt) Connect(ctx context.Context) (driver.Conn, error) {
	within, cancel := context.WithTimeout(ctx, p.time)
	defer cancel()
	conn, err := p.Connector.Connect(within)
	if err == nil {
		err = checkWritable(within, conn)
		if err == nil {
			// For the connection, so that a transaction does not have to, by a round trip of its own.
			_, err = conn.(driver.ExecerContext).ExecContext(within, //nolint:forcetypeassert // the driver's
				"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil)
		}
		if err != nil {
			_ = conn.Close()
		}
	}
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("no answer within %v: %w", p.time, os.ErrDeadlineExceeded)
	}
	return conn, err //nolint:wrapcheck // the driver's, which database/sql knows
}

// checkWritable returns an error of the number that the server's answer to a write would have, if it
// is read-only.
func checkWritable(ctx context.Context, conn driver.Conn) error {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, "SELECT @@read_only", nil) //nolint:forcetypeassert // the driver's
	if err != nil {
		return err //nolint:wrapcheck // the driver's, which database/sql knows
	}
	defer rows.Close() //nolint:errcheck // read whole, or failed already
	value := make([]driver.Value, 1)
	if err := rows.Next(value); err != nil {
		return err //nolint:wrapcheck // the driver's, which database/sql knows
	}
	if text, ok := value[0].([]byte); ok {
		value[0] = string(text)
	}
	switch value[0] {
	case int64(0), "0", "OFF":
		return nil
	}
	return &mysql.MySQLError{Number: readOnly, Message: "the server is read-only: it is a replica, or no longer the primary"}
}

// readOnly is the number of ER_OPTION_PREVENTS_STATEMENT.
const readOnly = 1290

// setVariables adds to config the variables that each connection sets, but for those that the
// address sets.
func setVariables(ctx context.Context, config *mysql.Config) error {
	node, err := ofCluster(ctx, config)
	if err != nil {
		return err
	}
	variables := map[string]string{
		// A statement goes on to wait when its caller has given up, and a node that gives its data to
		// another one stands still until nobody waits. So the Store waits for a row, not the server: it
		// tries again, on a connection that others have had meanwhile. That is 0 on MariaDB and 1,
		// the least, on MySQL, for which M! begins a comment.
		"innodb_lock_wait_timeout": "1/*M! -1 */",
		"lock_wait_timeout":        "3", // for tables that are being altered, backed up or locked
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
