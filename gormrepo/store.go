package gormrepo

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

// DefaultTablePrefix is what the names of the tables begin with.
const DefaultTablePrefix = "oauth_"

// Options configure a Store. nil means the defaults.
type Options struct {
	// Now is the clock. nil: time.Now.
	Now func() time.Time

	// Logger gets each statement at debug level, never with values. nil: slog.Default().
	Logger *slog.Logger

	// TablePrefix replaces DefaultTablePrefix: up to 32 ASCII letters, digits and underscores, no
	// digit first. PostgreSQL makes letters small.
	TablePrefix string

	// SkipMigrate leaves the schema to the application, which calls Store.Migrate when it wants to.
	// One that is newer than this program is refused all the same.
	SkipMigrate bool
}

// Database is what a driver package hands to Open: the handles, and what is special about them.
type Database struct {
	// Write runs everything that writes. On SQLite, with Lock, it is one connection, and writes share
	// commits.
	Write *gorm.DB

	// Read runs everything else outside transactions. nil: Write, in turn with the writers.
	Read *gorm.DB

	// Lock is taken around each transaction that writes, beside what the database locks itself. nil:
	// none. It returns early with the error of ctx if that ends.
	Lock func(ctx context.Context) (unlock func(), err error)

	// Close releases the handles. nil: they belong to the application.
	Close func() error
}

// Store is a repository.Store over GORM.
type Store struct {
	*common
	database database
	release  func() error

	mu     sync.RWMutex // guards closed, and calls.Add against Close
	closed bool
	calls  sync.WaitGroup
}

var _ repository.Store = (*Store)(nil)

// New returns a Store in the database of an application's own handle, of GORM's dialects for
// SQLite, PostgreSQL and MySQL, whatever its pool and settings but for those below, and brings the
// schema up to date unless opts say otherwise. The application keeps the handle: Close does not
// close it. New waits for the database without limit.
//
// On SQLite, each call takes one connection of the pool and gives it back as it was; while it has
// it, foreign keys are enforced and waits for locks end with ctx. For an in-memory database the
// pool must be limited to one connection, or each connection has a database of its own.
//
// ErrInvalid for the handle of a transaction, or of a single connection, and for one whose sessions
// this package cannot be right on: those that enforce no foreign keys
// (session_replication_role=replica, foreign_key_checks=0), and on MySQL those that do not commit
// by themselves, are not in utf8mb4, read what is not committed, or have sql_select_limit,
// completion_type, EMPTY_STRING_IS_NULL or the driver's columnsWithAlias set.
//
// On MySQL, a statement whose caller has given up waits until innodb_lock_wait_timeout is over, 50
// seconds by default; Open of package mysql sets 3.
//
// On a Galera cluster, the DSN of the handle must set wsrep_sync_wait=7, or a read on one node may
// miss what another one has acknowledged, and interpolateParams=true, or an aborted transaction may
// go unnoticed: ErrInvalid if it does not.
func New(db *gorm.DB, opts *Options) (*Store, error) {
	if db == nil || db.Config == nil || db.Statement == nil {
		return nil, fmt.Errorf("gormrepo: new: %w: no *gorm.DB", repository.ErrInvalid)
	}
	if _, inside := db.Statement.ConnPool.(gorm.TxCommitter); inside {
		return nil, fmt.Errorf("gormrepo: new: %w: the handle is that of a transaction", repository.ErrInvalid)
	}
	if _, err := db.DB(); err != nil {
		return nil, fmt.Errorf("gormrepo: new: %w: the handle has no pool of connections", repository.ErrInvalid)
	}
	s, err := newStore(Database{Write: db}, opts, true)
	if err != nil {
		return nil, fmt.Errorf("gormrepo: new: %w", err)
	}
	return s.ready(context.Background(), "new", opts)
}

