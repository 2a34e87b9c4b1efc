package gormrepo

import (
	"context"
	"errors"
	"strconv"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"

	"github.com/oauthstore/oauthstore/gormrepo/internal/dbfile"
	"github.com/oauthstore/oauthstore/gormrepo/internal/sqlitecode"
)

// sqliteDialect is SQLite. A transaction that writes begins IMMEDIATE and is then the only one, so
// no row has to be locked.
var sqliteDialect = dialect{
	name: "sqlite",
	traits: traits{
		schema:   "sqlite",
		hasTable: "SELECT count(*) FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
		clauses: callbacks.Config{
			CreateClauses: []string{"INSERT", "VALUES"},
			UpdateClauses: []string{"UPDATE", "SET", "WHERE", "RETURNING"},
		},
		oneWriter: true,
		meaning:   sqliteMeaning,
	},
	open: openSQLite,
}

func openSQLite(c *common, db Database, lent bool) database {
	one := &sqlite{common: c, db: db.Write, turn: make(chan struct{}, 1)}
	one.connect = one.ownConnection
	switch {
	case lent:
		one.connect = one.borrowConnection
		return &lentSQLite{one}
	case db.Lock == nil || db.Read == nil:
		return one
	}
	commits := &groupCommit{
		lock: db.Lock, session: one.writeSession, begin: one.begin, intact: db.Intact, meaning: c.meaning,
	}
	return &sqliteFile{one, db.Read, commits}
}

// sqlite is SQLite on one connection, for which calls wait in turn: a database in memory.
type sqlite struct {
	*common
	db   *gorm.DB
	turn chan struct{} // full while a call has its turn

	// connect calls fn with a session on one connection.
	connect func(ctx context.Context, fn func(q *session) error) error
}

// check looks at the file of the database, if there is one.
func (d *sqlite) check(ctx context.Context) error {
	var number int
	var name string
	var path *string
	err := d.read(ctx, func(q *session) error { // the first row is that of the database main
		return q.queryText([]any{&number, &name, &path}, "PRAGMA database_list")
	})
	if err != nil || path == nil || *path == "" {
		return err
	}
	return dbfile.HasOneName(*path)
}

func (d *sqlite) read(ctx context.Context, fn func(q *session) error) error { return d.inTurn(ctx, fn) }

func (d *sqlite) write(ctx context.Context, kind writeKind, fn func(q *session) error) error {
	if kind == oneStatement {
		return d.inTurn(ctx, fn)
	}
	return d.inTurn(ctx, func(q *session) error { return d.transaction(ctx, q, fn) })
}

func (d *sqlite) migrate(ctx context.Context, step func(q *session) error) error {
	return d.write(ctx, severalChanges, step)
}

// forget has nothing to do for a database in memory.
func (d *sqlite) forget(context.Context) {}

// inTurn calls fn as the only one of this Store that uses the connection.
func (d *sqlite) inTurn(ctx context.Context, fn func(q *session) error) error {
	waits, stop := patience(ctx)
	defer stop()
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-waits.Done():
		return ended(waits)
	}
	return d.whenFree(ctx, waits, fn)
}

// whenFree calls fn, and calls it again while the lock of another connection prevents it. waits
// ends these waits, but not a statement that has begun: after an interrupt, drivers were seen to
// return an error for a statement that was done, and nil for one that was not.
func (d *sqlite) whenFree(ctx, waits context.Context, fn func(q *session) error) error {
	_, err := d.retry(waits, func() (outcome, error) {
		return d.failed(d.connect(ctx, fn))
	})
	return err
}

func (d *sqlite) ownConnection(ctx context.Context, fn func(q *session) error) error {
	return fn(d.writeSession(ctx))
}

// writeSession is a session on the connection of the handle.
func (d *sqlite) writeSession(ctx context.Context) *session {
	return d.session(d.db.WithContext(context.WithoutCancel(ctx)))
}

// transaction calls fn between BEGIN and COMMIT. It rolls back if fn fails or panics, and if ctx
// has ended by then.
func (d *sqlite) transaction(ctx context.Context, q *session, fn func(q *session) error) error {
	if err := q.run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			_ = q.run("ROLLBACK") // the error says why
		}
	}()
	if err := fn(q); err != nil {
		return err
	}
	if err := ended(ctx); err != nil {
		return err
	}
	err := q.run("COMMIT")
	done = err == nil
	return err
}

// begin begins a transaction when no other connection has one that writes.
func (d *sqlite) begin(waits context.Context) (*session, error) {
	_, err := d.retry(waits, func() (outcome, error) { return d.failed(d.writeSession(waits).run("BEGIN IMMEDIATE")) })
	return d.writeSession(waits), err // which reads the clock after the wait
}

