package gormrepo

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore/repository"
)

// access is how a verb gets at the database: through the Store, each call by itself, or through a
// transaction.
type access interface {
	// read calls fn, which only reads, once or more.
	read(ctx context.Context, fn func(q *session) error) error

	// write calls fn, which changes all or nothing, once or more.
	write(ctx context.Context, kind writeKind, fn func(q *session) error) error

	// whole calls fn, which may write more than once. By itself, each write is a transaction of its own,
	// and what they have done stays if fn fails. Within a transaction all of it is undone, and the number
	// is 0.
	whole(ctx context.Context, fn func(r access) (int, error)) (int, error)

	// forget makes unreadable what was removed, after a write that removes.
	forget(ctx context.Context)

	// wrap names the package and the operation before the error at err, if there is one.
	wrap(op string, err *error)
}

// InTx implements repository.Store.
func (s *Store) InTx(ctx context.Context, fn func(tx repository.Repositories) error) (err error) {
	s.transactions.Add(1)
	defer s.transactions.Add(-1)
	ctx = arrived(ctx)
	err = s.runTx(ctx, fn, false)
	if err == errNeedsSavepoints { //nolint:errorlint // nobody else has it
		err = s.runTx(ctx, fn, true)
	}
	return err
}

func (s *Store) runTx(ctx context.Context, fn func(tx repository.Repositories) error, savepoints bool) error {
	err := s.write(ctx, severalChanges, func(q *session) error {
		t := &tx{session: q, savepoints: savepoints}
		defer func() { t.done = true }()
		return t.verdict(fn(t))
	})
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.error
	}
	s.wrap("transaction", &err)
	return err
}

// errNeedsSavepoints says that fn goes on after a method has failed in the middle.
var errNeedsSavepoints = errors.New("a method has failed in the middle")

// calledByInTx reports whether InTx, of this Store or another one, is among the callers.
func calledByInTx() bool {
	callers := make([]uintptr, 1000)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "/gormrepo.(*Store).InTx") {
			return true
		}
		if !more {
			return false
		}
	}
}

// tx is what fn of InTx gets.
type tx struct {
	session *session
	done    bool

	// savepoints: each method that may fail in the middle runs in a savepoint, so that the transaction
	// can go on. To a server, that is two round trips for each method, and few functions go on: so the
	// first run does without. If a method then fails in the middle, the transaction is given up. The
	// function runs again, with savepoints, if it calls another method or returns nil.
	savepoints bool
	givenUp    bool
	goesOn     bool // a method was called after that

	// lost is the error with which the database ended the transaction, or may have ended it. Nothing
	// may run after it: it would be outside of the transaction.
	lost error
}

// Now returns the reading of the clock by which the transaction judges.
func (t *tx) Now() time.Time { return t.session.now }

// Clients returns the repository of clients.
func (t *tx) Clients() repository.Clients { return clients{t} }

// Grants returns the repository of grants.
func (t *tx) Grants() repository.Grants { return grants{t} }

// AuthorizationCodes returns the repository of codes.
func (t *tx) AuthorizationCodes() repository.AuthorizationCodes { return codes{t} }

// Tokens returns the repository of tokens.
func (t *tx) Tokens() repository.Tokens { return tokens{t} }

// forget leaves it to a later cleanup: what the transaction removes is not committed yet.
func (t *tx) forget(context.Context) {}

func (t *tx) wrap(op string, err *error) { t.session.wrap(op, err) }

func (t *tx) whole(ctx context.Context, fn func(r access) (int, error)) (n int, err error) {
	err = t.write(ctx, severalChanges, func(q *session) (err error) {
		n, err = fn(part{q})
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// part is how what whole calls gets at the transaction. It does not look at the context of the method
// again: that ended after a part was done, and before the rest.
type part struct{ *session }

func (p part) read(_ context.Context, fn func(q *session) error) error { return fn(p.session) }

func (p part) write(_ context.Context, _ writeKind, fn func(q *session) error) error {
	return fn(p.session)
}

func (p part) whole(_ context.Context, fn func(r access) (int, error)) (int, error) { return fn(p) }

func (p part) forget(context.Context) {}

// verdict returns the error with which the transaction ends; fn returned err. If the transaction is
// lost, lost replaces err in three cases: err is nil; err is ErrClosed; or lost says that the same
// may succeed and err does not. In every other case err goes to the caller as it is.
func (t *tx) verdict(err error) error {
	again := func(err error) bool { return t.session.meaning(err).again }
	switch {
	case t.givenUp && (t.goesOn || err == nil):
		return &refusal{errNeedsSavepoints}
	case t.lost != nil && (err == nil || errors.Is(err, repository.ErrClosed) || again(t.lost) && !again(err)):
		return t.lost
	case err != nil:
		return &refusal{err}
	}
	return nil
}

// usable returns ErrClosed if the transaction is over or lost, and the error of ctx if that has
// ended.
func (t *tx) usable(ctx context.Context) error {
	if t.done {
		if t.givenUp {
			t.goesOn = true
		}
		return repository.ErrClosed
	}
	return ended(ctx)
}

// run runs fn. If ctx of InTx has ended and the driver says only that the connection is closed, the
// error of ctx is in that of fn.
func (t *tx) run(fn func(q *session) error) error {
	err := fn(t.session)
	t.check(err)
	stopped := ended(t.session.db.Statement.Context)
	if stopped != nil && t.session.meaning(err).noAnswer && !errors.Is(err, stopped) {
		err = fmt.Errorf("%w: %w", stopped, err)
	}
	return err
}

// check ends the transaction for fn if the database has ended it with err, or the connection is
// lost.
func (t *tx) check(err error) {
	if m := t.session.meaning(err); m.txOver || m.noAnswer {
		t.lose(err)
	}
}

func (t *tx) lose(err error) { t.done, t.lost = true, err }

func (t *tx) read(ctx context.Context, fn func(q *session) error) error {
	if err := t.usable(ctx); err != nil {
		return err
	}
	err := t.run(fn)
	if t.session.abortsOnError && t.session.meaning(err).shown != nil {
		t.lose(err) // a savepoint for each read would be dear
	}
	return err
}

func (t *tx) write(ctx context.Context, kind writeKind, fn func(q *session) error) error {
	switch {
	case !kind.leavesChanges() && !t.session.abortsOnError:
		return t.read(ctx, fn)
	case t.savepoints:
		return t.inSavepoint(ctx, fn)
	}
	if err := t.usable(ctx); err != nil {
		return err
	}
	before := t.session.changed
	err := t.run(fn)
	inTheMiddle := kind == severalChanges || t.session.changed > before || t.session.abortsOnError
	if err != nil && inTheMiddle && !t.done {
		t.done, t.givenUp = true, true
	}
	return err
}

// inSavepoint runs fn in a savepoint, and goes back to it if fn fails.
func (t *tx) inSavepoint(ctx context.Context, fn func(q *session) error) error {
	if err := t.usable(ctx); err != nil {
		return err
	}
	const savepoint = "oauthstore_verb"
	if err := t.session.run("SAVEPOINT " + savepoint); err != nil {
		t.check(err)
		return err
	}
	err := t.run(fn)
	if t.done {
		return err // the transaction is over, and its savepoint with it
	}
	if err != nil {
		if undo := t.session.run("ROLLBACK TO SAVEPOINT " + savepoint); undo != nil {
			t.lose(undo)
			return undo
		}
	}
	if release := t.session.run("RELEASE SAVEPOINT " + savepoint); release != nil {
		t.lose(release)
		return release
	}
	return err
}
