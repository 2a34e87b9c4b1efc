// Package mysql opens a Store on MySQL or MariaDB, or on what speaks their protocol, with gorm.io/driver/mysql.
package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/internal/serverdb"
)

// Options configure Open. nil means the defaults.
type Options = serverdb.Options

// Open returns a Store on the database that address names: mysql://user:password@host:port/database?tls=..., or the
// form of github.com/go-sql-driver/mysql, user:password@tcp(host:port)/database?tls=.... The parameters are those
// of that driver. The tables are InnoDB's. It creates the schema on first use and brings an older one up to date;
// several instances may open at once.
//
// ctx ends the waits of Open, not the Store. An error never has the password. One that is
// repository.ErrUnknownOutcome says that the connection was lost while the server committed.
func Open(ctx context.Context, address string, opts *Options) (*gormrepo.Store, error) {
	config, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("mysql: open: %w", serverdb.ErrURL) // err may quote the address
	}
	config.ClientFoundRows = true // rows that an update matched, as everywhere else
	config.InterpolateParams = true
	config.Logger = &mysql.NopLogger{} // what it would log is returned
	if config.Timeout == 0 {
		config.Timeout = 10 * time.Second
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("mysql: open: %w", serverdb.ErrURL)
	}
	pool := sql.OpenDB(connector)
	where := fmt.Sprintf("%s@%s/%s", config.User, config.Addr, config.DBName)
	return serverdb.Open(ctx, "mysql", where, pool, gormmysql.New(gormmysql.Config{Conn: pool, SkipInitializeWithVersion: true}), opts)
}

// parse reads both forms of an address.
func parse(address string) (*mysql.Config, error) {
	if !strings.HasPrefix(address, "mysql://") {
		return mysql.ParseDSN(address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	config, err := mysql.ParseDSN("/?" + u.RawQuery)
	if err != nil {
		return nil, err
	}
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = strings.TrimPrefix(u.Path, "/")
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	config.Net, config.Addr = "tcp", net.JoinHostPort(u.Hostname(), port)
	return config, nil
}
