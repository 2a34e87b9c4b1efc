package gormrepo

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

// server is what databases have in common that are servers.
type server struct {
	*common
	db    *gorm.DB
	begin func(ctx context.Context, db *gorm.DB) (transaction, error)
}

// transaction is one that has begun on a connection.
type transaction struct {
	db       *gorm.DB
	commit   func() (sent bool, err error) // not sent if ctx has ended in time
	rollback func()
}

// grace is how long a COMMIT may go on after its ctx has ended. If it were cut off at once, its
// outcome would be unknown.
const grace = 5 * time.Second

// write runs fn in a transaction at READ COMMITTED, also if the server's default is another level:
// after a conditional update has changed no row, a read must see the row that the update saw. write
// runs fn again after a deadlock, after a serialization failure, and if the connection was lost
// before COMMIT was sent. ctx ends every wait, also for locks.
func (d *server) write(ctx context.Context, _ writeKind, fn func(q *session) error) error {
	waits, stop := patience(ctx)
	defer stop()
	result, err := d.retry(waits, func() (outcome, error) { return d.attempt(ctx, fn) })
	if result == unknown {
		return fmt.Errorf("%w: %w", repository.ErrUnknownOutcome, d.withoutValues(err))
	}
	return err
}

// attempt runs fn in a transaction on a connection of the pool.
func (d *server) attempt(ctx context.Context, fn func(q *session) error) (outcome, error) {
	result, connected := rolledBack, false
	err := d.db.WithContext(ctx).Connection(func(db *gorm.DB) (err error) {
		connected = true
		result, err = d.transaction(ctx, db, fn)
		m := d.meaning(err)
		if m.discard {
			discard(db)
		}
		if result == rolledBack && m.noAnswer && ended(ctx) == nil && broken(db) {
			result = mayRunAgain // the connection was lost before COMMIT was sent
		}
		return err
	})
	if m := d.meaning(err); !connected && (m.noAnswer || m.again) {
		result = unconnected
	}
	if stopped := ended(ctx); stopped != nil && err != nil {
		return d.stopped(result, stopped, err)
	}
	return result, err
}

// stopped returns the error of an attempt that has failed with err and whose ctx has ended.
func (d *server) stopped(result outcome, stopped, err error) (outcome, error) {
	_, refused := errors.AsType[*refusal](err)
	switch {
	case result == unknown:
		return unknown, stopped // and not the error of the context that the COMMIT had
	case refused || errors.Is(err, stopped):
		return rolledBack, err
	case errors.Is(err, context.Canceled):
		return rolledBack, stopped // the transaction had a context of its own
	}
	return rolledBack, fmt.Errorf("%w: %w", stopped, d.withoutValues(err))
}

func (d *server) transaction(ctx context.Context, db *gorm.DB, fn func(q *session) error) (outcome, error) {
	t, err := d.begin(ctx, db)
	if err != nil {
		return d.failed(err)
	}
	ends := false
	defer func() {
		if !ends {
			t.rollback()
		}
	}()
	if err := fn(d.session(t.db)); err != nil {
		return d.failed(err)
	}
	if err := ended(ctx); err != nil {
		return rolledBack, err
	}
	ends = true
	sent, err := t.commit()
	switch {
	case err == nil:
		return committed, nil
	case !sent || d.meaning(err).refused:
		return d.failed(err)
	}
	return unknown, err
}

// read runs fn on the pool. If the connection is lost, it runs fn again on one connection. It takes
// an error of unknown origin for a lost connection up to ten times: some drivers report it so.
func (d *server) read(ctx context.Context, fn func(q *session) error) error {
	const times = 10
	waits, stop := patience(ctx)
	defer stop()
	n := 0
	_, err := d.retry(waits, func() (outcome, error) {
		connected, err := d.readOnce(ctx, n == 0, fn)
		n++
		if stopped := ended(ctx); stopped != nil {
			return rolledBack, stopped
		}
		m := d.meaning(err)
		again := m.again || m.noAnswer && (n < times || isNetworkError(err))
		switch {
		case again && !connected:
			return unconnected, err
		case again:
			return mayRunAgain, err
		}
		return rolledBack, err
	})
	return err
}

// readOnce reports whether there was a connection, which on the pool is not known.
func (d *server) readOnce(ctx context.Context, pooled bool, fn func(q *session) error) (connected bool, _ error) {
	if pooled {
		return true, fn(d.session(inPool(ctx, d.db)))
	}
	err := d.db.WithContext(ctx).Connection(func(db *gorm.DB) error {
		connected = true
		err := fn(d.session(onConnection(ctx, db)))
		if d.meaning(err).discard {
			discard(db)
		}
		return err
	})
	return connected, err
}

// forget leaves it to the server when its files forget: docs/operations.md says what to set.
func (d *server) forget(context.Context) {}

// endLater calls end when the time grace has passed since ctx ended. stop prevents that, if ctx has
// not ended yet.
func endLater(ctx context.Context, end func()) (stop func() bool) {
	return context.AfterFunc(ctx, func() { time.AfterFunc(grace, end) })
}

// isNetworkError reports whether err is known to come from a connection, or from none that could be
// made.
func isNetworkError(err error) bool {
	for _, known := range []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	_, network := errors.AsType[net.Error](err)
	return network
}
