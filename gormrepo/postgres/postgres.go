// Package postgres opens a Store on PostgreSQL, or on what speaks its protocol, with
// gorm.io/driver/postgres and pgx.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	gormpostgres "gorm.io/driver/postgres"

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
	// underscores, no digit first. PostgreSQL makes letters small. Empty:
	// gormrepo.DefaultTablePrefix.
	TablePrefix string

	// SkipMigrate leaves the schema to the application, which calls Store.Migrate. Open then
	// neither creates nor changes tables, and still refuses a schema that is newer than the
	// program. false: Open migrates.
	SkipMigrate bool

	// MaxConns is the number of connections of the Store at most, those in use and the idle ones
	// together. 0: 16.
	MaxConns int

	// ConnMaxLifetime is how long a connection is used. After a switchover that leaves connections
	// open, by DNS or a balancer, the Store may read what was true before it for this long. 0: one
	// minute.
	ConnMaxLifetime time.Duration
}

// Open returns a Store on the database that url names. The form of url is
// postgres://user:password@host:port/database?sslmode=..., or libpq's keyword=value. The
// environment variables of libpq say what url leaves out, but for target_session_attrs, which is
// read-write: of several hosts, the Store uses the primary.
//
// Open creates the schema on first use and brings an older one up to date, unless
// Options.SkipMigrate is set. Several instances may open at once.
//
// ctx ends the waits of Open, not the Store. An error never has the password. One that is
// repository.ErrUnknownOutcome says that the connection was lost while the server committed.
func Open(ctx context.Context, url string, opts *Options) (*gormrepo.Store, error) {
	config, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: open: %w", err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = serverdb.ConnectTimeout
	}
	if config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	pool := stdlib.OpenDB(*config)
	where := fmt.Sprintf("%s@%s:%d/%s", config.User, config.Host, config.Port, config.Database)
	return serverdb.Open(ctx, "postgres", where, pool, gormpostgres.New(gormpostgres.Config{Conn: pool}), (*serverdb.Options)(opts))
}

// parameters are those of pgx, and have values that it may refuse.
var parameters = []string{
	"sslmode", "connect_timeout", "port", "target_session_attrs", "default_query_exec_mode", "statement_cache_capacity",
	"description_cache_capacity", "sslrootcert", "sslcert", "sslkey", "sslsni", "sslnegotiation", "channel_binding", "require_auth",
	"min_protocol_version", "max_protocol_version",
}

// parse reads both forms of url. An error does not repeat it, but for the path of a file.
func parse(url string) (*pgx.ConnConfig, error) {
	switch {
	case strings.TrimSpace(url) == "":
		return nil, fmt.Errorf("%w: it is empty", serverdb.ErrURL)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return serverdb.ReadURL(url, parameters, read)
	}
	return read(url)
}

func read(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("%w: %w", serverdb.ErrURL, file)
	}
	if err != nil {
		return nil, serverdb.ErrURL
	}
	for name := range config.RuntimeParams {
		if strings.ContainsAny(name, ":/@?") { // the beginning of a URL of another scheme, read as a keyword
			return nil, serverdb.ErrURL
		}
	}
	return config, nil
}
