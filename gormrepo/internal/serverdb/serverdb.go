// Package serverdb is what the packages of database servers share.
package serverdb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// Options are those of the servers' packages, which document the fields and convert to this type.
type Options struct {
	Now         func() time.Time
	Logger      *slog.Logger
	TablePrefix string
	SkipMigrate bool
	MaxConns    int

	ConnMaxLifetime time.Duration
}

// ErrURL says that a URL cannot be read. It does not repeat the URL, which holds a password.
var ErrURL = fmt.Errorf("%w: the URL cannot be read", repository.ErrInvalid)

// errForm is an ErrURL with what the URL should be.
var errForm = fmt.Errorf("%w: it must be scheme://user:password@host:port/database, where a password has "+
	"%%25 for %%, %%40 for @, %%2F for /, %%3F for ? and %%23 for #", ErrURL)

// DefaultMaxConns is MaxConns where no number is given.
const DefaultMaxConns = 16

// ConnectTimeout is how long the attempt to connect to one address may take where the URL names no time.
const ConnectTimeout = 10 * time.Second

// CheckURL returns an ErrURL where an unescaped password may have ended up in another part of a URL: where there is an @,
// there is one before the host, and others at most in the values of the query.
func CheckURL(text string) error {
	_, rest, _ := strings.Cut(text, "://")
	if !strings.Contains(rest, "@") {
		return nil
	}
	rest, fragment, _ := strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if strings.Count(authority, "@") != 1 || strings.Contains(path+fragment, "@") {
		return errForm
	}
	for parameter := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(parameter, "="); strings.Contains(name, "@") {
			return errForm
		}
	}
	return nil
}

// ReadURL returns what read makes of a URL that CheckURL accepts. Where read returns ErrURL itself, the error has the
// reason too, if one is found: the first of parameters without which read takes the URL, or its form.
func ReadURL[T any](text string, parameters []string, read func(text string) (T, error)) (T, error) {
	if err := CheckURL(text); err != nil {
		var none T
		return none, err
	}
	config, err := read(text)
	if err == ErrURL { //nolint:errorlint // one that says why is left as it is
		err = explain(text, parameters, read)
	}
	return config, err
}

func explain[T any](text string, parameters []string, read func(text string) (T, error)) error {
	readable := func(text string) bool {
		_, err := read(text)
		return err == nil
	}
	rest, query, _ := strings.Cut(text, "?")
	all := strings.Split(query, "&")
	for i, parameter := range all {
		name, _, _ := strings.Cut(parameter, "=")
		without := strings.Join(slices.Concat(all[:i], all[i+1:]), "&")
		if slices.Contains(parameters, name) && readable(rest+"?"+without) {
			return fmt.Errorf("%w: its parameter %s has a value that is not allowed", ErrURL, name)
		}
	}
	if !readable(rest) {
		return errForm
	}
	return ErrURL
}

// Open returns a Store on pool, which it owns from here on. An error names where, which has no password.
func Open(ctx context.Context, name, where string, pool *sql.DB, dialector gorm.Dialector, opts *Options) (*gormrepo.Store, error) {
	store, err := open(ctx, pool, dialector, opts)
	if err != nil {
		return nil, fmt.Errorf("%s: open %s: %w", name, where, errors.Join(err, pool.Close()))
	}
	return store, nil
}

func open(ctx context.Context, pool *sql.DB, dialector gorm.Dialector, opts *Options) (*gormrepo.Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.MaxConns = cmp.Or(o.MaxConns, DefaultMaxConns)
	if o.MaxConns < 0 {
		return nil, fmt.Errorf("%w: MaxConns is %d, not 1 or more", repository.ErrInvalid, o.MaxConns)
	}
	if o.ConnMaxLifetime < 0 {
		return nil, fmt.Errorf("%w: ConnMaxLifetime is %v, not more than 0", repository.ErrInvalid, o.ConnMaxLifetime)
	}
	pool.SetMaxOpenConns(o.MaxConns)
	pool.SetMaxIdleConns(o.MaxConns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	pool.SetConnMaxLifetime(cmp.Or(o.ConnMaxLifetime, time.Minute))
	if err := pool.PingContext(ctx); err != nil {
		return nil, err
	}
	db, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard, // the Store brings its own
	})
	if err != nil {
		return nil, err
	}
	return gormrepo.Open(ctx, gormrepo.Database{Write: db, Close: pool.Close}, &gormrepo.Options{
		Now: o.Now, Logger: o.Logger, TablePrefix: o.TablePrefix, SkipMigrate: o.SkipMigrate,
	})
}
