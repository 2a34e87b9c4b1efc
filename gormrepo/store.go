package gormrepo

import (
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

	// TablePrefix replaces DefaultTablePrefix: up to 32 ASCII letters, digits and underscores, no digit first. PostgreSQL
	// makes letters small.
	TablePrefix string

	// SkipMigrate leaves the schema to the application, which calls Store.Migrate when it wants to. One that is newer than
	// this program is refused all the same.
	SkipMigrate bool
}

// Database is what a driver package hands to Open: the handles, and what is special about them.
type Database struct {
	// Write runs everything that writes. On SQLite, with Lock, it is one connection, and writes share commits.
	Write *gorm.DB

	// Read runs everything else outside transactions. nil: Write, in turn with the writers.
	Read *gorm.DB

	// Lock is taken around each transaction that writes, beside what the database locks itself. nil: none.
	// It returns early with the error of ctx if that ends.
	Lock func(ctx context.Context) (unlock func(), err error)

	// Close releases the handles. nil: they belong to the application.
	Close func() error
}

// Store is a repository.Store over GORM.
type Store struct {
	write, read *gorm.DB
	borrowed    bool          // the handle belongs to the application
	writer      chan struct{} // SQLite without group: held by the one call that writes
	group       *group        // SQLite in a file of our own opening
	lock        func(ctx context.Context) (func(), error)
	release     func() error

	clock  func() time.Time
	tables tables

	mu     sync.RWMutex // guards closed, and calls.Add against Close
	closed bool
	calls  sync.WaitGroup
}

var _ repository.Store = (*Store)(nil)

// New returns a Store in the database of an application's own handle, of GORM's dialects for SQLite, PostgreSQL and MySQL,
// whatever its pool and settings but for those below, and brings the schema up to date unless opts say otherwise. The
// application keeps the handle: Close does not close it. New waits for the database without limit.
//
// On SQLite, each call takes one connection of the pool and gives it back as it was; while it has it,
// foreign keys are enforced and waits for locks end with ctx. For an in-memory database the pool must
// be limited to one connection, or each connection has a database of its own.
//
// ErrInvalid for the handle of a transaction, or of a single connection, and for one whose sessions this package cannot be
// right on: those that enforce no foreign keys (session_replication_role=replica, foreign_key_checks=0), and on MySQL those
// that do not commit by themselves, are not in utf8mb4, read what is not committed, or have sql_select_limit,
// completion_type, EMPTY_STRING_IS_NULL or the driver's columnsWithAlias set.
//
// On MySQL, a statement whose caller has given up waits until innodb_lock_wait_timeout is over, 50 seconds by default; Open of package
// mysql sets 3.
//
// On a Galera cluster, the DSN of the handle must set wsrep_sync_wait=7, or a read on one node may miss what another
// one has acknowledged, and interpolateParams=true, or an aborted transaction may go unnoticed: ErrInvalid if it does not.
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
	s, err := newStore(Database{Write: db}, opts)
	if err != nil {
		return nil, err
	}
	s.borrowed = true
	ctx := context.Background()
	if err := s.fitForCluster(ctx); err != nil {
		return nil, s.wrap("new", err)
	}
	return s.ready(ctx, opts)
}

// Open returns a Store on handles that a driver package has set up, and brings the schema up to date
// unless opts say otherwise. If it fails, the handles are the caller's to close.
func Open(ctx context.Context, db Database, opts *Options) (*Store, error) {
	s, err := newStore(db, opts)
	if err != nil {
		return nil, err
	}
	return s.ready(ctx, opts)
}

func (s *Store) ready(ctx context.Context, opts *Options) (*Store, error) {
	if err := s.fitSession(ctx); err != nil {
		return nil, s.wrap("open", err)
	}
	if opts != nil && opts.SkipMigrate {
		if _, err := s.current(ctx); err != nil {
			return nil, s.wrap("check schema", err)
		}
		return s, nil
	}
	if err := s.Migrate(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

var prefixForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,31}$`)

func newStore(db Database, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.TablePrefix == "" {
		o.TablePrefix = DefaultTablePrefix
	}
	if !prefixForm.MatchString(o.TablePrefix) {
		return nil, fmt.Errorf("gormrepo: %w: TablePrefix is not 1 to 32 ASCII letters, digits and underscores, with no digit first", repository.ErrInvalid)
	}
	if _, known := dialects[db.Write.Name()]; !known {
		return nil, fmt.Errorf("gormrepo: %w: the dialect is %q, not sqlite, postgres or mysql", repository.ErrInvalid, db.Write.Name())
	}
	if db.Write.Name() == "postgres" {
		o.TablePrefix = strings.ToLower(o.TablePrefix) // as it does with names that are not quoted
	}
	session := &gorm.Session{NewDB: true, SkipHooks: true, SkipDefaultTransaction: true, Logger: slogLogger{o.Logger}}
	s := &Store{
		write: db.Write.Session(session), lock: db.Lock, release: db.Close,
		clock: o.Now, tables: tablesOf(o.TablePrefix, db.Write.Name()),
	}
	s.write.DefaultTransactionTimeout, s.write.DefaultContextTimeout = 0, 0 // of this session: ctx ends what it has to
	if db.Read != nil {
		s.read = db.Read.Session(session)
	}
	switch {
	case s.sqlite() && s.lock != nil:
		s.group = &group{}
	case s.sqlite():
		s.writer = make(chan struct{}, 1)
	}
	return s, nil
}

func (s *Store) sqlite() bool { return s.write.Name() == "sqlite" }

func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// enter counts a call, until leave is called. ErrClosed after Close.
func (s *Store) enter(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return repository.ErrClosed
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// Close waits for calls under way. It closes the handles unless they belong to the application.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	if closed || s.release == nil {
		return nil
	}
	return s.wrap("close", s.release())
}

// Ping returns nil if the database answers a query.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.wrap("ping", s.reading(ctx, func(c conn) error { return c.db.Raw("SELECT 1").Scan(&one).Error }))
}

// Clients returns the repository of clients.
func (s *Store) Clients() repository.Clients { return clients{s} }

// Grants returns the repository of grants.
func (s *Store) Grants() repository.Grants { return grants{s} }

// AuthorizationCodes returns the repository of codes.
func (s *Store) AuthorizationCodes() repository.AuthorizationCodes { return codes{s} }

// Tokens returns the repository of tokens.
func (s *Store) Tokens() repository.Tokens { return tokens{s} }
