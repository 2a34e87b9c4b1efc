package gormrepo

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

// conn is a database session with one reading of the clock.
type conn struct {
	db     *gorm.DB
	now    time.Time
	tables tables
	wrote  *bool // set once exec has changed a row; nil where nobody asks
}

// runner runs the verbs of the repositories: on the Store, each call by itself; in InTx, inside the
// transaction.
type runner interface {
	wrap(op string, err error) error

	// reading runs what only reads, once or more.
	reading(ctx context.Context, fn func(c conn) error) error

	// writing runs one statement that writes, and reads around it.
	writing(ctx context.Context, fn func(c conn) error) error

	// inTx runs several statements: all or none of them.
	inTx(ctx context.Context, fn func(c conn) error) error

	// hotTx is inTx for what every request does. fn writes with conn.exec alone and hardly ever fails once it has
	// changed something, which is cheaper if it does not and dearer if it does.
	hotTx(ctx context.Context, fn func(c conn) error) error
}

func (s *Store) reading(ctx context.Context, fn func(c conn) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	switch {
	case !s.sqlite():
		return s.readServer(ctx, fn)
	case s.borrowed:
		return s.patiently(ctx, fn)
	case s.read == nil:
		return s.exclusively(ctx, fn)
	}
	for {
		err := fn(conn{db: s.read.WithContext(ctx), now: s.now(), tables: s.tables})
		if stopped := ended(ctx); stopped != nil {
			return stopped // a driver may take an interrupted query for one that ended early
		}
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		// GORM prepares a statement once for all who wait for it: another caller's ctx ended that.
	}
}

func (s *Store) writing(ctx context.Context, fn func(c conn) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	switch {
	case !s.sqlite():
		return s.onServer(ctx, fn)
	case s.group != nil:
		return s.shared(ctx, call{fn: fn})
	}
	return s.exclusively(ctx, fn)
}

func (s *Store) inTx(ctx context.Context, fn func(c conn) error) error {
	return s.transaction(ctx, call{fn: fn, savepoint: true})
}

func (s *Store) hotTx(ctx context.Context, fn func(c conn) error) error {
	return s.transaction(ctx, call{fn: fn})
}

func (s *Store) transaction(ctx context.Context, what call) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	switch {
	case !s.sqlite():
		return s.onServer(ctx, what.fn)
	case s.group != nil:
		return s.shared(ctx, what)
	}
	return s.exclusively(ctx, func(c conn) error { return c.transaction(ctx, what.fn) })
}

// InTx implements repository.Store.
func (s *Store) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	err := s.inTx(ctx, func(c conn) error {
		t := &tx{Store: s, conn: c}
		defer func() { t.done = true }()
		refused := fn(t)
		if t.lost != nil && (refused == nil || errors.Is(refused, repository.ErrClosed) || s.retryable(t.lost) && !s.retryable(refused)) {
			return t.lost // fn has passed over it
		}
		if refused != nil {
			return &refusedError{refused}
		}
		return nil
	})
	if e, ok := errors.AsType[*refusedError](err); ok {
		return e.error // as it is, whatever has been put around it
	}
	return s.wrap("transaction", err)
}

// refusedError is what fn of InTx returned. It may be of a type that cannot be compared.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// exclusively runs fn as the only writer of this Store, and again while another program's lock keeps it
// out. ctx ends the waits; what has begun runs to its end, so that nil and error mean what they say.
func (s *Store) exclusively(ctx context.Context, fn func(c conn) error) error {
	select {
	case s.writer <- struct{}{}:
		defer func() { <-s.writer }()
	case <-ctx.Done():
		return ended(ctx)
	}
	return s.patiently(ctx, fn)
}

// patiently runs fn on the handle that writes, and again while the database is busy.
func (s *Store) patiently(ctx context.Context, fn func(c conn) error) error {
	return s.again(ctx, func() error {
		if err := ended(ctx); err != nil {
			return err
		}
		return s.pinned(ctx, func(db *gorm.DB) error {
			return fn(conn{db: db.WithContext(context.WithoutCancel(ctx)), now: s.now(), tables: s.tables})
		})
	})
}

// pinned runs fn on one connection. One that the application lends gets the settings that this package
// relies on, and is given back with its own.
func (s *Store) pinned(ctx context.Context, fn func(db *gorm.DB) error) error {
	if !s.borrowed {
		return fn(s.write)
	}
	return s.write.WithContext(ctx).Connection(func(db *gorm.DB) error {
		db = inSession(context.WithoutCancel(ctx), db)
		restore, err := settle(db)
		if err != nil {
			return err
		}
		defer restore()
		return fn(db)
	})
}

