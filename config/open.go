package config

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/oauthstore/oauthstore/gormrepo/mysql"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/cleanup"
)

// Open returns the Store that c names. Unless c.CleanupInterval is negative, a goroutine removes what has expired
// (package cleanup with its defaults); Close of the Store ends it first. ctx ends the waits of Open, not the
// Store. An error of a Config that is not valid is that of Validate; one of a path or URL that cannot be used names its
// field and variable, and is repository.ErrInvalid.
func Open(ctx context.Context, c Config) (repository.Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	store, err := open(ctx, c)
	switch {
	case errors.Is(err, repository.ErrInvalid) && c.Backend == SQLite:
		return nil, fmt.Errorf("config: SQLitePath (MCP_OAUTH_SQLITE_PATH): %w", err)
	case errors.Is(err, repository.ErrInvalid):
		return nil, fmt.Errorf("config: DatabaseURL (MCP_OAUTH_DATABASE_URL): %w", err)
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	}
	if c.CleanupInterval < 0 {
		return store, nil
	}
	clean := func() *cleanup.Cleaner { return cleanup.Start(store, &cleanup.Options{Interval: c.CleanupInterval}) }
	return &cleaned{Store: store, clean: clean, cleaner: clean()}, nil
}

func open(ctx context.Context, c Config) (repository.Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch c.Backend {
	case SQLite:
		return sqlite.Open(ctx, c.SQLitePath, &sqlite.Options{
			Synchronous: c.SQLiteSynchronous, AllowNetwork: c.SQLiteAllowNetwork,
		})
	case Postgres:
		return postgres.Open(ctx, string(c.DatabaseURL), nil)
	case MySQL:
		return mysql.Open(ctx, string(c.DatabaseURL), nil)
	case Memory:
	}
	return memoryrepo.New(nil), nil
}

// cleaned is a Store with its cleanup.
type cleaned struct {
	repository.Store
	clean func() *cleanup.Cleaner

	mu      sync.Mutex
	cleaner *cleanup.Cleaner
}

// Close ends the cleanup, then the Store. If the Store stays open, so does the cleanup.
func (s *cleaned) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleaner.Stop()
	err := s.Store.Close()
	if errors.Is(err, repository.ErrInvalid) {
		s.cleaner = s.clean()
	}
	return err
}