// sqliteFile is SQLite in a file of our own: readers have connections of their own, and writes
// share commits.
type sqliteFile struct {
	*sqlite
	readers *gorm.DB
	commits *groupCommit
}

func (d *sqliteFile) read(ctx context.Context, fn func(q *session) error) error {
	for {
		err := fn(d.session(d.readers.WithContext(ctx)))
		if stopped := ended(ctx); stopped != nil {
			return stopped // a driver may take an interrupted query for one that ended early
		}
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		// GORM lets all who wait for a statement share one Prepare. It has failed because the ctx of
		// another call ended.
	}
}

func (d *sqliteFile) write(ctx context.Context, kind writeKind, fn func(q *session) error) error {
	return d.commits.write(ctx, kind, fn)
}

func (d *sqliteFile) migrate(ctx context.Context, step func(q *session) error) error {
	return d.write(ctx, severalChanges, step)
}

func (d *sqliteFile) forget(ctx context.Context) {
	_ = d.commits.alone(ctx, emptyWAL) // the next cleanup tries again
}

// emptyWAL copies the -wal into the database and cuts it off: it still has the pages of before each
// change. Under readers that follow one another this only succeeds if it waits for those that are
// reading now. New ones do not have to be waited for: they no longer read the -wal.
func emptyWAL(q *session) error {
	const wait, noWait = "PRAGMA busy_timeout = 250", "PRAGMA busy_timeout = 0"
	if err := q.run(wait); err != nil {
		return err
	}
	var busy, frames, copied int
	err := q.queryText([]any{&busy, &frames, &copied}, "PRAGMA wal_checkpoint(TRUNCATE)")
	return errors.Join(err, q.run(noWait))
}

// lentSQLite is SQLite through the handle of an application. Each call has a connection of the pool
// to itself.
type lentSQLite struct{ *sqlite }

func (d *lentSQLite) read(ctx context.Context, fn func(q *session) error) error {
	waits, stop := patience(ctx)
	defer stop()
	return d.whenFree(ctx, waits, fn)
}

func (d *lentSQLite) forget(ctx context.Context) {
	_ = d.borrowConnection(ctx, emptyWAL) // the next cleanup tries again
}

// borrowConnection takes a connection from the application's pool, applies the settings that this
// package needs, and restores the old ones before it gives the connection back.
func (d *sqlite) borrowConnection(ctx context.Context, fn func(q *session) error) error {
	return d.db.WithContext(ctx).Connection(func(db *gorm.DB) error {
		db = onConnection(context.WithoutCancel(ctx), db)
		restore, err := settings(db)
		if err != nil {
			return err
		}
		defer restore()
		return fn(d.session(db))
	})
}

// settings makes waits for locks return at once, turns foreign keys on, and has what is deleted
// overwritten with zeros. restore undoes all three.
func settings(db *gorm.DB) (restore func(), err error) {
	names := []string{"foreign_keys", "secure_delete", "busy_timeout"}
	before := make([]int, len(names))
	for i, name := range names {
		if err := db.Raw("PRAGMA " + name).Scan(&before[i]).Error; err != nil {
			return nil, err
		}
	}
	set := func(values ...int) error { // PRAGMA takes no parameters
		var errs []error
		for i, name := range names {
			value := strconv.Itoa(values[i])
			if name == "secure_delete" && values[i] == 2 {
				value = "FAST" // a number other than 0 is ON
			}
			errs = append(errs, db.Exec("PRAGMA "+name+" = "+value).Error)
		}
		return errors.Join(errs...)
	}
	restore = func() { _ = set(before...) }
	if err := set(1, 1, 0); err != nil {
		restore()
		return nil, err
	}
	return restore, nil
}

// The result codes of SQLite that this package tells apart (sqlite.org/rescode.html).
const (
	sqliteBusy      = 5
	sqliteLocked    = 6
	sqliteNoMemory  = 7
	sqliteInterrupt = 9
	sqliteIOError   = 10
	sqliteFull      = 13

	sqliteForeignKey = 787 // extended
	sqlitePrimaryKey = 1555
	sqliteUnique     = 2067
)

func sqliteMeaning(err error) meaning {
	code := sqlitecode.Of(err)
	m := meaning{
		duplicate: code == sqlitePrimaryKey || code == sqliteUnique,
		orphan:    code == sqliteForeignKey,
	}
	switch code & 0xff {
	case sqliteBusy:
		m.again, m.txOver = true, true
	case sqliteLocked:
		m.again = true
	case sqliteNoMemory, sqliteInterrupt, sqliteIOError, sqliteFull:
		m.txOver = true // SQLite may have rolled back with the statement (sqlite.org/lang_transaction.html)
	}
	return m
}

// IsBusy reports whether err says that another connection to SQLite holds a lock, so that nothing
// was done.
func IsBusy(err error) bool { return sqliteMeaning(err).again }