// settle makes waits for locks ours and enforces foreign keys, until restore is called.
func settle(db *gorm.DB) (restore func(), err error) {
	var timeout, keys int
	if err := db.Raw("PRAGMA busy_timeout").Scan(&timeout).Error; err != nil {
		return nil, err
	}
	if err := db.Raw("PRAGMA foreign_keys").Scan(&keys).Error; err != nil {
		return nil, err
	}
	restore = func() {
		db.Exec("PRAGMA foreign_keys = " + onOff(keys))
		db.Exec("PRAGMA busy_timeout = " + decimal(timeout))
	}
	if err := execAll(db, []string{"PRAGMA busy_timeout = 0", "PRAGMA foreign_keys = ON"}); err != nil {
		restore()
		return nil, err
	}
	return restore, nil
}

// The bounds of waiting for another program's lock on the database.
const (
	busyTimeout  = 10 * time.Second
	shortestWait = 200 * time.Microsecond
	longestWait  = 20 * time.Millisecond
)

// again calls fn until it returns something else than an error that is worth another call, ctx ends, or
// busyTimeout is over.
func (s *Store) again(ctx context.Context, fn func() error) error {
	deadline := time.Now().Add(busyTimeout)
	for wait := shortestWait; ; wait = min(2*wait, longestWait) {
		err := fn()
		if !s.retryable(err) || time.Now().After(deadline) {
			if broken, ok := err.(lostError); ok { //nolint:errorlint // the outermost one
				return broken.error
			}
			return err
		}
		timer := time.NewTimer(wait/2 + rand.N(wait)) //nolint:gosec // jitter is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ended(ctx)
		}
	}
}

// transaction runs fn between SQLite's BEGIN and COMMIT. It rolls back if fn fails or panics, and if ctx has
// ended by then.
func (c conn) transaction(ctx context.Context, fn func(c conn) error) error {
	begun, err := c.begin()
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			_ = begun.rollback() // err says why
		}
	}()
	if err := fn(conn{db: begun.db, now: c.now, tables: c.tables}); err != nil {
		return err
	}
	if err := ended(ctx); err != nil {
		return err
	}
	err = begun.commit()
	committed = err == nil
	return err
}

// begun is a transaction. SQLite's begins IMMEDIATE, which database/sql has no word for.
type begun struct {
	db               *gorm.DB
	commit, rollback func() error
}

func (c conn) begin() (begun, error) {
	exec := func(text string) func() error {
		return func() error {
			_, err := c.exec(text)
			return err
		}
	}
	return begun{c.db, exec("COMMIT"), exec("ROLLBACK")}, exec("BEGIN IMMEDIATE")()
}

// tx is what fn of InTx gets.
type tx struct {
	*Store
	conn conn
	done bool
	lost error // for which the database has undone the transaction, or may have: what ran after it would be on its own
}

// check ends the transaction for fn if the database has undone it with err, or the connection is lost.
func (t *tx) check(err error) {
	if undoesAll(err) || undone(err) || err != nil && !t.sqlite() && !answered(err) {
		t.lose(err)
	}
}

func (t *tx) lose(err error) { t.done, t.lost = true, err }

func (t *tx) open(ctx context.Context) error {
	if t.done {
		return repository.ErrClosed
	}
	return ended(ctx)
}

func (t *tx) reading(ctx context.Context, fn func(c conn) error) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	err := fn(t.conn)
	t.check(err)
	if sqlState(err) != "" {
		t.lose(err) // PostgreSQL takes nothing more, and a savepoint for each read would be dear
	}
	return err
}

// writing needs a savepoint where a statement that fails spoils the transaction: on PostgreSQL.
func (t *tx) writing(ctx context.Context, fn func(c conn) error) error {
	if t.write.Name() == "postgres" {
		return t.inTx(ctx, fn)
	}
	return t.reading(ctx, fn)
}

func (t *tx) hotTx(ctx context.Context, fn func(c conn) error) error { return t.inTx(ctx, fn) }

// inTx runs fn inside a savepoint, so that a verb that fails has changed nothing.
func (t *tx) inTx(ctx context.Context, fn func(c conn) error) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	const name = "verb"
	if _, err := t.conn.exec("SAVEPOINT " + name); err != nil {
		t.check(err)
		return err
	}
	err := fn(t.conn)
	if t.check(err); t.done {
		return err // and the savepoint is gone
	}
	if err != nil {
		if _, undo := t.conn.exec("ROLLBACK TO SAVEPOINT " + name); undo != nil {
			t.lose(undo)
			return undo
		}
	}
	if _, release := t.conn.exec("RELEASE SAVEPOINT " + name); release != nil {
		t.lose(release)
		return release
	}
	return err
}

func (t *tx) Clients() repository.Clients                       { return clients{t} }
func (t *tx) Grants() repository.Grants                         { return grants{t} }
func (t *tx) AuthorizationCodes() repository.AuthorizationCodes { return codes{t} }
func (t *tx) Tokens() repository.Tokens                         { return tokens{t} }
