package gormrepo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

// onServer runs fn in a transaction of a database server, and again when the server has undone it: a deadlock, a
// serialization failure, a connection that was lost before the commit. ctx ends the waits, those for locks too.
func (s *Store) onServer(ctx context.Context, fn func(c conn) error) error {
	return s.again(ctx, func() error { return s.serverTx(ctx, fn) })
}

// serverTx runs fn in a transaction at READ COMMITTED, whatever the server's default is: the fences of this package
// are made for it, and a read there sees what an update beside it has seen.
func (s *Store) serverTx(ctx context.Context, fn func(c conn) error) error {
	if err := ended(ctx); err != nil {
		return err
	}
	began := false
	err := s.write.WithContext(ctx).Connection(func(db *gorm.DB) error {
		began = true
		err := s.commit(ctx, db, fn)
		if unready(err) {
			discard(db)
		}
		if err != nil && !answered(err) && ended(ctx) == nil && gone(db) {
			return lostError{err}
		}
		return err
	})
	if err == nil {
		return nil
	}
	if _, unknown := errors.AsType[unknownOutcomeError](err); unknown {
		if stopped := ended(ctx); stopped != nil {
			return unknownOutcomeError{stopped} // and not the error of the context that the COMMIT had
		}
		return err
	}
	if stopped := ended(ctx); stopped != nil && !errors.Is(err, stopped) {
		if _, refused := errors.AsType[*refusedError](err); !refused && errors.Is(err, context.Canceled) {
			return stopped // the transaction had a context of its own
		}
		return stoppedError{stopped, err}
	}
	if !began && !answered(err) {
		return lostError{err} // there was no connection
	}
	return err
}

func (s *Store) commit(ctx context.Context, db *gorm.DB, fn func(c conn) error) error {
	begin := beginTx
	if db.Name() == "mysql" {
		begin = beginSession
	}
	begun, err := begin(ctx, db)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			_ = begun.rollback() // what went wrong is told already
		}
	}()
	if err := fn(conn{db: begun.db, now: s.now(), tables: s.tables}); err != nil {
		return err
	}
	if err := ended(ctx); err != nil {
		return err
	}
	committed = true
	err = begun.commit()
	if err == errNotSent { //nolint:errorlint // it is never wrapped
		return ended(ctx)
	}
	if err == nil || undone(err) || refusesCommit(err) {
		return err
	}
	return unknownOutcomeError{err}
}

// errNotSent says that ctx has ended in time.
var errNotSent = errors.New("gormrepo: the commit was not sent")

// grace is how long the end of a transaction may take after its ctx has ended: nobody knows what has become of a COMMIT
// that is given up.
const grace = 5 * time.Second

// beginTx begins a transaction of database/sql, which ends with ctx, and its COMMIT, which the driver lets end with the
// ctx of the BEGIN, grace later.
func beginTx(ctx context.Context, db *gorm.DB) (begun, error) {
	whole, end := context.WithCancel(context.WithoutCancel(ctx))
	untie := context.AfterFunc(ctx, end)
	tx := db.Session(&gorm.Session{NewDB: true, Context: whole}).Begin(&sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if tx.Error != nil {
		untie()
		end()
		return begun{}, tx.Error
	}
	commit := func() error {
		defer end()
		if !untie() {
			tx.Rollback()
			return errNotSent
		}
		defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, end) })()
		return tx.Commit().Error
	}
	rollback := func() error {
		defer end()
		defer untie()
		return tx.Rollback().Error
	}
	return begun{tx.Session(&gorm.Session{NewDB: true, Context: ctx}), commit, rollback}, nil
}

// beginSession begins a transaction by statements: MySQL's driver has no ctx for the COMMIT of database/sql. The connection
// is discarded where it may be in a transaction still.
func beginSession(ctx context.Context, db *gorm.DB) (begun, error) {
	exec := func(ctx context.Context, text string) error {
		_, err := conn{db: db.Session(&gorm.Session{NewDB: true, Context: ctx})}.exec(text)
		if err != nil {
			discard(db)
		}
		return err
	}
	for _, text := range []string{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"} {
		if err := exec(ctx, text); err != nil {
			return begun{}, err
		}
	}
	finish := func(text string) func() error {
		return func() error {
			late, end := context.WithCancel(context.WithoutCancel(ctx))
			defer end()
			defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, end) })()
			return exec(late, text)
		}
	}
	return begun{inSession(ctx, db), finish("COMMIT"), finish("ROLLBACK")}, nil
}

