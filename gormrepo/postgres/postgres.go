// Package postgres opens a Store on PostgreSQL, or on what speaks its protocol, with gorm.io/driver/postgres and pgx.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	gormpostgres "gorm.io/driver/postgres"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/internal/serverdb"
)

// Options configure Open: Now, the clock; Logger, which gets statements at debug level; TablePrefix; SkipMigrate; MaxConns,
// the connections at most, 16 by default. nil means the defaults.
type Options = serverdb.Options

// Open returns a Store on the database that url names, postgres://user:password@host:port/database?sslmode=..., or
// libpq's keyword=value form, with the environment variables of libpq for what is missing. It creates the schema on
// first use and brings an older one up to date; several instances may open at once.
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
	pool := stdlib.OpenDB(*config)
	where := fmt.Sprintf("%s@%s:%d/%s", config.User, config.Host, config.Port, config.Database)
	return serverdb.Open(ctx, "postgres", where, pool, gormpostgres.New(gormpostgres.Config{Conn: pool}), opts)
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
