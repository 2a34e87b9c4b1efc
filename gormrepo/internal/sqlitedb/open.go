package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/internal/dbfile"
	"github.com/oauthstore/oauthstore/repository"
)

// Driver is what a driver package brings.
type Driver struct {
	Name      string        // of the package, for errors
	Driver    driver.Driver // for database/sql
	Dialector func(pool gorm.ConnPool) gorm.Dialector
}

// Full and Normal are the values of Options.Synchronous.
const (
	Full   = "FULL"
	Normal = "NORMAL"
)

// Options are those of the driver packages, which document the fields and convert to this type.
type Options struct {
	Now          func() time.Time
	Logger       *slog.Logger
	Synchronous  string
	TablePrefix  string
	SkipMigrate  bool
	Readers      int
	AllowNetwork bool
}

// Open opens or creates the database at path, or one in memory for Memory.
func Open(ctx context.Context, d Driver, path string, opts *Options) (*gormrepo.Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	store, err := open(ctx, d, path, o)
	if err != nil {
		return nil, fmt.Errorf("%s: open %s: %w", d.Name, path, err)
	}
	return store, nil
}

func open(ctx context.Context, d Driver, path string, o Options) (_ *gormrepo.Store, err error) {
	if err := o.settle(); err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h := &handles{driver: d, path: path, options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if path == Memory {
		err = h.openMemory(ctx)
	} else {
		err = h.openFile(ctx)
	}
	if err != nil {
		return nil, explained(h.path, err)
	}
	db := gormrepo.Database{Write: h.write, Read: h.read, Close: h.close}
	if h.lock == nil {
		return gormrepo.Open(ctx, db, o.store())
	}
	db.Lock, db.Intact = h.lock.Lock, h.intact
	store, err := gormrepo.Open(ctx, db, o.store())
	if err == nil { // and the -wal and -shm are there
		h.files = dbfile.Remember(h.path)
	}
	return store, explained(h.path, err)
}

func (o *Options) settle() error {
	o.Synchronous = strings.ToUpper(o.Synchronous)
	if o.Synchronous == "" {
		o.Synchronous = Full
	}
	if o.Synchronous != Full && o.Synchronous != Normal {
		return fmt.Errorf("%w: Synchronous is %q, not FULL or NORMAL", repository.ErrInvalid, o.Synchronous)
	}
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.Readers < 0 {
		return fmt.Errorf("%w: Readers is %d, not 1 or more", repository.ErrInvalid, o.Readers)
	}
	return nil
}

func (o *Options) store() *gormrepo.Options {
	return &gormrepo.Options{Now: o.Now, Logger: o.Logger, TablePrefix: o.TablePrefix, SkipMigrate: o.SkipMigrate}
}

// readBack is how SQLite writes the value of Synchronous.
func (o *Options) readBack() string {
	if o.Synchronous == Normal {
		return "1"
	}
	return "2"
}

func checkPath(path string) error {
	switch {
	case path == "":
		return fmt.Errorf("%w: the path is empty", repository.ErrInvalid)
	case strings.HasPrefix(path, "file:"):
		return fmt.Errorf("%w: the path is a URI: give the plain path of the file", repository.ErrInvalid)
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("%w: the path holds a NUL character", repository.ErrInvalid)
	}
	return nil
}

// handles are one connection that writes and, on a file, a pool that only reads.
type handles struct {
	driver  Driver
	path    string
	options Options

	write, read *gorm.DB
	conn        *sql.Conn
	pools       []*sql.DB // the writer's last, so that its closing checkpoints the WAL
	lock        *writerLock
	files       *dbfile.Opened
}

func (h *handles) openMemory(ctx context.Context) error {
	return h.openWriter(ctx, Memory)
}

func (h *handles) openFile(ctx context.Context) (err error) {
	if h.path, err = filepath.Abs(h.path); err != nil { // the program may change its directory
		return err
	}
	if target, err := filepath.EvalSymlinks(h.path); err == nil {
		h.path = target // SQLite follows links too: the lock file lies beside the -wal
	}
	if err := prepareFile(h.path, h.options.AllowNetwork); err != nil {
		return err
	}
	dsn, err := dsnOf(h.path)
	if err != nil {
		return err
	}
	if err := h.openWriter(ctx, dsn); err != nil {
		return err
	}
	if err := gormrepo.CheckSchema(ctx, h.write, h.options.store()); err != nil {
		return err
	}
	if err := protect(h.path); err != nil { // it is no other program's
		return err
	}
	if h.lock, err = openWriterLock(h.path); err != nil {
		return err
	}
	if err := h.locked(ctx, h.enterWAL); err != nil {
		return err
	}
	if err := h.openReaders(dsn); err != nil {
		return err
	}
	return protect(h.path)
}

// openWriter opens the one connection that writes. What it deletes, it overwrites with zeros. It
// waits for locks in steps that ctx can end, so its own busy_timeout is 0 once it is set up.
func (h *handles) openWriter(ctx context.Context, dsn string) error {
	pool := sql.OpenDB(connector{h.driver.Driver, h.path, dsn, append(h.settings(),
		pragma{"secure_delete", "ON", "1"}, pragma{"busy_timeout", "0", "0"})})
	pool.SetMaxOpenConns(1)
	h.pools = append(h.pools, pool)
	var err error
	if h.conn, err = pool.Conn(ctx); err != nil {
		return err
	}
	var version string
	if err := h.conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if err := CheckVersion(version); err != nil {
		return err
	}
	h.write, err = h.gorm(h.conn)
	return err
}

// settings are those of every connection. busy_timeout comes first, for the others may meet a lock.
func (h *handles) settings() []pragma {
	return []pragma{
		{"busy_timeout", "10000", "10000"},
		{"synchronous", h.options.Synchronous, h.options.readBack()},
		{"foreign_keys", "ON", "1"},
		{"cache_size", "-16000", "-16000"}, // KiB at most: the inner pages of ten million tokens
	}
}

func (h *handles) openReaders(dsn string) error {
	pool := sql.OpenDB(connector{h.driver.Driver, h.path, dsn, append(h.settings(),
		pragma{"journal_mode", "WAL", "wal"}, pragma{"query_only", "ON", "1"})})
	pool.SetMaxOpenConns(h.options.Readers)
	pool.SetMaxIdleConns(h.options.Readers)
	h.pools = append([]*sql.DB{pool}, h.pools...)
	var err error
	h.read, err = h.gorm(pool)
	return err
}

func (h *handles) gorm(pool gorm.ConnPool) (*gorm.DB, error) {
	return gorm.Open(h.driver.Dialector(pool), &gorm.Config{
		SkipDefaultTransaction: true,
		PrepareStmt:            true,
		PrepareStmtMaxSize:     256, // lists of values make a statement for each length
		PrepareStmtTTL:         forever,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard, // the Store brings its own
	})
}

// forever is, as a time to live, what GORM's statement cache takes for no end. Any other starts a
// goroutine that nothing ends, and after it a statement may be closed while somebody is about to
// run it.
const forever = 10 * 365 * 24 * time.Hour

// locked runs fn while no other process that uses this package writes.
func (h *handles) locked(ctx context.Context, fn func(ctx context.Context) error) error {
	release, err := h.lock.Lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	return fn(ctx)
}

// enterWAL changes the journal mode, which needs the database for itself for a moment.
func (h *handles) enterWAL(ctx context.Context) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := h.conn.Raw(func(conn any) error {
			return apply(ctx, conn.(driver.Conn), pragma{"journal_mode", "WAL", "wal"})
		})
		if err == nil || !gormrepo.IsBusy(err) || time.Now().After(deadline) {
			return err
		}
		timer := time.NewTimer(time.Millisecond + rand.N(10*time.Millisecond)) //nolint:gosec // jitter is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// intact is asked after each commit. While the database is opened, it knows nothing yet.
func (h *handles) intact() error {
	if h.files == nil {
		return nil
	}
	return h.files.Intact()
}

// close closes what is open, in the order in which the WAL is checkpointed last.
func (h *handles) close() error {
	var errs []error
	if h.write != nil {
		errs = append(errs, closeStatements(h.write))
	}
	if h.conn != nil {
		errs = append(errs, h.conn.Close())
	}
	for _, pool := range h.pools {
		errs = append(errs, pool.Close())
	}
	if h.lock != nil {
		errs = append(errs, h.lock.Close())
	}
	return errors.Join(errs...)
}

// closeStatements closes what GORM prepared on a single connection: database/sql leaves such
// statements open, and SQLite keeps a connection with open statements, and with it the WAL.
func closeStatements(db *gorm.DB) error {
	prepared, ok := db.ConnPool.(*gorm.PreparedStmtDB)
	if !ok {
		return nil
	}
	var errs []error
	for _, key := range prepared.Stmts.Keys() {
		if statement, ok := prepared.Stmts.Get(key); ok {
			errs = append(errs, statement.Close())
		}
	}
	return errors.Join(errs...)
}