// Open returns a Store on handles that a driver package has set up, and brings the schema up to
// date unless opts say otherwise. If it fails, the handles are the caller's to close.
func Open(ctx context.Context, db Database, opts *Options) (*Store, error) {
	s, err := newStore(db, opts, false)
	if err != nil {
		return nil, fmt.Errorf("gormrepo: open: %w", err)
	}
	return s.ready(ctx, "open", opts)
}

// ready checks the handle and the schema.
func (s *Store) ready(ctx context.Context, op string, opts *Options) (*Store, error) {
	err := s.database.check(ctx)
	switch {
	case err != nil:
		s.wrap(op, &err)
	case opts != nil && opts.SkipMigrate:
		err = s.checkSchema(ctx)
	default:
		err = s.Migrate(ctx)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

var prefixForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,31}$`)

// newStore returns a Store that has not looked at the database. With lent, the handle belongs to
// the application.
func newStore(db Database, opts *Options, lent bool) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	kind, err := kindOf(db.Write.Dialector)
	if err != nil {
		return nil, err
	}
	session := &gorm.Session{NewDB: true, SkipHooks: true, SkipDefaultTransaction: true, Logger: slogLogger{o.Logger}}
	handle := func(db *gorm.DB) *gorm.DB {
		db = db.Session(session)
		db.DefaultTransactionTimeout, db.DefaultContextTimeout = 0, 0 // ctx ends what it has to
		db.TranslateError = false                                     // errors keep their codes
		return db
	}
	db.Write = handle(db.Write)
	if db.Read != nil {
		db.Read = handle(db.Read)
	}
	s := &Store{common: &common{clock: o.Now}, release: db.Close}
	s.database = kind.open(s.common, db, lent)
	if s.smallNames {
		o.TablePrefix = strings.ToLower(o.TablePrefix)
	}
	s.tables = tablesOf(o.TablePrefix)
	s.sql, err = newStatements(db.Write.Dialector, s.traits, s.tables)
	return s, err
}

func (o *Options) withDefaults() (Options, error) {
	var with Options
	if o != nil {
		with = *o
	}
	if with.Now == nil {
		with.Now = time.Now
	}
	if with.Logger == nil {
		with.Logger = slog.Default()
	}
	with.TablePrefix = cmp.Or(with.TablePrefix, DefaultTablePrefix)
	if !prefixForm.MatchString(with.TablePrefix) {
		return with, fmt.Errorf("%w: TablePrefix is not 1 to 32 ASCII letters, digits and underscores, with no digit first", repository.ErrInvalid)
	}
	return with, nil
}

// during runs fn as a call that Close waits for. ErrClosed after Close.
func (s *Store) during(ctx context.Context, fn func() error) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return repository.ErrClosed
	}
	s.calls.Add(1)
	s.mu.RUnlock()
	defer s.calls.Done()
	return fn()
}

func (s *Store) read(ctx context.Context, fn func(q *session) error) error {
	return s.during(ctx, func() error { return s.database.read(ctx, fn) })
}

func (s *Store) write(ctx context.Context, kind writeKind, fn func(q *session) error) error {
	return s.during(ctx, func() error { return s.database.write(ctx, kind, fn) })
}

// Close waits for calls under way. It closes the handles unless they belong to the application.
func (s *Store) Close() (err error) {
	defer s.wrap("close", &err)
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	if closed || s.release == nil {
		return nil
	}
	return s.release()
}

// Ping returns nil if the database answers a query.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer s.wrap("ping", &err)
	var one int
	return s.read(ctx, func(q *session) error { return q.queryText([]any{&one}, "SELECT 1") })
}

// Clients returns the repository of clients.
func (s *Store) Clients() repository.Clients { return clients{s} }

// Grants returns the repository of grants.
func (s *Store) Grants() repository.Grants { return grants{s} }

// AuthorizationCodes returns the repository of codes.
func (s *Store) AuthorizationCodes() repository.AuthorizationCodes { return codes{s} }

// Tokens returns the repository of tokens.
func (s *Store) Tokens() repository.Tokens { return tokens{s} }