// stoppedError is what went wrong in a transaction whose ctx has ended.
type stoppedError struct{ stopped, err error }

func (e stoppedError) Error() string   { return e.stopped.Error() }
func (e stoppedError) Unwrap() []error { return []error{e.stopped, e.err} }

// unknownOutcomeError is an error of a COMMIT whose answer was lost.
type unknownOutcomeError struct{ error }

func (e unknownOutcomeError) Unwrap() []error { return []error{repository.ErrUnknownOutcome, e.error} }

// lostError is an error after which the same may be begun anew, though it has no code that says so: most often of a
// connection that broke before the COMMIT was sent.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

// gone reports whether the connection of db is broken.
func gone(db *gorm.DB) bool {
	pinger, ok := db.Statement.ConnPool.(interface {
		PingContext(ctx context.Context) error
	})
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return pinger.PingContext(ctx) != nil
}

// readServer runs what only reads, again when the connection was lost. An error of unknown origin is taken for that a
// few times: some drivers have one of their own.
func (s *Store) readServer(ctx context.Context, fn func(c conn) error) error {
	const times = 10
	n := 0
	read := func(db *gorm.DB) error { return fn(conn{db: db, now: s.now(), tables: s.tables}) }
	return s.again(ctx, func() error {
		var err error
		if n == 0 {
			err = read(inPool(ctx, s.write))
		} else {
			err = s.write.WithContext(ctx).Connection(func(db *gorm.DB) error {
				err := read(inSession(ctx, db))
				if unready(err) {
					discard(db)
				}
				return err
			})
		}
		if stopped := ended(ctx); stopped != nil {
			return stopped
		}
		if n++; err != nil && !answered(err) && (n < times || transport(err)) {
			return lostError{err}
		}
		return err
	})
}

// transport reports whether err is known to come from a connection, or from none that could be made.
func transport(err error) bool {
	for _, known := range []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	_, network := errors.AsType[net.Error](err)
	return network
}

// answered reports whether err is something that the server, this module or the caller's function said, and so
// not a connection that was lost.
func answered(err error) bool {
	for _, translated := range []error{
		gorm.ErrRecordNotFound, gorm.ErrDuplicatedKey, gorm.ErrForeignKeyViolated, gorm.ErrCheckConstraintViolated,
	} {
		if errors.Is(err, translated) {
			return true
		}
	}
	return sqlState(err) != "" || mysqlNumber(err) != 0 || isSentinel(err)
}

func isSentinel(err error) bool {
	for _, s := range []error{
		repository.ErrNotFound, repository.ErrAlreadyExists, repository.ErrConflict, repository.ErrConsumed,
		repository.ErrExpired, repository.ErrRevoked, repository.ErrInvalid, repository.ErrClosed,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// undone reports whether the server has said that it did not commit.
func undone(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01", "55P03": // serialization failure, deadlock, lock not available
		return true
	}
	switch mysqlNumber(err) {
	case 1205, 1213, 1047, // lock wait timeout, deadlock or another node of a Galera cluster was first, node not ready
		1020, 1206, // a row has changed since it was read (innodb_snapshot_isolation), no memory for locks
		1305, 3101: // a savepoint went with its transaction, another member of a replication group was first
		return true
	}
	return false
}

// refusesCommit reports whether PostgreSQL answered to a COMMIT that it rolled back, as for a deferred constraint.
func refusesCommit(err error) bool {
	state := sqlState(err)
	const completionUnknown = "40003"
	return len(state) == 5 && state != completionUnknown && !slices.Contains([]string{"08", "53", "57", "58", "XX"}, state[:2])
}

// unavailable reports whether the server ended the connection or the statement by itself: as it shuts down, or at an
// operator's wish. Before the commit, the transaction may begin anew.
func unavailable(err error) bool {
	state := sqlState(err)
	if len(state) == 5 && (state[:2] == "08" || state[:3] == "57P" || state == "53300") {
		return true
	}
	switch mysqlNumber(err) {
	case 1040, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1317, 1927, 3169, 4031:
		return true
	}
	return false
}

// retryable reports whether what err ended may be begun anew.
func (s *Store) retryable(err error) bool {
	if err == nil {
		return false
	}
	if s.sqlite() {
		return IsBusy(err)
	}
	if _, unknown := errors.AsType[unknownOutcomeError](err); unknown {
		return false
	}
	_, broken := errors.AsType[lostError](err)
	return broken || undone(err) || unavailable(err)
}
