package gormrepo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
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

// Database is what a driver package gives to Open.
type Database struct {
	// Write runs the writes. On a server it runs the reads too. On SQLite it is one connection. The
	// sessions of MySQL are at READ COMMITTED.
	Write *gorm.DB

	// Read runs the reads of a SQLite file, on connections of its own. nil for a database in memory.
	// A server ignores it.
	Read *gorm.DB

	// Lock keeps out the writers of other processes, for a SQLite file. It is taken around each
	// transaction that writes. If ctx ends first, it returns the error of ctx. Set Read and Lock both
	// or neither. A server ignores it.
	Lock func(ctx context.Context) (unlock func(), err error)

	// Intact returns an error if the files are not those that were opened any more, so that nobody will
	// read what is written to them. It is asked after each commit, before the calls are answered, and by
	// Ping. nil: nothing is asked.
	Intact func() error

	// Close releases the handles. nil: they belong to the application.
	Close func() error
}

// Store is a repository.Store over GORM.
type Store struct {
	*common
	database database
	intact   func() error
	release  func() error

	mu     sync.RWMutex // guards closed, and calls.Add against Close
	closed bool
	calls  sync.WaitGroup

	transactions atomic.Int64 // that are under way
}

var _ repository.Store = (*Store)(nil)

// New returns a Store that uses an application's own handle, with GORM's dialect for SQLite,
// PostgreSQL or MySQL, and brings the schema up to date unless opts say otherwise. The application
// keeps the handle: Close does not close it. New has no time limit.
//
// New returns ErrInvalid if db is the handle of a transaction or of a single connection, or if its
// sessions break the contract:
//
//   - Servers: foreign keys are off (session_replication_role=replica, foreign_key_checks=0).
//   - PostgreSQL: search_path names no schema that exists.
//   - MySQL: autocommit or sql_big_selects is off, the character set is not utf8mb4, the isolation
//     level is READ UNCOMMITTED, or sql_select_limit, completion_type, EMPTY_STRING_IS_NULL or the
//     driver's columnsWithAlias is set.
//   - Galera: the DSN lacks wsrep_sync_wait=7 (a read may then miss what another node has
//     acknowledged) or interpolateParams=true (an aborted transaction may then go unnoticed).
//
// On SQLite, each call takes one connection of the pool, changes three settings, and restores them
// when it gives it back: foreign keys are enforced, waits for locks end with ctx, and what is deleted
// is overwritten. For a database in memory the pool must be limited to one connection; otherwise each
// connection has a database of its own.
//
// On MySQL, a statement whose ctx has ended goes on waiting for its lock until
// innodb_lock_wait_timeout is over: 50 seconds by default. Open of package mysql does not let the
// server wait.
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
	if err == nil {
		err = s.writable(ctx)
	}
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
	dialect, err := dialectOf(db.Write.Dialector)
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
	if db.Intact == nil {
		db.Intact = func() error { return nil }
	}
	db.Write = handle(db.Write)
	if db.Read != nil {
		db.Read = handle(db.Read)
	}
	s := &Store{common: &common{traits: dialect.traits, clock: o.Now}, intact: db.Intact, release: db.Close}
	s.database = dialect.open(s.common, db, lent)
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
		return with, fmt.Errorf("%w: TablePrefix is not 1 to 32 ASCII letters, digits and underscores, with no digit first",
			repository.ErrInvalid)
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
	return s.during(ctx, func() error { return s.database.read(ctx, checkNow(fn)) })
}

func (s *Store) write(ctx context.Context, kind writeKind, fn func(q *session) error) error {
	return s.during(ctx, func() error { return s.database.write(ctx, kind, checkNow(fn)) })
}

// checkNow is fn behind a look at the reading of the clock.
func checkNow(fn func(q *session) error) func(q *session) error {
	return func(q *session) error {
		if err := repository.CheckNow(q.now); err != nil {
			return err
		}
		return fn(q)
	}
}

func (s *Store) whole(_ context.Context, fn func(r access) (int, error)) (int, error) { return fn(s) }

func (s *Store) forget(ctx context.Context) {
	_ = s.during(ctx, func() error { s.database.forget(ctx); return nil }) // a closed store has no files open
}

// Close waits for calls under way. It closes the handles unless they belong to the application.
// Within fn of InTx it would wait for itself: it returns ErrInvalid and does nothing.
func (s *Store) Close() (err error) {
	defer s.wrap("close", &err)
	if s.transactions.Load() > 0 && calledByInTx() {
		return fmt.Errorf("%w: Close within InTx would wait for itself", repository.ErrInvalid)
	}
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

// Ping returns nil if the database answers a query and takes writes, and its files are those that
// were opened.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer s.wrap("ping", &err)
	return s.writable(ctx)
}

func (s *Store) writable(ctx context.Context) error {
	var readOnly string
	err := s.read(ctx, func(q *session) error {
		return cmp.Or(s.intact(), q.queryText([]any{&readOnly}, cmp.Or(q.readOnly, "SELECT 0")))
	})
	if err == nil && (readOnly == "1" || strings.EqualFold(readOnly, "on")) {
		err = errors.New("the server is read-only: it is a replica, or no longer the primary")
	}
	return err
}

// Now reads the clock.
func (s *Store) Now() time.Time { return domain.Microsecond(s.clock()) }

// Clients returns the repository of clients.
func (s *Store) Clients() repository.Clients { return clients{s} }

// Grants returns the repository of grants.
func (s *Store) Grants() repository.Grants { return grants{s} }

// AuthorizationCodes returns the repository of codes.
func (s *Store) AuthorizationCodes() repository.AuthorizationCodes { return codes{s} }

// Tokens returns the repository of tokens.
func (s *Store) Tokens() repository.Tokens { return tokens{s} }
